#include "results/compare/compare_alike.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "results/compare/protocol.h"

/* Variants may be evaluated otherwise, as their specs say so (eval.dynamic), and then it is told
 * beside their figures. Seeds of one variant have one spec, and all runs of an experiment are about
 * one split; a mean over both kinds would be of neither. */

/* The text that occurs most often, the first of several; NULL: there is none. */
static const char *most_common(const char *const *texts, int n)
{
    const char *best = NULL;
    int most = 0;
    for (int i = 0; i < n && most < n - i; i++) {
        int same = 0;
        for (int k = i; k < n; k++) {
            same += strcmp(texts[i], texts[k]) == 0;
        }
        if (same > most) {
            most = same;
            best = texts[i];
        }
    }
    return best;
}

static const char *words(arena *a, const char *before, const char *word, const char *behind)
{
    text_memory m;
    fprintf(text_begin(&m), "%s%s%s", before, word, behind);
    return text_end_in(&m, a);
}

static void one_split(comparison *c, arena *a)
{
    int n = 0, runs = 0;
    for (int i = 0; i < c->count; i++) {
        runs += c->variants[i].run_count;
    }
    const char **splits = ARENA_NEW(a, const char *, runs);
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (r->scored) splits[n++] = r->split;
        }
    }
    const char *split = most_common(splits, n);
    if (!split) return;
    c->split = split;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            compared_run *r = &c->variants[i].runs[k];
            if (!r->scored || strcmp(r->split, split) == 0) continue;
            compare_unscore(r, words(a, "its final evaluation is on the ", r->split, " split"));
        }
    }
}

/* Without what no `eval:` section says: the machine's way to round, the text. Seeds that differ in
 * these are told apart below the table. */
static const char *asked_of(arena *a, const char *protocol)
{
    static const char *const given[] = {"precision", "data", "start"};
    json_auto_t *p = json_loads(protocol, 0, NULL);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        json_object_del(p, given[i]);
    }
    text_auto *text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);
    return arena_strdup(a, text ? text : "");
}

static const char *otherwise(arena *a, const char *usual, const char *own)
{
    json_auto_t *from = json_loads(usual, 0, NULL), *to = json_loads(own, 0, NULL);
    text_memory m;
    protocol_print_difference(text_begin(&m), to, from);
    return words(a, "was evaluated otherwise than other seeds: ", text_end_in(&m, a),
                 "; loci run evaluates all alike");
}

static bool all_equal(const compared_variant *v)
{
    const compared_run *first = compare_scored(v);
    for (int k = 0; k < v->run_count; k++) {
        const compared_run *r = &v->runs[k];
        if (r->scored && strcmp(r->protocol, first->protocol) != 0) return false;
    }
    return true;
}

static void one_protocol(compared_variant *v, arena *a)
{
    if (all_equal(v)) return;
    const char **keys = ARENA_NEW(a, const char *, v->run_count);
    int n = 0;
    for (int k = 0; k < v->run_count; k++) {
        if (v->runs[k].scored) keys[n++] = asked_of(a, v->runs[k].protocol);
    }
    const char *usual = most_common(keys, n);
    n = 0;
    for (int k = 0; k < v->run_count; k++) {
        if (!v->runs[k].scored) continue;
        const char *own = keys[n++];
        if (strcmp(own, usual) != 0) compare_unscore(&v->runs[k], otherwise(a, usual, own));
    }
}

void compare_alike(comparison *c, arena *a)
{
    one_split(c, a);
    for (int i = 0; i < c->count; i++) {
        one_protocol(&c->variants[i], a);
    }
}
