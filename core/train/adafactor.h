/* Adafactor's update of one piece (Shazeer & Stern 2018, arXiv:1804.04235, algorithm 4): see
 * optim.h. */
#pragma once

#include "core/train/params.h"

/* How a piece is seen: `slabs` matrices [rows, columns] with factored second moments, or, with rows
 * 1, one vector of `columns` elements with a second moment each. */
typedef struct adafactor_shape {
    int64_t slabs, rows, columns;
} adafactor_shape;

/* The shape of one piece of the parameter: leading axes of size 1 do not make a matrix. */
adafactor_shape adafactor_shape_of(const param *p);
/* Second moments per piece: R [rows] and C [columns] for each slab, or V [columns]. */
int64_t adafactor_state_count(adafactor_shape s);

typedef struct adafactor_step {
    double beta2, eps1, eps2, update_clip;
    double rho, decay; /* rate before scaling; rho * weight decay */
    bool scale_parameter;
} adafactor_step;

/* x, g [slabs, rows, columns]; state [adafactor_state_count]; g is multiplied by scale first; NULL:
 * all zero. */
void adafactor_update(real *x, real *state, const real *g, adafactor_shape s, double scale,
                      const adafactor_step *how);
