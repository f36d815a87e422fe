/* Names the first tensor that is not finite, told of them in the order in which they are made:
 * outputs on the way forward (model.h's taps), gradients on the way back (tape.h's watch). */
#pragma once

#include "core/ops/tape.h"
#include "core/train/params.h"
#include "layers/layer.h"

enum { BAD_NUMBER_BYTES = 160 };

typedef struct bad_number {
    char text[BAD_NUMBER_BYTES]; /* "" before there is one */
    const params *params;        /* with their values: what a leaf of the tape is the gradient of */
    const real *values;
} bad_number;

bool bad_number_finite(const real *x, int64_t n);
/* "parameter NAME". */
void bad_number_in_parameters(bad_number *b);
/* A tap_fn, user: the bad_number. "output LAYER.NAME". */
void bad_number_tap(void *user, const layer *self, const char *name, const tensor *x);
/* A tape_watch_fn. "gradient of NAME (op OP)" for a parameter; else "gradient in PLACE (op OP)". */
void bad_number_watch(void *user, const op_class *op, const char *place, const tensor *x);
