#include <string.h>

#include "core/ops/tape_parts.h"

/* Records stand in the order in which ops ran, so every user of a tensor is recorded behind the op
 * that made it: walking the list backwards needs no sorting, and when the walk comes to an op, all
 * that will ever flow into its outputs' gradients has. */

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

/* Added, so that a tensor may be seeded that something else flows into as well. */
void tape_seed(tape *t, tensor *x, const real *cotangent)
{
    real *grad = tape_grad(t, x);
    if (!grad) return;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) {
        grad[i] += cotangent[i];
    }
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
        op_total *total = tape_total(t, r->op);
        if (total) total->backward_s += tape_clock(t) - since;
    }
    if (t->watch) tell_watch(t, r);
    for (int i = 0; i < r->outs; i++) {
        tape_grad_release(t, r->out[i]);
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
