#include "harness/run/experiment_runs.h"

#include <stdlib.h>
#include <string.h>

static int by_variant(const void *x, const void *y)
{
    const run_plan *a = *(const run_plan *const *)x, *b = *(const run_plan *const *)y;
    /* Of equals the first in the file comes first, and stays. */
    int order = strcmp(a->variant, b->variant);
    return order ? order : a->variant_index - b->variant_index;
}

/* original[v]: the first variant that says the same as v; v itself unless it is a repetition. */
static int *find_repetitions(const experiment *x)
{
    int variants = x->sweep->variant_count;
    int *original = ARENA_NEW(x->memory, int, variants);
    const run_plan **order = ARENA_NEW(x->memory, const run_plan *, variants);
    for (int v = 0; v < variants; v++)
        order[v] = &x->runs[v];
    /* Sorted, for a thousand variants would be half a million comparisons otherwise. */
    qsort(order, (size_t)variants, sizeof *order, by_variant);
    for (int i = 0; i < variants; i++) {
        bool again = i > 0 && strcmp(order[i]->variant, order[i - 1]->variant) == 0;
        int v = order[i]->variant_index;
        original[v] = again ? original[order[i - 1]->variant_index] : v;
    }
    return original;
}

/* In the resolved spec the variant it starts from is a run. */
static void name_source(experiment *x, run_plan *run, const int *original)
{
    if (run->source_variant < 0) return;
    run->source_variant = original[run->source_variant];
    /* Same seed as its source, so that seeds stay pairs. The name of a variant is this
     * experiment's; the worker, which knows no experiment, needs the run. */
    identity_run(run->source, x->runs[run->source_variant].variant, run->seed);
    node *own = node_copy(x->memory, run->resolved);
    node *init = node_get(own, "init_from");
    node_set(x->memory, init, "variant", node_scalar(x->memory, "null", true));
    node_set(x->memory, init, "run", node_scalar(x->memory, run->source, false));
    /* Places are those of the resolved spec, where a worker's errors point. */
    node_repath(x->memory, own, "");
    run->resolved = own;
}

static int by_id(const void *x, const void *y)
{
    const run_plan *a = *(const run_plan *const *)x, *b = *(const run_plan *const *)y;
    return strcmp(a->id, b->id);
}

/* Where each run's source stands among the runs; `init_from: {run: ID}` may name one, too. */
static void find_sources(experiment *x)
{
    const run_plan **order = ARENA_NEW(x->memory, const run_plan *, x->run_count);
    for (int i = 0; i < x->run_count; i++) {
        order[i] = &x->runs[i];
    }
    qsort(order, (size_t)x->run_count, sizeof *order, by_id);
    for (int i = 0; i < x->run_count; i++) {
        run_plan *run = &x->runs[i], key = {.source_run = -1};
        const node *named = node_at(run->resolved, "init_from.run");
        /* An id of another length is no id of ours; the worker says so when it opens it. */
        if (node_is_null(named) || strlen(named->text) >= IDENTITY_CHARS) continue;
        snprintf(key.id, sizeof key.id, "%s", named->text);
        const run_plan *wanted = &key;
        const run_plan *const *found =
            bsearch(&wanted, order, (size_t)x->run_count, sizeof *order, by_id);
        /* A run of another experiment: it is there, or the worker says that it is not. */
        if (!found || *found == run) continue;
        run->source_run = (int)(*found - x->runs);
        snprintf(run->source, sizeof run->source, "%s", key.id);
    }
}

/* No figure of a model that looks at the future may pass for an honest one. */
static void mark_oracles(experiment *x)
{
    for (int v = 0; v < x->sweep->variant_count; v++) {
        run_plan *run = &x->runs[v];
        if (!run->oracle) continue;
        size_t size = strlen(run->label) + sizeof " (oracle)";
        char *label = arena_push(x->memory, (int64_t)size, 1);
        snprintf(label, size, "%s (oracle)", run->label);
        /* By pointer: the same string, whatever other labels say. */
        if (x->baseline == run->label) x->baseline = label;
        run->label = label;
    }
}

void experiment_runs_complete(experiment *x)
{
    int variants = x->sweep->variant_count, kept = 0;
    int *original = find_repetitions(x);
    mark_oracles(x);
    for (int v = 0; v < variants; v++) {
        if (original[v] == v) continue;
        x->duplicates++;
        if (!x->runs[v].is_baseline) continue;
        /* The baseline says the same as an earlier variant: that one is it, in all its seeds. */
        for (int i = original[v]; i < x->run_count; i += variants)
            x->runs[i].is_baseline = true;
        x->baseline = x->runs[original[v]].label;
    }
    x->labels = ARENA_NEW(x->memory, const char *, variants);
    for (int v = 0; v < variants; v++) {
        x->labels[v] = x->runs[original[v]].label;
    }
    run_plan *runs = arena_push_zero(x->memory, x->run_count, sizeof *runs);
    for (int i = 0; i < x->run_count; i++) {
        int v = i % variants;
        if (original[v] != v) continue;
        run_plan *run = &runs[kept++];
        /* Before repeated ones are left out the first seed's runs are at v. */
        *run = x->runs[v];
        run->seed = x->runs[i].seed;
        run->is_baseline = x->runs[i].is_baseline;
        identity_run(run->id, run->variant, run->seed);
        name_source(x, run, original);
    }
    x->runs = runs;
    x->run_count = kept;
    find_sources(x);
}

int experiment_runs_variants(const experiment *x)
{
    return x->run_count / x->sweep->seed_count; /* those that say the same are dropped */
}

const experiment *experiment_runs_part(const experiment *x, const int *seeds)
{
    int variants = experiment_runs_variants(x);
    experiment *part = arena_push_zero(x->memory, 1, sizeof *part);
    *part = *x;
    part->runs = ARENA_NEW(x->memory, run_plan, x->run_count);
    part->run_count = 0;
    for (int i = 0; i < x->run_count; i++) {
        /* Runs lie seed by seed: i / variants counts the seed, i % variants is the variant. */
        if (i / variants >= seeds[i % variants]) continue;
        run_plan *run = &part->runs[part->run_count++];
        *run = x->runs[i];
        run->source_run = -1; /* it stands elsewhere here */
    }
    find_sources(part);
    return part;
}
