#include "harness/speed/bench_gemm.h"

#include "core/base/host.h"
#include "core/ops/blas.h"

enum { GEMM_SIZE = 2048 };

struct gemm_meter {
    arena *memory;
    lanes *pool;
    real *a, *b, **c; /* c: one per thread */
};

gemm_meter *gemm_meter_new(lanes *pool)
{
    arena *memory = arena_new(0);
    gemm_meter *m = ARENA_NEW(memory, gemm_meter, 1);
    const int64_t cells = (int64_t)GEMM_SIZE * GEMM_SIZE;
    int threads = lanes_threads(pool);
    *m = (gemm_meter){.memory = memory,
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
    return m;
}

void gemm_meter_free(gemm_meter *m)
{
    if (m) arena_free(m->memory);
}

static void gemm_item(void *arg, int64_t item, int thread)
{
    (void)thread;
    const gemm_meter *m = arg;
    blas_gemm(false, false, GEMM_SIZE, GEMM_SIZE, GEMM_SIZE, 1, m->a, GEMM_SIZE, m->b, GEMM_SIZE, 0,
              m->c[item], GEMM_SIZE);
}

double gemm_meter_round(gemm_meter *m)
{
    int threads = lanes_threads(m->pool);
    double begin = host_monotonic_s();
    lanes_parallel(m->pool, gemm_item, m, threads);
    double seconds = host_monotonic_s() - begin;
    return 2e-9 * threads * (double)GEMM_SIZE * GEMM_SIZE * GEMM_SIZE / seconds;
}
