#include "harness/run/experiment_resolve.h"

#include <string.h>

#include "harness/run/doubt.h"
#include "harness/run/experiment_runs.h"
#include "harness/run/run_figures.h"
#include "harness/run/run_memory.h"
#include "harness/spec/sweep_sibling.h"
#include "harness/train/trained_model.h"

/* Each variant is opened once, with the first seed: corpus, model, what it starts from; its cost,
 * its figures and its id are found. Further seeds share them, since no option of a variant depends
 * on the seed.
 *
 * x->runs[0..variants) are the first seed's runs here and stand for the variants; runs[v] is
 * variant v. Behind experiment_runs_complete the index means nothing any more:
 * run->variant_index and x->labels lead back.
 *
 * All errors carry a place in the file. A value may be wrong in one variant only, so the label is
 * added (blame_source). */

/* ---- corpora that runs share ---- */

typedef struct opened {
    const node *data;
    corpus *corpus;
} opened;

typedef struct shelf {
    opened *items; /* [variants] */
    int count;
} shelf;

/* A sweep of a thousand variants mostly has one corpus: opening it may mean hashing gigabytes. */
static corpus *shared_corpus(shelf *s, const node *data, const corpus_places *places, err *e)
{
    for (int i = 0; i < s->count; i++) {
        /* By what is written, not by what it means: two spellings of one corpus are opened twice,
         * which costs time alone. */
        if (data ? node_equal(s->items[i].data, data) : !s->items[i].data) {
            return s->items[i].corpus;
        }
    }
    corpus *c = corpus_open(data, places, e);
    if (c) s->items[s->count++] = (opened){data, c};
    return c;
}

/* ---- what variants start from ---- */

typedef enum progress_mark { UNTOUCHED, BEGUN, RESOLVED } progress_mark;

typedef struct resolver {
    experiment *x;
    shelf shelf;
    const corpus_places *places;
    progress_mark *marks; /* [variants] */
    int failed;           /* the variant that e is about */
} resolver;

static bool resolve_variant(resolver *r, int v, err *e);

enum { NO_SOURCE = -1, NO_SUCH_SOURCE = -2 };

/* Index of the variant that init_from names, resolved; NO_SUCH_SOURCE and e on failure. */
static int resolve_source(resolver *r, int v, const node *own, err *e)
{
    const experiment *x = r->x;
    const node *init = node_get(own, "init_from"), *label = node_get(init, "variant");
    /* What is no scalar fails when the options are read, with the better words. */
    if (node_is_null(label) || label->kind != NODE_SCALAR) return NO_SOURCE;
    int variants = x->sweep->variant_count, source = 0;
    while (source < variants && strcmp(x->runs[source].label, label->text) != 0) {
        source++;
    }
    if (source == variants) {
        const char **labels = ARENA_NEW(x->memory, const char *, variants);
        for (int i = 0; i < variants; i++) {
            labels[i] = x->runs[i].label;
        }
        const char *near = option_nearest(label->text, variants, labels);
        node_err(e, label, "no variant '%s' in the sweep%s%s%s", label->text,
                 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        return NO_SUCH_SOURCE;
    }
    /* The recursion is still inside of it: a circle, of one variant perhaps. */
    if (r->marks[source] == BEGUN) {
        node_err(e, label,
                 source == v ? "a variant cannot start from itself; say init_from in the "
                               "other variants only"
                             : "variants start from each other in a circle");
        return NO_SUCH_SOURCE;
    }
    return resolve_variant(r, source, e) ? source : NO_SUCH_SOURCE;
}

/* Whether the source's parameters have their places, before anything is trained. */
static bool check_source(resolver *r, const workload *w, int source, const char **taken, err *e)
{
    const node *theirs = experiment_spec(r->x, source, e);
    corpus *c = theirs ? shared_corpus(&r->shelf, node_get(theirs, "data"), r->places, e) : NULL;
    /* A model without values: shapes alone decide, and the source may not be trained yet. What
     * cannot fit is refused here, not after the source has taken its days. */
    workload from;
    if (!c || !workload_open_on(&from, theirs, w->seed, c, e)) return false;
    const params *p = model_params_const(from.model);
    init_tensor *list = arena_push_zero(w->memory, p->count, sizeof *list);
    int *target = ARENA_NEW(w->memory, int, p->count);
    for (int i = 0; i < p->count; i++) {
        list[i] = (init_tensor){.name = p->list[i].name, .rank = p->list[i].rank};
        memcpy(list[i].shape, p->list[i].shape, sizeof list[i].shape);
    }
    /* Ids of tokens mean other texts then, however well the shapes fit. */
    bool ok = model_vocab(from.model) == model_vocab(w->model) ||
              node_err(e, w->init.at, "the source has a vocabulary of %lld, this model of %lld",
                       (long long)model_vocab(from.model), (long long)model_vocab(w->model));
    const params *own = model_params_const(w->model);
    ok = ok && init_from_match(target, &w->init, list, p->count, own, e);
    if (ok) *taken = init_from_summary(r->x->memory, target, p->count, own);
    workload_close(&from);
    return ok;
}

/* The same of a checkpoint. */
static bool check_checkpoint(resolver *r, const workload *w, const char **taken, err *e)
{
    /* It is there already: its file is asked, not its spec. */
    trained_source *s = trained_model_source_open(&w->init, NULL, r->places, e);
    const char *text =
        s ? trained_model_source_summary(s, &w->init, model_params_const(w->model), e) : NULL;
    if (text) *taken = arena_strdup(r->x->memory, text);
    trained_model_source_close(s);
    return text != NULL;
}

static bool resolve_opened(resolver *r, int v, const node *own, corpus *c, err *e)
{
    experiment *x = r->x;
    run_plan *run = &x->runs[v];
    workload w;
    if (!workload_open_on(&w, own, run->seed, c, e)) return false;
    /* The model first, so that all of its options are right; then whether its source fits. */
    int source = run->source_variant;
    bool good = eval_options_check(&w.eval, own, w.eval_model, c, e) &&
                (source >= 0         ? check_source(r, &w, source, &run->taken, e)
                 : w.init.checkpoint ? check_checkpoint(r, &w, &run->taken, e)
                                     : true);
    if (!good) {
        workload_close(&w);
        return false;
    }
    run->oracle = model_oracle(w.model);
    run->cost = model_costs(w.model);
    /* What a guide costs at each token is the guided model's cost, too. */
    if (source >= 0 && (model_needs(node_get(own, "model")) & NEEDS_PREDICTIONS)) {
        model_cost_add_guide(&run->cost, &x->runs[source].cost); /* it is not there yet */
    }
    run->memory_bytes = run_memory_estimate(&w, &run->cost);
    run->thread_bytes = run_memory_thread(&w, &run->cost);
    run->lanes = w.shape.lanes;
    run->lane_rows = w.shape.lane_rows;
    run->amount = run_amount_of(&w, run->cost.train_flops);
    if (!run->doubt) run->doubt = doubt_of(x->memory, &w, x->sweep->seed_count);
    run->corpus_hash = arena_strdup(x->memory, corpus_hash(c));
    if (w.init.checkpoint) run->source_hash = arena_strdup(x->memory, w.source_id);
    run_figures_note(run, &w, x->memory);
    /* The workload's arena goes in a moment. */
    run->resolved = node_copy(x->memory, identity_resolved(w.memory, &w)); /* copies are compact */
    /* Last, with the source's id, which resolve_variant has made sure of. */
    identity_variant(run->variant, &w, source >= 0 ? x->runs[source].variant : NULL);
    workload_close(&w);
    return true;
}

/* What cannot be left out, while the file that lacks it is known. */
static bool has_sections(const node *own, err *e)
{
    /* Everything else has defaults that make an experiment. */
    static const char *const needed[] = {"data", "model", "train"};
    for (int i = 0; i < 3; i++) {
        if (!node_is_null(node_get(own, needed[i]))) continue;
        return node_err(e, own, "the section `%s` is missing; loci help spec tells what it says",
                        needed[i]);
    }
    return true;
}

/* A variant's id contains that of the one it starts from, so the source is resolved first, by
 * recursion; a mark that is still BEGUN when it is met again is a circle. */
static bool resolve_variant(resolver *r, int v, err *e)
{
    if (r->marks[v] == RESOLVED) return true;
    r->marks[v] = BEGUN;
    const node *own = experiment_spec(r->x, v, e);
    bool good = own && has_sections(own, e) &&
                /* Siblings that are named by axis values become labels before anybody looks for
                 * them. */
                (own = sweep_sibling_name(r->x->memory, r->x->sweep, v, own, e));
    if (good) r->x->runs[v].spec = own;
    int source = good ? resolve_source(r, v, own, e) : NO_SUCH_SOURCE;
    if (source != NO_SUCH_SOURCE) {
        r->x->runs[v].source_variant = source;
        corpus *c = shared_corpus(&r->shelf, node_get(own, "data"), r->places, e);
        if (c && resolve_opened(r, v, own, c, e)) {
            r->marks[v] = RESOLVED;
            return true;
        }
    }
    /* The first, innermost one: e speaks of it, not of those that start from it. */
    if (r->failed < 0) r->failed = v;
    return false;
}

/* The message names the variant, unless there is only one: a value may be fine in another. */
static bool blame_source(const experiment *x, int index, err *e)
{
    /* Written behind what e says, as far as there is room. */
    if (!e || x->sweep->variant_count == 1) return false;
    size_t used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, " (in variant '%s')", x->runs[index].label);
    return false;
}

bool experiment_resolve(experiment *x, const corpus_places *places, err *e)
{
    int variants = x->sweep->variant_count;
    resolver r = {.x = x, .places = places, .failed = -1};
    r.shelf.items = ARENA_NEW(x->memory, opened, variants);
    r.marks = arena_push_zero(x->memory, variants, sizeof *r.marks);
    bool good = true;
    for (int v = 0; v < variants && good; v++) {
        good = resolve_variant(&r, v, e) || blame_source(x, r.failed, e);
    }
    /* Only hashes and figures are kept; workers open the text on their own. */
    for (int i = 0; i < r.shelf.count; i++)
        corpus_close(r.shelf.items[i].corpus);
    if (good) experiment_runs_complete(x);
    return good;
}
