/* The kernel for AMX: four tiles of 16 x 16 sums make 32 rows by 32 columns; a tile of a is 16 rows
 * of 32 values, one of b 16 pairs of 16 columns. Panels of a are [rows][GEMM_STRIDE] units, those
 * of b as in gemm_avx512.c, filled up to whole tiles with zeros.
 *
 * Per 32 values of k and four tiles of sums: four loads of 1 KiB (two of a, two of b) and four
 * products of 16 x 32 by 32 x 16. Two tiles of sums alone would need three loads for two
 * products.
 *
 * Rows of a panel beyond `rows` hold what was there before. Their sums are garbage in rows of their
 * own, which nobody stores: a row of the result depends on one row of a only. */
#include "core/ops/gemm_kernels.h"

#if defined(__x86_64__)
#include "core/base/base.h"
#include "core/ops/gemm_avx512_pack.h"
#include "core/ops/gemm_avx512_vector.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdalign.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16")))

enum { ROWS = 32, COLUMNS = GEMM_AVX512_COLUMNS, TILE = 16 };
/* Fetched per 16 units: most of a panel of a while the 512 columns of the one before are computed.
 */
enum { LINES = 3 };

/* The instructions, and the system's leave to use their registers, which a process asks for.
 * The leave is the process's and is asked for once more with each question, which is harmless. */
static bool has_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    unsigned a, b, c, d;
    if (!GEMM_AVX512_BFLOAT16.supported() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return false;
    }
    bool bfloat16 = d >> 22 & 1, tiles = d >> 24 & 1;
    return bfloat16 && tiles && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

/* Units filled up to whole tiles: 16 pairs. */
static void pack_b(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                   int64_t stride)
{
    gemm_avx512_pack_b(GEMM_PAIRS, panels, transposed, gemm_units(&GEMM_AMX_TILES, k), k, n, b,
                       stride);
}

static void pack_a(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                   const float *a, int64_t stride)
{
    gemm_avx512_pack_rows(GEMM_PAIRS, panel, transposed, gemm_units(&GEMM_AMX_TILES, k), rows, k,
                          alpha, a, stride);
}

/* Compilers know too little of what the tiles' instructions read: all stores come before them.
 * Without it the compiler might leave a store to the configuration or to a panel for later. */
static inline void written(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Tile registers: 0 to 3 sums (top left, top right, bottom left, bottom right), 4 and 5 rows of a,
 * 6 and 7 columns of b; all of 16 rows of 64 bytes. */
AMX static void begin(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1}; /* 64 bytes, all of which are read */
    for (int i = 0; i < 8; i++) {
        tiles.row_bytes[i] = 64;
        tiles.rows[i] = TILE;
    }
    written();
    _tile_loadconfig(&tiles);
}

/* Tiles in use are 8 KiB more that the system saves whenever it switches this thread. */
AMX static void end(void)
{
    _tile_release();
}

/* sums [32, 32] = a b + beta from for a beta of 0 or 1, rows of sums `apart`; from NULL: sums.
 * `low`: rows beyond the 16th count, too.
 * The sums live in tiles over all of the block's k; tdpbf16ps adds 32 values at a time in its own
 * order, which is why this is a chain of its own (gemm.h). */
AMX static void multiply(float *sums, int64_t apart, bool low, int64_t units, const float *a,
                         const float *b, float beta, const float *from, int64_t stride_from,
                         const gemm_ahead *ahead)
{
    const int64_t row = COLUMNS * (int64_t)sizeof *b, line = GEMM_STRIDE * (int64_t)sizeof *a;
    const int64_t step = apart * (int64_t)sizeof *sums;
    written();
    if (beta == 0) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        if (!from) from = sums, stride_from = apart;
        const int64_t between = stride_from * (int64_t)sizeof *from;
        _tile_loadd(0, from, between);
        _tile_loadd(1, from + TILE, between);
        if (low) {
            _tile_loadd(2, from + TILE * stride_from, between);
            _tile_loadd(3, from + TILE * stride_from + TILE, between);
        }
    }
    gemm_ahead next = *ahead;
    int64_t turn = next.of;
    for (int64_t p = 0; p < units; p += TILE) {
        for (int i = 0; i < LINES; i++) {
            fetch_ahead(&next, &turn);
        }
        /* A tile of a: 16 rows, each 16 units of k (32 values) from unit p on; of b: 16 units of k,
         * each 16 columns of pairs. */
        _tile_loadd(4, a + p, line);
        _tile_loadd(6, b + p * COLUMNS, row);
        _tile_loadd(7, b + p * COLUMNS + TILE, row);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (!low) continue;
        _tile_loadd(5, a + (int64_t)TILE * GEMM_STRIDE + p, line);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, step);
    _tile_stored(1, sums + TILE, step);
    if (low) {
        _tile_stored(2, sums + TILE * apart, step);
        _tile_stored(3, sums + TILE * apart + TILE, step);
    }
}

/* A part of a tile goes through a buffer, since tiles can neither be masked nor multiplied by
 * beta. */
AMX static void multiply_part(int64_t rows, int64_t columns, int64_t units, const float *a,
                              const float *b, float beta, const float *from, int64_t stride_from,
                              float *c, int64_t stride_c, const gemm_ahead *ahead)
{
    alignas(64) float sums[ROWS * COLUMNS];
    const __mmask16 left = first(columns), right = first(columns - TILE);
    for (int64_t i = 0; beta != 0 && i < rows; i++) {
        const float *line = from + i * stride_from;
        _mm512_store_ps(sums + i * COLUMNS, begin_sums(beta, left, line));
        _mm512_store_ps(sums + i * COLUMNS + TILE, begin_sums(beta, right, line + TILE));
    }
    multiply(sums, COLUMNS, rows > TILE, units, a, b, beta == 0 ? 0 : 1, NULL, 0, ahead);
    for (int64_t i = 0; i < rows; i++) {
        _mm512_mask_storeu_ps(c + i * stride_c, left, _mm512_load_ps(sums + i * COLUMNS));
        _mm512_mask_storeu_ps(c + i * stride_c + TILE, right,
                              _mm512_load_ps(sums + i * COLUMNS + TILE));
    }
}

AMX static void tile(int64_t rows, int64_t columns, int64_t units, const float *a, const float *b,
                     float beta, const float *from, int64_t stride_from, float *c, int64_t stride_c,
                     const gemm_ahead *ahead)
{
    if (rows % TILE == 0 && columns == COLUMNS && (beta == 0 || beta == 1)) {
        multiply(c, stride_c, rows > TILE, units, a, b, beta, from, stride_from, ahead);
    } else {
        multiply_part(rows, columns, units, a, b, beta, from, stride_from, c, stride_c, ahead);
    }
}

const gemm_kernel GEMM_AMX_TILES = {.name = "amx",
                                    .chain = GEMM_TILES,
                                    .supported = has_amx,
                                    .rows = ROWS,
                                    .columns = COLUMNS,
                                    .panel = GEMM_PANEL,
                                    .step = 1,
                                    .depth = 2,
                                    .whole = 32,
                                    .flushes = true,
                                    .begin = begin,
                                    .end = end,
                                    .pack_b = pack_b,
                                    .pack_a = pack_a,
                                    .tile = tile};
#endif
