/* Reverse-mode differentiation: tensors, and the tape that records ops and runs them backwards.
 *
 * A tensor is memory with a shape; it never owns it. All tensors of a step live in the tape's arena
 * and are valid until tape_reset. A tape belongs to one lane (one thread at a time); nothing here
 * is shared or locked.
 *
 * An op is a function that computes its output, and, if the tape records and any input needs a
 * gradient, leaves a record with what its backward function must keep. Backward functions ADD to
 * the gradients of their inputs. A gradient buffer is made when something first flows into it, and
 * goes back to a pool as soon as the op that produced the tensor has used it, so that the backward
 * pass needs memory for a few tensors rather than for all. */
#pragma once

#include "core/base/arena.h"
#include "core/ops/gemm.h"
#include "core/ops/tensor.h"

typedef struct tape tape;

/* backward(t, keep): reads the gradients of its outputs, adds to those of its inputs. */
typedef struct op_class {
    const char *name;
    void (*backward)(tape *t, void *keep);
} op_class;

tape *tape_new(void);
void tape_free(tape *t);

/* Ends a step: drops all tensors and records. `recording` says whether the next step will be run
 * backwards; without it ops keep nothing. */
void tape_reset(tape *t, bool recording);
bool tape_recording(const tape *t);

/* The kernels of the products of a tape's ops: for all that a model's precision covers, and for
 * what is computed in float32 at any precision (README.md has the table). NULL: BLAS. */
typedef struct tape_kernels {
    const gemm_kernel *products, *exact;
} tape_kernels;

/* From the next op on, which also keeps its kernel for its backward pass. A new tape has the
 * fastest kernel of float32 for both. */
void tape_set_kernels(tape *t, tape_kernels kernels);
const gemm_kernel *tape_products(const tape *t);
const gemm_kernel *tape_exact(const tape *t);
/* With `on`, ops that follow take the exact kernel for all products; returns what was before. */
bool tape_be_exact(tape *t, bool on);

/* A tensor over the caller's memory, which must outlive the step: an input, a carried state. Its
 * gradient, if wanted, is read from x->grad after tape_backward if x->has_grad. */
tensor *tape_leaf(tape *t, real *data, int rank, const int64_t *shape, bool needs_grad);

/* A leaf for a parameter: gradients are added into `grad` (the lane's own buffer). With has_grad
 * false the first contribution overwrites what `grad` held. */
tensor *tape_param(tape *t, real *data, real *grad, int rank, const int64_t *shape);

/* Fresh memory of that shape (not zeroed): the output of an op; or zeroed / copied constants. */
tensor *tape_tensor(tape *t, int rank, const int64_t *shape);
tensor *tape_like(tape *t, const tensor *x);
tensor *tape_constant(tape *t, const real *values, int rank, const int64_t *shape);

/* Shares x's data under another shape of equal count; gradients flow through. */
tensor *tape_reshape(tape *t, tensor *x, int rank, const int64_t *shape);

/* Shares x's data; no gradient flows through. */
tensor *tape_detach(tape *t, const tensor *x);

/* Memory that lives until the step's reset: what a backward function keeps. */
void *tape_keep(tape *t, int64_t count, size_t size);
/* Memory that passes, where nothing is recorded: what is made between these two, but leaves and
 * what several ops share, goes with the second, and the next stretch has the same memory, still in
 * the processor's caches. keep: it stays after all, until the reset. Not one inside of another. */
void tape_passing(tape *t);
void tape_passed(tape *t, bool keep);
/* A pointer of its owner's (any address) until the reset, NULL at first: what several ops share. */
void **tape_shared(tape *t, const void *owner);
/* Memory for what is shared: like tape_keep's, and does not pass. */
void *tape_keep_shared(tape *t, int64_t count, size_t size);
/* The tape's scratch arena: mark, push and rewind inside one op, in either direction. */
arena *tape_scratch(tape *t);

/* Records `op` with outputs out[0..outs). Call only if tape_wants(...); sets needs_grad of the
 * outputs. keep must be tape memory. */
void tape_record(tape *t, const op_class *op, void *keep, int outs, tensor *const *out);
/* True if the tape records and any of the n inputs (NULLs are skipped) needs a gradient. */
bool tape_wants(const tape *t, int n, tensor *const *inputs);

/* What most ops end with: charges the time since their beginning, and, if tape_wants(inputs),
 * records the op with a copy of *keep. Returns y, the one output. */
tensor *tape_done(tape *t, const op_class *op, double since, int n, tensor *const *inputs,
                  const void *keep, size_t bytes, tensor *y);
/* All that the simplest backward functions keep. */
typedef struct tape_pair {
    tensor *x, *y;
} tape_pair;
tensor *tape_done_pair(tape *t, const op_class *op, double since, tensor *x, tensor *y);

/* Runs the records backwards from the scalar `loss`, whose gradient is `seed`. */
void tape_backward(tape *t, tensor *loss, real seed);
/* The same from any tensor with a given cotangent of its shape (tests, layer_apply). May be called
 * for several tensors: set all cotangents with tape_seed first, then run once. */
void tape_seed(tape *t, tensor *x, const real *cotangent);
void tape_run_backward(tape *t);

/* For backward functions. The buffer to add x's gradient to, zeroed if fresh; NULL if x (or NULL)
 * needs none. */
real *tape_grad(tape *t, tensor *x);
/* The same for ops that can overwrite (BLAS): *beta is 0 if fresh (buffer not zeroed), else 1. */
real *tape_grad_beta(tape *t, tensor *x, real *beta);
/* Adds `from`'s gradient to x's; if x has none yet and the shapes agree, hands the buffer over
 * without a copy. Only as the last use of from->grad in a backward function. */
void tape_grad_pass(tape *t, tensor *x, tensor *from);

/* Says where in the model the ops recorded from here on belong ("blocks.0.attention"; borrowed). */
void tape_place(tape *t, const char *place);

/* While a watch is set, it is told after every op's backward function of each tensor whose gradient
 * the op has added to, complete or not: what finds the op that breaks a gradient. NULL: none. */
typedef void (*tape_watch_fn)(void *user, const op_class *op, const char *place, const tensor *x);
void tape_watch(tape *t, tape_watch_fn watch, void *user);

/* While a pace is set, the backward pass says after every record how many are left. A leaf is whole
 * once no more are left than were there when it was made (tensor.since): nothing that uses it
 * stands before. NULL: none; it ends with the step. */
typedef void (*tape_pace_fn)(void *user, int64_t left);
void tape_pace(tape *t, tape_pace_fn pace, void *user);

/* Bytes in use at most and number of mappings so far (both stop growing after the first step). */
size_t tape_bytes(const tape *t);
int64_t tape_maps(const tape *t);

/* Time per op class, for `loci bench`: off unless switched on. Prints nothing itself. */
typedef struct op_time {
    const char *name;
    double forward_s, backward_s;
    int64_t calls;
} op_time;
void tape_profile(tape *t, bool on);
int tape_times(const tape *t, op_time *times, int capacity); /* returns how many */
/* Ops call this pair around their forward work (cheap when profiling is off). */
double tape_clock(const tape *t);
void tape_charge(tape *t, const op_class *op, double since);
