/* bfloat16: the upper half of a float, 8 bits of precision. */
#pragma once

#include <stdint.h>
#include <string.h>

/* x to the nearest bfloat16, ties to even, as the processors' own instructions round: what is below
 * 2^-126 becomes zero, a NaN stays one. */
static inline uint32_t bfloat16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t size = bits & 0x7fffffffu, sign = bits & 0x80000000u;
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    rounded = size < 0x00800000u ? sign >> 16 : rounded;
    return size > 0x7f800000u ? bits >> 16 | 0x40u : rounded;
}

static inline float bfloat16_value(uint32_t half)
{
    float x;
    uint32_t bits = half << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}
