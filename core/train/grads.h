/* Adding gradients: what the tree of lanes.h is made of, within a process and over ranks. */
#pragma once

#include "core/train/params.h"

/* a += b on elements [begin, end) of the flat vectors, piece by piece: what b lacks is not read,
 * what a alone lacks is copied. a and b point at element `begin`. The marks are left as they are:
 * see grads_mark. */
void grads_add(const params *p, real *a, const bool *a_has, const real *b, const bool *b_has,
               int64_t begin, int64_t end);

/* a has what either has. */
void grads_mark(const params *p, bool *a_has, const bool *b_has);

/* Parameters in parts of about equal size: part k is those of index [first[k], first[k + 1]). A
 * backward pass comes to the last declared first, so parts are finished from the last to part 0. */
enum { GRADS_PARTS = 24 };
typedef struct grads_parts {
    int count;
    int first[GRADS_PARTS + 1];
} grads_parts;

/* As many as there can be of `least` elements that have gradients in the flat vectors; 1 at least.
 * rows: gradients by rows are not there (grads.rows). */
grads_parts grads_parts_of(const params *p, bool rows, int64_t least);
/* Elements of p in the flat vectors' gradients: none of what is frozen or goes by rows. */
int64_t grads_dense(const param *p, bool rows);

/* a += b of one part, marks as well. Gradients by rows, all of them, go with part 0, a's before
 * b's. */
void grads_add_part(const params *p, const grads_parts *parts, int part, grads *a, const grads *b);
