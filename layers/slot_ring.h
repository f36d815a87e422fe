/* A slot that grows in place: what is carried of keys and values gets some entries longer with
 * every call and loses as many at its beginning. Rows stand `capacity` entries apart, new entries
 * are written behind the last, and only where a row's end is reached do the rows move back to their
 * beginnings: joining and cutting tensors would copy all that is carried three times per token. */
#pragma once

#include "core/base/base.h"

typedef struct slot_ring {
    real *data;                    /* the slot's memory [rows, capacity, width] */
    int64_t rows, width, capacity; /* capacity 0: the slot is not made for it */
    int64_t begin, length;         /* of each row: entries [begin, begin + length) are carried */
    bool
        spread; /* false: the slot holds [rows, its length, width], dense, and this is not in use */
    /* What the layer makes of each entry (its key, rotated): [rows, capacity, made_width] beside
     * `data`, of the carried entries before `made`. It is never saved: dense, or moved back to
     * their rows' beginnings, entries have to be made anew. NULL: nothing is made. */
    real *of_entry;
    int64_t made_width, made;
} slot_ring;

/* Takes over what is carried as a dense array [rows, length, width], or the slot's own memory. */
void slot_ring_spread(slot_ring *r, const real *dense, int64_t length);

/* Writes `time` entries of each row, columns [column, column + width) of x [rows, time, x_width],
 * behind what is carried. Returns the first carried entry of row 0, then capacity * width numbers
 * per row; NULL where there is no room. */
real *slot_ring_append(slot_ring *r, const real *x, int64_t time, int64_t column, int64_t x_width);

/* What is made of `time` entries, x [rows, time, made_width], follows what is there of those before
 * entry `first`. */
void slot_ring_make(slot_ring *r, int64_t first, const real *x, int64_t time);

/* Columns [column, column + columns) of the entries before and with the last append, `length` of
 * them from `data` on (slot_ring_append's result): out [rows, length, columns]. */
void slot_ring_copy(real *out, const slot_ring *r, const real *data, int64_t length, int64_t column,
                    int64_t columns);

/* Dense again: data is [rows, length, width]. */
void slot_ring_gather(slot_ring *r);
