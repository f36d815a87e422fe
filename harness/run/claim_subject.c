#include "harness/run/claim_subject.h"

#include <string.h>

#include "core/base/text.h"
#include "harness/evaluate/evaluate.h"

/* "'big' is better than 'block'" says another thing once 'big' is another model, or both are
 * trained for longer, on another text, or read otherwise; and of twenty seeds those can be picked
 * that say what one likes. What leaves every figure alone is no part of it: other variants, labels'
 * values on axes, how often is logged or saved, what an evaluation tells beside its loss. Neither
 * are seeds that are added, which `loci claims` counts by itself. */

/* ---- as the experiment has it ---- */

static const run_plan *run_called(const experiment *x, const char *label)
{
    for (int i = 0; i < x->run_count; i++) {
        if (strcmp(x->runs[i].label, label) == 0) return &x->runs[i];
    }
    return NULL;
}

static void put_variant(json_t *variants, const experiment *x, const char *label)
{
    const run_plan *run = label ? run_called(x, label) : NULL;
    if (run) json_object_set_new(variants, label, json_string(run->variant));
}

static json_t *variants_of(const claim *c, const experiment *x)
{
    json_t *variants = json_object();
    for (int i = 0; i < c->count; i++) {
        const claim_statement *s = &c->statements[i];
        put_variant(variants, x, s->variant);
        put_variant(variants, x, s->other);
        for (int k = 0; k < s->count; k++) {
            put_variant(variants, x, s->variants[k]);
        }
    }
    return variants;
}

/* Is a figure of the statement one of an evaluation? Sizes, costs and what `loci inspect` finds are
 * not. */
static bool is_scored(const claim_statement *s)
{
    return !s->on || s->on->kind == FIGURE_METRIC || s->on->kind == FIGURE_SLICE ||
           s->on->kind == FIGURE_RECALL;
}

/* The split of the final evaluations counts where a statement does not name its own. How many rows
 * are read at once matters to models alone that learn from each; which is theirs, in the identity
 * of the variant. */
static json_t *evaluation_of(const claim *c, const experiment *x)
{
    bool scored = false, final_split = false;
    for (int i = 0; i < c->count; i++) {
        scored = scored || is_scored(&c->statements[i]);
        final_split = final_split || (is_scored(&c->statements[i]) && !c->statements[i].split);
    }
    arena_auto *a = arena_new(1 << 12);
    /* Of any run: `eval:` is one for all, but for what the identity has. */
    node *n = scored && x->run_count > 0
                  ? eval_options_changed(a, node_get(x->runs[0].resolved, "eval"))
                  : NULL;
    if (!n) return json_object();
    bool learns = node_get(n, "dynamic") != NULL;
    node_remove(n, "sample");
    node_remove(n, "dynamic");
    if (!learns) node_remove(n, "rows");
    if (!final_split) node_remove(n, "split");
    return json_loads(node_json(a, n, true), 0, NULL);
}

json_t *claim_subject(const claim *c, const experiment *x)
{
    json_t *seeds = json_array();
    for (int i = 0; i < x->sweep->seed_count; i++) {
        json_array_append_new(seeds, json_integer((json_int_t)x->sweep->seeds[i]));
    }
    return json_pack("{s:o, s:o, s:o}", "variants", variants_of(c, x), "seeds", seeds, "evaluation",
                     evaluation_of(c, x));
}

/* ---- as a record has it ---- */

/* False: it is there. */
static bool note_seed(json_t *seen, const json_t *seed)
{
    char key[24];
    snprintf(key, sizeof key, "%lld", (long long)json_integer_value(seed));
    if (json_object_get(seen, key)) return false;
    json_object_set_new(seen, key, json_true());
    return true;
}

/* Each of `seeds` that is not one of `others` (may be NULL), once. By way of a set: there may be
 * thousands, and a run of each. A new reference. */
static json_t *seeds_beside(const json_t *seeds, const json_t *others)
{
    json_auto_t *seen = json_object();
    json_t *beside = json_array(), *seed;
    size_t i;
    json_array_foreach(others, i, seed)
    {
        note_seed(seen, seed);
    }
    json_array_foreach(seeds, i, seed)
    {
        if (note_seed(seen, seed)) json_array_append(beside, seed);
    }
    return beside;
}

void claim_subject_add_seeds(json_t *stated, const json_t *now)
{
    json_t *seeds = json_object_get(stated, "seeds");
    json_auto_t *more = seeds_beside(json_object_get(now, "seeds"), seeds);
    json_array_extend(seeds, more);
}

json_t *claim_subject_earlier(const json_t *record, const json_t *now)
{
    json_t *o = json_deep_copy(now), *variants = json_object_get(o, "variants"), *run;
    json_auto_t *seeds = json_array();
    size_t i;
    json_array_foreach(json_object_get(record, "runs"), i, run)
    {
        const char *label = json_get_text(run, "label"), *id = json_get_text(run, "variant");
        json_t *seed = json_object_get(run, "seed");
        if (label && id && json_object_get(variants, label)) {
            json_object_set_new(variants, label, json_string(id));
        }
        if (json_is_integer(seed)) json_array_append(seeds, seed);
    }
    if (json_array_size(seeds) > 0) json_object_set_new(o, "seeds", seeds_beside(seeds, NULL));
    return o;
}

/* ---- how they differ ---- */

/* "A", "A and B", "A, B and C": what stands before the i-th of n. */
static const char *joint(size_t i, size_t n)
{
    return i == 0 ? "" : i + 1 < n ? ", " : " and ";
}

static void put_variants(FILE *out, const json_t *stated, const json_t *now)
{
    json_t *then = json_object_get(stated, "variants"), *id;
    json_t *those = json_object_get(now, "variants");
    const char *label;
    size_t n = 0, i = 0;
    json_object_foreach(then, label, id)
    {
        n += !json_equal(id, json_object_get(those, label));
    }
    json_object_foreach(then, label, id)
    {
        if (json_equal(id, json_object_get(those, label))) continue;
        fprintf(out, "%s'%s'", joint(i++, n), label);
    }
    if (n > 0) fprintf(out, " %s changed", n == 1 ? "was" : "were");
}

static void put_seeds(FILE *out, const json_t *stated, const json_t *now, const char *comma)
{
    json_auto_t *left_out =
        seeds_beside(json_object_get(stated, "seeds"), json_object_get(now, "seeds"));
    json_t *seed;
    size_t n = json_array_size(left_out), i;
    if (n == 0) return;
    fprintf(out, "%sseed%s ", comma, n == 1 ? "" : "s");
    json_array_foreach(left_out, i, seed)
    {
        fprintf(out, "%s%lld", joint(i, n), (long long)json_integer_value(seed));
    }
    fprintf(out, " %s left out", n == 1 ? "was" : "were");
}

char *claim_subject_change(const json_t *stated, const json_t *now)
{
    text_memory text;
    FILE *out = text_begin(&text);
    put_variants(out, stated, now);
    put_seeds(out, stated, now, ftell(out) > 0 ? ", " : "");
    if (!json_equal(json_object_get(stated, "evaluation"), json_object_get(now, "evaluation"))) {
        fprintf(out, "%sthe evaluation was changed", ftell(out) > 0 ? ", " : "");
    }
    return text_end(&text);
}
