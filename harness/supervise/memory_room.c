#include "harness/supervise/memory_room.h"

#include "core/base/host.h"

/* A process before its run has any size: code, libraries, the spec. */
static const double PROCESS_BYTES = 8 << 20;

void memory_room_init(memory_room *m, arena *a, int variants, double limit)
{
    *m = (memory_room){.limit = limit,
                       .measured = arena_push_zero(a, variants, sizeof *m->measured)};
}

void memory_room_learn(memory_room *m, int variant, int64_t peak_bytes)
{
    m->measured[variant] = MAX(m->measured[variant], (double)peak_bytes);
}

double memory_room_need(const memory_room *m, const run_plan *p)
{
    double peak = m->measured[p->variant_index];
    return peak > 0 ? 1.1 * peak : p->memory_bytes + PROCESS_BYTES;
}

void memory_room_begin(memory_room *m)
{
    m->claimed = m->unclaimed = 0;
}

void memory_room_add(memory_room *m, double need, int64_t used_bytes)
{
    double used = (double)used_bytes;
    m->claimed += MAX(need, used);
    m->unclaimed += MAX(need - used, 0.0);
}

bool memory_room_fits(const memory_room *m, double need)
{
    if (m->limit > 0) return m->claimed + need <= m->limit;
    /* A twentieth stays for whoever else is there. */
    double available = (double)host_memory_available();
    return available <= 0 || m->unclaimed + need <= 0.95 * available;
}
