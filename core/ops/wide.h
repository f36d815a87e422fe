/* Loops in AVX-512's vectors, where a processor has them: the program is built for AVX2. Bits are
 * the same only where elements do not meet; a sum over elements would have another order.
 *
 *     WIDE static void loop_wide(...);          the same body as loop's, inlined into both
 *     wide_vectors() ? loop_wide(...) : loop(...) */
#pragma once

#include <stdbool.h>

#if defined(__x86_64__)
#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
static inline bool wide_vectors(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#else
#define WIDE
static inline bool wide_vectors(void)
{
    return false;
}
#endif
