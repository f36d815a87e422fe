/* Gradients by rows (row_grads.h) over ranks: every rank gets all of them, put one behind the other
 * in rank order, as lanes.h puts those of its lanes. A rank's lanes stand together in the order of
 * all lanes, so that this is the order that one process has. They are not added up here: the
 * optimiser adds the rows of a table in the order in which they lie. */
#pragma once

#include "core/train/params.h"
#include "core/train/ranks.h"

typedef struct rank_rows rank_rows;

/* Borrows both. */
rank_rows *rank_rows_new(rank_group *r, const params *p);
void rank_rows_free(rank_rows *x); /* NULL is fine */

/* g's rows become those of all ranks; g without rows is left alone. False: a rank was lost. */
bool rank_rows_gather(rank_rows *x, grads *g, err *e);
