/* What scores of normalised queries and keys start multiplied with is what the option says. */
#include "tests/support/model_run.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

/* Where a gain of the only layer starts. */
static double start_of(const model_run *r, const char *name)
{
    const params *p = model_params(r->model);
    for (int i = 0; i < p->count; i++) {
        size_t n = strlen(p->list[i].name), m = strlen(name);
        if (n > m && strcmp(p->list[i].name + n - m, name) == 0) return p->list[i].init.a;
    }
    EXPECT(false, "no parameter '%s'", name);
    return (double)NAN;
}

/* Heads of 4: unit vectors' products are divided by 2; rms ones have length 2 each. */
static void starting_scales(void)
{
    static const struct {
        const char *layer, *q, *k;
        double vectors, scale; /* product of two equal normalised vectors without gains; expected */
    } cases[] = {
        {"{attention: {heads: 2, qk_norm: l2}}", "q_norm.gain", "k_norm.gain", 0.5, 0.5},
        {"{attention: {heads: 2, qk_norm: l2, qk_scale: 8}}", "q_norm.gain", "k_norm.gain", 0.5, 8},
        {"{attention: {heads: 2, qk_norm: rms}}", "q_norm.gain", "k_norm.gain", 2, 2},
        {"{attention: {heads: 2, qk_norm: rms, qk_scale: 1}}", "q_norm.gain", "k_norm.gain", 2, 1},
        {"{block_recurrent: {heads: 2}}", "0.block_recurrent.q_norm.gain",
         "0.block_recurrent.k_norm.gain", 0.5, 0.5},
        {"{block_recurrent: {heads: 2}}", "read.0.q_norm.gain", "read.0.k_norm.gain", 0.5, 8},
        {"{block_recurrent: {heads: 2}}", "self_q.gain", "self_k.gain", 0.5, 8},
        {"{block_recurrent: {heads: 2}}", "tokens_q.gain", "tokens_k.gain", 0.5, 8},
        {"{block_recurrent: {heads: 2, state_scale: none}}", "self_q.gain", "self_k.gain", 0.5,
         0.5},
        {"{memorizing: {heads: 2}}", "lookup.gain", NULL, 2, 2},
        {"{memorizing: {heads: 2, lookup_scale: 8}}", "lookup.gain", NULL, 2, 8},
        {"{routed_memory: {heads: 2, lookup_scale: 8}}", "lookup.gain", NULL, 2, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        model_run *r =
            model_run_format(1, &e, "{width: 8, context: 4, blocks: [%s]}", cases[i].layer);
        EXPECT(r, "%s: %s", cases[i].layer, e.text);
        if (!r) continue;
        double gains = start_of(r, cases[i].q) * (cases[i].k ? start_of(r, cases[i].k) : 1);
        EXPECT(fabs(gains * cases[i].vectors / cases[i].scale - 1) < 1e-12, "%s: %s: %g, not %g",
               cases[i].layer, cases[i].q, gains * cases[i].vectors, cases[i].scale);
        model_run_free(r);
    }
}

const test_suite test_scales = {"layers/scales", {{"starting scales", starting_scales}, {0}}};
