/* A triangle [n, n] is cut into strips of rows. A product takes of each strip the columns up to its
 * last row, as one ordinary product: the squares beyond stay untouched.
 *
 *   rows first .. end - 1 of m x  = m[first .. end, 0 .. end] x[0 .. end]
 *   rows first .. end - 1 of m^T x = m[first .. n, first .. end]^T x[first .. n]
 *
 * A system is solved strip by strip: what the strips that stand already contribute to one is a
 * product, and only inside a strip row waits for row. */
#include "core/ops/triangle.h"

#include "core/ops/vec.h"

/* Rows of a strip: enough for a kernel's tiles, few enough that the empty half of a strip's own
 * square stays small. Of a system, fewer: inside a strip it is solved row by row. Where strips of
 * systems begin is part of the bits of a transposed one, as the rows behind a strip come first. */
enum { STRIP = 32, SOLVED = 16 };
/* Columns that are solved at a time: their sums stay in registers. */
enum { LANES = 64 };

double triangle_elements(int64_t n)
{
    double elements = 0;
    for (int64_t first = 0, end; first < n; first = end) {
        end = MIN(first + STRIP, n);
        elements += (double)(end - first) * (double)end;
    }
    return elements;
}

double triangle_solve_elements(int64_t n)
{
    double elements = 0;
    for (int64_t first = 0; first < n; first += SOLVED) {
        elements += (double)(MIN(first + SOLVED, n) - first) * (double)first;
    }
    return elements;
}

void triangle_clear(real *m, int64_t n, int64_t i, int64_t from)
{
    int64_t end = MIN((i / STRIP + 1) * STRIP, n);
    vec_zero(m + i * n + from, end - from);
}

/* Either product's right-hand side fits: [k = n, width] and [k = width, n]. */
gemm_packed triangle_room(arena *a, const gemm_kernel *g, int64_t n, int64_t width)
{
    return blas_packed(a, g, (n + GEMM_PART - 1) / GEMM_PART * GEMM_PART,
                       (width + GEMM_PART - 1) / GEMM_PART * GEMM_PART);
}

/* Whether b [k, n] is packed in the room now. A single strip reads it once anyway. */
static bool packed(gemm_packed *p, const gemm_packed *room, bool transpose_b, int64_t rows,
                   int64_t k, int64_t n, const real *b, int64_t stride_b)
{
    if (!room || !room->panels || rows <= STRIP) return false;
    *p = (gemm_packed){room->g, k, n, room->panels};
    blas_pack(p, transpose_b, b, stride_b);
    return true;
}

void triangle_scores(const gemm_kernel *g, int64_t n, int64_t k, real alpha, const real *a,
                     int64_t stride_a, const real *b, int64_t stride_b, real *m,
                     const gemm_packed *room)
{
    gemm_packed p;
    bool once = packed(&p, room, true, n, k, n, b, stride_b);
    for (int64_t first = 0, end; first < n; first = end) {
        end = MIN(first + STRIP, n);
        if (once) {
            blas_gemm_packed(&p, 0, 0, false, end - first, end, k, alpha, a + first * stride_a,
                             stride_a, 0, m + first * n, n);
        } else {
            blas_gemm(g, false, true, end - first, end, k, alpha, a + first * stride_a, stride_a, b,
                      stride_b, 0, m + first * n, n);
        }
    }
}

void triangle_times(const gemm_kernel *g, bool turned, int64_t n, int64_t width, real alpha,
                    const real *m, const real *x, int64_t stride_x, real beta, real *c,
                    int64_t stride_c, const gemm_packed *room)
{
    gemm_packed p;
    bool once = packed(&p, room, false, n, n, width, x, stride_x);
    for (int64_t first = 0, end; first < n; first = end) {
        end = MIN(first + STRIP, n);
        /* Row i of m has columns up to i; of m^T, from i on. */
        int64_t from = turned ? first : 0, count = turned ? n - first : end;
        const real *strip = m + first * n + from;
        if (once) {
            blas_gemm_packed(&p, from, 0, turned, end - first, width, count, alpha, strip, n, beta,
                             c + first * stride_c, stride_c);
        } else {
            blas_gemm(g, turned, false, end - first, width, count, alpha, strip, n,
                      x + from * stride_x, stride_x, beta, c + first * stride_c, stride_c);
        }
    }
}

/* ---- a triangular system ---- */

/* Row i over `n` <= LANES columns: e -= sum_j m_j u_j over the strip's rows that stand already;
 * m_j lie `apart`, rows of e and u `width`. Sums are taken in the order of j. */
static inline void solve_row(const real *restrict m, int64_t apart, const real *restrict u,
                             int64_t count, int64_t width, real scale, real *restrict e,
                             real *restrict to, int64_t n)
{
    real row[LANES];
    vec_copy(row, e, n);
    for (int64_t j = 0; j < count; j++) {
        vec_axpy(row, -m[j * apart], u + j * width, n);
    }
    vec_copy(e, row, n);
    vec_scaled(to, scale, row, n);
}

/* Rows first to end - 1 of a system of `size` rows, n columns of it; if turned, from the last on.
 */
static inline void solve_strip(bool turned, int64_t first, int64_t end, const real *m, int64_t size,
                               const real *scale, int64_t apart, real *e, real *u, int64_t width,
                               int64_t n)
{
    for (int64_t k = 0; k < end - first; k++) {
        int64_t i = turned ? end - 1 - k : first + k, from = turned ? i + 1 : first;
        const real *factors = m ? m + (turned ? from * size + i : i * size + from) : NULL;
        solve_row(factors, turned ? size : 1, u + from * width, m ? k : 0, width, scale[i * apart],
                  e + i * width, u + i * width, n);
    }
}

void triangle_solve(const gemm_kernel *g, bool turned, int64_t n, int64_t width, const real *m,
                    const real *scale, int64_t apart, real *e, real *u)
{
    int64_t strips = (n + SOLVED - 1) / SOLVED;
    for (int64_t s = 0; s < strips; s++) {
        int64_t first = (turned ? strips - 1 - s : s) * SOLVED, end = MIN(first + SOLVED, n);
        /* What the strips that stand give this one comes first, as one product. */
        int64_t from = turned ? end : 0, count = turned ? n - end : first;
        if (m && count > 0) {
            blas_gemm(g, turned, false, end - first, width, count, -1,
                      m + (turned ? end * n + first : first * n), n, u + from * width, width, 1,
                      e + first * width, width);
        }
        for (int64_t c = 0; c < width; c += LANES) {
            /* The constant lets the compiler keep a row in registers. */
            if (width - c >= LANES) {
                solve_strip(turned, first, end, m, n, scale, apart, e + c, u + c, width, LANES);
            } else {
                solve_strip(turned, first, end, m, n, scale, apart, e + c, u + c, width, width - c);
            }
        }
    }
}
