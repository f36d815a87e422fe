#include <time.h>

#include "core/ops/tape_parts.h"

/* Forward time is charged by each op, which knows where its work begins; backward time by the walk
 * (tape_backward.c), which calls the op. */

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
    op_total *total = tape_total(t, op);
    if (!total) return;
    total->forward_s += tape_clock(t) - since;
    total->calls++;
}

/* Op classes are told apart by address. Beyond MAX_OPS the rest is not counted: figures, not
 * results. */
op_total *tape_total(tape *t, const op_class *op)
{
    for (int i = 0; i < t->ops; i++) {
        if (t->totals[i].op == op) return &t->totals[i];
    }
    if (t->ops == MAX_OPS) return NULL;
    t->totals[t->ops] = (op_total){.op = op};
    return &t->totals[t->ops++];
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
