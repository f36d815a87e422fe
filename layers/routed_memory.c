#include "layers/layer_inspect.h"
#include "layers/stored_keys.h"

#include <stdio.h>

/* Attention to few of very many stored keys, picked for a whole block by a learned router: the
 * long-range memory that the PyTorch port of the block-recurrent transformer announces, with the
 * routing of CoLT5 (Ainslie et al. 2023, arXiv:2303.09752, sec. 3.2).
 *
 *   u = r + R mean(x over the block before);   s_j = u . (k'_j, v_j) for all stored j
 *   w = soft choice of `picks` by coordinate descent (core/ops/ops_lookup.h);   P = the largest s
 *   m = softmax(q' k'_P^T) (w_P v_P)
 *
 * stored_keys.h says what is stored and how m is mixed with plain attention. A block is routed
 * once, where it begins, by what came before it: the store behind the memory and the block before.
 * Every query of the block then attends to the same picks. What was picked is carried until the
 * block is complete.
 *
 * While training, scores carry noise that picks in proportion to exp(s / epsilon): what is never
 * picked has no gradient, and a router that starts on the wrong side would stay there.
 *
 * The forward pass takes w as 1 (`scores: straight`): the router learns from the gradient that its
 * soft scores would have. Stored keys have no gradient, but for picks of the newest `live`
 * positions of the training segment, which are still on the tape; the router never moves keys.
 *
 * DIFFERS: CoLT5's router is one vector (`ask: false`) and looks at a token's vector; ours looks at
 * what is stored of it, so that nothing else need be kept. */

typedef struct routed_memory_options {
    token_options tokens;
    int64_t length, picks, live, routing, iterations, scores;
    bool ask;
    double slack, epsilon, epsilon_start, epsilon_decay, explore, gate, lookup_scale;
} routed_memory_options;

enum { ROUTING_LEARNED, ROUTING_RANDOM };
enum { SCORES_STRAIGHT, SCORES_SOFT };

#define OPTION_AT(field) offsetof(routed_memory_options, field)
static const option OPTIONS[] = {
    TOKEN_OPTIONS(routed_memory_options, tokens, 2,
                  "positions seen before the query's own block; none: one block", "none",
                  "memory>0 or memory=none"),
    {"length", OPTION_INT, OPTION_AT(length), .initial = "4096", .min = 2, .max = 1e7,
     .help = "stored positions behind the memory"},
    {"picks", OPTION_INT, OPTION_AT(picks), .initial = "64", .min = 2, .max = 1e6,
     .help = "stored positions that a block attends to"},
    {"live", OPTION_INT, OPTION_AT(live), .initial = "2048", .min = 0, .max = 1e6,
     .help =
         "while training: the newest so many positions of a segment whose picked keys and values "
         "receive gradient"},
    {"routing", OPTION_CHOICE, OPTION_AT(routing), .initial = "learned",
     .choices = "learned|random", .help = "what picks them; random is the control"},
    {"ask", OPTION_BOOL, OPTION_AT(ask), .initial = "true", .needs = "routing=learned",
     .help = "the router's query depends on the block before; false: one learned vector"},
    {"scores", OPTION_CHOICE, OPTION_AT(scores), .initial = "straight", .choices = "straight|soft",
     .needs = "routing=learned",
     .help = "values count fully and the gradient is that of soft scores, or values are multiplied "
             "by them"},
    {"iterations", OPTION_INT, OPTION_AT(iterations), .initial = "20", .min = 1, .max = 1000,
     .needs = "routing=learned", .help = "of coordinate descent"},
    {"slack", OPTION_REAL, OPTION_AT(slack), .initial = "1", .min = 0.1, .max = 10,
     .needs = "routing=learned", .help = "the soft scores add up to slack x picks"},
    {"epsilon", OPTION_REAL, OPTION_AT(epsilon), .initial = "0.1", .min = 0.001, .max = 100,
     .needs = "routing=learned", .help = "softness of the scores at the end"},
    {"epsilon_start", OPTION_REAL, OPTION_AT(epsilon_start), .initial = "4", .min = 0.001,
     .max = 100, .needs = "routing=learned", .help = "softness in the first iteration"},
    {"epsilon_decay", OPTION_REAL, OPTION_AT(epsilon_decay), .initial = "0.7", .min = 0.01,
     .max = 1, .needs = "routing=learned and epsilon_start>epsilon and iterations>1",
     .help = "factor of the softness from one iteration to the next"},
    {"explore", OPTION_REAL, OPTION_AT(explore), .initial = "1", .min = 0, .max = 100,
     .needs = "routing=learned",
     .help = "while training: Gumbel noise on the scores, as a multiple of epsilon"},
    {"lookup_scale", OPTION_REAL, OPTION_AT(lookup_scale), .initial = "none", .min = 1e-2,
     .max = 16, .nullable = true,
     .help = "what scores of stored keys (unit vectors) start multiplied with; none: "
             "sqrt(head_dim)"},
    {"gate", OPTION_REAL, OPTION_AT(gate), .initial = "0", .min = -4, .max = 4,
     .help = "initial b: which share, sigma(b), stored values have"},
    {0}};

typedef struct routed_memory_plan {
    stored_keys keys;
    int router, router_bias;                /* R [entry, width], r [entry]; -1: there is none */
    int picked_slot, live_slot, asked_slot; /* -1: there is none */
    rng_key random;
} routed_memory_plan;

static bool routed_memory_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const routed_memory_options *o = options;
    return stored_keys_check(&o->tokens, dims, at, e);
}

static void routed_memory_settle(void *options, const layer *self)
{
    routed_memory_options *o = options;
    stored_keys_settle(&o->tokens, &o->lookup_scale, self);
}

static void add_router(layer_build *b, layer *self, routed_memory_plan *plan)
{
    const routed_memory_options *o = self->options;
    int64_t entry = plan->keys.width, width = self->dims.width;
    if (o->ask) plan->router = layer_matrix(b, self, "router.weight", entry, width, false);
    /* Not zero: the first picks would all be the newest. */
    plan->router_bias = layer_param(b, self, "router.bias", ROLE_BIAS, 1, &entry,
                                    layer_init(b, self, entry, false));
    /* "asked" [rows, 1, width]: the sum of x over the block so far, or over the one before. */
    if (o->ask) plan->asked_slot = layer_slot(b, self, "asked", 1, width);
}

static void routed_memory_build(layer_build *b, layer *self)
{
    const routed_memory_options *o = self->options;
    routed_memory_plan *plan = ARENA_NEW(b->memory, routed_memory_plan, 1);
    char place[512];
    self->plan = plan;
    *plan =
        (routed_memory_plan){.router = -1, .router_bias = -1, .live_slot = -1, .asked_slot = -1};
    plan->keys = stored_keys_build(b, self, &o->tokens, o->length, o->gate, o->lookup_scale);
    snprintf(place, sizeof place, "%s:picks", self->name);
    /* Random picks follow from the model's seed and the place in the text: the control picks the
     * same whenever the text is read. */
    plan->random = (rng_key){.seed = b->seed, .place = rng_place(place)};
    if (o->routing == ROUTING_LEARNED) add_router(b, self, plan);
    /* "picked" [rows, picks, entry + 1]: entries and weights of an unfinished block. */
    int64_t picks = MIN(o->picks, o->length);
    plan->picked_slot = layer_slot(b, self, "picked", picks, plan->keys.width + 1);
    self->unfinished += picks * (plan->keys.width + 1);
    /* "live" [rows, live, entry]: entries as made within the segment; empty outside training. */
    if (o->live > 0) {
        plan->live_slot = layer_slot_segment(b, self, "live", o->live, plan->keys.width);
    }
}

/* ---- entries that receive gradient ---- */

/* Entries of the call's own positions, as stored_keys_write stores them: [rows, time, entry]. */
static tensor *own_entries(layer_ctx *c, const layer *self, const token_result *r)
{
    const routed_memory_plan *plan = self->plan;
    const token_plan *tokens = &plan->keys.tokens;
    int64_t half = tokens->kv_width;
    tape *t = c->tape;
    tensor *kv = r->extra > 0 ? op_slice(t, r->kv, 1, r->extra, r->extra + c->time) : r->kv;
    tensor *keys = op_columns(t, kv, 0, half), *values = op_columns(t, kv, half, 2 * half);
    int64_t by_head[] = {c->rows, c->time, tokens->kv_heads, tokens->head_dim};
    /* Stored keys are unit vectors per head (stored_keys.h). */
    keys = op_l2norm(t, tape_reshape(t, keys, 4, by_head), (real)1e-12);
    keys = tape_reshape(t, keys, 3, values->shape);
    return op_concat(t, 2, (tensor *[]){keys, values}, 2);
}

/* Entries of the segment up to the end of this call [rows, length, entry]; NULL: none are live. The
 * next call finds the newest of them. */
static tensor *live_entries(layer_ctx *c, const layer *self, const token_result *r)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    if (plan->live_slot < 0) return NULL;
    tensor *all = NULL;
    if (tape_recording(c->tape)) {
        tensor *before = layer_state(c, self, plan->live_slot);
        all = own_entries(c, self, r);
        if (before) all = op_concat(c->tape, 2, (tensor *[]){before, all}, 1);
    }
    tensor *next = all;
    /* The slot holds `live` of them; older ones are found in the store alone, without gradient. */
    if (all && all->shape[1] > o->live) {
        next = op_slice(c->tape, all, 1, all->shape[1] - o->live, all->shape[1]);
    }
    layer_state_set(c, self, plan->live_slot, next);
    return all;
}

/* The picked entries, live ones in place of their copies. */
static tensor *revive(layer_ctx *c, const route_picks *p, tensor *live)
{
    if (!live) return p->entries;
    int64_t count = p->entries->shape[1], n = c->rows * count, length = live->shape[1];
    int64_t width = live->shape[2];
    int32_t *ids = tape_keep(c->tape, n, sizeof *ids);
    bool *chosen = tape_keep(c->tape, n, sizeof *chosen), any = false;
    for (int64_t i = 0; i < n; i++) {
        /* `live` ends where this call does; its beginning may lie before the row's document, whose
         * entries are not this text's. */
        int64_t row = i / count, first = c->position[row] + c->time - length;
        chosen[i] = p->positions[i] >= MAX(first, 0);
        /* Row 0 stands in where nothing is chosen: select_rows takes the copy there, and sends no
         * gradient. */
        ids[i] = chosen[i] ? (int32_t)(row * length + p->positions[i] - first) : 0;
        any |= chosen[i];
    }
    if (!any) return p->entries;
    tensor *table = tape_reshape(c->tape, live, 2, (int64_t[]){c->rows * length, width});
    tensor *copies = tape_reshape(c->tape, p->entries, 2, (int64_t[]){n, width});
    tensor *y = op_select_rows(c->tape, chosen, op_gather(c->tape, table, ids, n), copies);
    return tape_reshape(c->tape, y, 3, p->entries->shape);
}

/* ---- routing ---- */

/* What a block attends to. */
typedef struct block_picks {
    tensor *entries; /* [rows, count, at least the entry]; NULL: nothing */
    tensor *weights; /* [rows, count] */
    const int64_t *used;
    bool carried; /* by an earlier call */
} block_picks;

/* The router's query of a block [rows, entry]. asked: the sum over the block before. */
static tensor *router_query(layer_ctx *c, const layer *self, tensor *asked)
{
    const routed_memory_plan *plan = self->plan;
    if (!asked) return op_repeat(c->tape, layer_tensor(c, self, plan->router_bias), c->rows);
    /* Always over a whole block: a query is asked for where one begins. */
    tensor *mean = op_scale(c->tape, asked, 1 / (real)self->dims.block);
    tensor *u = layer_linear(c, self, mean, plan->router, plan->router_bias);
    return tape_reshape(c->tape, u, 2, (int64_t[]){c->rows, plan->keys.width});
}

/* How sharp and how far back the choice is. */
static void tell(layer_ctx *c, const layer *self, const route_picks *p, const lookup_store *s)
{
    const int64_t count = p->weights->shape[1];
    double age = 0, used = 0;
    tensor *told = c->watch->tap ? tape_tensor(c->tape, 2, p->weights->shape) : NULL;
    for (int64_t i = 0; i < c->rows * count; i++) {
        int64_t position = p->positions[i];
        if (told) told->data[i] = (real)position;
        if (position < 0) continue;
        int64_t row = i / count;
        age += (double)(s->end[row] - position);
        used += 1;
    }
    layer_metric(c, self, "picked_age", age, used);
    if (told) layer_tap(c, self, "picked", told);
}

static route_shape shape_of(const layer_ctx *c, const layer *self, int64_t begin)
{
    const routed_memory_options *o = self->options;
    rng_key key = layer_key(c, self, "explore");
    /* Several blocks of a call get noise of their own. */
    key.place += (uint32_t)begin;
    return (route_shape){.picks = o->picks,
                         .slack = o->slack,
                         .iterations = o->iterations,
                         .epsilon = o->epsilon,
                         .epsilon_start = o->epsilon_start,
                         .epsilon_decay = o->epsilon_decay,
                         .noise = c->mode == MODE_TRAIN ? o->explore : 0,
                         .key = key,
                         .soft = o->scores == SCORES_SOFT};
}

/* Picks for the block that begins at position `begin` of the call. */
static block_picks route(layer_ctx *c, const layer *self, tensor *asked, tensor *live,
                         int64_t begin)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    lookup_store s = stored_keys_seen(c, self, &plan->keys, begin);
    bool any = false;
    for (int64_t row = 0; row < c->rows; row++) {
        any |= s.end[row] > s.begin[row];
    }
    /* At the beginning of a text nothing is stored. */
    if (!any) return (block_picks){0};
    route_shape shape = shape_of(c, self, begin);
    route_picks p = o->routing == ROUTING_RANDOM
                        ? op_route_random(c->tape, &s, c->rows, o->picks, plan->random)
                        : op_route(c->tape, router_query(c, self, asked), &s, &shape);
    tell(c, self, &p, &s);
    return (block_picks){revive(c, &p, live), p.weights, p.used, false};
}

/* The picks of an unfinished block, as an earlier call left them. */
static block_picks carried_picks(layer_ctx *c, const layer *self)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    tensor *s = layer_state(c, self, plan->picked_slot);
    if (!s) return (block_picks){0};
    int64_t entry = plan->keys.width, *used = tape_keep(c->tape, c->rows, sizeof *used);
    lookup_store seen = stored_keys_seen(c, self, &plan->keys, 0);
    for (int64_t row = 0; row < c->rows; row++) {
        /* A row with few stored positions has fewer picks than the slot holds; the rest count for
         * nothing. */
        used[row] = MIN(seen.end[row] - seen.begin[row], o->picks);
    }
    tensor *weights = op_columns(c->tape, s, entry, entry + 1);
    return (block_picks){s, tape_reshape(c->tape, weights, 2, s->shape), used, true};
}

static void carry_picks(layer_ctx *c, const layer *self, const block_picks *p)
{
    const routed_memory_plan *plan = self->plan;
    tensor *s = NULL;
    bool unfinished = (c->position[0] + c->time) % self->dims.block != 0;
    /* They stay in their slot as they are. */
    if (unfinished && p->carried) return;
    if (unfinished && p->entries) {
        int64_t shape[] = {c->rows, p->weights->shape[1], 1};
        tensor *parts[] = {p->entries, tape_reshape(c->tape, p->weights, 3, shape)};
        s = op_concat(c->tape, 2, parts, 2);
    }
    layer_state_set(c, self, plan->picked_slot, s);
}

/* ---- attention to the picks ---- */

/* Queries [begin, end) of the call, which lie in one block: [rows, end - begin, q_width]. */
static tensor *look(layer_ctx *c, const layer *self, const block_picks *p, tensor *q, int64_t begin,
                    int64_t end)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    const token_plan *tokens = &plan->keys.tokens;
    int64_t time = end - begin, half = tokens->kv_width;
    if (!p->entries) {
        return tape_constant(c->tape, NULL, 3, (int64_t[]){c->rows, time, tokens->q_width});
    }
    if (time < c->time) q = op_slice(c->tape, q, 1, begin, end);
    attention_operand k = {p->entries, 0}, v = {p->entries, half};
    if (o->scores == SCORES_SOFT || tape_wants(c->tape, 1, &p->weights)) {
        int64_t count = tensor_count(p->weights);
        tensor *weights = tape_reshape(c->tape, p->weights, 1, &count);
        tensor *values = op_columns(c->tape, p->entries, half, 2 * half);
        /* A pick's weight multiplies its value: it is 1 for a hard choice, whose gradient still
         * tells the router what the entry was worth. */
        v = (attention_operand){op_mul_col(c->tape, values, weights), 0};
    }
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    for (int64_t row = 0; row < c->rows; row++) {
        valid[row] = p->used[row] - time; /* of keys - queries */
    }
    attention_shape shape = {.heads = tokens->heads,
                             .kv_heads = tokens->kv_heads,
                             .head_dim = tokens->head_dim,
                             .scale = stored_keys_scale(&plan->keys),
                             .valid = valid};
    return op_attention(c->tape, (attention_operand){q, 0}, k, v, &shape);
}

/* ---- forward ---- */

/* `sum` (NULL: nothing yet) and x over positions [begin, end) of the call: [rows, 1, width]. */
static tensor *add_asked(layer_ctx *c, tensor *sum, tensor *x, int64_t begin, int64_t end)
{
    int64_t shape[] = {1, end - begin};
    tensor *ones = tape_tensor(c->tape, 2, shape);
    for (int64_t i = 0; i < shape[1]; i++) {
        ones->data[i] = 1;
    }
    if (end - begin < c->time) x = op_slice(c->tape, x, 1, begin, end);
    tensor *more = op_matmul(c->tape, ones, false, x, false, 1);
    return sum ? op_add(c->tape, sum, more) : more;
}

static tensor *routed_memory_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    int64_t block = self->dims.block, phase = c->position[0] % block, count = 0;
    token_result r = token_attention_forward(c, self, &o->tokens, &plan->keys.tokens, x);
    tensor *q = stored_keys_queries(c, self, &plan->keys, &r);
    tensor *live = live_entries(c, self, &r);
    bool asks = plan->asked_slot >= 0;
    tensor *asked = asks ? layer_state(c, self, plan->asked_slot) : NULL;
    block_picks picks = phase > 0 ? carried_picks(c, self) : (block_picks){0};
    tensor **parts = tape_keep(c->tape, (phase + c->time) / block + 1, sizeof *parts);
    for (int64_t begin = 0, end; begin < c->time; begin = end) {
        bool begins = (phase + begin) % block == 0;
        end = MIN(c->time, begin + block - (phase + begin) % block);
        /* Before the block is stored: in the ring its entries take the place of the oldest ones. */
        if (begins) picks = route(c, self, asked, live, begin);
        stored_keys_write(c, self, &plan->keys, &r, begin, end);
        parts[count++] = look(c, self, &picks, q, begin, end);
        if (asks) asked = add_asked(c, begins ? NULL : asked, x, begin, end);
    }
    if (asks) layer_state_set(c, self, plan->asked_slot, asked);
    carry_picks(c, self, &picks);
    tensor *m = count == 1 ? parts[0] : op_concat(c->tape, (int)count, parts, 1);
    return stored_keys_output(c, self, &plan->keys, r.y, m);
}

static layer_cost routed_memory_cost(const layer *self)
{
    const routed_memory_options *o = self->options;
    const routed_memory_plan *plan = self->plan;
    double block = (double)self->dims.block, entry = (double)plan->keys.width;
    double width = (double)self->dims.width, q_width = (double)plan->keys.tokens.q_width;
    double flops = stored_keys_flops(self, &o->tokens, &plan->keys) +
                   4 * q_width * (double)MIN(o->picks, o->length);
    double scores = 0, sums = 0;
    if (o->routing == ROUTING_LEARNED && o->picks < o->length) {
        scores = 2 * entry * (double)o->length / block;
        sums = (double)(o->iterations - 1) * scores; /* what the router's gradient is made of */
    }
    if (plan->router >= 0) flops += 2 * width + 2 * width * entry / block;
    return (layer_cost){.forward_flops = flops + scores,
                        .train_flops = 3 * flops + scores + sums,
                        .bench_flops = 6 * block * q_width};
}

const layer_class routed_memory_layer = {
    .name = "routed_memory",
    .cite = "after Ainslie et al. 2023, arXiv:2303.09752; Wright 2015, arXiv:1502.04759",
    .help = "attention to few of very many stored keys, picked block by block by a learned router",
    OPTIONS_OF(routed_memory_options, OPTIONS),
    .store_length = "length",
    .check = routed_memory_check,
    .settle = routed_memory_settle,
    .build = routed_memory_build,
    .forward = routed_memory_forward,
    .output_is_free = true,
    .cost = routed_memory_cost};
