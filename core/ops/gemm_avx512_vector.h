/* Vectors that the kernels of AVX-512 and AMX are made of, inlined where a form is constant. */
#pragma once

#include "core/ops/gemm_form.h"

#include <immintrin.h>

#define AVX512 GEMM_AVX512_TARGET
#define INLINE static inline __attribute__((always_inline)) AVX512

/* The first n of 16 lanes. */
INLINE __mmask16 first(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : n <= 0 ? 0 : (1u << n) - 1);
}

/* The pairs (low[i], high[i]). */
INLINE __m512 paired(__m512 low, __m512 high)
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
}

/* bfloat16_of in 16 lanes, without the instruction for it: values stay floats. */
INLINE __m512 rounded(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i size = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
    __mmask16 tiny = _mm512_cmplt_epi32_mask(size, _mm512_set1_epi32(0x00800000));
    __mmask16 nan = _mm512_cmpgt_epi32_mask(size, _mm512_set1_epi32(0x7f800000));
    up = _mm512_mask_and_epi32(up, tiny, bits, _mm512_set1_epi32(INT32_MIN));
    up = _mm512_mask_or_epi32(up, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(-0x10000)));
}

/* 16 units of a line that runs along k, of which `left` values are left. */
INLINE __m512 along(gemm_form form, const float *x, int64_t left, __m512 alpha)
{
    __m512 low = _mm512_mul_ps(alpha, _mm512_maskz_loadu_ps(first(left), x));
    if (form == GEMM_FLOATS) return low;
    if (form == GEMM_SWAPPED) return _mm512_permute_ps(rounded(low), 0xb1);
    __m512 high = _mm512_maskz_loadu_ps(first(left - 16), left > 16 ? x + 16 : x);
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(alpha, high), low));
}

/* 16 units of which all are there, not multiplied by anything. */
INLINE __m512 along_whole(gemm_form form, const float *x)
{
    __m512 low = _mm512_loadu_ps(x);
    if (form == GEMM_FLOATS) return low;
    if (form == GEMM_SWAPPED) return _mm512_permute_ps(rounded(low), 0xb1);
    return _mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + 16), low));
}

/* Unit p of 16 lines that lie side by side, `stride` between their k values, times alpha if that is
 * not NULL. */
INLINE __m512 across(gemm_form form, const float *lines, int64_t p, int64_t k, int64_t stride,
                     __mmask16 wanted, const __m512 *alpha)
{
    int64_t from = form == GEMM_PAIRS ? 2 * p : form == GEMM_SWAPPED ? p ^ 1 : p;
    if (from >= k) return _mm512_setzero_ps();
    const float *x = lines + from * stride;
    __m512 low = _mm512_maskz_loadu_ps(wanted, x);
    if (alpha) low = _mm512_mul_ps(*alpha, low);
    if (form == GEMM_FLOATS) return low;
    if (form == GEMM_SWAPPED) return rounded(low);
    __m512 high = from + 1 < k ? _mm512_maskz_loadu_ps(wanted, x + stride) : _mm512_setzero_ps();
    return paired(low, alpha ? _mm512_mul_ps(*alpha, high) : high);
}

INLINE __m512 multiply_add(gemm_form form, __m512 a, __m512 b, __m512 sum)
{
    if (form != GEMM_PAIRS) return _mm512_fmadd_ps(a, b, sum);
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a),
                            (__m512bh)_mm512_castps_si512(b));
}

/* 16 sums before they begin: beta c for the lanes wanted. */
INLINE __m512 begin_sums(float beta, __mmask16 wanted, const float *c)
{
    if (beta == 0) return _mm512_setzero_ps();
    return _mm512_mul_ps(_mm512_set1_ps(beta), _mm512_maskz_loadu_ps(wanted, c));
}

INLINE __m512 interleaved(bool high, __m512 x, __m512 y)
{
    __m512d a = _mm512_castps_pd(x), b = _mm512_castps_pd(y);
    return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
}

/* The next line of a and the next row of c that will be needed; `turn` counts the lines until the
 * jump, `of` at first. Of a to the second-level cache, as it is packed from there once. */
INLINE void fetch_ahead(gemm_ahead *n, int64_t *turn)
{
    if (n->rows > 0) {
        __builtin_prefetch(n->c, 1);
        __builtin_prefetch(n->c + 16, 1);
        n->c += n->stride_c;
        n->rows--;
    }
    if (n->lines > 0) {
        __builtin_prefetch(n->a, 0, 2);
        n->a += n->step;
        n->lines--;
        if (--*turn == 0) {
            *turn = n->of;
            n->a += n->jump;
        }
    }
}

/* r[i][j] becomes r[j][i]: within quarters of a register, then the quarters. */
INLINE void transpose16(__m512 r[16])
{
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = interleaved(false, t[i], t[i + 2]);
        r[i + 1] = interleaved(true, t[i], t[i + 2]);
        r[i + 2] = interleaved(false, t[i + 1], t[i + 3]);
        r[i + 3] = interleaved(true, t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        t[j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88);
        t[4 + j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd);
        t[8 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
        t[12 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xdd);
        r[4 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0x88);
        r[12 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0xdd);
    }
}

/* 16 units of each of 16 lines that run along k and lie `stride` apart, as 16 units of all lines
 * side by side; of lines all of whose units are there. */
INLINE void turned_whole(gemm_form form, __m512 r[16], const float *lines, int64_t stride)
{
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        r[i] = along_whole(form, lines + i * stride);
    }
    transpose16(r);
}

/* The same, times alpha, for the first `count` lines, of which `left` values are left; the others
 * are zeros. */
INLINE void turned(gemm_form form, __m512 r[16], int64_t count, int64_t left, const float *lines,
                   int64_t stride, __m512 alpha)
{
    for (int i = 0; i < 16; i++) {
        r[i] = i < count ? along(form, lines + i * stride, left, alpha) : _mm512_setzero_ps();
    }
    transpose16(r);
}
