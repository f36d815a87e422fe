/* What evaluations cost: of models that go on learning while they are evaluated more than a forward
 * pass. */
#include "results/compare/compare_cost.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The different ones of n values, in order; NaN is none. */
static const char *choices(arena *a, double *x, int n)
{
    char *text = NULL;
    size_t bytes;
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (isfinite(x[i])) x[kept++] = x[i];
    }
    qsort(x, (size_t)kept, sizeof *x, by_value);
    FILE *f = open_memstream(&text, &bytes);
    CHECK(f, "no memory for a text");
    for (int i = 0; i < kept; i++) {
        if (i == 0 || x[i] > x[i - 1]) fprintf(f, "%s%g", i ? ", " : "", x[i]);
    }
    fclose(f);
    const char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}

static void summarise(compared_variant *v, arena *a)
{
    enum { FLOPS, SECONDS, BYTES, RATE, DECAY, FIGURES };
    int n = v->run_count;
    double *x[FIGURES], mean[FIGURES], most = (double)NAN;
    for (int k = 0; k < FIGURES; k++) {
        x[k] = ARENA_NEW(a, double, n);
    }
    for (int i = 0; i < n; i++) {
        const eval_cost e = v->runs[i].eval;
        const double values[FIGURES] = {e.flops, e.seconds, e.anon_bytes, e.rate, e.decay};
        for (int k = 0; k < FIGURES; k++) {
            x[k][i] = v->runs[i].scored ? values[k] : (double)NAN;
        }
        most = fmax(most, x[BYTES][i]); /* of those that are known */
    }
    for (int k = 0; k < FIGURES; k++) {
        mean[k] = stats_mean(x[k], n, STATS_CONFIDENCE).mean;
    }
    v->eval = (eval_cost){mean[FLOPS], mean[SECONDS], most, mean[RATE], mean[DECAY]};
    v->rates = choices(a, x[RATE], n);
    v->decays = choices(a, x[DECAY], n);
}

void compare_cost(comparison *c, arena *a)
{
    for (int i = 0; i < c->count; i++) {
        summarise(&c->variants[i], a);
        c->learning = c->learning || c->variants[i].rates[0];
    }
}
