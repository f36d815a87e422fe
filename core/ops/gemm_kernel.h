/* One kernel: see gemm.h for what it computes.
 *
 * A kernel serves one chain with one instruction set. b is packed into panels of `columns` columns
 * (zeros beyond the last), a into one panel of at most `rows` rows; `tile` multiplies one by one. A
 * unit is 32 bits of a packed panel: a float, or two bfloat16. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum gemm_chain { GEMM_FLOAT32, GEMM_BFLOAT16, GEMM_TILES, GEMM_CHAINS } gemm_chain;

enum {
    GEMM_UNITS = 384,   /* of k in a panel of a at most */
    GEMM_COLUMNS = 512, /* of b packed at a time */
    GEMM_MAX_ROWS = 32,
    GEMM_UNPACKED = 128,
    GEMM_FEW = 8, /* rows for which packing b costs more than turning it in registers */
    GEMM_STRIDE = GEMM_UNITS + 16, /* of a panel's rows: not a multiple of 4096 bytes */
    GEMM_PANEL = GEMM_MAX_ROWS * GEMM_STRIDE,
    GEMM_STRIP = 64, /* rows of a transposed a that are packed at a time, at most */
    GEMM_PANELS = GEMM_STRIP / GEMM_MAX_ROWS * GEMM_PANEL, /* floats that these take at most */
};

/* What the tile after this one reads, which a tile fetches a line at a time between its
 * multiply-adds: a processor keeps 10 to 20 lines on their way, and fetching more at once than that
 * stops everything else that reads. `lines` of a, `of` of them `step` floats apart, then on by
 * `jump`; `rows` of c. */
typedef struct gemm_ahead {
    const float *a, *c;
    int64_t lines, of, step, jump;
    int64_t rows, stride_c;
} gemm_ahead;

typedef struct gemm_kernel {
    const char *name;
    gemm_chain chain;
    bool (*supported)(void); /* by this processor; NULL: always */
    bool (*slow)(void);      /* others serve the chain faster on this processor; NULL: never */
    int rows, columns;       /* of a tile */
    int depth;               /* values of k per unit */
    int whole;               /* k is filled up to a multiple of this many values */
    int panel, step;         /* floats of a panel of a, and those from one unit in it to the next */
    bool flushes;            /* runs with denormals as zeros in the floating-point environment */
    void (*begin)(void), (*end)(void); /* around its other functions' calls, or NULL */
    /* b [k, n] (stored [n, k] if transposed) -> panels [n / columns][units][columns] */
    void (*pack_b)(float *panels, bool transposed, int64_t k, int64_t n, const float *b,
                   int64_t stride);
    /* alpha a [rows, k] (stored [k, rows] if transposed) -> a panel */
    void (*pack_a)(float *panel, bool transposed, int64_t rows, int64_t k, float alpha,
                   const float *a, int64_t stride);
    /* c [rows, columns] = a b + beta from for packed panels; from is c itself, or one row for all
     * of c's (stride 0). `ahead` as far as there are units. */
    void (*tile)(int64_t rows, int64_t columns, int64_t units, const float *a, const float *b,
                 float beta, const float *from, int64_t stride_from, float *c, int64_t stride_c,
                 const gemm_ahead *ahead);
    /* The same for rows of a as they lie, `stride_a` apart: where GEMM_UNPACKED columns or fewer
     * share them, packing costs more than it saves. NULL: they have to be packed. */
    void (*tile_unpacked)(bool transposed, int64_t rows, int64_t columns, int64_t units,
                          const float *a, int64_t stride_a, const float *b, float beta,
                          const float *from, int64_t stride_from, float *c, int64_t stride_c,
                          const gemm_ahead *ahead);
    /* c [rows, n] = a b + beta c for rows packed by pack_few, GEMM_STRIDE apart, and b as it lies,
     * which is read once: 1 row, or GEMM_FEW of them at most where b is transposed. NULL: as any.
     */
    void (*pack_few)(float *panel, int64_t rows, int64_t k, float alpha, const float *a,
                     int64_t stride);
    void (*few)(bool transposed, int64_t rows, int64_t n, int64_t k, const float *panel,
                const float *b, int64_t stride, float beta, float *c, int64_t stride_c);
    /* Several rows are faster by tiles, of a b that was packed before. NULL: they are not. */
    bool (*few_are_slow)(void);
    /* As `few` for one row, but each row has a b of its own, `apart` floats behind the one before:
     * GEMM_FEW at most, all of which are read together. NULL: one by one. */
    void (*heads)(bool transposed, int64_t heads, int64_t n, int64_t k, const float *panel,
                  const float *b, int64_t stride, int64_t apart, float beta, float *c,
                  int64_t stride_c);
    /* c [n] = a b + beta c for a packed row (not transposed) and panels of b whose first units are
     * `apart` floats from each other. NULL: by tiles. */
    void (*row)(int64_t n, int64_t units, const float *a, const float *b, int64_t apart, float beta,
                float *c);
} gemm_kernel;

/* Units of k values in a panel. */
static inline int64_t gemm_units(const gemm_kernel *g, int64_t k)
{
    return (k + g->whole - 1) / g->whole * g->whole / g->depth;
}
