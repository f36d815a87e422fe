/* How many runs fit into memory beside each other. */
#include "core/base/host.h"
#include "harness/supervise/job_memory.h"
#include "tests/test.h"

/* Estimates hold until a run of the variant was measured. */
static void memory_is_learnt(void)
{
    arena *a = arena_new(1 << 12);
    job_memory m;
    const run_plan big = {.variant_index = 1, .memory_bytes = 100e6};
    job_memory_init(&m, a, 2, 250e6, 1);
    double guess = job_memory_need(&m, &big);
    EXPECT(guess >= 100e6 && guess < 120e6, "%g", guess);
    job_memory_begin(&m);
    job_memory_add(&m, guess, 0);
    EXPECT(job_memory_fits(&m, guess), "%g of %g", m.claimed, m.limit);
    job_memory_add(&m, guess, 0);
    EXPECT(!job_memory_fits(&m, guess), "%g of %g", m.claimed, m.limit);
    job_memory_learn(&m, 1, 50000000);
    job_memory_learn(&m, 1, 40000000); /* the highest counts */
    double known = job_memory_need(&m, &big);
    EXPECT(known > 50e6 && known < 60e6, "%g", known);
    job_memory_begin(&m);
    for (int i = 0; i < 3; i++) {
        EXPECT(job_memory_fits(&m, known), "%d run", i);
        job_memory_add(&m, known, 10000000);
    }
    job_memory_begin(&m);
    job_memory_add(&m, known, 240000000); /* took more than was expected */
    EXPECT(!job_memory_fits(&m, known), "%g of %g", m.claimed, m.limit);
    m.limit = 0; /* what the machine has */
    job_memory_begin(&m);
    EXPECT(job_memory_fits(&m, 1) && !job_memory_fits(&m, 1e15), "%g free",
           (double)host_memory_available());
    arena_free(a);
}

/* As far as there are lanes. */
static void threads_take_memory(void)
{
    const run_plan p = {.memory_bytes = 100e6, .thread_bytes = 10e6, .lanes = 4};
    static const struct {
        int threads;
        double bytes;
    } cases[] = {{1, 100e6}, {2, 110e6}, {4, 130e6}, {64, 130e6}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double bytes = job_memory_estimate(&p, cases[i].threads);
        EXPECT(bytes >= cases[i].bytes && bytes <= cases[i].bytes, "%d threads: %g",
               cases[i].threads, bytes);
    }
}

extern const test_suite test_job_memory;
const test_suite test_job_memory = {
    "harness/job_memory",
    {{"memory_is_learnt", memory_is_learnt}, {"threads_take_memory", threads_take_memory}, {0}}};
