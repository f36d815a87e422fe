#include "harness/supervise/idle_cores.h"

#include "core/train/ranks.h"

/* A step of `count` lanes over R ranks of T threads takes
 *
 *   rounds = lanes of the fullest rank / T, rounded up;   busy = count / (rounds R T)
 *
 * of the cores' time, so that 6 lanes on 4 threads keep them busy for 6 of 8 lane times. Nothing is
 * changed for the user: batch and lanes are part of what a run is, and another number of them is
 * another run. */

/* Rounds of a step in which every thread takes a lane: those of the rank that has most. */
static int64_t rounds(int64_t count, int ranks, int threads)
{
    return (MIN(ranks_node(ranks, count), count) + threads - 1) / threads;
}

double idle_cores_busy(int64_t count, int ranks, int threads)
{
    return (double)count / (double)(rounds(count, ranks, threads) * ranks * threads);
}

int64_t idle_cores_lanes(int64_t count, int ranks, int threads)
{
    /* Multiples only: the others cannot fill the last round. Up to four times as many is near
     * enough to be advice. */
    int64_t all = (int64_t)ranks * threads, most = 4 * MAX(count, all);
    for (int64_t n = (count + all - 1) / all * all; n <= most; n += all) {
        /* A multiple may be divided unevenly all the same: ranks take powers of two. */
        if (rounds(n, ranks, threads) * all == n) return n;
    }
    return 0;
}

static void say_lanes(FILE *out, const run_plan *p, int ranks, int threads)
{
    double idle = 100 * (1 - idle_cores_busy(p->lanes, ranks, threads));
    int64_t better = idle_cores_lanes(p->lanes, ranks, threads);
    char of[64];
    /* Less would be printed as 0 %. */
    if (idle < 0.5) return;
    if (ranks > 1) {
        snprintf(of, sizeof of, "%d ranks of %d thread%s", ranks, threads, &"s"[threads == 1]);
    } else {
        snprintf(of, sizeof of, "%d threads", threads);
    }
    fprintf(out, "%s: %lld lanes leave %.0f %% of %s idle", p->label, (long long)p->lanes, idle,
            of);
    if (better > 0) {
        int64_t rows = better * p->lane_rows;
        fprintf(out, "; train.batch %lld in %lld lanes would use them", (long long)rows,
                (long long)better);
    }
    fprintf(out, ".\n");
}

void idle_cores_say(FILE *out, const experiment *x, const bool *left, const supervisor_options *o,
                    int cores)
{
    int count = 0, threads = o->threads;
    for (int i = 0; i < x->run_count; i++) {
        count += left[i];
    }
    int jobs = supervision_jobs(o, count);
    /* A number of jobs that was given is meant. */
    if (count > 0 && !o->ranks && o->jobs == 0 && jobs * (threads + 1) <= cores) {
        fprintf(out, "%d at a time with --threads %d leave %d of %d cores idle; ", jobs, threads,
                cores - jobs * threads, cores);
        threads = cores / jobs;
        fprintf(out, "--threads %d would use %s.\n", threads,
                jobs * threads < cores ? "more" : "them");
    }
    const run_plan *told = NULL;
    for (int i = 0; i < x->run_count; i++) {
        const run_plan *p = &x->runs[i];
        /* Variants mostly differ in other things: said once. */
        bool same = told && told->lanes == p->lanes && told->lane_rows == p->lane_rows;
        if (!left[i] || same) continue;
        say_lanes(out, p, ranks_count(o->ranks), threads);
        told = p;
    }
}
