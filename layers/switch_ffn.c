#include "layers/experts.h"
#include "layers/layer_inspect.h"

#include <math.h>
#include <string.h>

/* Switch layer (Fedus, Zoph & Shazeer 2021, arXiv:2101.03961, sec. 2): a learned router sends each
 * token to its most probable expert.
 *
 *   p = softmax(R x),   e = argmax p (ties: smaller index),   y = p_e FFN_e(x)
 *
 * While training an expert takes at most max(1, floor(tokens capacity / experts)) tokens, first
 * come, first served; those that it drops get y = 0: the residual passes them on. An auxiliary loss
 * balances the load,
 *
 *   aux = balance experts sum_i f_i P_i,
 *
 * and a z-loss keeps the router's logits small (Zoph et al. 2022, arXiv:2202.08906, eq. 5; Switch
 * has none, hence the default),
 *
 *   aux = z_loss mean over tokens of log(sum_j exp (R x)_j)^2;
 *
 * f_i the share of tokens whose choice is i (dropped ones included, a constant for the gradient),
 * P_i the mean of p_i. The group of tokens over which capacity and means are taken is one lane's
 * call; padding takes no part. Evaluation has no capacity, so that no token depends on others.
 *
 * top_k: 2 is GShard's layer (Lepikhin et al. 2020, arXiv:2006.16668, algorithm 1): the two most
 * probable experts, weighted by p_1 / (p_1 + p_2) and p_2 / (p_1 + p_2); capacity doubles, second
 * choices queue behind all first ones; f counts first choices. DIFFERS: second choices are not
 * dropped at random. */

typedef struct switch_ffn_options {
    experts_options experts;
    int64_t top_k;
    double capacity, balance, z_loss, jitter, router_init;
} switch_ffn_options;

#define OPTION_AT(field) offsetof(switch_ffn_options, field)
static const option OPTIONS[] = {
    EXPERTS_OPTIONS(switch_ffn_options),
    {"top_k", OPTION_INT, OPTION_AT(top_k), .initial = "1", .min = 1, .max = 2,
     .help = "experts per token"},
    {"capacity", OPTION_REAL, OPTION_AT(capacity), .initial = "1.25", .min = 0.001, .max = 1e6,
     .nullable = true,
     .help = "while training: tokens that an expert takes, as a multiple of its equal share; none: "
             "all that come"},
    {"balance", OPTION_REAL, OPTION_AT(balance), .initial = "0.01", .min = 0, .max = 1e3,
     .help = "factor of the load-balancing loss"},
    {"z_loss", OPTION_REAL, OPTION_AT(z_loss), .initial = "0", .min = 0, .max = 1e3,
     .help = "factor of the router's z-loss, which keeps its logits small (ST-MoE: 0.001)"},
    {"jitter", OPTION_REAL, OPTION_AT(jitter), .initial = "0.01", .min = 0, .max = 0.99,
     .help = "while training: the router's input is multiplied by numbers in 1 +- jitter"},
    {"router_init", OPTION_REAL, OPTION_AT(router_init), .initial = "0.1", .min = 0, .max = 100,
     .help = "s of the router's initial standard deviation sqrt(s / width)"},
    {0}};

typedef struct switch_ffn_plan {
    experts_plan experts;
    int router;
} switch_ffn_plan;

static bool switch_ffn_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    (void)dims;
    const switch_ffn_options *o = options;
    if (o->top_k <= o->experts.experts) return true;
    return node_err(e, at, "top_k %lld of %lld expert(s); give at least as many experts",
                    (long long)o->top_k, (long long)o->experts.experts);
}

static void switch_ffn_settle(void *options, const layer *self)
{
    switch_ffn_options *o = options;
    const double usual = 1.25, all = (double)o->experts.experts / (double)o->top_k;
    experts_settle(&o->experts, self);
    /* The probability of one expert is 1 whatever comes in. */
    if (o->experts.experts == 1 && !(o->z_loss > 0)) o->jitter = 0;
    /* An expert has room for every token, or does not count them. */
    if (o->capacity < 0 || o->capacity >= all) o->capacity = usual >= all ? usual : -1;
}

static void switch_ffn_build(layer_build *b, layer *self)
{
    const switch_ffn_options *o = self->options;
    switch_ffn_plan *p = ARENA_NEW(b->memory, switch_ffn_plan, 1);
    int64_t width = self->dims.width;
    experts_build(b, self, &o->experts, o->top_k, &p->experts);
    /* DIFFERS: the paper truncates the normal distribution at two standard deviations. */
    param_init start = {INIT_NORMAL, sqrt(o->router_init / (double)width)};
    p->router = layer_param(b, self, "router.weight", ROLE_MATRIX, 2,
                            (int64_t[]){o->experts.experts, width}, start);
    /* The probability of one expert is 1 whatever the router says. */
    layer_last_param(b)->fixed = layer_last_param(b)->frozen = o->experts.experts == 1;
    self->plan = p;
}

/* The largest of p [experts] other than `except`. */
static int32_t largest(const real *p, int64_t experts, int32_t except)
{
    int32_t best = -1;
    for (int32_t e = 0; e < experts; e++) {
        if (e != except && (best < 0 || p[e] > p[best])) best = e;
    }
    return best;
}

/* Expert per choice [top_k, rows * time], -1 at padding; first choices come first. */
static int32_t *choose(layer_ctx *c, const layer *self, const tensor *p)
{
    const switch_ffn_options *o = self->options;
    int64_t n = c->rows * c->time, experts = o->experts.experts;
    int32_t *expert = tape_keep(c->tape, o->top_k * n, sizeof *expert);
    for (int64_t i = 0; i < n; i++) {
        int32_t chosen = -1;
        /* The second choice is the best but the first; in the first round nobody is left out. */
        for (int64_t k = 0; k < o->top_k; k++) {
            if (experts_is_text(c, i)) chosen = largest(p->data + i * experts, experts, chosen);
            expert[k * n + i] = chosen;
        }
    }
    return expert;
}

/* -1 where an expert's queue is full. `text` positions take part. Returns how many were dropped. */
static int64_t drop_overflow(layer_ctx *c, const layer *self, int32_t *expert, int64_t text)
{
    const switch_ffn_options *o = self->options;
    int64_t experts = o->experts.experts, choices = o->top_k * c->rows * c->time, dropped = 0;
    if (c->mode != MODE_TRAIN || o->capacity < 0) return 0;
    /* As many places as there would be choices if all experts had the same load, times
     * `capacity`. */
    double share = (double)(o->top_k * text) * o->capacity / (double)experts;
    int64_t capacity = MAX(1, (int64_t)floor(share));
    int64_t *taken = tape_keep(c->tape, experts, sizeof *taken);
    memset(taken, 0, (size_t)experts * sizeof *taken);
    for (int64_t i = 0; i < choices; i++) {
        /* In the order of positions, first choices of all tokens before second ones: that order is
         * the queue. */
        if (expert[i] < 0 || taken[expert[i]]++ < capacity) continue;
        expert[i] = -1;
        dropped++;
    }
    return dropped;
}

/* What each choice's expert is weighted with, [top_k * rows * time]. */
static tensor *gates(layer_ctx *c, const layer *self, tensor *p, const int32_t *expert)
{
    const switch_ffn_options *o = self->options;
    tape *t = c->tape;
    int64_t choices = o->top_k * c->rows * c->time, n = c->rows * c->time;
    int32_t *columns = tape_keep(t, choices, sizeof *columns);
    for (int64_t i = 0; i < choices; i++) {
        /* Padding has no expert, and nobody reads what is picked for it. */
        columns[i] = MAX(expert[i], 0);
    }
    tensor *first = op_pick(t, p, columns);
    if (o->top_k == 1) return first;
    tensor *second = op_pick(t, p, columns + n), *sum = op_add(t, first, second);
    tensor *parts[] = {op_div(t, first, sum), op_div(t, second, sum)};
    return op_concat(t, 2, parts, 0);
}

/* balance experts sum_i f_i P_i times what the call's mean counts for in the step. */
static tensor *balance_loss(layer_ctx *c, const layer *self, tensor *p, const int32_t *expert,
                            int64_t text)
{
    const switch_ffn_options *o = self->options;
    tape *t = c->tape;
    int64_t n = c->rows * c->time, experts = o->experts.experts;
    tensor *f = tape_constant(t, NULL, 1, &experts);
    for (int64_t i = 0; i < n; i++) {
        /* First choices only, in the first n. */
        if (expert[i] >= 0) f->data[expert[i]] += 1;
    }
    if (text < n) {
        int32_t *rows = tape_keep(t, n, sizeof *rows);
        p = op_gather(t, p, rows, experts_text_rows(c, rows));
    }
    /* f and P are sums so far: each is divided by the number of tokens once. */
    double count = (double)MAX(text, 1);
    double scale = o->balance * (double)experts * c->share / (count * count);
    return op_scale(t, op_sum(t, op_mul(t, op_sum_rows(t, p), f)), (real)scale);
}

/* z_loss mean(log(sum exp logits)^2) over text. Of each row log softmax subtracts just that sum. */
static tensor *z_loss(layer_ctx *c, const layer *self, tensor *logits, int64_t text)
{
    const switch_ffn_options *o = self->options;
    tape *t = c->tape;
    int64_t n = c->rows * c->time;
    int32_t *rows = tape_keep(t, n, sizeof *rows), *first = tape_keep(t, n, sizeof *first);
    memset(first, 0, (size_t)n * sizeof *first);
    if (text < n) logits = op_gather(t, logits, rows, experts_text_rows(c, rows));
    tensor *sum =
        op_sub(t, op_pick(t, logits, first), op_pick(t, op_log_softmax(t, logits), first));
    return op_scale(t, op_sum(t, op_mul(t, sum, sum)),
                    (real)(o->z_loss * c->share / (double)MAX(text, 1)));
}

static void tell(layer_ctx *c, const layer *self, const tensor *p, const int32_t *expert)
{
    const switch_ffn_options *o = self->options;
    const switch_ffn_plan *plan = self->plan;
    experts_load(c, self, &plan->experts, expert, 1, o->top_k * c->rows * c->time);
    layer_tap(c, self, "probabilities", p);
    experts_tap(c, self, LAYER_TAP_EXPERT, expert, o->top_k * c->rows * c->time);
}

static tensor *switch_ffn_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const switch_ffn_options *o = self->options;
    const switch_ffn_plan *plan = self->plan;
    tape *t = c->tape;
    int64_t n = c->rows * c->time, choices = o->top_k * n, text = 0;
    for (int64_t i = 0; i < n; i++) {
        text += experts_is_text(c, i);
    }
    bool training = c->mode == MODE_TRAIN;
    /* The router alone sees the noise; the experts get x. */
    tensor *seen = training ? op_jitter(t, x, o->jitter, layer_key(c, self, "jitter")) : x;
    tensor *logits = experts_scores(c, self, experts_flat(c, seen), plan->router);
    tensor *p = op_softmax(t, logits);
    int32_t *expert = choose(c, self, p);
    /* Before the queues are cut: loads tell what the router wanted. */
    tell(c, self, p, expert);
    if (training && o->balance > 0) layer_aux(c, balance_loss(c, self, p, expert, text));
    if (training && o->z_loss > 0 && text > 0) layer_aux(c, z_loss(c, self, logits, text));
    /* Weighed before the queues are cut: the second of two experts counts no more because the
     * first was full. */
    tensor *gate = gates(c, self, p, expert);
    int64_t dropped = drop_overflow(c, self, expert, text);
    if (training && text > 0) {
        layer_metric(c, self, "dropped", (double)dropped, (double)(o->top_k * text));
    }
    experts_tap(c, self, "served", expert, choices);
    /* Tokens sorted by expert, so that each expert is one product over its tokens. */
    routing r = experts_route(c, expert, choices, n, o->experts.experts);
    tensor *y = experts_forward(c, self, &plan->experts, experts_flat(c, x), &r, gate);
    return tape_reshape(t, y, 3, x->shape);
}

static layer_cost switch_ffn_cost(const layer *self)
{
    const switch_ffn_options *o = self->options;
    const switch_ffn_plan *p = self->plan;
    double router = 2 * (double)self->dims.width * (double)o->experts.experts;
    return (layer_cost){.forward_flops = experts_flops(self, &p->experts, o->top_k) + router};
}

static bool switch_ffn_memories(const layer *self, layer_memories *m)
{
    const switch_ffn_plan *p = self->plan;
    return experts_memories(self, &p->experts, m);
}

const layer_class switch_ffn_layer = {
    .name = "switch_ffn",
    .cite = "Fedus et al. 2021, arXiv:2101.03961; top_k 2: Lepikhin et al. 2020, arXiv:2006.16668",
    .help = "feed-forward experts chosen by a learned router, with capacity and balancing loss",
    OPTIONS_OF(switch_ffn_options, OPTIONS),
    .check = switch_ffn_check,
    .settle = switch_ffn_settle,
    .build = switch_ffn_build,
    .forward = switch_ffn_forward,
    .output_is_free = true,
    .cost = switch_ffn_cost,
    .memories = switch_ffn_memories};
