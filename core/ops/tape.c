#include "core/ops/tape.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Records stand in the order in which ops ran, so every user of a tensor is recorded behind the op
 * that made it: walking the list backwards needs no sorting, and when the walk comes to an op, all
 * that will ever flow into its outputs' gradients has. */

enum { MAX_OUTS = 4, RECORDS_PER_CHUNK = 512, POOL_CLASSES = 64, MAX_OPS = 128, MAX_SHARED = 4 };

/* `keep` is the op's own struct; what it points to has to live until the reset, not only what it
 * holds. */
typedef struct record {
    const op_class *op;
    const char *place;
    void *keep;
    int outs;
    tensor *out[MAX_OUTS];
} record;

/* Chunks rather than one array: what is recorded stays where it is, and nothing has to be known of
 * how many ops a step has. */
typedef struct record_chunk {
    struct record_chunk *previous;
    int count;
    record records[RECORDS_PER_CHUNK];
} record_chunk;

/* A gradient buffer that is free for the next tensor of the same element count. A step has few
 * different sizes, many times each, so that exact counts fit without a search and waste nothing. */
typedef struct free_buffer {
    struct free_buffer *next;
} free_buffer;

/* count: elements. Looked up in order: there are few classes. */
typedef struct pool_class {
    int64_t count;
    free_buffer *first;
} pool_class;

typedef struct shared_pointer {
    const void *owner;
    void *pointer;
} shared_pointer;

typedef struct op_total {
    const op_class *op;
    double forward_s, backward_s;
    int64_t calls;
} op_total;

struct tape {
    arena *memory;
    /* What passes, NULL until something does; `now`: where tensors are made, memory or this one. */
    arena *passing, *now;
    arena_mark mark; /* in `passing`: where the stretch began */
    /* Apart from `memory`, as ops rewind it while tensors that they made must stay. */
    arena *scratch;
    /* Without it ops keep nothing and record nothing: evaluation and generation run the same
     * code. */
    bool recording;
    const char *place;
    tape_kernels kernels;
    bool exact; /* the exact kernel for all */
    record_chunk *last;
    int64_t records; /* so far; while it runs backwards: not yet run */
    tape_pace_fn pace;
    void *pace_user;
    tape_watch_fn watch;
    void *watch_user;
    tensor **touched; /* by the op whose backward function runs; only while there is a watch */
    int touched_count, touched_capacity;
    pool_class pool[POOL_CLASSES];
    int pools;
    shared_pointer shared[MAX_SHARED];
    int sharing;
    bool profiling;
    op_total totals[MAX_OPS];
    int ops;
};

tape *tape_new(void)
{
    tape *t = calloc(1, sizeof *t);
    CHECK(t, "out of memory for a tape (%zu bytes)", sizeof *t);
    t->memory = t->now = arena_new(0);
    t->scratch = arena_new((size_t)1 << 20);
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

/* ---- records ---- */

/* One input is enough: the op's backward function asks for each gradient and gets NULL for those
 * that nobody needs. */
bool tape_wants(const tape *t, int n, tensor *const *inputs)
{
    if (!t->recording) return false;
    for (int i = 0; i < n; i++) {
        if (inputs[i] && inputs[i]->needs_grad) return true;
    }
    return false;
}

/* That outputs of a recorded op need a gradient is how the need spreads from parameters to the
 * loss: what depends on constants alone is never recorded. */
void tape_record(tape *t, const op_class *op, void *keep, int outs, tensor *const *out)
{
    CHECK(t->recording && outs >= 1 && outs <= MAX_OUTS, "%s: %d outputs", op->name, outs);
    if (!t->last || t->last->count == RECORDS_PER_CHUNK) {
        record_chunk *chunk = ARENA_NEW(t->memory, record_chunk, 1);
        chunk->previous = t->last;
        chunk->count = 0;
        /* Chunks are linked backwards, which is the order in which they are walked. */
        t->last = chunk;
    }
    record *r = &t->last->records[t->last->count++];
    t->records++;
    r->op = op;
    r->place = t->place;
    r->keep = keep;
    r->outs = outs;
    for (int i = 0; i < outs; i++) {
        r->out[i] = out[i];
        out[i]->needs_grad = true;
    }
}

/* ---- gradient buffers ---- */

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
static void grad_release(tape *t, tensor *x)
{
    if (x->fixed_grad || !x->grad) return;
    if (x->has_grad) buffer_give(t, x->grad, tensor_count(x));
    x->grad = NULL;
    x->has_grad = false;
}

/* ---- watching ---- */

void tape_place(tape *t, const char *place)
{
    t->place = place;
}

void tape_watch(tape *t, tape_watch_fn watch, void *user)
{
    t->watch = watch;
    t->watch_user = user;
    t->touched_count = 0;
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

static void tell_watch(tape *t, const record *r)
{
    for (int i = 0; i < t->touched_count; i++) {
        t->watch(t->watch_user, r->op, r->place, t->touched[i]);
    }
    t->touched_count = 0;
}

void tape_pace(tape *t, tape_pace_fn pace, void *user)
{
    t->pace = pace;
    t->pace_user = user;
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

/* Added, so that a tensor may be seeded that something else flows into as well. */
void tape_seed(tape *t, tensor *x, const real *cotangent)
{
    real *grad = tape_grad(t, x);
    if (!grad) return;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) {
        grad[i] += cotangent[i];
    }
}

/* Op classes are told apart by address. Beyond MAX_OPS the rest is not counted: figures, not
 * results. */
static op_total *total_of(tape *t, const op_class *op)
{
    for (int i = 0; i < t->ops; i++) {
        if (t->totals[i].op == op) return &t->totals[i];
    }
    if (t->ops == MAX_OPS) return NULL;
    t->totals[t->ops] = (op_total){.op = op};
    return &t->totals[t->ops++];
}

static void record_backward(tape *t, const record *r)
{
    bool reached = false;
    for (int i = 0; i < r->outs; i++) {
        reached |= r->out[i]->has_grad;
    }
    if (!reached) return; /* the loss does not depend on it: a metric's op, an unused state */
    /* An op with several outputs may read all their gradients: those never reached are zero. */
    for (int i = 0; i < r->outs; i++) {
        /* tape_grad zeroes it. Its needs_grad is set, as every output's of a record. */
        if (!r->out[i]->has_grad) tape_grad(t, r->out[i]);
    }
    /* Told of what this op adds to, not of the zeros made for it. */
    t->touched_count = 0;
    double since = tape_clock(t);
    r->op->backward(t, r->keep);
    if (t->profiling) {
        op_total *total = total_of(t, r->op);
        if (total) total->backward_s += tape_clock(t) - since;
    }
    if (t->watch) tell_watch(t, r);
    for (int i = 0; i < r->outs; i++) {
        grad_release(t, r->out[i]);
    }
}

/* From the last record to the first, chunk by chunk. */
void tape_run_backward(tape *t)
{
    for (record_chunk *c = t->last; c; c = c->previous) {
        for (int i = c->count - 1; i >= 0; i--) {
            record_backward(t, &c->records[i]);
            t->records--;
            if (t->pace) t->pace(t->pace_user, t->records);
        }
    }
    t->last = NULL; /* run once: what they kept has been given away */
}

void tape_backward(tape *t, tensor *loss, real seed)
{
    /* Of a vector there is no one gradient: who wants a product with a given cotangent seeds it. */
    CHECK(tensor_count(loss) == 1, "a loss is a scalar, not %lld values",
          (long long)tensor_count(loss));
    tape_seed(t, loss, &seed);
    tape_run_backward(t);
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

void tape_profile(tape *t, bool on)
{
    t->profiling = on;
}

/* 0 where nobody asks: two calls of the clock per op would cost more than the smallest ops. */
double tape_clock(const tape *t)
{
    if (!t->profiling) return 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tape_charge(tape *t, const op_class *op, double since)
{
    if (!t->profiling) return;
    op_total *total = total_of(t, op);
    if (!total) return;
    total->forward_s += tape_clock(t) - since;
    total->calls++;
}

tensor *tape_done(tape *t, const op_class *op, double since, int n, tensor *const *inputs,
                  const void *keep, size_t bytes, tensor *y)
{
    if (tape_wants(t, n, inputs)) {
        /* The caller's struct is on its stack, and is copied only where there will be a walk. */
        tape_record(t, op, memcpy(tape_keep(t, 1, bytes), keep, bytes), 1, &y);
    }
    tape_charge(t, op, since);
    return y;
}

tensor *tape_done_pair(tape *t, const op_class *op, double since, tensor *x, tensor *y)
{
    return tape_done(t, op, since, 1, &x, &(tape_pair){x, y}, sizeof(tape_pair), y);
}

int tape_times(const tape *t, op_time *times, int capacity)
{
    int n = MIN(t->ops, capacity);
    for (int i = 0; i < n; i++) {
        const op_total *o = &t->totals[i];
        times[i] = (op_time){o->op->name, o->forward_s, o->backward_s, o->calls};
    }
    return n;
}
