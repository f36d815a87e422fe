#include "layers/token_blocks.h"

#include "layers/compression.h"
#include "layers/token_memory.h"
#include "layers/token_scores.h"

/* Keys and values of the call with those before it, as the blocks of the call see them. */
typedef struct block_walk {
    tensor *kv, *compressed; /* [rows, length, 2 kv_width]; compressed may be NULL */
    int64_t block_begin;     /* where the current block begins in kv; may be negative */
    int64_t tokens;          /* positions of the call before the current block's part */
} block_walk;

/* The first key of the memory of a block that begins at `block_begin`.
 * Not before kv's first entry: less may be there than the memory holds. */
static int64_t memory_begin(const token_plan *plan, int64_t block_begin)
{
    return MAX(0, block_begin - plan->memory);
}

/* How many of the keys before the queries are each row's own: compressed, memory, own block. */
static const int64_t *valid_entries(layer_ctx *c, const layer *self, const token_options *o,
                                    const token_plan *plan, const block_walk *w)
{
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid), block = self->dims.block;
    int64_t entries = w->compressed ? w->compressed->shape[1] : 0;
    for (int64_t r = 0; r < c->rows; r++) {
        int64_t p = c->position[r] + w->tokens, phase = p % block;
        int64_t behind = MAX(0, p - phase - token_memory_first(c, self, plan, r));
        /* Of what was there, less may be carried. */
        valid[r] = phase + MIN(MIN(plan->memory, behind), MAX(0, w->block_begin)) +
                   MIN(entries, compression_count(o, plan, block, behind));
    }
    return valid;
}

static tensor *attend_block(layer_ctx *c, const layer *self, const token_options *o,
                            const token_plan *plan, const block_walk *w, tensor *q, int64_t end)
{
    tensor *keys = op_slice(c->tape, w->kv, 1, memory_begin(plan, w->block_begin), end);
    if (w->compressed) keys = op_concat(c->tape, 2, (tensor *[]){w->compressed, keys}, 1);
    attention_shape shape = token_scores_shape(c, self, o, plan);
    shape.block = shape.phase = 0; /* the keys are exactly what the block may see */
    shape.valid = valid_entries(c, self, o, plan, w);
    /* Dropout's numbers of another block. */
    shape.key.place += (uint32_t)w->tokens;
    attention_operand k = {keys, 0}, v = {keys, plan->kv_width};
    return token_scores(c, self, o, plan, (attention_operand){q, 0}, k, v, &shape);
}

/* The block is complete: what falls out of the memory is compressed. asked: raw queries, the
 * block's last one at end - 1; NULL if nobody looks at them.
 * n entries of `factor` positions each; what does not fill one is dropped, the oldest first. The
 * oldest entries go where there are more than `compressed`. */
static void commit_block(layer_ctx *c, const layer *self, const token_options *o,
                         const token_plan *plan, block_walk *w, tensor *asked, int64_t end)
{
    int64_t from = memory_begin(plan, w->block_begin);
    w->block_begin += self->dims.block;
    int64_t to = memory_begin(plan, w->block_begin), n = (to - from) / o->factor;
    if (n == 0) return;
    tensor *over = op_slice(c->tape, w->kv, 1, to - n * o->factor, to);
    tensor *q = asked ? op_slice(c->tape, asked, 1, end - self->dims.block, end) : NULL;
    tensor *entries = compress(c, self, o, plan, over, (attention_operand){q, 0});
    if (w->compressed) entries = op_concat(c->tape, 2, (tensor *[]){w->compressed, entries}, 1);
    int64_t length = entries->shape[1];
    if (length > o->compressed) entries = token_memory_cut(c, entries, length, o->compressed);
    w->compressed = entries;
}

/* Raw queries of the call behind those of its first block that came before it. */
static tensor *asked_before(layer_ctx *c, const layer *self, const token_plan *plan,
                            tensor *queries, int64_t phase)
{
    if (phase == 0) return queries;
    tensor *before = layer_state(c, self, plan->query_slot);
    CHECK(before && before->shape[1] == phase, "%s lost queries", self->name);
    return op_concat(c->tape, 2, (tensor *[]){before, queries}, 1);
}

/* Those of the unfinished block are carried. */
static void carry_queries(layer_ctx *c, const layer *self, const token_plan *plan, tensor *asked)
{
    int64_t end = asked->shape[1], done = self->dims.flush ? 0 : end % self->dims.block;
    layer_state_set(c, self, plan->query_slot,
                    done > 0 ? token_memory_cut(c, asked, end, done) : NULL);
}

token_result token_blocks(layer_ctx *c, const layer *self, const token_options *o,
                          const token_plan *plan, tensor *qkv)
{
    tensor *past = layer_state(c, self, plan->slot);
    int64_t block = self->dims.block, phase = c->position[0] % block, count = 0;
    token_result r = {.extra = past ? past->shape[1] : 0};
    r.kv = op_columns(c->tape, qkv, plan->q_width, plan->q_width + 2 * plan->kv_width);
    if (past) r.kv = op_concat(c->tape, 2, (tensor *[]){past, r.kv}, 1);
    tensor *queries = r.q = op_columns(c->tape, qkv, 0, plan->q_width);
    tensor *asked = compression_asks(o) ? asked_before(c, self, plan, queries, phase) : NULL;
    block_walk w = {r.kv, layer_state(c, self, plan->compressed_slot), r.extra - phase, 0};
    tensor **parts = tape_keep(c->tape, (phase + c->time) / block + 1, sizeof(tensor *));
    while (w.tokens < c->time) {
        int64_t time = MIN(c->time - w.tokens, block - (phase + w.tokens) % block);
        int64_t end = w.tokens + time;
        tensor *q = op_slice(c->tape, queries, 1, w.tokens, end);
        parts[count++] = attend_block(c, self, o, plan, &w, q, r.extra + end);
        if ((phase + end) % block == 0) commit_block(c, self, o, plan, &w, asked, phase + end);
        w.tokens = end;
    }
    if (asked && plan->query_slot >= 0) carry_queries(c, self, plan, asked);
    r.y = count == 1 ? parts[0] : op_concat(c->tape, (int)count, parts, 1);
    layer_state_set(c, self, plan->compressed_slot, w.compressed);
    int64_t end, keep = token_memory_kept(c, self, o, plan, r.extra, &end);
    if (plan->slot >= 0) {
        layer_state_set(c, self, plan->slot,
                        keep > 0 ? token_memory_cut(c, r.kv, end, keep) : NULL);
    }
    return r;
}
