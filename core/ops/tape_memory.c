#include <stdlib.h>
#include <string.h>

#include "core/base/pages.h"
#include "core/ops/tape_parts.h"

/* A step runs forwards once and backwards once, and then everything goes. So there is no graph that
 * could be edited, no reference counts and no topological sort: a list of what happened, memory
 * that is pushed and never given back singly, and one walk over the list from its end.
 *
 * Memory of a step in the arena: tensors' data in the order of the forward pass, what ops keep
 * beside it, records in chunks, and, once the walk has begun, gradient buffers. Data stays until
 * the reset, as any op's backward function may read it. Gradients do not: when the walk has passed
 * the op that made a tensor, the tensor's gradient is dead and its buffer serves the next tensor of
 * the same size. So the backward pass adds the memory of a few tensors to that of the forward pass,
 * not twice as much.
 *
 * Who owns what: a tensor's data and gradient belong to the tape's arena, or to the caller (leaves,
 * parameters); keeps belong to the tape; scratch belongs to whoever pushed it until that op
 * returns. A tape is one thread's. Helpers (crew.h) work inside of an op and never see it. */

tape *tape_new(void)
{
    tape *t = calloc(1, sizeof *t);
    CHECK(t, "out of memory for a tape (%zu bytes)", sizeof *t);
    t->memory = t->now = arena_new(0);
    /* Large pages: an activation's buffers of 2 MiB were written at half the rate without. */
    t->scratch = arena_new(2 * (size_t)PAGES_LARGE);
    /* In the double build nobody looks at it: products go to BLAS. */
    const gemm_kernel *g = gemm_best(GEMM_FLOAT32);
    t->kernels = (tape_kernels){g, g};
    return t;
}

void tape_free(tape *t)
{
    if (!t) return;
    arena_free(t->memory);
    if (t->passing) arena_free(t->passing);
    arena_free(t->scratch);
    free(t->touched);
    free(t);
}

void tape_reset(tape *t, bool recording)
{
    arena_reset(t->memory);
    if (t->passing) arena_reset(t->passing);
    t->now = t->memory;
    arena_reset(t->scratch);
    t->last = NULL;
    t->records = 0;
    t->pace = NULL;
    /* The free buffers lay in the arena that was just reset. */
    t->pools = 0;
    t->sharing = 0;
    t->place = NULL;
    t->recording = recording;
    /* Kernels stay: they are the run's. Exactness is a stretch of ops', and ends with the step at
     * the latest. */
    t->exact = false;
}

bool tape_recording(const tape *t)
{
    return t->recording;
}

/* ---- products ---- */

/* Once per model, not per step. The kernel of an op is decided when it runs forwards: its record
 * keeps it. */
void tape_set_kernels(tape *t, tape_kernels kernels)
{
    t->kernels = kernels;
}

const gemm_kernel *tape_products(const tape *t)
{
    return t->exact ? t->kernels.exact : t->kernels.products;
}

const gemm_kernel *tape_exact(const tape *t)
{
    return t->kernels.exact;
}

/* The caller puts back what it gets, so that stretches may lie inside of each other. */
bool tape_be_exact(tape *t, bool on)
{
    bool before = t->exact;
    t->exact = on;
    return before;
}

/* ---- tensors ---- */

/* Sizes of 0 are fine (a layer without memory yet): loops over such an axis do nothing. */
static tensor *tensor_in(arena *a, real *data, int rank, const int64_t *shape)
{
    CHECK(rank >= 0 && rank <= TENSOR_RANK, "rank %d", rank);
    tensor *x = ARENA_NEW(a, tensor, 1);
    *x = (tensor){.data = data, .rank = rank, .shape = {1, 1, 1, 1}};
    for (int i = 0; i < rank; i++) {
        CHECK(shape[i] >= 0, "axis %d has size %lld", i, (long long)shape[i]);
        x->shape[i] = shape[i];
    }
    return x;
}

static tensor *tensor_over(tape *t, real *data, int rank, const int64_t *shape)
{
    return tensor_in(t->now, data, rank, shape);
}

/* Never in memory that passes: a parameter's leaf is found again by every layer that uses it.
 * Its gradient buffer is made by the first op that flows back into it, like any other's, but nobody
 * releases it: the walk releases outputs of records, and a leaf is none. */
tensor *tape_leaf(tape *t, real *data, int rank, const int64_t *shape, bool needs_grad)
{
    tensor *x = tensor_in(t->memory, data, rank, shape);
    x->needs_grad = needs_grad && t->recording;
    x->since = t->records;
    return x;
}

tensor *tape_param(tape *t, real *data, real *grad, int rank, const int64_t *shape)
{
    tensor *x = tape_leaf(t, data, rank, shape, grad != NULL);
    x->grad = grad;
    /* The lane's vector: written in place by every op that uses the parameter, never pooled. What
     * it held is an earlier step's, which is why the first contribution overwrites. */
    x->fixed_grad = true;
    return x;
}

tensor *tape_tensor(tape *t, int rank, const int64_t *shape)
{
    tensor *x = tensor_over(t, NULL, rank, shape);
    x->data = ARENA_NEW(t->now, real, tensor_count(x));
    return x;
}

tensor *tape_like(tape *t, const tensor *x)
{
    return tape_tensor(t, x->rank, x->shape);
}

/* A copy, so the caller's memory may go. No gradient: tensor_over leaves needs_grad false. */
tensor *tape_constant(tape *t, const real *values, int rank, const int64_t *shape)
{
    tensor *x = tape_tensor(t, rank, shape);
    size_t bytes = (size_t)tensor_count(x) * sizeof(real);
    if (values) {
        memcpy(x->data, values, bytes);
    } else {
        memset(x->data, 0, bytes);
    }
    return x;
}

/* A tensor of its own over the same memory: needs_grad is false, so no op records on its
 * account. */
tensor *tape_detach(tape *t, const tensor *x)
{
    return tensor_over(t, x->data, x->rank, x->shape);
}

void *tape_keep(tape *t, int64_t count, size_t size)
{
    return arena_push(t->now, count, size);
}

void *tape_keep_shared(tape *t, int64_t count, size_t size)
{
    return arena_push(t->memory, count, size);
}

void tape_passing(tape *t)
{
    CHECK(!t->recording && t->now == t->memory, "nothing passes of what a backward pass looks at");
    if (!t->passing) t->passing = arena_new(0);
    t->now = t->passing;
    t->mark = arena_now(t->passing);
}

void tape_passed(tape *t, bool keep)
{
    CHECK(t->now == t->passing, "nothing was to pass");
    t->now = t->memory;
    if (!keep) arena_rewind(t->passing, t->mark);
}

/* Ops find what they share by an address that only they know (a static object of their file), so
 * there is no registry here of who shares what. */
void **tape_shared(tape *t, const void *owner)
{
    for (int i = 0; i < t->sharing; i++) {
        if (t->shared[i].owner == owner) return &t->shared[i].pointer;
    }
    CHECK(t->sharing < MAX_SHARED, "more than %d owners share something", MAX_SHARED);
    t->shared[t->sharing] = (shared_pointer){owner, NULL};
    return &t->shared[t->sharing++].pointer;
}

arena *tape_scratch(tape *t)
{
    return t->scratch;
}

/* ---- reshape: data is shared, the gradient handed over, or added where x has other users ---- */

static void reshape_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    tape_grad_pass(t, k->x, k->y);
}

static const op_class RESHAPE = {"reshape", reshape_backward};

/* Recorded though nothing is computed: y has a gradient buffer of its own, since several ops may
 * flow into both, and hands it to x at the end, mostly without a copy. */
tensor *tape_reshape(tape *t, tensor *x, int rank, const int64_t *shape)
{
    tensor *y = tensor_over(t, x->data, rank, shape);
    CHECK(tensor_count(y) == tensor_count(x), "%lld elements as %lld", (long long)tensor_count(x),
          (long long)tensor_count(y));
    if (tape_wants(t, 1, &x)) {
        tape_pair *k = ARENA_NEW(t->memory, tape_pair, 1);
        *k = (tape_pair){x, y};
        tape_record(t, &RESHAPE, k, 1, &y);
    }
    return y;
}

/* ---- figures ---- */

size_t tape_bytes(const tape *t)
{
    return arena_bytes(t->memory) + (t->passing ? arena_bytes(t->passing) : 0) +
           arena_bytes(t->scratch);
}

int64_t tape_maps(const tape *t)
{
    return arena_maps(t->memory) + (t->passing ? arena_maps(t->passing) : 0) +
           arena_maps(t->scratch);
}
