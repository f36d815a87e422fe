#include <stdlib.h>
#include <string.h>

#include "core/ops/tape_parts.h"

/* A gradient's buffer: made when something first flows into it, pooled when the walk has passed the
 * op that made its tensor. */

static pool_class *pool_of(tape *t, int64_t count)
{
    for (int i = 0; i < t->pools; i++) {
        if (t->pool[i].count == count) return &t->pool[i];
    }
    if (t->pools == POOL_CLASSES) return NULL;
    t->pool[t->pools] = (pool_class){count, NULL};
    return &t->pool[t->pools++];
}

static real *buffer_take(tape *t, int64_t count)
{
    pool_class *p = pool_of(t, count);
    /* Never smaller than the link that stands in it while it is free. */
    if (!p || !p->first) return ARENA_NEW(t->memory, real, MAX(count, 64));
    free_buffer *b = p->first;
    p->first = b->next;
    /* Last given, first taken: its lines are the ones most likely in the cache. */
    return (real *)(void *)b;
}

static void buffer_give(tape *t, real *buffer, int64_t count)
{
    pool_class *p = pool_of(t, count);
    if (!p) return; /* too many sizes: the arena has it back at the reset */
    free_buffer *b = (free_buffer *)(void *)buffer;
    b->next = p->first;
    p->first = b;
}

/* Its producer has used it, its users stand behind its producer: nobody reads it any more. Inputs
 * and parameters have no producer, so theirs stay.
 * An output without has_grad here had its buffer handed on (tape_grad_pass). */
void tape_grad_release(tape *t, tensor *x)
{
    if (x->fixed_grad || !x->grad) return;
    if (x->has_grad) buffer_give(t, x->grad, tensor_count(x));
    x->grad = NULL;
    x->has_grad = false;
}

/* The list may name a tensor twice, and is told twice: a watch compares values, not counts. */
static void touch(tape *t, tensor *x)
{
    if (!t->watch) return;
    if (t->touched_count == t->touched_capacity) {
        t->touched_capacity = MAX(64, 2 * t->touched_capacity);
        t->touched = realloc(t->touched, (size_t)t->touched_capacity * sizeof(tensor *));
        CHECK(t->touched, "out of memory for %d tensors", t->touched_capacity);
    }
    t->touched[t->touched_count++] = x;
}

/* The buffer for x's gradient; *fresh says that nothing has been written to it yet.
 * has_grad is set before anything is written: a caller that asks for a buffer has to write all of
 * it if it is fresh. */
static real *grad_buffer(tape *t, tensor *x, bool *fresh)
{
    *fresh = !x->has_grad;
    touch(t, x);
    if (!x->grad) x->grad = buffer_take(t, tensor_count(x));
    x->has_grad = true;
    return x->grad;
}

/* Zeroed on the first use, not when made: most gradients have one user, which could as well
 * overwrite (tape_grad_beta), and a pass over memory is what small ops cost. */
real *tape_grad(tape *t, tensor *x)
{
    if (!x || !x->needs_grad) return NULL;
    bool fresh;
    real *grad = grad_buffer(t, x, &fresh);
    if (fresh) memset(grad, 0, (size_t)tensor_count(x) * sizeof(real));
    return grad;
}

/* beta is what a product multiplies its output by before it adds: 0 overwrites whatever the pooled
 * buffer held, NaN included. */
real *tape_grad_beta(tape *t, tensor *x, real *beta)
{
    *beta = 0;
    if (!x || !x->needs_grad) return NULL;
    bool fresh;
    real *grad = grad_buffer(t, x, &fresh);
    *beta = fresh ? 0 : 1;
    return grad;
}

/* Residual streams are sums: their gradient goes through dozens of layers unchanged, and would be
 * copied at each. */
void tape_grad_pass(tape *t, tensor *x, tensor *from)
{
    if (!x || !x->needs_grad || !from->has_grad) return;
    int64_t count = tensor_count(x);
    CHECK(count == tensor_count(from), "gradients of %lld and %lld elements", (long long)count,
          (long long)tensor_count(from));
    /* `from` is at its end: x can have its buffer. Not with a parameter's, which is the place where
     * the caller looks for the sum. */
    if (!x->has_grad && !x->fixed_grad && !from->fixed_grad) {
        touch(t, x);
        x->grad = from->grad;
        x->has_grad = true;
        from->grad = NULL;
        from->has_grad = false;
        return;
    }
    bool fresh;
    real *grad = grad_buffer(t, x, &fresh);
    const real *add = from->grad;
    if (fresh) {
        memcpy(grad, add, (size_t)count * sizeof(real));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        grad[i] += add[i];
    }
}
