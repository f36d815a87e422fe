#include "layers/stored_keys.h"

/* Attention with a large memory of keys and values that is only looked up (Wu et al. 2022,
 * arXiv:2203.08913, sec. 3): every query attends to the `top` best of the stored keys, besides
 * block and memory. stored_keys.h says what is stored and how the two are mixed. */

typedef struct memorizing_options {
    token_options tokens;
    int64_t length, top;
    double gate, lookup_scale;
} memorizing_options;

static const option OPTIONS[] = {
    TOKEN_OPTIONS(memorizing_options, tokens, 2,
                  "positions seen before the query's own block; none: one block", "none",
                  "memory>0 or memory=none"),
    {"length", OPTION_INT, offsetof(memorizing_options, length), .initial = "4096", .min = 2,
     .max = 1e7, .help = "stored positions behind the memory"},
    {"top", OPTION_INT, offsetof(memorizing_options, top), .initial = "32", .min = 2, .max = 4096,
     .help = "stored keys that a query looks up"},
    {"lookup_scale", OPTION_REAL, offsetof(memorizing_options, lookup_scale), .initial = "none",
     .min = 1e-2, .max = 16, .nullable = true,
     .help = "what scores of stored keys (unit vectors) start multiplied with; none: "
             "sqrt(head_dim)"},
    {"gate", OPTION_REAL, offsetof(memorizing_options, gate), .initial = "0", .min = -4, .max = 4,
     .help = "initial b: which share, sigma(b), stored values have"},
    {0}};

static bool memorizing_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const memorizing_options *o = options;
    return stored_keys_check(&o->tokens, dims, at, e);
}

static void memorizing_settle(void *options, const layer *self)
{
    memorizing_options *o = options;
    stored_keys_settle(&o->tokens, &o->lookup_scale, self);
}

static void memorizing_build(layer_build *b, layer *self)
{
    const memorizing_options *o = self->options;
    stored_keys *plan = ARENA_NEW(b->memory, stored_keys, 1);
    self->plan = plan;
    *plan = stored_keys_build(b, self, &o->tokens, o->length, o->gate, o->lookup_scale);
}

/* Queries [begin, end) of the call, which lie in one block: [rows, end - begin, q_width]. */
static tensor *look_up(layer_ctx *c, const layer *self, tensor *q, int64_t begin, int64_t end)
{
    const memorizing_options *o = self->options;
    const stored_keys *plan = self->plan;
    lookup_store s = stored_keys_seen(c, self, plan, begin);
    if (begin > 0 || end < c->time) q = op_slice(c->tape, q, 1, begin, end);
    return op_lookup(c->tape, q, &s, plan->tokens.heads, plan->tokens.kv_heads, o->top,
                     stored_keys_scale(plan));
}

/* Block by block, for a call may hold several: what a block has written is seen by later blocks of
 * the same call, as it is if each comes as a call of its own. Writing comes before looking up,
 * though a block never sees its own positions: the ring has room for them beside all that may be
 * seen. */
static tensor *memorizing_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const memorizing_options *o = self->options;
    const stored_keys *plan = self->plan;
    int64_t block = self->dims.block, phase = c->position[0] % block, count = 0;
    token_result r = token_attention_forward(c, self, &o->tokens, &plan->tokens, x);
    tensor *q = stored_keys_queries(c, self, plan, &r);
    /* As many blocks as the call touches, at most. */
    tensor **parts = tape_keep(c->tape, (phase + c->time) / block + 1, sizeof *parts);
    for (int64_t begin = 0, end; begin < c->time; begin = end) {
        end = MIN(c->time, begin + block - (phase + begin) % block);
        stored_keys_write(c, self, plan, &r, begin, end);
        parts[count++] = look_up(c, self, q, begin, end);
    }
    tensor *m = count == 1 ? parts[0] : op_concat(c->tape, (int)count, parts, 1);
    return stored_keys_output(c, self, plan, r.y, m);
}

/* The scores against all stored keys are what is added: 2 q_width per key. Attending to the best
 * few is little beside them. */
static layer_cost memorizing_cost(const layer *self)
{
    const memorizing_options *o = self->options;
    const stored_keys *plan = self->plan;
    double q_width = (double)plan->tokens.q_width;
    double flops = stored_keys_flops(self, &o->tokens, plan) + 2 * q_width * (double)o->length;
    return (layer_cost){.forward_flops = flops,
                        .bench_flops = 6 * (double)self->dims.block * q_width};
}

const layer_class memorizing_layer = {
    .name = "memorizing",
    .cite = "Wu et al. 2022, arXiv:2203.08913, sec. 3",
    .help = "attention that looks up the best of many stored keys, without gradient to them",
    OPTIONS_OF(memorizing_options, OPTIONS),
    .store_length = "length",
    .check = memorizing_check,
    .settle = memorizing_settle,
    .build = memorizing_build,
    .forward = memorizing_forward,
    .output_is_free = true,
    .cost = memorizing_cost};
