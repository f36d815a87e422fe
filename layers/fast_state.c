#include "layers/fast_state.h"
#include "core/ops/triangle.h"
#include "layers/layer_inspect.h"

void fast_state_set(layer_ctx *c, const layer *self, int slot, tensor *sum, double undo)
{
    if (!sum) return;
    if (undo < 1) sum = op_scale(c->tape, sum, (real)(1 / undo));
    int64_t width = tensor_width(sum);
    /* A slot is [rows, length, width]: a matrix [key, value] lies in it row by row. */
    int64_t shape[] = {c->rows, tensor_count(sum) / (c->rows * width), width};
    layer_state_set(c, self, slot, tape_reshape(c->tape, sum, 3, shape));
}

/* Text teaches whether or not the loss counts it, which says what is text only where nothing else
 * does. at -1: the pending position. */
static real text_at(const layer_ctx *c, int64_t row, int64_t at)
{
    if (at < 0) return c->position[row] > 0 ? 1 : 0;
    if (c->lengths) return at < c->lengths[row] ? 1 : 0;
    return c->weights ? c->weights[row * c->time + at] : 1;
}

/* Of positions [first, first + n) of the call; first is -1 where a pending one stands in front.
 * The last position's target comes with the next call; until then it teaches nothing. */
static void find_targets(const layer_ctx *c, int64_t vocab, int64_t first, int64_t n,
                         int32_t *targets, real *weights)
{
    for (int64_t r = 0; r < c->rows; r++) {
        for (int64_t i = 0; i < n; i++, targets++, weights++) {
            int64_t at = first + i;
            *weights = 0;
            *targets = 0;
            if (i + 1 == n) continue;
            int32_t next = c->tokens[r * c->time + at + 1];
            if (next >= vocab) continue; /* a document begins: nothing to predict */
            *weights = text_at(c, r, at);
            *targets = *weights != 0 ? next : 0;
        }
    }
}

static tensor *joined(layer_ctx *c, tensor *const *parts, int64_t n)
{
    return n == 1 ? parts[0] : op_concat(c->tape, (int)n, parts, 1);
}

/* Positions [at, at + n) of the call; *slow only if somebody looks.
 * A pending position is computed a second time, now with its target, and its output is cut off
 * again: the call before gave it. */
static tensor *read_span(layer_ctx *c, const layer *self, tensor *x, fast_span *s, int64_t at,
                         int64_t n, int pending, fast_part part, tensor **slow)
{
    tape *t = c->tape;
    tensor *own = n == c->time ? x : op_slice(t, x, 1, at, at + n);
    tensor *before = s->begins ? NULL : layer_carried(c, self, pending);
    int64_t count = n + (before ? 1 : 0);
    int32_t *targets = tape_keep(t, c->rows * count, sizeof *targets);
    real *weights = tape_keep(t, c->rows * count, sizeof *weights);
    find_targets(c, self->dims.vocab, at + n - count, count, targets, weights);
    s->x = before ? op_concat(t, 2, (tensor *[]){before, own}, 1) : own;
    s->targets = targets;
    s->weights = weights;
    s->last = at + n == c->time;
    tensor *y = part(c, self, s, slow);
    if (pending >= 0 && (s->ends || s->last)) {
        layer_state_set(c, self, pending, s->ends ? NULL : op_slice(t, own, 1, n - 1, n));
    }
    if (!before) return y;
    if (c->watch->tap) *slow = op_slice(t, *slow, 1, 1, count);
    return op_slice(t, y, 1, 1, count);
}

tensor *fast_state_read(layer_ctx *c, const layer *self, tensor *x, bool carry, int pending,
                        fast_part part)
{
    int64_t block = self->dims.block, parts = 0, most = c->time / block + 2;
    tensor **y = tape_keep(c->tape, most, sizeof *y);
    tensor **slow = tape_keep(c->tape, most, sizeof *slow);
    for (int64_t at = 0, n; at < c->time; at += n, parts++) {
        int64_t phase = (c->position[0] + at) % block;
        /* A life of fast weights is a document, or a block of it: then a call is cut where
         * blocks begin. */
        n = carry ? c->time : MIN(c->time - at, block - phase);
        fast_span s = {.begins = !carry && phase == 0, .ends = !carry && phase + n == block};
        y[parts] = read_span(c, self, x, &s, at, n, pending, part, &slow[parts]);
    }
    if (c->watch->tap) layer_tap(c, self, LAYER_TAP_UNLEARNED, joined(c, slow, parts));
    return joined(c, y, parts);
}

double fast_state_products(const layer *self, int64_t chunk, bool carry, double key, double value)
{
    /* Inside a chunk a position meets the earlier ones, the strips of a triangle: key for scores,
     * value for sums. Across, each chunk reads the sum of those before it and adds to it: 2 key
     * value a position. */
    int64_t block = self->dims.block, first = MIN(chunk, block), chunks = block / first;
    int64_t rest = block - chunks * first, last = rest > 0 ? rest : first;
    double within = (double)chunks * triangle_elements(first) + triangle_elements(rest);
    /* Nothing is to be read before a life's first chunk, nobody reads behind its last. */
    double across = (double)(2 * block - (carry ? 0 : first + last));
    return (within * (key + value) + across * key * value) / (double)block;
}
