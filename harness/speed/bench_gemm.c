#include "harness/speed/bench_gemm.h"

#include "core/base/host.h"
#include "core/ops/blas.h"

/* 17 GFLOP a thread are a tenth of a second where a core does 170 GFLOP/s, a minute on a small
 * board and many minutes in an emulator. A round has to be short beside the time that is measured,
 * so the size goes by time: from SMALLEST on it is doubled while eight times the work takes
 * ROUND_SECONDS at most, which every core of 9 GFLOP/s and more follows to the end. */
enum { SMALLEST = 256, LARGEST = 2048 };
static const double ROUND_SECONDS = 2;

struct bench_gemm {
    arena *memory;
    lanes *pool;
    int64_t size;
    real *a, *b, **c; /* [size, size] of LARGEST x LARGEST; c: one per thread */
};

/* NULL kernels: the machine's own library, which is what utilisation is measured against, whatever
 * kernels the model uses. */
static void gemm_item(void *arg, int64_t item, int thread)
{
    (void)thread;
    const bench_gemm *m = arg;
    int64_t n = m->size;
    blas_gemm(NULL, false, false, n, n, n, 1, m->a, n, m->b, n, 0, m->c[item], n);
}

/* The time is that of the slowest thread. */
static double round_seconds(bench_gemm *m)
{
    double begin = host_monotonic_s();
    lanes_parallel(m->pool, gemm_item, m, lanes_threads(m->pool));
    return host_monotonic_s() - begin;
}

/* A product of n^3 multiply-adds is 2 n^3 FLOPs. */
double bench_gemm_round(bench_gemm *m)
{
    double n = (double)m->size;
    return 2e-9 * lanes_threads(m->pool) * n * n * n / round_seconds(m);
}

int64_t bench_gemm_next_size(int64_t size, double seconds)
{
    return size < LARGEST && 8 * seconds <= ROUND_SECONDS ? 2 * size : size;
}

/* The better of two rounds: one that something interrupted would choose for all that follow. */
static void find_size(bench_gemm *m)
{
    for (int64_t next = SMALLEST; next != m->size;) {
        m->size = next;
        double seconds = round_seconds(m), again = round_seconds(m);
        next = bench_gemm_next_size(next, MIN(seconds, again));
    }
}

/* The matrices hold small whole numbers: no denormals, no overflow, no bits that decide a speed.
 * All threads read the same a and b, each writes a c of its own. */
bench_gemm *bench_gemm_new(lanes *pool)
{
    arena *memory = arena_new(0);
    bench_gemm *m = ARENA_NEW(memory, bench_gemm, 1);
    const int64_t cells = (int64_t)LARGEST * LARGEST;
    int threads = lanes_threads(pool);
    *m = (bench_gemm){.memory = memory,
                      .pool = pool,
                      .a = ARENA_NEW(memory, real, cells),
                      .b = ARENA_NEW(memory, real, cells),
                      .c = ARENA_NEW(memory, real *, threads)};
    for (int64_t i = 0; i < cells; i++) {
        m->a[i] = (real)(i % 7) - 3;
        m->b[i] = (real)(i % 5) - 2;
    }
    for (int i = 0; i < threads; i++) {
        m->c[i] = arena_push_zero(memory, cells, sizeof(real));
    }
    find_size(m);
    return m;
}

void bench_gemm_free(bench_gemm *m)
{
    if (m) arena_free(m->memory);
}

int64_t bench_gemm_size(const bench_gemm *m)
{
    return m->size;
}
