/* The pointwise functions behind op_activation, op_glu and op_activation_linear. */
#pragma once

#include "core/ops/ops.h"

/* y = f(x), n elements. */
void activation_value(real *y, const real *x, int64_t n, activation kind);

/* value = f(x), slope = f'(x). At a kink the slope is that of the left side. */
void activation_value_slope(real *value, real *slope, const real *x, int64_t n, activation kind);
