#include "harness/run/identity.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/sha256.h"

/* Two trees are made of a workload, from the same option tables:
 *
 *   identity_resolved   every option spelt out, paths included: it goes into plan.json, and the
 *                       worker opens it as its spec
 *   identity_variant    what differs from the defaults and matters for the result, hashed
 *
 * What must not enter the second: where things lie (paths), how the work is done (threads, jobs),
 * what is looked at meanwhile (logging, evaluation), what the experiment and its variants are
 * called. Each of them would train again what is there. What must enter it: the text itself (by its
 * hash, not its name), and what init_from names, by the id of a run or the checksum of a file, for
 * a file's name says nothing about its content. What is left out by mistake is worse than what is
 * in: two different systems would share one result.
 *
 * Options that mean the same are settled before they are hashed (settle), and numbers are spelt in
 * one way. Anything that changes the spelling of an old spec renames every run that was ever
 * made. */

/* Numbers as only specs write them (2M) become plain numbers, so that equal ones look equal. */
static void spell_numbers(arena *a, node *n)
{
    double value;
    int64_t whole;
    char text[40];
    /* What JSON reads as a number is written as one already; this is for the rest of what looks
     * like one. */
    if (n->kind == NODE_SCALAR && !node_to_number(n, &value) &&
        option_text_to_real(n->text, &value)) {
        if (option_text_to_int(n->text, &whole)) {
            snprintf(text, sizeof text, "%lld", (long long)whole);
        } else {
            snprintf(text, sizeof text, "%.17g", value);
        }
        n->text = arena_strdup(a, text);
        /* A plain scalar: a number in the canonical JSON, not a string of digits. */
        n->plain = true;
    }
    for (int i = 0; i < n->count; i++)
        spell_numbers(a, n->items[i]);
}

/* Groups with every option that differs from the defaults, in the order in which they apply. */
static void spell_groups(arena *a, node *optimizer)
{
    node *groups = node_get(optimizer, "groups");
    for (int i = 0; groups && i < groups->count; i++) {
        optim_group group;
        err e;
        node *n = groups->items[i];
        CHECK(options_read(&group, OPTIM_GROUP_OPTIONS, n, NULL, a, &e), "%s", e.text);
        for (const option *o = OPTIM_GROUP_OPTIONS; o->name; o++) {
            node *all = options_node(a, &group, OPTIM_GROUP_OPTIONS);
            if (node_get(n, o->name)) node_set(a, n, o->name, node_get(all, o->name));
        }
    }
}

/* A checkpoint by its whole path: the spec may be read again from anywhere. */
static node *resolved_init(arena *a, const init_options *o)
{
    char path[PATH_MAX];
    node *n = options_node(a, o, INIT_OPTIONS);
    if (o->checkpoint && realpath(o->checkpoint, path)) {
        node_set(a, n, "checkpoint", node_scalar(a, arena_strdup(a, path), false));
    }
    return n;
}

node *identity_resolved(arena *a, const workload *w)
{
    node *spec = node_map(a);
    node *optimizer = options_node(a, &w->optim, OPTIM_OPTIONS);
    node *schedule = options_node(a, &w->schedule, SCHEDULE_OPTIONS);
    node *train = options_node(a, &w->train, TRAIN_OPTIONS);
    /* Groups and budgets are lists and maps that the option table hands on as they were written. */
    spell_groups(a, optimizer);
    spell_numbers(a, train);
    node_set(a, spec, "data", corpus_resolved(w->corpus, a));
    node_set(a, spec, "model", model_resolved(w->model, a));
    if (w->init.at) node_set(a, spec, "init_from", resolved_init(a, &w->init));
    node_set(a, spec, "optimizer", optimizer);
    node_set(a, spec, "schedule", schedule);
    node_set(a, spec, "train", train);
    node_set(a, spec, "eval", options_node(a, &w->eval, EVAL_OPTIONS));
    node_repath(a, spec, "");
    return spec;
}

/* Canonical: keys sorted, numbers spelt alike, so that the same options in another order or
 * notation are the same run. 64 bits of the hash: among a million runs two meet with probability
 * 3e-8. */
static void hash_node(char id[IDENTITY_CHARS], arena *a, const node *n)
{
    char hex[SHA256_HEX];
    const char *json = node_json(a, n, true);
    sha256_hex(hex, json, strlen(json));
    /* Short enough for a folder's name and for people. */
    snprintf(id, IDENTITY_CHARS, "%.16s", hex);
}

/* What several spellings say becomes one: a factor of 1 is none, Adam without decay is AdamW. */
typedef struct settled {
    optim_options optim;
    schedule_options schedule;
    train_options train;
    dynamic_options dynamic;
} settled;

static settled settle(arena *a, const workload *w)
{
    settled s = {w->optim, w->schedule, w->train, w->eval.dynamic};
    optim_settle(&s.optim, model_params_const(w->model), a);
    schedule_settle(&s.schedule);
    train_options_settle(&s.train, model_context(w->model));
    dynamic_options_settle(&s.dynamic, model_context(w->eval_model));
    return s;
}

/* Only what differs from the defaults is hashed: an option that a later version adds, with a
 * default that leaves everything as it was, renames no run. The price: a default that
 * changes is a change of LOCI_NUMERICS. */
void identity_variant(char id[IDENTITY_CHARS], const workload *w, const char *source)
{
    arena_auto *a = arena_new(1 << 16);
    node *spec = node_map(a);
    settled s = settle(a, w);
    node *optimizer = options_changed(a, &s.optim, OPTIM_OPTIONS);
    node *train = options_changed(a, &s.train, TRAIN_OPTIONS);
    spell_groups(a, optimizer);
    spell_numbers(a, train);
    node_set(a, spec, "data", corpus_changed(w->corpus, a));
    node_set(a, spec, "model", model_changed(w->model, a));
    /* A checkpoint or a run that is named outright: the workload knows its id. */
    if (!source) source = w->source_id;
    /* Without it two runs that start from different variants would be one. */
    CHECK(source || !w->init.at, "nobody said which variant %s is", w->init.variant);
    node *init = init_from_changed(a, &w->init, source);
    if (init) node_set(a, spec, "init_from", init);
    /* A model that learns while it is evaluated is another system: its final figures are not those
     * of the run that it is compared with. */
    if (w->eval.dynamic.kind != DYNAMIC_NONE) {
        node_set(a, spec, "dynamic", options_changed(a, &s.dynamic, DYNAMIC_OPTIONS));
    }
    node_set(a, spec, "optimizer", optimizer);
    node_set(a, spec, "schedule", options_changed(a, &s.schedule, SCHEDULE_OPTIONS));
    node_set(a, spec, "train", train);
    hash_node(id, a, spec);
}

/* No field of an experiment: its seeds, however many, leave those that are there alone. */
void identity_run(char id[IDENTITY_CHARS], const char *variant, int64_t seed)
{
    arena_auto *a = arena_new(1 << 12);
    node *run = node_map(a);
    node_set(a, run, "variant", node_scalar(a, variant, false));
    node_set(a, run, "seed", node_int(a, seed));
    /* Other bits are another run of the same variant. */
    node_set(a, run, "numerics", node_int(a, LOCI_NUMERICS));
    if (REAL_IS_DOUBLE) node_set(a, run, "real", node_scalar(a, "f64", false));
    hash_node(id, a, run);
}
