#include "layers/slot_ring.h"

#include "core/base/crew.h"

#include <string.h>

/* A row's entries are a window [begin, begin + length) that slides through `capacity` places.
 * Appending writes behind it, forgetting moves `begin`; where the end of the row is near, the
 * window moves back to its start. With a capacity of twice the window that is one copy of the
 * window per window of tokens, a constant per token. All rows slide alike, as they have as many
 * positions. */

/* Numbers below which copying takes less time than calling helpers. */
enum { WORTH = 1 << 15 };

/* Rows of `count` numbers from `from`, `apart` of them from row to row, to rows `to_apart` apart.
 * May overlap: rows that move towards the end go last row first.
 * Spreading a dense array over the same memory moves every row but the first towards the end, so
 * the last one has to go first; gathering moves them back, first row first. memmove, as a row may
 * overlap itself. */
static void move_rows(real *to, int64_t to_apart, const real *from, int64_t apart, int64_t rows,
                      int64_t count)
{
    bool last_first = to_apart > apart;
    for (int64_t i = 0; i < rows; i++) {
        int64_t r = last_first ? rows - 1 - i : i;
        memmove(to + r * to_apart, from + r * apart, (size_t)count * sizeof *to);
    }
}

void slot_ring_spread(slot_ring *r, const real *dense, int64_t length)
{
    CHECK(length <= r->capacity, "%lld of %lld entries", (long long)length, (long long)r->capacity);
    int64_t count = length * r->width;
    if (count > 0) move_rows(r->data, r->capacity * r->width, dense, count, r->rows, count);
    r->begin = 0;
    r->made = 0;
    r->length = length;
    r->spread = true;
}

real *slot_ring_append(slot_ring *r, const real *x, int64_t time, int64_t column, int64_t x_width)
{
    /* More than there is room for: the caller joins tensors instead. */
    if (r->length + time > r->capacity) return NULL;
    int64_t apart = r->capacity * r->width;
    /* Where nothing is carried a row begins anew: it need not be moved back later. */
    if (r->length == 0) r->begin = 0;
    /* Entries that were cut off at the end are written over, and what was made of them is void. */
    r->made = MIN(r->made, r->begin + r->length);
    if (r->begin + r->length + time > r->capacity) {
        move_rows(r->data, apart, r->data + r->begin * r->width, apart, r->rows,
                  r->length * r->width);
        r->begin = 0;
        r->made = 0;
    }
    for (int64_t n = 0; n < r->rows * time; n++) {
        int64_t entry = r->begin + r->length + n % time;
        memcpy(r->data + n / time * apart + entry * r->width, x + n * x_width + column,
               (size_t)r->width * sizeof *x);
    }
    r->length += time;
    /* Of row 0; the others are `capacity` entries behind one another. */
    return r->data + r->begin * r->width;
}

/* Entries keep their places until the next move, so that what is made stands still, too: no copy
 * per call, and a layer may let it depend on the place. */
void slot_ring_make(slot_ring *r, int64_t first, const real *x, int64_t time)
{
    CHECK(r->of_entry && first >= r->made && first + time <= r->capacity,
          "%lld from %lld, not %lld", (long long)time, (long long)first, (long long)r->made);
    int64_t count = time * r->made_width;
    move_rows(r->of_entry + first * r->made_width, r->capacity * r->made_width, x, count, r->rows,
              count);
    r->made = first + time;
}

typedef struct ring_copy {
    real *out;
    const slot_ring *r;
    const real *data;
    int64_t length, column, columns, parts;
} ring_copy;

/* n counts (row, entry) pairs; parts are ranges of them, copied by whoever is free. */
static void copy_part(void *arg, int part)
{
    const ring_copy *c = arg;
    const slot_ring *r = c->r;
    int64_t all = r->rows * c->length;
    for (int64_t n = all * part / c->parts; n < all * (part + 1) / c->parts; n++) {
        int64_t entry = n / c->length * r->capacity + n % c->length;
        memcpy(c->out + n * c->columns, c->data + entry * r->width + c->column,
               (size_t)c->columns * sizeof *c->out);
    }
}

void slot_ring_copy(real *out, const slot_ring *r, const real *data, int64_t length, int64_t column,
                    int64_t columns)
{
    ring_copy c = {out, r, data, length, column, columns, crew_hands()};
    if (r->rows * length * columns < WORTH) c.parts = 1;
    crew_run(copy_part, &c, (int)c.parts);
}

void slot_ring_gather(slot_ring *r)
{
    if (!r->spread) return;
    int64_t count = r->length * r->width;
    move_rows(r->data, count, r->data + r->begin * r->width, r->capacity * r->width, r->rows,
              count);
    r->begin = 0;
    r->spread = false;
}
