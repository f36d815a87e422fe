/* A slot that grows in place holds what joining and cutting would. */
#include <string.h>

#include "layers/slot_ring.h"
#include "tests/test.h"

enum { ROWS = 3, WIDTH = 2, CAPACITY = 10, X_WIDTH = 5, COLUMN = 1, STEPS = 60 };

/* Entry i of a row since the beginning of time. */
static real number(int64_t row, int64_t i, int64_t column)
{
    return (real)(row * 10000 + i * 10 + column);
}

static void expect_entries(const slot_ring *r, const real *data, int64_t length, int64_t first)
{
    real out[ROWS * CAPACITY * WIDTH], second[ROWS * CAPACITY];
    slot_ring_copy(out, r, data, length, 0, WIDTH);
    slot_ring_copy(second, r, data, length, 1, 1);
    for (int64_t n = 0; n < ROWS * length; n++) {
        int64_t row = n / length, i = first + n % length;
        EXPECT(out[n * WIDTH] == number(row, i, 0) && out[n * WIDTH + 1] == number(row, i, 1) &&
                   second[n] == number(row, i, 1),
               "row %lld, entry %lld: %g, %g", (long long)row, (long long)i, (double)out[n * WIDTH],
               (double)second[n]);
    }
}

/* The next `time` entries as columns of a wider array. */
static real *append(slot_ring *r, int64_t at, int64_t time)
{
    real x[ROWS * CAPACITY * X_WIDTH];
    memset(x, 0, sizeof x);
    for (int64_t n = 0; n < ROWS * time; n++) {
        x[n * X_WIDTH + COLUMN] = number(n / time, at + n % time, 0);
        x[n * X_WIDTH + COLUMN + 1] = number(n / time, at + n % time, 1);
    }
    return slot_ring_append(r, x, time, COLUMN, X_WIDTH);
}

static void joined_and_cut(void)
{
    real memory[ROWS * CAPACITY * WIDTH];
    slot_ring r = {.data = memory, .rows = ROWS, .width = WIDTH, .capacity = CAPACITY};
    slot_ring_spread(&r, NULL, 0);
    int64_t at = 0;
    for (int step = 0; step < STEPS; step++) {
        int64_t time = 1 + step % 4, before = r.length;
        const real *data = append(&r, at, time);
        EXPECT(data, "no room for %lld behind %lld", (long long)time, (long long)before);
        if (!data) return;
        expect_entries(&r, data, before + time, at - before);
        at += time;
        int64_t keep = MIN(r.length, (int64_t)5);
        r.begin += r.length - keep;
        r.length = keep;
        if (step % 7 != 6) continue;
        slot_ring_gather(&r); /* as for a checkpoint, and on from there */
        EXPECT(!r.spread && memory[0] == number(0, at - keep, 0) &&
                   memory[keep * WIDTH] == number(1, at - keep, 0),
               "rows are not dense");
        slot_ring_spread(&r, memory, keep);
    }
}

/* Whatever is cut, at either end, and moved: what is made of an entry stands beside it, and stays
 * where it was made as long as it is there. */
static void made_of_entries(void)
{
    real memory[ROWS * CAPACITY * WIDTH], made[ROWS * CAPACITY];
    slot_ring r = {.data = memory,
                   .rows = ROWS,
                   .width = WIDTH,
                   .capacity = CAPACITY,
                   .of_entry = made,
                   .made_width = 1};
    slot_ring_spread(&r, NULL, 0);
    int64_t at = 0, kept = 0;
    for (int step = 0; step < STEPS; step++) {
        int64_t time = 1 + step % 3, before = r.length;
        const real *data = append(&r, at, time);
        if (!data) return;
        at += time;
        int64_t first = (data - memory) / WIDTH, from = MAX(first, r.made), end = first + r.length;
        kept += from - first;
        real x[ROWS * CAPACITY];
        for (int64_t n = 0; n < ROWS * (end - from); n++) {
            int64_t row = n / (end - from), entry = from + n % (end - from);
            x[n] = memory[(row * CAPACITY + entry) * WIDTH] + 1;
        }
        if (step % 4 != 3) slot_ring_make(&r, from, x, end - from); /* not every call does */
        for (int64_t n = 0; step % 4 != 3 && n < ROWS * r.length; n++) {
            int64_t i = n / r.length * CAPACITY + first + n % r.length;
            EXPECT(made[i] == memory[i * WIDTH] + 1, "step %d: %g beside %g", step, (double)made[i],
                   (double)memory[i * WIDTH]);
        }
        int64_t cut = step % 5 == 4, keep = MIN(r.length - cut, (int64_t)5); /* as a flush does */
        r.begin += r.length - cut - keep;
        r.length = keep;
        at -= cut;
        EXPECT(before <= 5, "%lld carried", (long long)before);
    }
    EXPECT(kept > STEPS, "only %lld were there already", (long long)kept);
}

static void no_room(void)
{
    real memory[ROWS * CAPACITY * WIDTH];
    slot_ring r = {.data = memory, .rows = ROWS, .width = WIDTH, .capacity = CAPACITY};
    slot_ring_spread(&r, NULL, 0);
    EXPECT(append(&r, 0, CAPACITY), "a full row");
    EXPECT(!append(&r, CAPACITY, 1) && r.length == CAPACITY, "%lld", (long long)r.length);
    expect_entries(&r, memory, CAPACITY, 0);
}

const test_suite test_slot_ring = {"layers/slot_ring",
                                   {{"joined_and_cut", joined_and_cut},
                                    {"made_of_entries", made_of_entries},
                                    {"no_room", no_room},
                                    {0}}};
