#include "core/base/text.h"
#include "layers/layer_inspect.h"

#include <math.h>
#include <string.h>

/* Product-key memory (Lample et al. 2019, arXiv:1907.05242, sec. 3): n^2 memories whose keys are
 * pairs of n first and n second halves, found without looking at all of them. Per head
 *
 *   q = norm(x W_q) = [q_1; q_2];  I_1, I_2 = the k largest of q_1 K_1^T and of q_2 K_2^T
 *   score(i, j) = q_1 . K_1[i] + q_2 . K_2[j];  J = the k largest of the k^2 pairs I_1 x I_2
 *   y = sum over heads and (i, j) in J of softmax_J(score)(i, j) V[i n + j]
 *
 * J are the k largest of all n^2 pairs. Heads have keys of their own and share the values. Two
 * options are from Berges et al. 2024 (arXiv:2412.09764, sec. 3): with memory_values: shared, all
 * such layers of a model share one table, the first one's "shared_values"; with gate: true
 * (Memory+), the input decides what of y goes on:
 *
 *   y' = (y * silu(x W_1^T)) W_2^T                          W_1 = gate.weight, W_2 = out.weight
 *
 * DIFFERS: queries are normalised one by one (layer norm without gains), not over the batch, so
 * that rows do not see each other. */

typedef struct pkm_options {
    int64_t half_keys, heads, top, key_dim, values;
    bool query_norm, gate;
} pkm_options;

enum { VALUES_OWN, VALUES_SHARED };

#define OPTION_AT(field) offsetof(pkm_options, field)
static const option OPTIONS[] = {
    {"half_keys", OPTION_INT, OPTION_AT(half_keys), .initial = "64", .min = 1, .max = 32768,
     .help = "n: first and second halves of keys; n x n memories"},
    {"heads", OPTION_INT, OPTION_AT(heads), .initial = "4", .min = 1, .max = 256,
     .help = "queries per token, each with keys of its own"},
    {"top", OPTION_INT, OPTION_AT(top), .initial = "8", .min = 2, .max = 1024,
     .help = "k: memories read per query"},
    {"key_dim", OPTION_INT, OPTION_AT(key_dim), .initial = "none", .min = 2, .max = 8192,
     .nullable = true, .help = "size of a query, both halves; none: width / 2, made even"},
    {"query_norm", OPTION_BOOL, OPTION_AT(query_norm), .initial = "true",
     .help = "normalise queries"},
    {"memory_values", OPTION_CHOICE, OPTION_AT(values), .initial = "own", .choices = "own|shared",
     .help = "a table of values of its own, or one for all layers that say so"},
    {"gate", OPTION_BOOL, OPTION_AT(gate), .initial = "false",
     .help = "what is read passes a gate of the input and a projection (Memory+)"},
    {0}};

enum { QUERY, FIRST, SECOND }; /* parameters; the others are in the plan */

typedef struct pkm_plan {
    int64_t half;  /* key_dim / 2 */
    int values;    /* by index in params */
    int gate, out; /* for layer_tensor; -1: there are none */
} pkm_plan;

static int64_t half_of(const pkm_options *o, int64_t width)
{
    return o->key_dim > 0 ? o->key_dim / 2 : MAX(width / 4, 1);
}

static bool pkm_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    (void)dims;
    const pkm_options *o = options;
    if (o->key_dim > 0 && o->key_dim % 2 != 0) {
        return node_err(e, at, "key_dim %lld is odd; a query has two halves",
                        (long long)o->key_dim);
    }
    if (o->top > o->half_keys) {
        return node_err(e, at, "top %lld is more than half_keys %lld; choose among more halves",
                        (long long)o->top, (long long)o->half_keys);
    }
    return true;
}

static void pkm_settle(void *options, const layer *self)
{
    pkm_options *o = options;
    const pkm_options usual = {.key_dim = -1};
    option_settle(&o->key_dim, 2 * half_of(&usual, self->dims.width), -1);
}

/* ---- parameters ---- */

static const char SHARED[] = ".shared_values";

/* The table that an earlier layer shares, or -1. */
static int find_shared(const params *p)
{
    for (int i = 0; i < p->count; i++) {
        if (text_ends(p->list[i].name, SHARED)) return i;
    }
    return -1;
}

/* Embeddings by role: no weight decay, since a memory that is rarely read would vanish. */
static void add_values(layer_build *b, layer *self, pkm_plan *plan)
{
    const pkm_options *o = self->options;
    int64_t shape[] = {o->half_keys * o->half_keys, self->dims.width};
    bool shared = o->values == VALUES_SHARED;
    plan->values = shared ? find_shared(b->params) : -1;
    if (plan->values >= 0) return;
    param_init init = {INIT_NORMAL, 1 / sqrt((double)self->dims.width)};
    layer_param(b, self, shared ? SHARED + 1 : "values", ROLE_EMBEDDING, 2, shape, init);
    layer_last_param(b)->active = MIN(1, (double)(o->heads * o->top) / (double)shape[0]);
    plan->values = b->params->count - 1;
}

static void pkm_build(layer_build *b, layer *self)
{
    const pkm_options *o = self->options;
    pkm_plan *plan = ARENA_NEW(b->memory, pkm_plan, 1);
    plan->half = half_of(o, self->dims.width);
    self->plan = plan;
    layer_matrix(b, self, "query.weight", o->heads * 2 * plan->half, self->dims.width, false);
    int64_t shape[] = {o->heads, o->half_keys, plan->half};
    param_init init = {INIT_UNIFORM, 1 / sqrt((double)plan->half)};
    layer_param(b, self, "keys.first", ROLE_MATRIX, 3, shape, init);
    layer_last_param(b)->matmul = true;
    layer_param(b, self, "keys.second", ROLE_MATRIX, 3, shape, init);
    layer_last_param(b)->matmul = true;
    plan->gate = plan->out = -1;
    if (o->gate) {
        int64_t width = self->dims.width;
        plan->gate = layer_matrix(b, self, "gate.weight", width, width, false);
        plan->out = layer_matrix(b, self, "out.weight", width, width, true);
    }
    add_values(b, self, plan);
}

/* The first layer that shares made the table, to its own half_keys. */
static bool pkm_link(const layer_build *b, layer *self, err *e)
{
    const pkm_options *o = self->options;
    const pkm_plan *plan = self->plan;
    const param *p = &b->params->list[plan->values];
    int64_t memories = o->half_keys * o->half_keys;
    if (p->shape[0] == memories) return true;
    return node_err(e, self->at,
                    "memory_values: shared: half_keys %lld makes %lld memories, but %s holds %lld",
                    (long long)o->half_keys, (long long)memories, p->name, (long long)p->shape[0]);
}

/* ---- choosing ---- */

/* Indices of the k largest of x [n], largest first; of equal ones the first.
 * An insertion into k sorted places, k being small: most elements fail the first comparison. */
static void largest(int32_t *ids, const real *x, int64_t n, int64_t k)
{
    int64_t have = 0;
    for (int64_t i = 0; i < n; i++) {
        if (have == k && x[i] <= x[ids[k - 1]]) continue;
        int64_t at = have < k ? have++ : k - 1;
        for (; at > 0 && x[i] > x[ids[at - 1]]; at--) {
            ids[at] = ids[at - 1];
        }
        ids[at] = (int32_t)i;
    }
}

/* What is read, by head and position: [heads, n, top]. */
typedef struct choice {
    int32_t *first, *second; /* elements of the scores [heads, n, half_keys] */
    int32_t *memory;
} choice;

typedef struct chooser {
    int32_t *first, *second, *pair; /* [top] */
    real *sums;                     /* [top, top] */
} chooser;

/* One query: scores a, b [half_keys], which are elements `at` and on of all scores.
 * Why k of each half are enough: a pair whose first half is not among the k largest firsts is
 * beaten by k pairs with the same second half, so it is not among the k largest pairs. */
static void choose_one(const pkm_options *o, chooser *w, const real *a, const real *b, int64_t at,
                       choice *out, int64_t to)
{
    int64_t k = o->top;
    largest(w->first, a, o->half_keys, k);
    largest(w->second, b, o->half_keys, k);
    for (int64_t i = 0; i < k * k; i++) {
        w->sums[i] = a[w->first[i / k]] + b[w->second[i % k]];
    }
    largest(w->pair, w->sums, k * k, k);
    for (int64_t i = 0; i < k; i++) {
        int32_t first = w->first[w->pair[i] / k], second = w->second[w->pair[i] % k];
        out->first[to + i] = (int32_t)at + first;
        out->second[to + i] = (int32_t)at + second;
        out->memory[to + i] = first * (int32_t)o->half_keys + second;
    }
}

/* a, b: scores [heads, n, half_keys]. */
static choice choose(layer_ctx *c, const pkm_options *o, const tensor *a, const tensor *b)
{
    int64_t queries = a->shape[0] * a->shape[1], k = o->top;
    CHECK(tensor_count(a) <= INT32_MAX, "%lld scores", (long long)tensor_count(a));
    choice out = {tape_keep(c->tape, queries * k, sizeof(int32_t)),
                  tape_keep(c->tape, queries * k, sizeof(int32_t)),
                  tape_keep(c->tape, queries * k, sizeof(int32_t))};
    arena *scratch = tape_scratch(c->tape);
    arena_mark mark = arena_now(scratch);
    chooser w = {ARENA_NEW(scratch, int32_t, k), ARENA_NEW(scratch, int32_t, k),
                 ARENA_NEW(scratch, int32_t, k), ARENA_NEW(scratch, real, k * k)};
    for (int64_t q = 0; q < queries; q++) {
        int64_t at = q * o->half_keys;
        choose_one(o, &w, a->data + at, b->data + at, at, &out, q * k);
    }
    arena_rewind(scratch, mark);
    return out;
}

/* ---- forward ---- */

/* Scores [heads, n, half_keys] of one half of the queries q [n heads, key_dim].
 * Heads first, so that each head's queries meet its keys in one product of the batch. */
static tensor *scores(layer_ctx *c, const layer *self, tensor *q, int which)
{
    const pkm_options *o = self->options;
    int64_t half = ((const pkm_plan *)self->plan)->half, n = q->shape[0] / o->heads;
    tensor *part = op_columns(c->tape, q, which * half, (which + 1) * half);
    part = tape_reshape(c->tape, part, 3, (int64_t[]){n, o->heads, half});
    part = op_transpose(c->tape, part, 0, 1);
    return op_matmul(c->tape, part, false, layer_tensor(c, self, which ? SECOND : FIRST), true, 1);
}

/* The chosen elements of the scores, [heads n, top]. */
static tensor *pick(layer_ctx *c, tensor *all, const int32_t *ids, int64_t top)
{
    int64_t count = all->shape[0] * all->shape[1] * top;
    tensor *table = tape_reshape(c->tape, all, 2, (int64_t[]){tensor_count(all), 1});
    tensor *picked = op_gather(c->tape, table, ids, count);
    return tape_reshape(c->tape, picked, 2, (int64_t[]){count / top, top});
}

/* For inspection. A memory that several heads read is one memory with one coefficient. */
static void offer(layer_ctx *c, const layer *self, const int32_t *ids, const tensor *weights)
{
    if (!c->watch->fired) return;
    int64_t n = weights->shape[0], per = weights->shape[1];
    real *coefficients = tape_keep(c->tape, n * per, sizeof *coefficients);
    memcpy(coefficients, weights->data, (size_t)(n * per) * sizeof *coefficients);
    for (int64_t i = 0; i < n * per; i++) {
        int64_t first = i / per * per;
        while (ids[first] != ids[i]) {
            first++;
        }
        if (first == i) continue;
        coefficients[first] += coefficients[i];
        coefficients[i] = 0;
    }
    layer_fired(
        c, self,
        &(memory_use){.entries = n, .width = per, .ids = ids, .coefficients = coefficients});
}

/* (y * silu(x W_1^T)) W_2^T */
static tensor *gated(layer_ctx *c, const layer *self, tensor *x, tensor *y)
{
    const pkm_plan *plan = self->plan;
    tensor *g = layer_linear(c, self, x, plan->gate, -1);
    y = op_mul(c->tape, y, op_activation(c->tape, g, ACT_SILU));
    return layer_linear(c, self, y, plan->out, -1);
}

static tensor *pkm_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const pkm_options *o = self->options;
    const pkm_plan *plan = self->plan;
    tape *t = c->tape;
    int64_t n = tensor_rows(x), heads = o->heads, k = o->top;
    tensor *q = layer_linear(c, self, x, QUERY, -1);
    q = tape_reshape(t, q, 2, (int64_t[]){n * heads, 2 * plan->half});
    if (o->query_norm) q = op_layernorm(t, q, NULL, NULL, (real)1e-5);
    tensor *a = scores(c, self, q, 0), *b = scores(c, self, q, 1);
    choice chosen = choose(c, o, a, b);
    /* The choice has no gradient; the chosen scores are picked again from a and b, which have. */
    tensor *sums = op_add(t, pick(c, a, chosen.first, k), pick(c, b, chosen.second, k));
    tensor *weights = tape_reshape(t, op_softmax(t, sums), 3, (int64_t[]){heads, n, k});
    /* All heads' choices of a position side by side: y is one weighted sum over all of them. */
    weights = tape_reshape(t, op_transpose(t, weights, 0, 1), 2, (int64_t[]){n, heads * k});
    int32_t *ids = tape_keep(t, n * heads * k, sizeof *ids); /* [n, heads, top] */
    for (int64_t i = 0; i < n * heads; i++) {
        memcpy(ids + i * k, chosen.memory + (i % heads * n + i / heads) * k,
               (size_t)k * sizeof *ids);
    }
    offer(c, self, ids, weights);
    tensor *y = op_bag(t, layer_leaf(c, plan->values, 0), ids, weights);
    y = tape_reshape(t, y, 3, x->shape);
    return o->gate ? gated(c, self, x, y) : y;
}

static layer_cost pkm_cost(const layer *self)
{
    const pkm_options *o = self->options;
    double keys = (double)(o->heads * 2 * ((const pkm_plan *)self->plan)->half);
    /* Products only: reading the values, 2 heads top width, is no matrix product. */
    double width = (double)self->dims.width, gate = o->gate ? 4 * width * width : 0;
    return (layer_cost){.forward_flops = 2 * keys * (width + (double)o->half_keys) + gate};
}

/* Behind a gate, no value is added to the stream as it stands. */
static bool pkm_memories(const layer *self, layer_memories *m)
{
    const pkm_options *o = self->options;
    *m = (layer_memories){.count = o->half_keys * o->half_keys,
                          .groups = 1,
                          .values = o->gate ? -1 : ((const pkm_plan *)self->plan)->values,
                          .stride = self->dims.width,
                          .component_stride = 1};
    return true;
}

const layer_class pkm_layer = {
    .name = "pkm",
    .cite = "Lample et al. 2019, arXiv:1907.05242; Berges et al. 2024, arXiv:2412.09764",
    .help = "product-key memory: the k best of n x n keys and values",
    OPTIONS_OF(pkm_options, OPTIONS),
    .check = pkm_check,
    .settle = pkm_settle,
    .build = pkm_build,
    .link = pkm_link,
    .forward = pkm_forward,
    .cost = pkm_cost,
    .memories = pkm_memories};
