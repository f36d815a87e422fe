/* A tensor is memory with a shape; it never owns it. Tensors are made by a tape (tape.h). */
#pragma once

#include "core/base/base.h"

enum { TENSOR_RANK = 4 };

typedef struct tensor {
    real *data;                 /* row-major, dense */
    real *grad;                 /* same shape; meaningful only if has_grad */
    int64_t shape[TENSOR_RANK]; /* unused axes are 1 and come last */
    int rank;
    bool needs_grad; /* the backward pass reaches it */
    bool has_grad;   /* something has flowed into grad */
    bool fixed_grad; /* grad is the caller's (a parameter's): never pooled, never handed over */
    struct blas_kept *kept; /* of a matrix that many products read as it is (blas.h); NULL: none */
    int64_t since;          /* a leaf: what uses it is recorded behind so many others (tape_pace) */
} tensor;

int64_t tensor_count(const tensor *x); /* number of elements */
int64_t tensor_width(const tensor *x); /* size of the last axis */
int64_t tensor_rows(const tensor *x);  /* product of all axes but the last */
bool tensor_same_shape(const tensor *a, const tensor *b);
