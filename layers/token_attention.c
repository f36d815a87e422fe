#include "layers/token_attention.h"
#include "layers/compression.h"

#include <math.h>

/* Two ways through a call. Without compression all of it is one op_attention, which is told the
 * grid and cuts its scores by it: what a query may see follows from positions alone. With
 * compression, what a block sees depends on the blocks before it, so blocks are run one after the
 * other on tensors of exactly their keys.
 *
 * What is carried are raw keys and values: before rotation, as positions are counted anew in every
 * call, and before normalisation, whose gain goes on learning. (Where text is generated, keys as
 * attention wants them are kept beside: attend_rotated.) It is aligned to the right, newest last,
 * so rows of different age share a tensor: of each only the newest valid[row] entries count, and
 * the rest is masked and never cleared.
 *
 * How many keys are carried follows from the phase in the block and from how many there were, never
 * from what a row holds: a row that was reset, or lost its memory, keeps its place in the tensor
 * and has its keys hidden. */

/* ---- building ---- */

double token_attention_gain(double scale, int64_t head_dim, int64_t kind)
{
    /* The lengths that normalisation gives: 1 (l2), sqrt(head_dim) (rms). */
    double root = sqrt((double)head_dim), start = kind == QK_NORM_L2 ? 1 / root : root;
    /* Both gains start alike, and a score with gain^2 start. */
    return scale < 0 ? 1 : sqrt(scale / start);
}

bool token_attention_starts_at_one(double scale, int64_t head_dim, int64_t kind)
{
    real gain = (real)token_attention_gain(scale, head_dim, kind);
    return gain >= 1 && gain <= 1;
}

/* One matrix for queries, keys and values: one product, whose columns [q, k, v] the heads are. */
static void add_params(layer_build *b, layer *self, const token_options *o, token_plan *plan)
{
    int64_t width = self->dims.width, packed = plan->q_width + 2 * plan->kv_width;
    plan->qkv = layer_matrix(b, self, "qkv.weight", packed, width, false);
    if (o->bias) plan->qkv_bias = layer_vector(b, self, "qkv.bias", ROLE_BIAS, packed, 0);
    if (o->positions == POSITIONS_T5) {
        int64_t shape[] = {o->t5_buckets, plan->heads};
        plan->t5_table =
            layer_param(b, self, "t5.bias", ROLE_BIAS, 2, shape, (param_init){INIT_NORMAL, b->std});
    }
    if (o->qk_norm != QK_NORM_NONE) {
        double gain = token_attention_gain(o->qk_scale, plan->head_dim, o->qk_norm);
        plan->q_gain = layer_vector(b, self, "q_norm.gain", ROLE_GAIN, plan->head_dim, gain);
        plan->k_gain = layer_vector(b, self, "k_norm.gain", ROLE_GAIN, plan->head_dim, gain);
    }
}

/* Keys that are carried when `done` positions of a block are.
 * A later query of the block sees its own block's keys and the memory before it; with a window,
 * only as far back as that reaches. */
static int64_t carried_after(const token_options *o, const token_plan *plan, int64_t done)
{
    int64_t keys = plan->memory + done;
    return o->window > 0 && !plan->whole_block ? MIN(keys, o->window - 1) : keys;
}

void token_attention_settle(token_options *o, const layer *self, int64_t memory)
{
    int64_t width = self->dims.width, d = token_options_head_dim(o, width);
    if (o->qk_norm != QK_NORM_NONE && token_attention_starts_at_one(o->qk_scale, d, o->qk_norm)) {
        o->qk_scale = -1;
    }
    option_settle(&o->kv_heads, o->heads, -1);
    if (width % o->heads == 0) option_settle(&o->head_dim, width / o->heads, -1);
    option_settle(&o->memory, memory, -1);
    /* Who sees itself alone looks at no distance: t5 keeps its table of biases. */
    if (o->window == 1 && o->positions != POSITIONS_T5) {
        o->positions = POSITIONS_NONE;
        o->memory = -1;
    }
}

token_plan token_attention_build(layer_build *b, layer *self, const token_options *o,
                                 int64_t memory, bool whole_block)
{
    token_plan plan = {.heads = o->heads,
                       .kv_heads = o->kv_heads > 0 ? o->kv_heads : o->heads,
                       .head_dim = token_options_head_dim(o, self->dims.width),
                       .memory = o->memory >= 0 ? o->memory : memory,
                       .whole_block = whole_block,
                       .qkv_bias = -1,
                       .t5_table = -1,
                       .q_gain = -1,
                       .k_gain = -1,
                       .compress_k = -1,
                       .compress_v = -1,
                       .compress_k_bias = -1,
                       .compress_v_bias = -1,
                       .slot = -1,
                       .first_slot = -1,
                       .compressed_slot = -1,
                       .query_slot = -1};
    plan.q_width = plan.heads * plan.head_dim;
    plan.kv_width = plan.kv_heads * plan.head_dim;
    plan.rotary = o->positions == POSITIONS_ROTARY || o->positions == POSITIONS_XPOS;
    add_params(b, self, o, &plan);
    /* Most is carried one position before a block is full. */
    int64_t longest = carried_after(o, &plan, self->dims.block - 1);
    /* Written in place where nothing is recorded; who needs the block's keys as one tensor, or
     * cuts them block by block, has no use for that. */
    plan.grows = longest > 0 && !whole_block && o->compressed == 0;
    if (longest > 0) {
        /* xpos's powers leave float's range unless they are counted from the call's middle. */
        bool keeps = plan.rotary && o->positions != POSITIONS_XPOS;
        int64_t width = 2 * plan.kv_width;
        plan.slot = plan.grows ? layer_slot_growing(b, self, "kv", longest, width,
                                                    keeps ? plan.kv_width : 0)
                               : layer_slot_cache(b, self, "kv", longest, width);
        plan.keeps_rotated = plan.grows && keeps;
    }
    self->unfinished = (longest - carried_after(o, &plan, 0)) * 2 * plan.kv_width;
    if (o->compressed > 0) {
        compression_build(b, self, o, &plan);
        plan.compressed_slot =
            layer_slot_cache(b, self, "compressed", o->compressed, 2 * plan.kv_width);
        bool looks = o->compression == COMPRESS_MOST_USED || o->reconstruction > 0;
        int64_t pending = self->dims.block - 1;
        if (looks && pending > 0) {
            plan.query_slot = layer_slot_cache(b, self, "queries", pending, plan.q_width);
            self->unfinished += pending * plan.q_width;
        }
        self->detached |= o->reconstruction > 0;
    }
    bool loses = o->memory_dropout > 0 || self->dims.flush;
    if (loses && longest > 0) plan.first_slot = layer_slot_cache(b, self, "first", 1, 1);
    self->whole_call |= self->dims.flush;
    return plan;
}

/* ---- how much of the memory is a row's own ---- */

/* Whether the row's memory is dropped where this segment begins. */
static bool drops(const layer_ctx *c, const layer *self, const token_options *o, int64_t row)
{
    /* Once per segment, where it begins: its first call, and of that the first block. */
    if (c->mode != MODE_TRAIN || o->memory_dropout == 0 || c->call > 0 || c->part > 0) return false;
    rng_key key = layer_key(c, self, "memory_dropout");
    key.row += (uint32_t)row;
    return rng_uniform(key, 0) < o->memory_dropout;
}

/* The position since which the row's memory counts, at the call's beginning. Rounded, since what is
 * carried is a real. */
static int64_t first_of(const layer_ctx *c, const layer *self, const token_plan *plan, int64_t row)
{
    const tensor *first = layer_state_next(c, self, plan->first_slot);
    if (!first || c->position[row] == 0) return 0;
    return (int64_t)floor((double)first->data[row] + 0.5);
}

/* Positions before the call's first that the row may see. */
static int64_t valid_of(const layer_ctx *c, const layer *self, const token_plan *plan, int64_t row,
                        int64_t extra)
{
    return MAX(0, MIN(extra, c->position[row] - first_of(c, self, plan, row)));
}

/* Puts the rows' `first` of this call where it is carried. */
static void begin_memory(layer_ctx *c, const layer *self, const token_options *o,
                         const token_plan *plan)
{
    if (plan->first_slot < 0) return;
    tensor *first = tape_tensor(c->tape, 3, (int64_t[]){c->rows, 1, 1});
    for (int64_t r = 0; r < c->rows; r++) {
        int64_t block_begin = c->position[r] - c->position[r] % self->dims.block;
        first->data[r] = (real)(drops(c, self, o, r) ? block_begin : first_of(c, self, plan, r));
    }
    layer_state_set(c, self, plan->first_slot, first);
}

/* Flushing an incomplete block moves the rows on to the next one without anything to remember.
 * Positions jump to the next block, and the keys that the gap would have held must not be counted
 * as a row's own: `first` moves by as much. */
static void skip_block(layer_ctx *c, const layer *self, const token_plan *plan)
{
    if (plan->first_slot < 0) return;
    tensor *first = tape_tensor(c->tape, 3, (int64_t[]){c->rows, 1, 1});
    for (int64_t r = 0; r < c->rows; r++) {
        first->data[r] = (real)(first_of(c, self, plan, r) + self->dims.block);
    }
    layer_state_set(c, self, plan->first_slot, first);
}

/* How many of the `extra` carried keys each row may look at; NULL if all. *any: some row may. */
static const int64_t *valid_keys(layer_ctx *c, const layer *self, const token_plan *plan,
                                 int64_t extra, bool *any)
{
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    /* NULL for the usual case spares the test per row in the op. */
    bool all = true;
    *any = false;
    for (int64_t r = 0; r < c->rows; r++) {
        valid[r] = valid_of(c, self, plan, r, extra);
        all &= valid[r] == extra;
        *any |= valid[r] > 0;
    }
    return all ? NULL : valid;
}

/* ---- what is carried ---- */

/* Entries [end - keep, end) along time, as memory of their own. */
static tensor *cut(layer_ctx *c, tensor *kv, int64_t end, int64_t keep)
{
    return op_slice(c->tape, kv, 1, end - keep, end);
}

/* Of `extra` carried keys and the call's own, `keep` are carried on, the last at end - 1.
 * done: positions of the block that is unfinished after this call. */
static int64_t kept_of(const layer_ctx *c, const layer *self, const token_options *o,
                       const token_plan *plan, int64_t extra, int64_t *end)
{
    int64_t done = (c->position[0] + c->time) % self->dims.block;
    *end = extra + c->time;
    /* The cut block's own keys are not worth carrying. */
    if (self->dims.flush && done > 0) *end -= done, done = 0;
    return MIN(carried_after(o, plan, done), MAX(*end, 0));
}

/* Raw keys and values of the call, behind the carried ones if there are any; stores what the next
 * call may see. NULL: nothing came, nothing goes on, nobody else wants it. */
static tensor *update_memory(layer_ctx *c, const layer *self, const token_options *o,
                             const token_plan *plan, tensor *qkv, tensor *past)
{
    int64_t end, keep = kept_of(c, self, o, plan, past ? past->shape[1] : 0, &end);
    /* Set to nothing, rather than left: what is not set stays, and would be seen a block late. */
    if (keep == 0 && plan->slot >= 0) layer_state_set(c, self, plan->slot, NULL);
    if (keep == 0 && !past && !plan->whole_block) return NULL;
    tensor *kv = op_columns(c->tape, qkv, plan->q_width, plan->q_width + 2 * plan->kv_width);
    if (past) kv = op_concat(c->tape, 2, (tensor *[]){past, kv}, 1);
    if (keep > 0) layer_state_set(c, self, plan->slot, cut(c, kv, end, keep));
    return kv;
}

/* ---- forward ---- */

attention_operand token_attention_normalised(tape *t, attention_operand a, int64_t heads,
                                             int64_t head_dim, int64_t kind, tensor *gain)
{
    int64_t width = heads * head_dim, rows = a.x->shape[0], length = a.x->shape[1];
    tensor *x = a.x;
    if (a.column > 0 || width < a.x->shape[2]) x = op_columns(t, a.x, a.column, a.column + width);
    x = tape_reshape(t, x, 4, (int64_t[]){rows, length, heads, head_dim});
    if (kind == QK_NORM_RMS) {
        x = op_rmsnorm(t, x, gain, (real)1e-6);
    } else {
        x = op_mul_row(t, op_l2norm(t, x, (real)1e-12), gain);
    }
    return (attention_operand){tape_reshape(t, x, 3, (int64_t[]){rows, length, width}), 0};
}

static void rotate(layer_ctx *c, const token_options *o, const token_plan *plan,
                   attention_operand *a, int64_t heads, int64_t first, int xpos)
{
    rotary_shape shape = {.column = a->column,
                          .heads = heads,
                          .head_dim = plan->head_dim,
                          .first = first,
                          .theta = o->theta,
                          .xpos = o->positions == POSITIONS_XPOS ? xpos : 0};
    a->x = op_rotary_inplace(c->tape, a->x, &shape);
}

/* A window is a distance, a memory ends where a block begins: together they hide whichever is
 * farther, which op_attention does in one test per tile of keys. */
static attention_shape shape_of(layer_ctx *c, const layer *self, const token_options *o,
                                const token_plan *plan)
{
    /* The window alone decides where the memory is no shorter. */
    bool grid = o->window <= 0 || plan->memory < o->window - 1, drops = c->mode == MODE_TRAIN;
    /* A key is made of text, which takes longer than a short call's softmax. */
    rng_key key = drops && o->dropout > 0 ? layer_key(c, self, "dropout") : (rng_key){0};
    return (attention_shape){.heads = plan->heads,
                             .kv_heads = plan->kv_heads,
                             .head_dim = plan->head_dim,
                             .scale = (real)(1 / sqrt((double)plan->head_dim)),
                             .causal = true,
                             .window = MAX(o->window, 0),
                             .block = grid ? self->dims.block : 0,
                             .phase = c->position[0] % self->dims.block,
                             .memory = plan->memory,
                             .t5_table = layer_tensor(c, self, plan->t5_table),
                             .t5_max_distance = o->t5_max_distance,
                             .alibi = o->positions == POSITIONS_ALIBI,
                             .dropout = drops ? o->dropout : 0,
                             .key = key};
}

/* By the layer's gain, if queries and keys are normalised. */
static attention_operand normalised(layer_ctx *c, const layer *self, const token_options *o,
                                    const token_plan *plan, attention_operand a, int64_t heads,
                                    int gain)
{
    if (o->qk_norm == QK_NORM_NONE) return a;
    return token_attention_normalised(c->tape, a, heads, plan->head_dim, o->qk_norm,
                                      layer_tensor(c, self, gain));
}

/* Normalises and rotates raw operands and attends; v stands in k's tensor, which may be q's own, or
 * in one that nobody changes. There are `extra` more keys than queries. */
static tensor *attend(layer_ctx *c, const layer *self, const token_options *o,
                      const token_plan *plan, attention_operand q, attention_operand k,
                      attention_operand v, const attention_shape *shape)
{
    int64_t extra = k.x->shape[1] - q.x->shape[1];
    /* Operands may be columns of one tensor, and rotation is in place and gives a tensor of its own
     * over the same memory: who reads the packed tensor afterwards has to read its latest version,
     * or gradients would go past the rotation. */
    bool shared = q.x == k.x, packed = v.x == k.x && o->qk_norm == QK_NORM_NONE;
    q = normalised(c, self, o, plan, q, plan->heads, plan->q_gain);
    k = normalised(c, self, o, plan, k, plan->kv_heads, plan->k_gain);
    shared &= o->qk_norm == QK_NORM_NONE;
    if (plan->rotary) {
        /* Centred on the call, so that xpos's powers stay in float's range for long calls. */
        int64_t first = -k.x->shape[1] / 2;
        rotate(c, o, plan, &q, plan->heads, first + extra, +1);
        if (shared) k.x = q.x;
        rotate(c, o, plan, &k, plan->kv_heads, first, -1);
        /* Each rotation is a version of the packed tensor: all operands read the last one. */
        if (shared) q.x = k.x;
    }
    if (packed) v.x = k.x;
    return op_attention(c->tape, q, k, v, shape);
}

/* The same for a generated token: keys are normalised and rotated once, when they come, and kept so
 * beside the slot. Scores depend on differences of angles, so an entry's may be its place's in the
 * slot. Rounded, they are others than those of attend, whose angles are counted from the call's
 * middle: no recorded figure comes from here. */
static tensor *attend_rotated(layer_ctx *c, const layer *self, const token_options *o,
                              const token_plan *plan, tensor *qkv, const layer_entries *kv,
                              attention_operand v, attention_shape *shape)
{
    int64_t done, place = layer_entries_made(kv, &done), time = qkv->shape[1];
    layer_entries new = *kv;
    new.data += done * kv->width;
    new.length -= done;
    attention_operand q = {qkv, 0}, k = {layer_entries_columns(c, &new, 0, plan->kv_width), 0};
    q = normalised(c, self, o, plan, q, plan->heads, plan->q_gain);
    k = normalised(c, self, o, plan, k, plan->kv_heads, plan->k_gain);
    rotate(c, o, plan, &q, plan->heads, place + kv->length - time, +1);
    rotate(c, o, plan, &k, plan->kv_heads, place + done, -1);
    k.x = layer_entries_make(c, kv, k.x, &shape->k_apart);
    return op_attention(c->tape, q, k, v, shape);
}

/* The same with keys and values in the slot's own memory, which stay as they are: keys are copied
 * only if they are normalised or rotated. */
static tensor *attend_entries(layer_ctx *c, const layer *self, const token_options *o,
                              const token_plan *plan, tensor *qkv, const layer_entries *kv,
                              attention_shape *shape)
{
    int64_t all[] = {c->rows, kv->length, kv->width};
    attention_operand v = {tape_leaf(c->tape, kv->data, 3, all, false), plan->kv_width}, k = v;
    shape->v_apart = shape->k_apart = kv->apart;
    if (c->by_token && plan->keeps_rotated) {
        return attend_rotated(c, self, o, plan, qkv, kv, v, shape);
    }
    if (plan->rotary || o->qk_norm != QK_NORM_NONE) {
        k.x = layer_entries_columns(c, kv, 0, plan->kv_width);
        shape->k_apart = 0;
    }
    k.column = 0;
    return attend(c, self, o, plan, (attention_operand){qkv, 0}, k, v, shape);
}

/* Nothing is recorded: the call's keys and values are written behind the carried ones. False: they
 * have to be joined as tensors.
 * The slot's memory has k and v of all that is carried with this call's behind them: attention
 * reads them where they lie, rows `apart`. */
static bool attend_grown(layer_ctx *c, const layer *self, const token_options *o,
                         const token_plan *plan, tensor *qkv, token_result *r)
{
    if (!plan->grows || plan->keep_queries) return false;
    layer_entries kv;
    bool any;
    int64_t extra = layer_state_length(c, self, plan->slot), end;
    int64_t keep = kept_of(c, self, o, plan, extra, &end);
    if (extra == 0 && keep == 0) return false;
    const int64_t *valid = valid_keys(c, self, plan, extra, &any);
    if (!layer_state_append(c, self, plan->slot, qkv, plan->q_width, end, keep, &kv)) return false;
    attention_shape shape = shape_of(c, self, o, plan);
    *r = (token_result){.extra = any ? extra : 0};
    if (any) {
        shape.valid = valid;
        r->y = attend_entries(c, self, o, plan, qkv, &kv, &shape);
    } else {
        attention_operand own = {qkv, plan->q_width}, v = {qkv, plan->q_width + plan->kv_width};
        r->y = attend(c, self, o, plan, (attention_operand){qkv, 0}, own, v, &shape);
    }
    return true;
}

/* All blocks of the call by one op_attention, which cuts its scores by the grid itself. What is
 * copied depends on what came in:
 *   nothing carried that a row may see   q, k and v stay columns of the one product
 *   something carried                    k and v stand behind it in a tensor of their own
 * As long as one row may look at what is carried, a row that has lost its memory (`first`) has its
 * keys hidden, no fewer keys: one call has one shape. */
static token_result attend_whole(layer_ctx *c, const layer *self, const token_options *o,
                                 const token_plan *plan, tensor *qkv)
{
    token_result r;
    if (attend_grown(c, self, o, plan, qkv, &r)) return r;
    tensor *past = layer_state(c, self, plan->slot);
    bool any = false;
    const int64_t *valid = past ? valid_keys(c, self, plan, past->shape[1], &any) : NULL;
    if (!any) past = NULL, valid = NULL;
    r = (token_result){.extra = past ? past->shape[1] : 0};
    if (plan->keep_queries) r.q = op_columns(c->tape, qkv, 0, plan->q_width);
    if (past || plan->slot >= 0 || plan->whole_block)
        r.kv = update_memory(c, self, o, plan, qkv, past);
    attention_operand q = {qkv, 0}, k = {qkv, plan->q_width};
    if (past) {
        /* Rotation is in place: what others read stays as it was. */
        k.x = plan->whole_block && plan->rotary && o->qk_norm == QK_NORM_NONE
                  ? op_slice(c->tape, r.kv, 1, 0, r.kv->shape[1])
                  : r.kv;
        k.column = 0;
    }
    attention_shape shape = shape_of(c, self, o, plan);
    shape.valid = valid;
    attention_operand v = {k.x, k.column + plan->kv_width};
    r.y = attend(c, self, o, plan, q, k, v, &shape);
    return r;
}

/* ---- block by block, with compressed entries ---- */

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
        int64_t behind = MAX(0, p - phase - first_of(c, self, plan, r));
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
    attention_shape shape = shape_of(c, self, o, plan);
    shape.block = shape.phase = 0; /* the keys are exactly what the block may see */
    shape.valid = valid_entries(c, self, o, plan, w);
    /* Dropout's numbers of another block. */
    shape.key.place += (uint32_t)w->tokens;
    attention_operand k = {keys, 0}, v = {keys, plan->kv_width};
    return attend(c, self, o, plan, (attention_operand){q, 0}, k, v, &shape);
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
    if (length > o->compressed) entries = cut(c, entries, length, o->compressed);
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
    layer_state_set(c, self, plan->query_slot, done > 0 ? cut(c, asked, end, done) : NULL);
}

/* With compression a block's keys depend on what the blocks before it, of this very call, pushed
 * out of the memory: so block after block, each with a tensor of exactly the keys that it may see,
 * [compressed, memory, own]. Queries are cut from the call; q, k and v are projected once. */
static token_result attend_blocks(layer_ctx *c, const layer *self, const token_options *o,
                                  const token_plan *plan, tensor *qkv)
{
    tensor *past = layer_state(c, self, plan->slot);
    int64_t block = self->dims.block, phase = c->position[0] % block, count = 0;
    token_result r = {.extra = past ? past->shape[1] : 0};
    r.kv = op_columns(c->tape, qkv, plan->q_width, plan->q_width + 2 * plan->kv_width);
    if (past) r.kv = op_concat(c->tape, 2, (tensor *[]){past, r.kv}, 1);
    tensor *queries = r.q = op_columns(c->tape, qkv, 0, plan->q_width);
    bool looks = o->compression == COMPRESS_MOST_USED || o->reconstruction > 0;
    tensor *asked = looks ? asked_before(c, self, plan, queries, phase) : NULL;
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
    /* A flushed block was cut: nothing of it is carried. */
    int64_t end = self->dims.flush ? w.block_begin : r.kv->shape[1];
    int64_t done = self->dims.flush ? 0 : (phase + c->time) % block;
    int64_t keep = MIN(plan->memory + done, MAX(end, 0));
    if (plan->slot >= 0) {
        layer_state_set(c, self, plan->slot, keep > 0 ? cut(c, r.kv, end, keep) : NULL);
    }
    return r;
}

token_result token_attention_forward(layer_ctx *c, const layer *self, const token_options *o,
                                     const token_plan *plan, tensor *x)
{
    tensor *qkv = layer_linear(c, self, x, plan->qkv, plan->qkv_bias);
    begin_memory(c, self, o, plan);
    token_result r = o->compressed > 0 ? attend_blocks(c, self, o, plan, qkv)
                                       : attend_whole(c, self, o, plan, qkv);
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    for (int64_t row = 0; row < c->rows; row++) {
        valid[row] = valid_of(c, self, plan, row, r.extra);
    }
    r.valid = valid;
    bool partial = (c->position[0] + c->time) % self->dims.block != 0;
    if (self->dims.flush && partial) skip_block(c, self, plan);
    return r;
}

/* ---- cost ---- */

double token_attention_flops(const layer *self, const token_options *o, const token_plan *plan)
{
    int64_t block = self->dims.block;
    /* Keys are counted as positions of a block see them on average, behind a full memory. */
    double width = (double)self->dims.width, keys = 0;
    for (int64_t i = 0; i < block; i++) {
        int64_t seen = plan->memory + i + 1;
        keys += (double)(o->window > 0 ? MIN(seen, o->window) : seen);
    }
    keys = keys / (double)block + (double)o->compressed;
    /* A score takes 2 q_width, its share of the sum of values as much again. */
    double flops =
        2 * width * (double)(plan->q_width + 2 * plan->kv_width) + 4 * (double)plan->q_width * keys;
    if (o->compressed > 0 && o->compression == COMPRESS_CONVOLUTION) {
        flops += 4 * (double)(plan->kv_width * plan->kv_width);
    }
    return flops;
}
