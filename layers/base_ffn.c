#include "core/ops/assign.h"
#include "layers/experts.h"
#include "layers/layer_inspect.h"

#include <math.h>

/* BASE layer (Lewis et al. 2021, arXiv:2103.16716): a balanced assignment of tokens to experts.
 *
 *   scores = x C^T,   y = sigmoid(score of the token's expert) FFN_e(x)
 *
 * While training, tokens are given to experts so that the sum of scores is largest with equal loads
 * (sec. 3.1); where experts do not divide the tokens, loads differ by one. The group is one lane's
 * call, padding left out. Evaluation takes the best expert of each token (sec. 3.2). No gradient
 * goes through the choice, it goes through the score.
 *
 * DIFFERS: the paper's y contains x itself; here the residual is the stack's, and x is what the
 * stack's norm made of it, which the experts read as well. */

enum { ASSIGN_AUTO, ASSIGN_EXACT, ASSIGN_AUCTION };

typedef struct base_ffn_options {
    experts_options experts;
    int64_t assignment;
    double precision, gain;
    bool zero;
} base_ffn_options;

#define OPTION_AT(field) offsetof(base_ffn_options, field)
static const option OPTIONS[] = {
    EXPERTS_OPTIONS(base_ffn_options),
    {"assignment", OPTION_CHOICE, OPTION_AT(assignment), .initial = "auto",
     .choices = "auto|exact|auction",
     .help = "how the balanced assignment is found; auto: exact, or for large lanes the auction"},
    {"precision", OPTION_REAL, OPTION_AT(precision), .initial = "1e-4", .min = 1e-9, .max = 1,
     .needs = "assignment=auction",
     .help =
         "step of the bids, as a share of the range of the scores; it grows where bids would go "
         "on too long"},
    {"gain", OPTION_REAL, OPTION_AT(gain), .initial = "0.1", .min = 0, .max = 10,
     .help = "length of the orthogonal centroids at the start"},
    {"zero", OPTION_BOOL, OPTION_AT(zero), .initial = "true",
     .help = "experts start with values of zero (published), so that the layer adds nothing"},
    {0}};

typedef struct base_ffn_plan {
    experts_plan experts;
    int centroids;
} base_ffn_plan;

static void base_ffn_settle(void *options, const layer *self)
{
    base_ffn_options *o = options;
    experts_settle(&o->experts, self);
    if (o->experts.experts == 1) o->assignment = ASSIGN_AUTO;
}

static void base_ffn_build(layer_build *b, layer *self)
{
    const base_ffn_options *o = self->options;
    base_ffn_plan *p = ARENA_NEW(b->memory, base_ffn_plan, 1);
    experts_build(b, self, &o->experts, 1, &p->experts);
    /* The values' start alone: keys learn from the first step in which values have moved. */
    if (o->zero) {
        int values = self->first_param + p->experts.values;
        b->params->list[values].init = (param_init){INIT_ZERO, 0};
    }
    p->centroids = layer_param(b, self, "centroids", ROLE_MATRIX, 2,
                               (int64_t[]){o->experts.experts, self->dims.width},
                               (param_init){INIT_ORTHOGONAL, o->gain});
    self->plan = p;
}

/* Steps of the exact algorithm (see assign.h) that take about 0.1 s. */
static const double MOST_STEPS = 1e8;

/* By size alone, not by time taken: the same lane has the same assignment on any machine. */
static double balanced(layer_ctx *c, const base_ffn_options *o, int32_t *expert, const real *scores,
                       int64_t tokens)
{
    arena *scratch = tape_scratch(c->tape);
    int64_t experts = o->experts.experts;
    double steps = (double)tokens * ((double)experts * (double)experts + (double)tokens);
    bool exact =
        o->assignment == ASSIGN_EXACT || (o->assignment == ASSIGN_AUTO && steps <= MOST_STEPS);
    if (!exact) return assign_auction(expert, scores, tokens, experts, o->precision, scratch);
    assign_exact(expert, scores, tokens, experts, scratch);
    return 0;
}

/* The balanced assignment of the positions that are text. */
static void choose_balanced(layer_ctx *c, const layer *self, const tensor *scores, int32_t *expert)
{
    const base_ffn_options *o = self->options;
    int64_t n = c->rows * c->time, experts = o->experts.experts;
    arena *scratch = tape_scratch(c->tape);
    arena_mark mark = arena_now(scratch);
    int32_t *rows = ARENA_NEW(scratch, int32_t, n), *chosen = ARENA_NEW(scratch, int32_t, n);
    int64_t text = experts_text_rows(c, rows);
    real *own = ARENA_NEW(scratch, real, text * experts);
    for (int64_t i = 0; i < text; i++) {
        for (int64_t e = 0; e < experts; e++) {
            own[i * experts + e] = scores->data[rows[i] * experts + e];
        }
    }
    double gap = text > 0 ? balanced(c, o, chosen, own, text) : 0;
    for (int64_t i = 0; i < n; i++) {
        expert[i] = -1;
    }
    for (int64_t i = 0; i < text; i++) {
        expert[rows[i]] = chosen[i];
    }
    /* In score per token. */
    if (text > 0) layer_metric(c, self, "assignment_gap", gap, (double)text);
    arena_rewind(scratch, mark);
}

/* In evaluation every token goes where it scores best: its expert must not depend on others, least
 * of all on later ones (Lewis et al., sec. 3.2). */
static void choose_greedy(layer_ctx *c, const layer *self, const tensor *scores, int32_t *expert)
{
    const base_ffn_options *o = self->options;
    int64_t experts = o->experts.experts;
    for (int64_t i = 0; i < c->rows * c->time; i++) {
        const real *s = scores->data + i * experts;
        int32_t best = 0;
        for (int32_t e = 1; e < experts; e++) {
            if (s[e] > s[best]) best = e;
        }
        expert[i] = experts_is_text(c, i) ? best : -1;
    }
}

/* Scores that are not finite have no assignment: the step is lost anyway, and will say so. */
static bool all_finite(const tensor *x)
{
    for (int64_t i = 0; i < tensor_count(x); i++) {
        if (!isfinite((double)x->data[i])) return false;
    }
    return true;
}

static tensor *base_ffn_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const base_ffn_plan *p = self->plan;
    tape *t = c->tape;
    int64_t n = c->rows * c->time;
    tensor *flat = experts_flat(c, x);
    tensor *scores = experts_scores(c, self, flat, p->centroids);
    int32_t *expert = tape_keep(t, n, sizeof *expert);
    if (c->mode == MODE_TRAIN && all_finite(scores)) {
        choose_balanced(c, self, scores, expert);
    } else {
        choose_greedy(c, self, scores, expert);
    }
    experts_load(c, self, &p->experts, expert, 1, n);
    layer_tap(c, self, "scores", scores);
    experts_tap(c, self, LAYER_TAP_EXPERT, expert, n);
    int32_t *columns = tape_keep(t, n, sizeof *columns);
    for (int64_t i = 0; i < n; i++) {
        /* Padding picks some score; it is routed nowhere, and nothing flows back. */
        columns[i] = MAX(expert[i], 0);
    }
    tensor *gate = op_activation(t, op_pick(t, scores, columns), ACT_SIGMOID);
    routing r = experts_route(c, expert, n, n, p->experts.experts);
    tensor *y = experts_forward(c, self, &p->experts, flat, &r, gate);
    return tape_reshape(t, y, 3, x->shape);
}

static layer_cost base_ffn_cost(const layer *self)
{
    const base_ffn_plan *p = self->plan;
    double scores = 2 * (double)self->dims.width * (double)p->experts.experts;
    return (layer_cost){.forward_flops = experts_flops(self, &p->experts, 1) + scores};
}

static bool base_ffn_memories(const layer *self, layer_memories *m)
{
    const base_ffn_plan *p = self->plan;
    return experts_memories(self, &p->experts, m);
}

const layer_class base_ffn_layer = {
    .name = "base_ffn",
    .cite = "Lewis et al. 2021, arXiv:2103.16716",
    .help = "feed-forward experts with a balanced assignment of tokens while training",
    OPTIONS_OF(base_ffn_options, OPTIONS),
    .settle = base_ffn_settle,
    .build = base_ffn_build,
    .forward = base_ffn_forward,
    .output_is_free = true,
    .cost = base_ffn_cost,
    .memories = base_ffn_memories};
