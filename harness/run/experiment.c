#include "harness/run/experiment.h"

#include <math.h>

#include "harness/spec/unheard_set.h"

/* From a file to runs in two steps, because the first needs nothing but the file: it reads, expands
 * the sweep and makes a run of every variant and seed. Labels and axes are known then, so a wrong
 * sweep fails before gigabytes are opened (experiment_resolve.h). */

/* Each variant is a spec with every option spelt out, 20 KB as long as the program runs, and each
 * run a line of the plan. */
static bool check_counts(const spec *s, const sweep *all, err *e)
{
    int64_t variants = all->variant_count, runs = variants * all->seed_count;
    const node *at = node_get(s->root, "sweep");
    if (variants > EXPERIMENT_MAX_VARIANTS) {
        return node_err(e, at, "%lld variants; an experiment has at most 20,000: make it several",
                        (long long)variants);
    }
    return runs <= EXPERIMENT_MAX_RUNS ||
           node_err(e, at, "%lld runs; an experiment has at most 200,000: make it several",
                    (long long)runs);
}

experiment *experiment_load(const char *path, const char *const *sets, err *e)
{
    spec *s = spec_load(path, sets, e);
    if (!s) return NULL;
    arena *a = s->memory;
    sweep *all = sweep_expand(a, node_get(s->root, "sweep"), s->name, e);
    /* A --set that no variant hears would be an experiment other than what its command says. */
    if (!all || !check_counts(s, all, e) || !unheard_set_check(all, sets, e)) {
        spec_free(s);
        return NULL;
    }
    experiment *x = arena_push_zero(a, 1, sizeof *x);
    *x = (experiment){.spec = s, .sweep = all, .memory = a, .duplicates = all->duplicates};
    x->run_count = all->variant_count * all->seed_count;
    x->runs = arena_push_zero(a, x->run_count, sizeof *x->runs);
    for (int i = 0; i < x->run_count; i++) {
        /* Seed by seed: long before the end every variant has a figure. */
        int v = i % all->variant_count;
        const variant_plan *plan = &all->variants[v];
        x->runs[i] = (run_plan){.label = plan->label,
                                .seed = all->seeds[i / all->variant_count],
                                .is_baseline = plan->is_baseline,
                                .axis_count = plan->axis_count,
                                .axes = plan->axes,
                                .variant_index = v,
                                .doubt = unheard_set_of(a, plan, sets),
                                .source_run = -1,
                                .source_variant = -1};
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
        /* Copies of the tree, in the spec's arena: nodes keep their places in the file, so an error
         * in a variant points at its line. */
        first->spec = variant_apply(x->memory, x->spec->root, v, e);
    }
    run->spec = first->spec;
    return run->spec;
}

void experiment_few_seeds(FILE *out, const experiment *x)
{
    /* With two seeds a 95 % interval reaches 12.7 standard errors to each side; with one there is
     * none. */
    enum { ENOUGH = 3 };
    int seeds = x->sweep->seed_count;
    if (seeds >= ENOUGH || x->sweep->variant_count < 2) return;
    fprintf(
        out,
        "loci: warning: %s: of %d seed%s a difference between variants is hardly ever told from "
        "luck; sweep.seeds: %d or more\n",
        x->spec->name, seeds, seeds == 1 ? "" : "s", ENOUGH);
}

/* What the budget says in steps; -1: it says another thing. */
static double budget_steps(const run_plan *run)
{
    double steps = -1;
    const node *train = node_get(run->resolved, "train"), *how = node_get(train, "budget");
    const node *said = how ? node_get(how, "steps") : NULL;
    return said && node_to_number(said, &steps) ? steps : -1;
}

/* Of equal steps that read differently much: what is compared is not the models alone. Of steps
 * that differ somebody wanted it so. */
static void doubt_training(FILE *out, const experiment *x)
{
    const run_plan *base = NULL;
    bool any = false;
    for (int i = 0; i < x->run_count && !base; i++) {
        if (x->runs[i].is_baseline) base = &x->runs[i];
    }
    for (int i = 0; base && i < x->run_count; i++) {
        const run_plan *run = &x->runs[i];
        double tokens = run->amount.tokens, of_base = base->amount.tokens;
        if (run->seed != base->seed || budget_steps(run) <= 0 ||
            fabs(budget_steps(run) - budget_steps(base)) > 0 ||
            fabs(tokens - of_base) <= 0.01 * fmin(tokens, of_base)) {
            continue;
        }
        if (!any) {
            fprintf(out,
                    "loci: warning: as many steps train on different numbers of tokens: '%s' %.0f",
                    base->label, of_base);
        }
        fprintf(out, ", '%s' %.0f", run->label, tokens);
        any = true;
    }
    if (any) fputs("; `train.budget: {tokens: N}` is equal\n", out);
}

void experiment_doubts(FILE *out, const experiment *x)
{
    doubt_training(out, x);
    bool one = x->sweep->variant_count == 1;
    /* The first seed's: the others say the same. */
    for (int i = 0; i < x->run_count && x->runs[i].seed == x->runs[0].seed; i++) {
        const run_plan *run = &x->runs[i];
        const char *lines[] = {run->doubt, run->taken};
        for (int k = 0; k < 2; k++) {
            if (!lines[k]) continue;
            fprintf(out, "loci: %s%s", k == 0 ? "warning: " : "", lines[k]);
            if (!one) fprintf(out, " (in variant '%s')", run->label);
            fputc('\n', out);
        }
    }
}
