#include "layers/token_memory.h"

#include <math.h>

/* A later query of the block sees its own block's keys and the memory before it; with a window,
 * only as far back as that reaches. */
int64_t token_memory_carried(const token_options *o, const token_plan *plan, int64_t done)
{
    int64_t keys = plan->memory + done;
    return o->window > 0 && !plan->whole_block ? MIN(keys, o->window - 1) : keys;
}

/* Whether the row's memory is dropped where this segment begins. */
static bool drops(const layer_ctx *c, const layer *self, const token_options *o, int64_t row)
{
    /* Once per segment, where it begins: its first call, and of that the first block. */
    if (c->mode != MODE_TRAIN || o->memory_dropout == 0 || c->call > 0 || c->part > 0) return false;
    rng_key key = layer_key(c, self, "memory_dropout");
    key.row += (uint32_t)row;
    return rng_uniform(key, 0) < o->memory_dropout;
}

/* Rounded, since what is carried is a real. */
int64_t token_memory_first(const layer_ctx *c, const layer *self, const token_plan *plan,
                           int64_t row)
{
    const tensor *first = layer_state_next(c, self, plan->first_slot);
    if (!first || c->position[row] == 0) return 0;
    return (int64_t)floor((double)first->data[row] + 0.5);
}

int64_t token_memory_valid(const layer_ctx *c, const layer *self, const token_plan *plan,
                           int64_t row, int64_t extra)
{
    return MAX(0, MIN(extra, c->position[row] - token_memory_first(c, self, plan, row)));
}

void token_memory_begin(layer_ctx *c, const layer *self, const token_options *o,
                        const token_plan *plan)
{
    if (plan->first_slot < 0) return;
    tensor *first = tape_tensor(c->tape, 3, (int64_t[]){c->rows, 1, 1});
    for (int64_t r = 0; r < c->rows; r++) {
        int64_t block_begin = c->position[r] - c->position[r] % self->dims.block;
        first->data[r] =
            (real)(drops(c, self, o, r) ? block_begin : token_memory_first(c, self, plan, r));
    }
    layer_state_set(c, self, plan->first_slot, first);
}

/* Positions jump to the next block, and the keys that the gap would have held must not be counted
 * as a row's own: `first` moves by as much. */
void token_memory_skip(layer_ctx *c, const layer *self, const token_plan *plan)
{
    if (plan->first_slot < 0) return;
    tensor *first = tape_tensor(c->tape, 3, (int64_t[]){c->rows, 1, 1});
    for (int64_t r = 0; r < c->rows; r++) {
        first->data[r] = (real)(token_memory_first(c, self, plan, r) + self->dims.block);
    }
    layer_state_set(c, self, plan->first_slot, first);
}

const int64_t *token_memory_keys(layer_ctx *c, const layer *self, const token_plan *plan,
                                 int64_t extra, bool *any)
{
    int64_t *valid = tape_keep(c->tape, c->rows, sizeof *valid);
    /* NULL for the usual case spares the test per row in the op. */
    bool all = true;
    *any = false;
    for (int64_t r = 0; r < c->rows; r++) {
        valid[r] = token_memory_valid(c, self, plan, r, extra);
        all &= valid[r] == extra;
        *any |= valid[r] > 0;
    }
    return all ? NULL : valid;
}

tensor *token_memory_cut(layer_ctx *c, tensor *kv, int64_t end, int64_t keep)
{
    return op_slice(c->tape, kv, 1, end - keep, end);
}

/* done: positions of the block that is unfinished after this call. */
int64_t token_memory_kept(const layer_ctx *c, const layer *self, const token_options *o,
                          const token_plan *plan, int64_t extra, int64_t *end)
{
    int64_t done = (c->position[0] + c->time) % self->dims.block;
    *end = extra + c->time;
    /* The cut block's own keys are not worth carrying. */
    if (self->dims.flush && done > 0) *end -= done, done = 0;
    return MIN(token_memory_carried(o, plan, done), MAX(*end, 0));
}

tensor *token_memory_update(layer_ctx *c, const layer *self, const token_options *o,
                            const token_plan *plan, tensor *qkv, tensor *past)
{
    int64_t end, keep = token_memory_kept(c, self, o, plan, past ? past->shape[1] : 0, &end);
    /* Set to nothing, rather than left: what is not set stays, and would be seen a block late. */
    if (keep == 0 && plan->slot >= 0) layer_state_set(c, self, plan->slot, NULL);
    if (keep == 0 && !past && !plan->whole_block) return NULL;
    tensor *kv = op_columns(c->tape, qkv, plan->q_width, plan->q_width + 2 * plan->kv_width);
    if (past) kv = op_concat(c->tape, 2, (tensor *[]){past, kv}, 1);
    if (keep > 0) layer_state_set(c, self, plan->slot, token_memory_cut(c, kv, end, keep));
    return kv;
}
