#include "harness/supervise/holder_watch.h"

#include <math.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "harness/run/run_folder.h"

static const double FIRST_PAUSE_S = 5, LONGEST_PAUSE_S = 30, SILENT_S = 2.5 * RUN_LEASE_BEAT_S;

/* 5 s, 10, 20, then 30; up to a half more, so that many who wait do not all look at once. */
static double pause_before(const holder_watch *w, const char *folder)
{
    const rng_key key = {.seed = (uint64_t)getpid(), .place = rng_place(folder)};
    double pause = fmin(FIRST_PAUSE_S * exp2(w->looks), LONGEST_PAUSE_S);
    return pause * (1 + 0.5 * rng_uniform(key, (uint64_t)w->looks));
}

static holder_state plan_next(holder_watch *w, const char *folder, double now, holder_state state)
{
    bool is_open = state == HOLDER_DOUBTED; /* its silence must be noticed soon */
    w->next_look = now + (is_open ? FIRST_PAUSE_S : pause_before(w, folder));
    w->looks++;
    return w->state = state;
}

static holder_state first_look(holder_watch *w, const run_holder *h, const char *folder, double now)
{
    *w = (holder_watch){.seen = *h, .seen_at = now};
    bool locked = run_folder_locked(folder);
    return plan_next(w, folder, now, locked ? HOLDER_LOCKED : HOLDER_DOUBTED);
}

static holder_state beating(holder_watch *w, const run_holder *h, const char *folder, double now)
{
    bool locked = w->tried || run_folder_locked(folder);
    w->seen = *h;
    w->seen_at = now;
    w->tried = true;
    return plan_next(w, folder, now, locked ? HOLDER_BEATING : HOLDER_UNLOCKED);
}

holder_state holder_watch_look(holder_watch *w, const char *folder, double now)
{
    run_holder h;
    if (now < w->next_look) return w->state;
    if (!run_lease_holder(&h, folder) || run_lease_here(&h)) {
        *w = (holder_watch){0};
        return HOLDER_NONE;
    }
    if (w->looks == 0 || !run_lease_same(&h, &w->seen)) return first_look(w, &h, folder, now);
    if (h.beat != w->seen.beat) return beating(w, &h, folder, now);
    if (now - w->seen_at < SILENT_S) return plan_next(w, folder, now, HOLDER_DOUBTED);
    w->state = HOLDER_DEAD;
    return HOLDER_DEAD;
}
