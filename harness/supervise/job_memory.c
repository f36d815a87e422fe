#include "harness/supervise/job_memory.h"

#include "core/base/host.h"

/* What counts is anonymous memory: files that are mapped (a corpus) are given back when room is
 * short. A run takes its memory over minutes, so what is free on the machine at one moment says
 * little: the part that those under way will yet take (unclaimed) is kept for them. With a limit of
 * the user's, what is free does not matter, only the sum. */

void job_memory_init(job_memory *m, arena *a, int variants, double limit, int threads)
{
    *m = (job_memory){.limit = limit,
                      .threads = threads,
                      .measured = arena_push_zero(a, variants, sizeof *m->measured)};
}

void job_memory_learn(job_memory *m, int variant, int64_t peak_bytes)
{
    m->measured[variant] = MAX(m->measured[variant], (double)peak_bytes);
}

/* A thread without a lane has nothing to keep. */
double job_memory_estimate(const run_plan *p, int threads)
{
    return p->memory_bytes + (double)(MAX(MIN(threads, p->lanes), 1) - 1) * p->thread_bytes;
}

double job_memory_need(const job_memory *m, const run_plan *p)
{
    /* Seeds of a variant differ little (a tenth is for that); variants may differ by any factor, so
     * one says nothing of another. */
    double peak = m->measured[p->variant_index];
    return peak > 0 ? 1.1 * peak : job_memory_estimate(p, m->threads);
}

void job_memory_begin(job_memory *m)
{
    m->claimed = m->unclaimed = 0;
}

void job_memory_add(job_memory *m, double need, int64_t used_bytes)
{
    double used = (double)used_bytes;
    /* A run that has taken more than was thought is counted by what it has. */
    m->claimed += MAX(need, used);
    m->unclaimed += MAX(need - used, 0.0);
}

bool job_memory_fits(const job_memory *m, double need)
{
    if (m->limit > 0) return m->claimed + need <= m->limit;
    /* A twentieth stays for whoever else is there. 0: not known; then nothing is held back. */
    double available = (double)host_memory_available();
    return available <= 0 || m->unclaimed + need <= 0.95 * available;
}
