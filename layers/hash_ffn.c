#include "layers/hash_ffn.h"
#include "core/base/sha256.h"
#include "layers/hash_ids.h"
#include "layers/hash_table.h"
#include "layers/layer_inspect.h"

#include <stdio.h>
#include <string.h>

/* Hash layer (Roller et al. 2021, arXiv:2106.04426, eq. 5): a feed-forward layer whose weights are
 * chosen by a hash of the tokens, not by what the model made of them.
 *
 *   y = FFN_e(x),   e = hash(token)
 *
 * No routing parameters, no auxiliary loss, no capacity. With M hashes (MultiHash, sec. 3.3) each
 * chooses a part of the weights, k_m = hash_m(token), hidden size D:
 *
 *   segments: v = f(concat_m(K[m, k_m] x + b[m, k_m])),  y = concat_m(V[m, k_m] v + c[m, k_m])
 *             with K [M, experts, D/M, width], V [M, experts, width/M, D]       (the paper's form)
 *   slices:   y = sum_m V[m, k_m] f(K[m, k_m] x + b[m, k_m]) + c
 *             with V [M, experts, width, D/M] and one c for all
 *
 * The table token -> expert [hashes, vocab + 1] (last: the start token) is kept in checkpoints as
 * "table", the training tokens per expert of balanced ones as "load". */

#define OPTION_AT(field) offsetof(hash_ffn_options, field)
static const option OPTIONS[] = {
    EXPERTS_OPTIONS(hash_ffn_options),
    {"hash", OPTION_CHOICE, OPTION_AT(hash), .initial = "random",
     .choices = "random|balanced|modulo|bigram|previous|position|ngram|sequence|future|"
                "predicted_future|clustered|dispersed|table",
     .help = "what chooses the expert: the token by a drawn table, one balanced by frequency, or "
             "id mod experts; two tokens, the one before, the position in the context, n tokens, "
             "all tokens so far; the next token (oracle) or another model's guess of it; clusters "
             "of its embedding, or spread over them; a file"},
    {"n", OPTION_INT, OPTION_AT(n), .initial = "none", .min = 1, .max = 64, .nullable = true,
     .needs = "hash=ngram", .help = "tokens that are hashed, the current one included"},
    {"hashes", OPTION_INT, OPTION_AT(hashes), .initial = "1", .min = 1, .max = 64,
     .help = "hashes per token, each choosing a part of the weights (MultiHash)"},
    {"form", OPTION_CHOICE, OPTION_AT(form), .initial = "segments", .choices = "segments|slices",
     .needs = "hashes>1 or experts>1 and bias",
     .help =
         "parts of the weights: of inputs and outputs (the paper's), or slices of memories with "
         "one output bias"},
    {"seed", OPTION_INT, OPTION_AT(seed), .initial = "none", .min = 0, .max = 9e15,
     .nullable = true,
     .needs = "hash=random|bigram|previous|ngram|sequence|future|predicted_future|clustered|"
              "dispersed or hash=balanced and hashes>1",
     .help = "of the drawn hash: layers of one seed agree; none: the run's, each layer its own"},
    {"clusters", OPTION_INT, OPTION_AT(clusters), .initial = "none", .min = 1, .max = 1e6,
     .nullable = true, .needs = "hash=dispersed", .help = "clusters to spread; none: experts"},
    {"table", OPTION_TEXT, OPTION_AT(table), .initial = "null", .nullable = true,
     .incidental = true, .needs = "hash=table",
     .help = "file with the expert(s) of one token id per line"},
    {"oracle", OPTION_BOOL, OPTION_AT(oracle), .initial = "false", .needs = "hash=future",
     .help = "says that looking at the next token is meant"},
    {0}};

static bool needs_source(const hash_ffn_options *o)
{
    return o->hash == HASH_CLUSTERED || o->hash == HASH_DISPERSED;
}

/* Counting a corpus takes a pass over it, so it is only done for who balances by counts. */
static unsigned hash_ffn_needs(const void *options)
{
    const hash_ffn_options *o = options;
    unsigned needs = needs_source(o) ? NEEDS_SOURCE : 0;
    if (o->hash == HASH_BALANCED) needs |= NEEDS_TOKEN_COUNTS;
    if (o->hash == HASH_PREDICTED) needs |= NEEDS_PREDICTIONS;
    return needs;
}

/* ---- options ---- */

static hash_table_shape shape_of(const hash_ffn_options *o, int64_t vocab, rng_key key)
{
    return (hash_table_shape){o->experts.experts, o->hashes, vocab, key};
}

/* Read for its errors only: when the spec is checked there is no model yet to keep the table. */
static bool check_table(const hash_ffn_options *o, const layer_dims *dims, const node *at, err *e)
{
    arena_auto *a = arena_new((size_t)1 << 16);
    int32_t *table = ARENA_NEW(a, int32_t, o->hashes * (dims->vocab + 1));
    hash_table_shape s = shape_of(o, dims->vocab, (rng_key){0});
    return hash_table_read(table, o->table, &s, at, e);
}

static bool hash_ffn_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const hash_ffn_options *o = options;
    int64_t hidden =
        ffn_form_hidden(FFN_FORMS[o->experts.activation], o->experts.hidden, dims->width);
    if (o->hash == HASH_FUTURE && !o->oracle) {
        return node_err(e, at,
                        "hash: future looks at the token that is to be predicted; say oracle: true "
                        "if that is meant");
    }
    if (o->hash == HASH_NGRAM && o->n <= 0) {
        return node_err(e, at, "hash: ngram needs n, the number of tokens that are hashed");
    }
    if (o->hash == HASH_TABLE && !o->table) {
        return node_err(e, at, "hash: table needs table, a file with a line per token id");
    }
    if (hidden % o->hashes != 0) {
        return node_err(e, at, "hashes %lld does not divide hidden %lld", (long long)o->hashes,
                        (long long)hidden);
    }
    if (o->form == FORM_SEGMENTS && dims->width % o->hashes != 0) {
        return node_err(e, at, "hashes %lld does not divide the model's width %lld",
                        (long long)o->hashes, (long long)dims->width);
    }
    return o->hash != HASH_TABLE || check_table(o, dims, at, e);
}

/* ---- tables ---- */

/* Embeddings of the source, [vocab + 1, width] with the start vector last; NULL: plan->problem. */
static double *source_points(layer_build *b, const layer *self, hash_ffn_plan *p, arena *a,
                             int64_t *width)
{
    int rank;
    int64_t shape[TENSOR_RANK], vocab = self->dims.vocab;
    const tensor_source *s = b->source;
    const real *tokens = s->get(s->user, "embedding.weight", &rank, shape);
    if (!tokens || rank != 2 || shape[0] != vocab) {
        p->problem = "the checkpoint has no embedding.weight of this vocabulary";
        return NULL;
    }
    *width = shape[1];
    double *points = arena_push_zero(a, (vocab + 1) * *width, sizeof *points);
    for (int64_t i = 0; i < vocab * *width; i++) {
        points[i] = (double)tokens[i];
    }
    const real *start = s->get(s->user, "embedding.start", &rank, shape);
    for (int64_t i = 0; start && rank == 1 && shape[0] == *width && i < *width; i++) {
        points[vocab * *width + i] = (double)start[i];
    }
    return points;
}

static void fill_by_similarity(layer_build *b, const layer *self, hash_ffn_plan *p, int32_t *table,
                               const hash_table_shape *s)
{
    const hash_ffn_options *o = self->options;
    arena_auto *a = arena_new((size_t)1 << 16);
    int64_t width;
    const double *points = source_points(b, self, p, a, &width);
    if (points && o->hash == HASH_CLUSTERED) hash_table_clustered(table, points, width, s);
    if (points && o->hash == HASH_DISPERSED) {
        hash_table_dispersed(table, points, width, o->clusters > 0 ? o->clusters : s->experts, s);
    }
}

/* load [hashes, experts] only for balanced ones.
 * What goes wrong is kept as plan->problem and told by link: build cannot fail. */
static void fill_table(layer_build *b, const layer *self, hash_ffn_plan *p, int32_t *table,
                       double *load, const hash_table_shape *s)
{
    const hash_ffn_options *o = self->options;
    switch (o->hash) {
    case HASH_BALANCED:
        CHECK(b->token_counts, "%s: no token counts", self->name);
        hash_table_balanced(table, load, b->token_counts, s);
        return;
    case HASH_MODULO:
        hash_table_modulo(table, s);
        return;
    case HASH_TABLE: {
        err e = {0};
        if (!hash_table_read(table, o->table, s, self->at, &e)) {
            p->problem = arena_strdup(b->memory, e.text); /* it changed since the check */
        }
        return;
    }
    case HASH_CLUSTERED:
    case HASH_DISPERSED:
        if (!b->source)
            p->problem = "it clusters the embeddings of a trained model; name one with "
                         "init_from";
        /* Promised but not there: zeros stand in, and a checkpoint's table replaces them. */
        if (b->source && b->source->get) fill_by_similarity(b, self, p, table, s);
        return;
    default:
        hash_table_random(table, s);
    }
}

/* No token's computation goes through it: active 0. */
static int add_given(layer_build *b, layer *self, const char *name, int64_t rows, int64_t columns,
                     const real *values)
{
    int index = layer_given(b, self, name, ROLE_TABLE, 2, (int64_t[]){rows, columns}, values);
    layer_last_param(b)->active = 0;
    return index;
}

static void build_table(layer_build *b, layer *self, hash_ffn_plan *p, rng_key key)
{
    const hash_ffn_options *o = self->options;
    int64_t entries = p->hashes * (self->dims.vocab + 1), loads = p->hashes * o->experts.experts;
    arena_auto *a = arena_new((size_t)1 << 16);
    int32_t *table = arena_push_zero(o->hash == HASH_TABLE ? b->memory : a, entries, sizeof *table);
    double *load = arena_push_zero(a, loads, sizeof *load);
    hash_table_shape s = shape_of(o, self->dims.vocab, key);
    fill_table(b, self, p, table, load, &s);
    real *kept = ARENA_NEW(b->memory, real, entries), *sums = ARENA_NEW(b->memory, real, loads);
    for (int64_t i = 0; i < entries; i++) {
        kept[i] = (real)table[i];
    }
    for (int64_t i = 0; i < loads; i++) {
        sums[i] = (real)load[i];
    }
    if (o->hash == HASH_TABLE) p->ids = table;
    p->table = add_given(b, self, "table", p->hashes, self->dims.vocab + 1, kept);
    layer_last_param(b)->choices = o->experts.experts;
    if (o->hash == HASH_BALANCED) add_given(b, self, "load", p->hashes, o->experts.experts, sums);
}

/* ---- building ---- */

/* With a seed of their own layers draw the same table, whatever their names and the run's seed. */
static rng_key key_of(const layer_build *b, const layer *self)
{
    const hash_ffn_options *o = self->options;
    if (o->seed >= 0) return (rng_key){.seed = (uint64_t)o->seed, .place = rng_place("hash")};
    char place[512];
    snprintf(place, sizeof place, "%s:hash", self->name);
    return (rng_key){.seed = b->seed, .place = rng_place(place)};
}

/* Pieces are numbered [hashes, experts]: hash m's choice k is piece m experts + k. */
static void build_weights(layer_build *b, layer *self, hash_ffn_plan *p)
{
    const hash_ffn_options *o = self->options;
    experts_plan *x = &p->experts;
    if (p->hashes == 1 && o->form == FORM_SEGMENTS) {
        experts_build(b, self, &o->experts, 1, x);
        return;
    }
    experts_plan_init(b, self, &o->experts, x);
    int64_t m = p->hashes, pieces = m * x->experts, width = self->dims.width;
    /* Rows of K for one part, twice as many where it is gated. */
    int64_t part = ffn_form_keys(x->form, x->hidden / m);
    bool slices = o->form == FORM_SLICES;
    int64_t out = slices ? width : width / m, in = slices ? x->hidden / m : x->hidden;
    double active = 1 / (double)x->experts;
    x->keys = experts_matrix(b, self, "keys.weight", pieces, part, width, false, active);
    x->values = experts_matrix(b, self, "values.weight", pieces, out, in, true, active);
    /* Each sum has all of the hidden layer's inputs, whatever the parts. */
    layer_last_param(b)->init = layer_init(b, self, x->hidden, true);
    if (!o->experts.bias) return;
    x->keys_bias = experts_vector(b, self, "keys.bias", pieces, part, active);
    x->values_bias = slices ? layer_vector(b, self, "values.bias", ROLE_BIAS, width, 0)
                            : experts_vector(b, self, "values.bias", pieces, out, active);
}

/* Where there is nothing to choose all tables are one, and so is all that is computed. */
static void settle_single(hash_ffn_options *o)
{
    switch (o->hash) {
    case HASH_BALANCED: /* keeps the experts' load beside its table */
    case HASH_FUTURE:   /* marked as an oracle */
        break;
    case HASH_BIGRAM:
    case HASH_POSITION:
    case HASH_NGRAM:
    case HASH_SEQUENCE:
        o->hash = HASH_BIGRAM;
        break;
    default:
        o->hash = HASH_RANDOM;
    }
    o->seed = -1;
}

static void hash_ffn_settle(void *options, const layer *self)
{
    hash_ffn_options *o = options;
    experts_settle(&o->experts, self);
    option_settle(&o->clusters, o->experts.experts, -1);
    if (o->experts.experts == 1) settle_single(o);
}

static void hash_ffn_build(layer_build *b, layer *self)
{
    const hash_ffn_options *o = self->options;
    hash_ffn_plan *p = arena_push_zero(b->memory, 1, sizeof *p);
    self->plan = p;
    self->oracle = o->hash == HASH_FUTURE;
    *p = (hash_ffn_plan){.hashes = o->hashes, .table = -1, .slot = -1};
    p->past = o->hash == HASH_NGRAM                                ? o->n - 1
              : o->hash == HASH_BIGRAM || o->hash == HASH_PREVIOUS ? 1
                                                                   : 0;
    p->tabular = o->hash != HASH_BIGRAM && o->hash != HASH_NGRAM && o->hash != HASH_SEQUENCE &&
                 o->hash != HASH_POSITION;
    build_weights(b, self, p);
    rng_key key = key_of(b, self);
    p->keys = ARENA_NEW(b->memory, uint64_t, p->hashes);
    for (int64_t m = 0; m < p->hashes; m++) {
        uint32_t words[4];
        rng_words(words, key, (uint64_t)m);
        p->keys[m] = (uint64_t)words[0] << 32 | words[1];
    }
    if (p->tabular) build_table(b, self, p, key);
    if (p->past > 0) p->slot = layer_slot_cache(b, self, "tokens", p->past, 1);
    if (o->hash == HASH_SEQUENCE) p->slot = layer_slot_cache(b, self, "prefix", 1, HASH_IDS_WORDS);
}

static bool hash_ffn_link(const layer_build *b, layer *self, err *e)
{
    (void)b;
    const hash_ffn_plan *p = self->plan;
    if (!p->problem) return true;
    return node_err(e, self->at, "hash_ffn: %s", p->problem);
}

/* ---- several hashes ---- */

/* Part m of the hidden layer before its activation, rows sorted by k_m; gated ones after it.
 * [count, part], a row for every routed position. */
static tensor *hidden_part(layer_ctx *c, const layer *self, tensor *x, const routing *r, int64_t m)
{
    const hash_ffn_plan *p = self->plan;
    const experts_plan *x_plan = &p->experts;
    tensor *own = op_gather(c->tape, x, r->row, r->count);
    tensor *h = experts_linear(c, self, own, r, ACT_IDENTITY, x_plan->keys, x_plan->keys_bias,
                               m * x_plan->experts,
                               ffn_form_keys(x_plan->form, x_plan->hidden / p->hashes));
    return x_plan->form.gated ? op_glu(c->tape, h, x_plan->form.f) : h;
}

/* What the parts of all hashes have fired: memories of part m and choice k are those of group
 * m experts + k. h[m]: part m before its activation, by position (sorted: as r[m] sorts them). */
static void offer_parts(layer_ctx *c, const layer *self, tensor *const *h, bool sorted,
                        const routing *r)
{
    if (!c->watch->fired) return;
    const hash_ffn_plan *p = self->plan;
    int64_t part = p->experts.hidden / p->hashes, n = 0, all = p->hashes * r->rows;
    activation f = p->experts.form.gated ? ACT_IDENTITY : p->experts.form.f;
    real *coefficients = tape_keep(c->tape, all * part, sizeof *coefficients);
    int32_t *position = tape_keep(c->tape, all, sizeof *position);
    int32_t *first = tape_keep(c->tape, all, sizeof *first);
    for (int64_t m = 0; m < p->hashes; m++) {
        const tensor *fired = op_activation(c->tape, h[m], f);
        for (int64_t e = 0; e < r[m].experts; e++) {
            for (int64_t i = r[m].begin[e]; i < r[m].begin[e + 1]; i++, n++) {
                int64_t from = sorted ? i : r[m].row[i];
                position[n] = r[m].row[i];
                first[n] = (int32_t)((m * r[m].experts + e) * part);
                memcpy(coefficients + n * part, fired->data + from * part,
                       (size_t)part * sizeof *coefficients);
            }
        }
    }
    layer_fired(c, self,
                &(memory_use){.entries = n,
                              .width = part,
                              .position = position,
                              .first = first,
                              .coefficients = coefficients});
}

/* Twice sorted and put back: parts of the hidden layer meet in v [rows, hidden] before each hash's
 * values read all of it. */
static tensor *run_segments(layer_ctx *c, const layer *self, tensor *x, const routing *r)
{
    const hash_ffn_plan *p = self->plan;
    const experts_plan *q = &p->experts;
    activation f = q->form.gated ? ACT_IDENTITY : q->form.f;
    tensor **part = tape_keep(c->tape, p->hashes, sizeof(tensor *));
    for (int64_t m = 0; m < p->hashes; m++) {
        part[m] = op_scatter(c->tape, hidden_part(c, self, x, &r[m], m), r[m].row, r[m].rows);
    }
    offer_parts(c, self, part, false, r);
    tensor *v = op_concat(c->tape, (int)p->hashes, part, 1);
    for (int64_t m = 0; m < p->hashes; m++) {
        tensor *own = op_gather(c->tape, v, r[m].row, r[m].count);
        tensor *y = experts_linear(c, self, own, &r[m], f, q->values, q->values_bias,
                                   m * q->experts, self->dims.width / p->hashes);
        part[m] = op_scatter(c->tape, y, r[m].row, r[m].rows);
    }
    return op_concat(c->tape, (int)p->hashes, part, 1);
}

/* Each hash's part goes through on its own, sorted once: the sum is the whole layer's output. */
static tensor *run_slices(layer_ctx *c, const layer *self, tensor *x, const routing *r)
{
    const hash_ffn_plan *p = self->plan;
    const experts_plan *q = &p->experts;
    activation f = q->form.gated ? ACT_IDENTITY : q->form.f;
    tensor *sum = NULL, **h = tape_keep(c->tape, p->hashes, sizeof(tensor *));
    for (int64_t m = 0; m < p->hashes; m++) {
        h[m] = hidden_part(c, self, x, &r[m], m);
        tensor *y = experts_linear(c, self, h[m], &r[m], f, q->values, -1, m * q->experts,
                                   self->dims.width);
        y = op_scatter(c->tape, y, r[m].row, r[m].rows);
        sum = sum ? op_add_inplace(c->tape, sum, y) : y;
    }
    offer_parts(c, self, h, true, r);
    return q->values_bias < 0 ? sum
                              : op_add_row(c->tape, sum, layer_tensor(c, self, q->values_bias));
}

static tensor *hash_ffn_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    int64_t n = c->rows * c->time;
    const int32_t *expert = hash_choice(c, self);
    routing *r = tape_keep(c->tape, p->hashes, sizeof *r);
    for (int64_t m = 0; m < p->hashes; m++) {
        r[m] = experts_route(c, expert + m * n, n, n, p->experts.experts);
    }
    experts_load(c, self, &p->experts, expert, p->hashes, n);
    experts_tap(c, self, LAYER_TAP_EXPERT, expert, p->hashes * n);
    tensor *flat = experts_flat(c, x), *y;
    if (o->form == FORM_SLICES) {
        y = run_slices(c, self, flat, r);
    } else if (p->hashes > 1) {
        y = run_segments(c, self, flat, r);
    } else {
        y = experts_forward(c, self, &p->experts, flat, r, NULL);
    }
    return tape_reshape(c->tape, y, 3, x->shape);
}

/* M hashes choose parts that add up to one expert. */
static layer_cost hash_ffn_cost(const layer *self)
{
    const hash_ffn_plan *p = self->plan;
    return (layer_cost){.forward_flops = experts_flops(self, &p->experts, 1)};
}

/* The table that a file gave, not the file's name. */
static const char *hash_ffn_content(const layer *self, arena *a)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    if (o->hash != HASH_TABLE) return NULL;
    size_t bytes = (size_t)(p->hashes * (self->dims.vocab + 1)) * sizeof *p->ids;
    char hex[SHA256_HEX];
    sha256_hex(hex, p->ids, bytes);
    return arena_strdup(a, hex);
}

/* Of several hashes, hash m's choice k is group m experts + k. What a memory of a segment adds to
 * the output depends on all the choices: it has no value of its own; one of a slice has. */
static bool hash_ffn_memories(const layer *self, layer_memories *m)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    experts_plan parts = p->experts;
    parts.experts *= p->hashes;
    parts.hidden /= p->hashes;
    if (!experts_memories(self, &parts, m)) return false;
    if (o->form == FORM_SEGMENTS && p->hashes > 1) m->values = -1;
    return true;
}

const layer_class hash_ffn_layer = {.name = "hash_ffn",
                                    .cite = "Roller et al. 2021, arXiv:2106.04426",
                                    .help = "feed-forward experts chosen by a hash of the token(s)",
                                    OPTIONS_OF(hash_ffn_options, OPTIONS),
                                    .needs = hash_ffn_needs,
                                    .check = hash_ffn_check,
                                    .settle = hash_ffn_settle,
                                    .build = hash_ffn_build,
                                    .link = hash_ffn_link,
                                    .forward = hash_ffn_forward,
                                    .output_is_free = true,
                                    .cost = hash_ffn_cost,
                                    .memories = hash_ffn_memories,
                                    .content = hash_ffn_content};
