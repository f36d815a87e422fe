#include "experiments/plan.h"

#include "experiments/workload.h"

#include <stdlib.h>
#include <string.h>

experiment *experiment_load(const char *path, const char *const *sets, err *e)
{
    spec *s = spec_load(path, sets, e);
    if (!s) return NULL;
    arena *a = s->memory;
    sweep *all = sweep_expand(a, node_get(s->root, "sweep"), s->name, e);
    if (!all) {
        spec_free(s);
        return NULL;
    }
    experiment *x = arena_push_zero(a, 1, sizeof *x);
    *x = (experiment){.spec = s, .sweep = all, .memory = a, .duplicates = all->duplicates};
    x->run_count = all->variant_count * all->seed_count;
    x->runs = arena_push_zero(a, x->run_count, sizeof *x->runs);
    for (int i = 0; i < x->run_count; i++) {
        int v = i % all->variant_count;
        const variant_plan *plan = &all->variants[v];
        x->runs[i] = (run_plan){.label = plan->label,
                                .seed = all->seeds[i / all->variant_count],
                                .is_baseline = plan->is_baseline,
                                .axis_count = plan->axis_count,
                                .axes = plan->axes,
                                .variant_index = v};
        if (plan->is_baseline) x->baseline = plan->label;
    }
    return x;
}

void experiment_free(experiment *x)
{
    if (x) spec_free(x->spec);
}

const node *experiment_spec(experiment *x, int index, err *e)
{
    run_plan *run = &x->runs[index];
    if (run->spec) return run->spec;
    /* The first seed's runs are in the order of the variants and come first. */
    run_plan *first = &x->runs[run->variant_index];
    if (!first->spec) {
        const variant_plan *v = &x->sweep->variants[run->variant_index];
        first->spec = sweep_apply(x->memory, x->spec->root, v, e);
    }
    run->spec = first->spec;
    return run->spec;
}

/* ---- corpora that runs share ---- */

typedef struct opened {
    const node *data;
    corpus *corpus;
} opened;

typedef struct shelf {
    opened *items; /* [variants] */
    int count;
} shelf;

static corpus *shared_corpus(shelf *s, const node *data, const corpus_places *places, err *e)
{
    for (int i = 0; i < s->count; i++) {
        if (data ? node_equal(s->items[i].data, data) : !s->items[i].data) {
            return s->items[i].corpus;
        }
    }
    corpus *c = corpus_open(data, places, e);
    if (c) s->items[s->count++] = (opened){data, c};
    return c;
}

/* ---- one variant ---- */

static int levels(int64_t count)
{
    int n = 1;
    while (count > 1) {
        count /= 2;
        n++;
    }
    return n;
}

/* What one token keeps on the tape: inputs and outputs of the matrices with their gradients. Some
 * of them share memory, norms and gates come on top; 1.25 is measured on the benchmark's models,
 * which hold 60 % of what 2 would give. */
static double tape_bytes_per_token(const params *p)
{
    double numbers = 0;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (!q->matmul || q->rank < 2) continue;
        int64_t inputs = q->shape[q->rank - 1], outputs = q->count / inputs;
        numbers += q->active * (double)(inputs + outputs);
    }
    return 1.25 * numbers * (double)sizeof(real);
}

static double estimate_memory(const workload *w, const model_cost *cost)
{
    const params *p = model_params_const(w->model);
    double vector = (double)p->total * (double)sizeof(real);
    double lane_tokens = (double)(w->shape.lane_rows * w->shape.segment);
    return vector * (1 + levels(w->shape.lanes)) + (double)optim_bytes(&w->optim, p) +
           lane_tokens * tape_bytes_per_token(p) + cost->state_bytes * (double)w->train.batch;
}

static bool resolve_run(experiment *x, int index, shelf *s, const corpus_places *places, err *e)
{
    run_plan *run = &x->runs[index];
    const node *own = experiment_spec(x, index, e);
    if (!own) return false;
    corpus *c = shared_corpus(s, node_get(own, "data"), places, e);
    workload w;
    if (!c || !workload_open_on(&w, own, run->seed, c, e)) return false;
    run->cost = model_costs(w.model);
    run->memory_bytes = estimate_memory(&w, &run->cost);
    run->corpus_hash = arena_strdup(x->memory, corpus_hash(c));
    run->resolved = node_copy(x->memory, identity_resolved(w.memory, &w)); /* copies are compact */
    identity_variant(run->variant, &w);
    workload_close(&w);
    return true;
}

/* ---- all of them ---- */

/* The message names the variant, unless there is only one: a value may be fine in another. */
static bool blame(const experiment *x, int index, err *e)
{
    if (!e || x->sweep->variant_count == 1) return false;
    size_t used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, " (in variant '%s')", x->runs[index].label);
    return false;
}

static int by_variant(const void *x, const void *y)
{
    const run_plan *a = *(const run_plan *const *)x, *b = *(const run_plan *const *)y;
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
    qsort(order, (size_t)variants, sizeof *order, by_variant);
    for (int i = 0; i < variants; i++) {
        bool again = i > 0 && strcmp(order[i]->variant, order[i - 1]->variant) == 0;
        int v = order[i]->variant_index;
        original[v] = again ? original[order[i - 1]->variant_index] : v;
    }
    return original;
}

/* Gives the runs of further seeds what the first seed's found, and drops repeated variants. */
static void complete(experiment *x)
{
    int variants = x->sweep->variant_count, kept = 0;
    int *original = find_repetitions(x);
    for (int v = 0; v < variants; v++) {
        if (original[v] == v) continue;
        x->duplicates++;
        if (!x->runs[v].is_baseline) continue;
        for (int i = original[v]; i < x->run_count; i += variants)
            x->runs[i].is_baseline = true;
        x->baseline = x->runs[original[v]].label;
    }
    run_plan *runs = arena_push_zero(x->memory, x->run_count, sizeof *runs);
    for (int i = 0; i < x->run_count; i++) {
        int v = i % variants;
        if (original[v] != v) continue;
        run_plan *run = &runs[kept++];
        *run = x->runs[v];
        run->seed = x->runs[i].seed;
        run->is_baseline = x->runs[i].is_baseline;
        identity_run(run->id, run->variant, run->seed);
    }
    x->runs = runs;
    x->run_count = kept;
}

bool experiment_resolve(experiment *x, const corpus_places *places, err *e)
{
    int variants = x->sweep->variant_count;
    shelf s = {.items = ARENA_NEW(x->memory, opened, variants)};
    bool good = true;
    for (int v = 0; v < variants && good; v++) {
        good = resolve_run(x, v, &s, places, e) || blame(x, v, e);
    }
    for (int i = 0; i < s.count; i++)
        corpus_close(s.items[i].corpus);
    if (good) complete(x);
    return good;
}
