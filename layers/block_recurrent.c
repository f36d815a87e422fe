#include "layers/head_norm.h"
#include "layers/layer_inspect.h"
#include "layers/recurrent_state.h"
#include "layers/state_figures.h"

/* A transformer layer with a recurrent state (Hutchins et al. 2022, arXiv:2203.07852, sec. 3):
 * tokens attend to tokens (token_attention.h) and, in parallel, to state vectors, which take in
 * every block once it is complete (recurrent_state.h).
 *
 *   y = [o_tokens, o_state, ...] W_out^T
 *
 * The tokens of block t look at the state that had seen the blocks before t; so the layer is
 * causal. A layer owns a state if it writes; it reads the states of the blocks in `reads`, its own
 * unless said otherwise. A layer that reads another's state sees it as it stood when the block
 * began, wherever it stands in the stack (feedback), which makes the model run block by block.
 *
 * Dropout: of attention weights where tokens look at tokens and states (`dropout`), none where
 * states are written, as in the paper. DIFFERS: the paper also drops numbers of what goes into
 * attention; here it is what comes out of every layer (the model's `residual.dropout`), as most
 * models do.
 *
 * Between complete blocks the state does not change; the keys and values of an unfinished block are
 * carried until it is complete, unless the model says `partial: flush`. */

typedef struct recurrent_options {
    token_options tokens;
    state_options state;
    bool write;
    int64_t write_keys;
    const node *reads;
} recurrent_options;

enum { KEYS_BLOCK, KEYS_MEMORY };
enum { MAX_READS = 64, NO_BLOCK = -1 };

#define STATE_AT(field) (offsetof(recurrent_options, state) + offsetof(state_options, field))
static const option OPTIONS[] = {
    TOKEN_OPTIONS(recurrent_options, tokens, 2,
                  "positions seen before the query's own block; none: one block", "l2",
                  "memory>0 or memory=none"),
    COMPRESSION_OPTIONS(recurrent_options, tokens, "0"),
    {"states", OPTION_INT, STATE_AT(states), .initial = "32", .min = 2, .max = 65536,
     .needs = "write", .help = "state vectors"},
    {"gate", OPTION_CHOICE, STATE_AT(gate), .initial = "fixed", .choices = "fixed|lstm",
     .needs = "write",
     .help = "how old and new state mix: by a learned constant, or by what was read"},
    {"configuration", OPTION_CHOICE, STATE_AT(configuration), .initial = "skip",
     .choices = "skip|single|dual", .needs = "write",
     .help = "what follows the states' attention: one gate; a feed-forward layer and one gate; a "
             "gate after each"},
    {"gate_form", OPTION_CHOICE, STATE_AT(form), .initial = "paper", .choices = "paper|port",
     .needs = "write",
     .help = "orientation and start of the gate as in the paper or as in the PyTorch port"},
    {"state_norm", OPTION_CHOICE, STATE_AT(norm), .initial = "layernorm",
     .choices = "layernorm|rmsnorm", .needs = "write",
     .help = "normalisation of the states, without bias"},
    {"state_scale", OPTION_REAL, STATE_AT(scale), .initial = "8", .min = 1e-2, .max = 16,
     .nullable = true, .needs = "write or reads",
     .help = "what scores of and with states (unit vectors) start multiplied with; none: "
             "1/sqrt(head_dim)"},
    {"state_hidden", OPTION_INT, STATE_AT(hidden), .initial = "none", .min = 1, .max = 1e6,
     .nullable = true, .needs = "write and configuration=single|dual",
     .help = "hidden units of the states' layer; none: 4 x width"},
    {"clear_state", OPTION_CHOICE, STATE_AT(clear), .initial = "document",
     .choices = "document|segment|never", .needs = "write",
     .help = "when the state starts anew: with the row's reset, also every segment_blocks, never"},
    {"segment_blocks", OPTION_INT, STATE_AT(segment_blocks), .initial = "8", .min = 1, .max = 1e6,
     .needs = "write and clear_state=segment",
     .help = "blocks of a segment; 1: nothing is ever remembered"},
    {"state_dropout", OPTION_REAL, STATE_AT(dropout), .initial = "0", .min = 0, .max = 0.95,
     .needs = "write",
     .help = "probability that a training segment begins without its row's state"},
    {"write", OPTION_BOOL, offsetof(recurrent_options, write), .initial = "true",
     .help = "owns a state; false: reads others' only"},
    {"write_keys", OPTION_CHOICE, offsetof(recurrent_options, write_keys), .initial = "block",
     .choices = "block|memory", .needs = "write and memory>0 or write and memory=none",
     .help = "what states take in: the block (port), or its memory, too (paper)"},
    {"reads", OPTION_NODE, offsetof(recurrent_options, reads),
     .help = "blocks whose states the tokens look at, from 0: [3]; default: its own, if it writes"},
    {0}};

/* A state that is read. */
typedef struct state_read {
    int64_t block;    /* NO_BLOCK: the layer's own */
    const char *name; /* as inspection calls it */
    int q, q_gain, k_gain;
    const layer *owner;
} state_read;

/* tokens: the attention among tokens; state: of what the layer owns; read [reads]: of what it looks
 * at. */
typedef struct recurrent_plan {
    token_plan tokens;
    state_plan state; /* heads and widths also where the layer owns none */
    int reads;
    state_read *read;
    int out, out_bias;
} recurrent_plan;

/* ---- options ---- */

/* The blocks in `reads`; returns how many, -1 and e where it is no list of them. */
static int read_blocks(const recurrent_options *o, int64_t blocks[MAX_READS], const node *at,
                       err *e)
{
    if (!o->reads || node_is_null(o->reads)) {
        blocks[0] = NO_BLOCK;
        return o->write ? 1 : 0;
    }
    const node *list = o->reads;
    char meant[OPTION_MEANT_BYTES];
    if (list->kind != NODE_LIST || list->count > MAX_READS) {
        node_err(e, list ? list : at, "expected a list of blocks, such as [3], or [] for none");
        return -1;
    }
    for (int i = 0; i < list->count; i++) {
        const node *n = list->items[i];
        if (!option_node_to_int(n, &blocks[i]) || blocks[i] < 0) {
            return node_err(e, n, "expected the index of a block, from 0%s",
                            option_node_meant(meant, n)),
                   -1;
        }
    }
    return list->count;
}

static bool recurrent_check(const void *options, const layer_dims *dims, const node *at, err *e)
{
    const recurrent_options *o = options;
    int64_t blocks[MAX_READS];
    return token_options_check(&o->tokens, dims, at, e) && read_blocks(o, blocks, at, e) >= 0;
}

static int64_t own_block(const layer *self)
{
    long long block;
    return sscanf(self->name, "blocks.%lld.", &block) == 1 ? block : NO_BLOCK;
}

static void recurrent_settle(void *options, const layer *self)
{
    recurrent_options *o = options;
    int64_t width = self->dims.width, d = token_options_head_dim(&o->tokens, width);
    int64_t blocks[MAX_READS];
    int reads = read_blocks(o, blocks, self->at, NULL);
    token_attention_settle(&o->tokens, self, self->dims.block);
    if (head_norm_starts_at_one(o->state.scale, d, QK_NORM_L2)) o->state.scale = -1;
    option_settle(&o->state.hidden, 4 * width, -1);
    /* `reads: [3]` in block 3 says what leaving it out says. */
    bool own = reads == 1 && o->write && blocks[0] == own_block(self);
    if (own || (reads == 0 && !o->write)) o->reads = NULL;
}

/* ---- building ---- */

static void build_reads(layer_build *b, layer *self, recurrent_plan *plan)
{
    const recurrent_options *o = self->options;
    int64_t blocks[MAX_READS], q_width = plan->tokens.q_width, d = plan->tokens.head_dim;
    double gain = head_norm_gain(o->state.scale, d, QK_NORM_L2);
    plan->reads = read_blocks(o, blocks, self->at, NULL);
    plan->read = ARENA_NEW(b->memory, state_read, plan->reads);
    for (int i = 0; i < plan->reads; i++) {
        state_read *r = &plan->read[i];
        char name[64];
        *r = (state_read){.block = blocks[i]};
        if (o->write && blocks[i] == own_block(self)) r->block = NO_BLOCK;
        if (r->block == NO_BLOCK) r->owner = self;
        /* An owner above has to write block t - 1 before this layer reads for block t. */
        if (r->block != NO_BLOCK) self->blockwise = true;
        snprintf(name, sizeof name, "read.%d", i);
        r->name = plan->reads == 1 ? "read" : arena_strdup(b->memory, name);
        snprintf(name, sizeof name, "read.%d.q.weight", i);
        r->q = layer_matrix(b, self, name, q_width, self->dims.width, false);
        snprintf(name, sizeof name, "read.%d.q_norm.gain", i);
        r->q_gain = layer_vector(b, self, name, ROLE_GAIN, d, gain);
        snprintf(name, sizeof name, "read.%d.k_norm.gain", i);
        r->k_gain = layer_vector(b, self, name, ROLE_GAIN, d, gain);
    }
}

static void recurrent_build(layer_build *b, layer *self)
{
    const recurrent_options *o = self->options;
    recurrent_plan *plan = ARENA_NEW(b->memory, recurrent_plan, 1);
    *plan = (recurrent_plan){.out_bias = -1};
    self->plan = plan;
    plan->tokens = token_attention_build(b, self, &o->tokens, self->dims.block, o->write);
    if (o->write) plan->state = recurrent_state_build(b, self, &o->state, &plan->tokens);
    build_reads(b, self, plan);
    int64_t width = self->dims.width, inputs = plan->tokens.q_width * (1 + plan->reads);
    plan->out = layer_matrix(b, self, "out.weight", width, inputs, true);
    if (o->tokens.bias) plan->out_bias = layer_vector(b, self, "out.bias", ROLE_BIAS, width, 0);
}

static const recurrent_plan *plan_of(const layer *l)
{
    return l->plan;
}

static const recurrent_options *options_of(const layer *l)
{
    return l->options;
}

extern const layer_class block_recurrent_layer;

/* Once all layers are built, as the owner may stand further up. */
static bool recurrent_link(const layer_build *b, layer *self, err *e)
{
    const recurrent_plan *plan = self->plan;
    for (int i = 0; i < plan->reads; i++) {
        state_read *r = &plan->read[i];
        if (r->owner) continue;
        const layer *owner = layer_in_block(b, r->block, &block_recurrent_layer);
        if (!owner || !options_of(owner)->write) {
            return node_err(e, self->at,
                            "reads: block %lld has no block_recurrent layer that "
                            "writes; blocks are counted from 0",
                            (long long)r->block);
        }
        const state_plan *s = &plan_of(owner)->state;
        if (s->head_dim != plan->tokens.head_dim || s->kv_heads != plan->tokens.kv_heads) {
            return node_err(e, self->at,
                            "reads: block %lld has states of %lld key heads of %lld; give this "
                            "layer the same",
                            (long long)r->block, (long long)s->kv_heads, (long long)s->head_dim);
        }
        r->owner = owner;
    }
    return true;
}

/* ---- forward ---- */

/* What goes from block to block of a call. */
typedef struct recurrent_walk {
    tensor *state; /* the layer's own; NULL: owns none, or nothing is carried yet */
    prepared_state own;
    token_result tokens;
    int64_t begin, end; /* the block's part of the call */
    real **weights;     /* [reads]: for inspection, [rows, time, states]; else NULL */
} recurrent_walk;

static tensor *part_of(layer_ctx *c, tensor *x, const recurrent_walk *w)
{
    if (w->begin == 0 && w->end == c->time) return x;
    return op_slice(c->tape, x, 1, w->begin, w->end);
}

static prepared_state prepared_of(layer_ctx *c, const layer *self, const state_read *r,
                                  const recurrent_walk *w)
{
    /* Its own state moves on with the blocks of this call; another's is what came into the call,
     * which for a blockwise stack is a block. */
    if (r->owner == self) return w->own;
    CHECK(w->end == c->time, "%s reads another's state in a call of several blocks", self->name);
    const state_options *o = &options_of(r->owner)->state;
    const state_plan *plan = &plan_of(r->owner)->state;
    tensor *carried = layer_state_at(c, r->owner->first_slot + plan->slot);
    tensor *state = recurrent_state_begin(c, r->owner, o, plan, 0, carried);
    return recurrent_state_prepare(c, r->owner, o, plan, state);
}

/* The part's tokens look at one state. q: of the whole call, normalised. */
static tensor *read_state(layer_ctx *c, const layer *self, int index, tensor *q,
                          const recurrent_walk *w)
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    const state_read *r = &plan->read[index];
    prepared_state s = prepared_of(c, self, r, w);
    /* The owner's keys and values, this layer's queries: heads are those of the queries. */
    state_plan shape = plan_of(r->owner)->state;
    shape.heads = plan->tokens.heads;
    attention_operand k = head_norm(c->tape, (attention_operand){s.kv, 0}, shape.kv_heads,
                                    shape.head_dim, QK_NORM_L2, layer_tensor(c, self, r->k_gain));
    attention_operand queries = {part_of(c, q, w), 0};
    if (w->begin == 0 && c->time > 1) {
        state_figures_entropy(c, self, &plan->tokens, queries, k);
    }
    if (w->weights) {
        state_figures_keep(c, &w->weights[index], w->begin, w->end,
                           recurrent_state_weights(c, &shape, queries, k, NULL), k.x->shape[1]);
    }
    rng_key key = layer_key(c, self, "read");
    key.place += (uint32_t)(w->begin + index);
    return recurrent_state_attend(c, &shape, queries, k, (attention_operand){s.kv, shape.kv_width},
                                  NULL, c->mode == MODE_TRAIN ? o->tokens.dropout : 0, key);
}

/* The block is complete (or flushed): its keys and values go into the state. */
static tensor *write_state(layer_ctx *c, const layer *self, const recurrent_walk *w)
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    int64_t phase = (c->position[0] + w->begin) % self->dims.block;
    /* In kv position i of the call stands at extra + i, and the block began `phase` positions
     * before this part of it. */
    int64_t end = w->tokens.extra + w->end, begin = w->tokens.extra + w->begin - phase;
    const int64_t *counts = NULL;
    if (o->write_keys == KEYS_MEMORY && begin > 0) {
        int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid), own = end - begin;
        begin = MAX(0, begin - plan->tokens.memory);
        /* Of the memory in front a row may have seen less than others, for it was reset or lost
         * it; of the block itself all rows have the same. */
        for (int64_t r = 0; r < c->rows; r++) {
            int64_t behind = w->begin - phase + w->tokens.valid[r];
            valid[r] = own + MIN(plan->tokens.memory, MAX(0, behind));
        }
        counts = valid;
    }
    state_block b = {.kv = op_slice(c->tape, w->tokens.kv, 1, begin, end),
                     .valid = counts,
                     .begin = w->begin,
                     .end = w->end,
                     .exchange = plan->reads};
    return recurrent_state_write(c, self, &o->state, &plan->state, &w->own, &b);
}

/* Prepared once and used twice: what tokens read and what the write starts from is the state as it
 * stood when the block began. */
static void run_block(layer_ctx *c, const layer *self, recurrent_walk *w, tensor *const *queries,
                      tensor **seen)
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    if (o->write) {
        w->state = recurrent_state_begin(c, self, &o->state, &plan->state, w->begin, w->state);
        w->own = recurrent_state_prepare(c, self, &o->state, &plan->state, w->state);
    }
    /* Read first: the block's own tokens are not in what they look at. */
    for (int i = 0; i < plan->reads; i++) {
        seen[i] = read_state(c, self, i, queries[i], w);
    }
    bool complete = (c->position[0] + w->end) % self->dims.block == 0;
    if (o->write && (complete || self->dims.flush)) w->state = write_state(c, self, w);
}

/* Queries to the states, of the whole call at once: they depend on tokens only, and one product is
 * faster than one per block. What they meet, the states, is there block by block. */
static tensor *queries_of(layer_ctx *c, const layer *self, const state_read *r, tensor *x)
{
    const recurrent_plan *plan = self->plan;
    tensor *q = layer_linear(c, self, x, r->q, -1);
    return head_norm(c->tape, (attention_operand){q, 0}, plan->tokens.heads, plan->tokens.head_dim,
                     QK_NORM_L2, layer_tensor(c, self, r->q_gain))
        .x;
}

/* What the tokens saw in each state: seen [reads], each over the whole call.
 * parts [reads, blocks]: what each block's tokens saw, joined along time at the end. */
static void run_blocks(layer_ctx *c, const layer *self, recurrent_walk *w, tensor *x, tensor **seen)
{
    const recurrent_plan *plan = self->plan;
    int64_t block = self->dims.block, phase = c->position[0] % block;
    int64_t blocks = (phase + c->time + block - 1) / block;
    tensor **queries = tape_keep(c->tape, plan->reads, sizeof(tensor *));
    tensor **parts = tape_keep(c->tape, plan->reads * blocks, sizeof(tensor *));
    tensor **now = tape_keep(c->tape, plan->reads, sizeof(tensor *));
    for (int i = 0; i < plan->reads; i++) {
        queries[i] = queries_of(c, self, &plan->read[i], x);
    }
    for (int64_t n = 0; n < blocks; n++) {
        /* The first block may have begun before the call, the last may end after it. */
        w->begin = n == 0 ? 0 : n * block - phase;
        w->end = MIN(c->time, (n + 1) * block - phase);
        run_block(c, self, w, queries, now);
        for (int i = 0; i < plan->reads; i++) {
            parts[i * blocks + n] = now[i];
        }
    }
    for (int i = 0; i < plan->reads; i++) {
        seen[i] = blocks == 1 ? parts[i] : op_concat(c->tape, (int)blocks, parts + i * blocks, 1);
    }
}

/* W_out's columns are [tokens, read 0, read 1, ...], q_width each. */
static void tell_reads(layer_ctx *c, const layer *self, const recurrent_walk *w,
                       tensor *const *seen, const tensor *y)
{
    const recurrent_plan *plan = self->plan;
    int64_t q_width = plan->tokens.q_width;
    for (int i = 0; i < plan->reads; i++) {
        tensor *out = op_columns(c->tape, layer_tensor(c, self, plan->out), (1 + i) * q_width,
                                 (2 + i) * q_width);
        state_figures_tell(c, self, i, w->weights[i], op_linear(c->tape, seen[i], out, NULL), y);
    }
}

static tensor *recurrent_forward(layer_ctx *c, const layer *self, tensor *x)
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    recurrent_walk w = {.tokens = token_attention_forward(c, self, &o->tokens, &plan->tokens, x)};
    /* Not layer_carried, which gives zeros to a row that was reset: it begins with the learned
     * start, and inside a block nothing is cleared. */
    if (o->write) w.state = layer_state(c, self, plan->state.slot);
    tensor **seen = tape_keep(c->tape, 1 + plan->reads, sizeof(tensor *));
    seen[0] = w.tokens.y;
    if (c->watch->exchanged) w.weights = tape_keep(c->tape, plan->reads, sizeof *w.weights);
    run_blocks(c, self, &w, x, seen + 1);
    if (o->write) layer_state_set(c, self, plan->state.slot, w.state);
    tensor *y = plan->reads ? op_concat(c->tape, 1 + plan->reads, seen, 2) : seen[0];
    y = layer_linear(c, self, y, plan->out, plan->out_bias);
    if (w.weights) tell_reads(c, self, &w, seen + 1, y);
    return y;
}

/* ---- for inspection ---- */

/* Its reads, in order, then what it writes. */
static int recurrent_exchanges(const layer *self, layer_exchange list[MAX_EXCHANGES])
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    int n = 0;
    for (; n < plan->reads; n++) {
        const state_read *r = &plan->read[n];
        list[n] = (layer_exchange){r->name, r->owner, false, options_of(r->owner)->state.states};
    }
    if (o->write) list[n++] = (layer_exchange){"write", self, true, o->state.states};
    return n;
}

/* ---- cost ---- */

static layer_cost recurrent_cost(const layer *self)
{
    const recurrent_plan *plan = self->plan;
    const recurrent_options *o = self->options;
    double width = (double)self->dims.width, q_width = (double)plan->tokens.q_width;
    double flops = token_attention_flops(self, &o->tokens, &plan->tokens) +
                   2 * width * q_width * (1 + plan->reads);
    for (int i = 0; i < plan->reads; i++) {
        const layer *owner = plan->read[i].owner;
        const state_options *s = &options_of(owner)->state;
        flops += 2 * width * q_width + 4 * q_width * (double)s->states;
        if (owner != self) flops += recurrent_state_prepare_flops(owner, s, &plan_of(owner)->state);
    }
    if (o->write) {
        int64_t keys = self->dims.block + (o->write_keys == KEYS_MEMORY ? plan->tokens.memory : 0);
        flops += recurrent_state_prepare_flops(self, &o->state, &plan->state) +
                 recurrent_state_write_flops(self, &o->state, &plan->state, keys);
    }
    return (layer_cost){.forward_flops = flops,
                        .bench_flops = 6 * (double)self->dims.block * q_width};
}

const layer_class block_recurrent_layer = {
    .name = "block_recurrent",
    .cite = "Hutchins et al. 2022, arXiv:2203.07852, sec. 3",
    .help = "attention with state vectors that are carried from block to block",
    OPTIONS_OF(recurrent_options, OPTIONS),
    .check = recurrent_check,
    .settle = recurrent_settle,
    .build = recurrent_build,
    .link = recurrent_link,
    .forward = recurrent_forward,
    .output_is_free = true,
    .cost = recurrent_cost,
    .exchanges = recurrent_exchanges};
