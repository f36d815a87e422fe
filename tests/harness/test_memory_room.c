/* How many runs fit into memory beside each other. */
#include "core/base/host.h"
#include "harness/supervise/memory_room.h"
#include "tests/test.h"

/* Estimates hold until a run of the variant was measured. */
static void memory_is_learnt(void)
{
    arena *a = arena_new(1 << 12);
    memory_room m;
    const run_plan big = {.variant_index = 1, .memory_bytes = 100e6};
    memory_room_init(&m, a, 2, 250e6);
    double guess = memory_room_need(&m, &big);
    EXPECT(guess > 100e6 && guess < 120e6, "%g", guess);
    memory_room_begin(&m);
    memory_room_add(&m, guess, 0);
    EXPECT(memory_room_fits(&m, guess), "%g of %g", m.claimed, m.limit);
    memory_room_add(&m, guess, 0);
    EXPECT(!memory_room_fits(&m, guess), "%g of %g", m.claimed, m.limit);
    memory_room_learn(&m, 1, 50000000);
    memory_room_learn(&m, 1, 40000000); /* the highest counts */
    double known = memory_room_need(&m, &big);
    EXPECT(known > 50e6 && known < 60e6, "%g", known);
    memory_room_begin(&m);
    for (int i = 0; i < 3; i++) {
        EXPECT(memory_room_fits(&m, known), "%d run", i);
        memory_room_add(&m, known, 10000000);
    }
    memory_room_begin(&m);
    memory_room_add(&m, known, 240000000); /* took more than was expected */
    EXPECT(!memory_room_fits(&m, known), "%g of %g", m.claimed, m.limit);
    m.limit = 0; /* what the machine has */
    memory_room_begin(&m);
    EXPECT(memory_room_fits(&m, 1) && !memory_room_fits(&m, 1e15), "%g free",
           (double)host_memory_available());
    arena_free(a);
}

extern const test_suite test_memory_room;
const test_suite test_memory_room = {"harness/memory_room",
                                     {{"memory_is_learnt", memory_is_learnt}, {0}}};
