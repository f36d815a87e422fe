#include "harness/speed/bench_peak.h"

#include <math.h>

#include "core/base/host.h"

/* What a processor could do, measured rather than looked up: clocks under load, and how many units
 * there are, differ within a family. Each loop keeps its operands in registers, so that neither
 * caches nor memory are in the figure.
 *
 *   FLOPs of a call = 2 x floats of a vector x CHAINS x REPEATS   (vdpbf16ps: twice that)
 *                   = 2 x 6 x TILE_REPEATS x 16 x 16 x 32         (tiles: 16 x 16 sums of 32)
 *
 * Which loop can run is asked of the processor and, for tiles, of the system at run time: the
 * program itself is compiled for less. */

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* A loop runs so many times over CHAINS multiply-adds, none of which waits for another: twelve hide
 * the latency of two units of four cycles, and with both factors fit in sixteen registers. */
enum { CHAINS = 12, REPEATS = 1000000, TILE_REPEATS = 50000 };

/* All bits of work go here, or the compiler would do none of it. */
typedef float (*peak_loop)(void);
static volatile float sink;

/* A compiler that knew where a chain begins could compute it, or see that 2 / 2 + 1 is 2 and leave
 * it out: a twelfth less work than is counted. */
static volatile float opaque = 1;

/* x = x c + b converges to 2: neither overflows nor becomes denormal. */
#define FLOAT_LOOP(name, bytes, attributes)                                                        \
    attributes static float name(void)                                                             \
    {                                                                                              \
        typedef float vector __attribute__((vector_size(bytes)));                                  \
        vector x[CHAINS], c = (vector){0} + 0.5F, b = (vector){0} + 1.0F;                          \
        for (int i = 0; i < CHAINS; i++) {                                                         \
            x[i] = (vector){0} + opaque * (float)i;                                                \
        }                                                                                          \
        for (int n = 0; n < REPEATS; n++) {                                                        \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)                              \
            {                                                                                      \
                x[i] = x[i] * c + b;                                                               \
            }                                                                                      \
        }                                                                                          \
        for (int i = 1; i < CHAINS; i++) {                                                         \
            x[0] += x[i];                                                                          \
        }                                                                                          \
        return x[0][0];                                                                            \
    }

FLOAT_LOOP(loop_16, 16, )

#if defined(__x86_64__)
FLOAT_LOOP(loop_avx2, 32, __attribute__((target("avx2,fma"))))
FLOAT_LOOP(loop_avx512, 64, __attribute__((target("avx512f"))))

/* 0x3f80 and 0x3c00 are the upper halves of the floats 1 and 1/128: sums grow slowly and stay
 * normal. */
__attribute__((target("avx512f,avx512bf16"))) static float loop_bfloat16(void)
{
    __m512 x[CHAINS];
    __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80), small = (__m512bh)_mm512_set1_epi16(0x3c00);
    for (int i = 0; i < CHAINS; i++) {
        x[i] = _mm512_set1_ps(opaque * (float)i);
    }
    for (int n = 0; n < REPEATS; n++) {
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)
        {
            x[i] = _mm512_dpbf16_ps(x[i], one, small);
        }
    }
    for (int i = 1; i < CHAINS; i++) {
        x[0] = _mm512_add_ps(x[0], x[i]);
    }
    return _mm512_reduce_add_ps(x[0]);
}

/* Tiles are named by number: 0 to 5 sum up, 6 and 7 are the factors, all of them zero (speed does
 * not depend on what they hold). */
__attribute__((target("amx-tile,amx-bf16"))) static float loop_tiles(void)
{
    /* Static: what gcc 12 takes _tile_loadconfig to read is its first eight bytes. */
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1,
                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
    _tile_zero(6);
    _tile_zero(7);
    for (int n = 0; n < TILE_REPEATS; n++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
        _tile_dpbf16ps(4, 6, 7);
        _tile_dpbf16ps(5, 6, 7);
    }
    _tile_release();
    return 0;
}

/* The instructions, and the system's leave to use their registers, which a process asks for. */
static bool has_tiles(void)
{
    enum { XTILEDATA = 18 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    bool bfloat16 = d >> 22 & 1, tiles = d >> 24 & 1;
    return bfloat16 && tiles && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}
#endif

/* The loop of a kind on this processor and the FLOPs of one call; NULL: it has none. For float32
 * there is always one: the plain loop is what the compiler makes of vectors of 16 bytes. */
static peak_loop loop_of(peak_kind kind, double *flops)
{
    const double chains = 2.0 * CHAINS * REPEATS;
#if defined(__x86_64__)
    bool avx512 = __builtin_cpu_supports("avx512f");
    *flops = kind == PEAK_TILES ? 2.0 * 6 * TILE_REPEATS * 16 * 16 * 32
                                : chains * (kind == PEAK_BFLOAT16 ? 32
                                            : avx512              ? 16
                                                                  : 8);
    switch (kind) {
    case PEAK_TILES:
        return has_tiles() ? loop_tiles : NULL;
    case PEAK_BFLOAT16:
        return avx512 && __builtin_cpu_supports("avx512bf16") ? loop_bfloat16 : NULL;
    default:
        if (avx512) return loop_avx512;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return loop_avx2;
    }
#endif
    *flops = chains * 4;
    return kind == PEAK_FLOAT32 ? loop_16 : NULL;
}

/* Each thread runs the loop once; `sink` is written by all, which costs nothing beside a million
 * turns. */
static void peak_item(void *arg, int64_t item, int thread)
{
    (void)item;
    (void)thread;
    sink = (*(peak_loop *)arg)();
}

/* As many loops as threads, one each, at once: a processor that slows down under load does so
 * here, too. */
double bench_peak_round(lanes *pool, peak_kind kind)
{
    int threads = lanes_threads(pool);
    double flops;
    peak_loop loop = loop_of(kind, &flops);
    if (!loop) return (double)NAN;
    double begin = host_monotonic_s();
    lanes_parallel(pool, peak_item, &loop, threads);
    return 1e-9 * threads * flops / (host_monotonic_s() - begin);
}
