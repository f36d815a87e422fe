/* What a tape holds: for tape_memory.c (tensors, what ops keep and share), tape_grads.c (gradient
 * buffers), tape_backward.c (records and the walk over them) and tape_times.c. Ops know tape.h
 * alone. */
#pragma once

#include "core/ops/tape.h"

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

/* Gives x's gradient buffer to the next tensor of its size: nobody reads it any more. */
void tape_grad_release(tape *t, tensor *x);

/* The times of an op class; NULL: there are more classes than are counted. */
op_total *tape_total(tape *t, const op_class *op);
