/* Gradients of single rows of a table, in the order in which they come: what a table costs that few
 * tokens touch. A row may come several times; row_sums adds them up. */
#pragma once

#include "core/base/base.h"

/* Grows as needed, and shrinks never: soon after the start nothing is allocated any more. Zeros are
 * an empty one. */
typedef struct row_grads {
    int64_t width, count, capacity;
    int32_t *rows; /* [count] */
    real *values;  /* [count, width] */
} row_grads;

void row_grads_deinit(row_grads *g);
/* Room for `count` rows of its width. */
void row_grads_reserve(row_grads *g, int64_t count);
void row_grads_push(row_grads *g, const int32_t *rows, const real *values, int64_t n);
/* All of b behind what a has. */
void row_grads_append(row_grads *a, const row_grads *b);

/* Sums of the same row's gradients: each row once, in ascending order. */
typedef struct row_sums {
    row_grads sums;
    int32_t *order, *next; /* [capacity] */
    int64_t capacity;
} row_sums;

void row_sums_deinit(row_sums *s);
/* Adds in the order in which they came: bits depend on nothing else. */
void row_sums_of(row_sums *s, const row_grads *g);
