#include "harness/supervise/holder_watch.h"

#include <math.h>
#include <unistd.h>

#include "core/base/rng.h"
#include "harness/run/run_folder.h"

/* What is seen of a holder elsewhere, and what it means:
 *
 *   line, lock held, first look    LOCKED     nothing more to find out for a while
 *   line, lock free, first look    DOUBTED    a mount that does not hand locks on, or a holder that
 *                                  died: only its beat will tell
 *   another beat than before       BEATING    lives; the lock is tried once, and free means
 *                                  UNLOCKED: the mount does not lock
 *   the same beat for SILENT_S     DEAD       the caller may try to take the lock
 *   no line, or of this machine    NONE       the lock alone decides
 *   another holder than before     as at first
 *
 * DEAD is no permission: the one who takes over still has to get the lock, so a holder that has it
 * and is only cut off from the file for a while keeps its run.
 *
 * SILENT_S is two and a half beats of the reader's own clock: one beat may be late by a full one,
 * and the reader may have looked just after the last. The file is opened for each look, for an open
 * asks the server, where reading on through an old descriptor may be answered from a cache. */

static const double FIRST_PAUSE_S = 5, LONGEST_PAUSE_S = 30, SILENT_S = 2.5 * RUN_LEASE_BEAT_S;

/* 5 s, 10, 20, then 30; up to a half more, so that many who wait do not all look at once. */
static double pause_before(const holder_watch *w, const char *folder)
{
    /* By process and folder: two supervisors that began together do not go on looking together.
     * Nothing of a result comes from it. */
    const rng_key key = {.seed = (uint64_t)getpid(), .place = rng_place(folder)};
    double pause = fmin(FIRST_PAUSE_S * exp2(w->looks), LONGEST_PAUSE_S);
    return pause * (1 + 0.5 * rng_uniform(key, (uint64_t)w->looks));
}

static holder_state plan_next(holder_watch *w, const char *folder, double now, holder_state state)
{
    bool is_open = state == HOLDER_DOUBTED; /* its silence must be noticed soon */
    /* Not put off twice as long each time: its run could be taken. */
    w->next_look = now + (is_open ? FIRST_PAUSE_S : pause_before(w, folder));
    w->looks++;
    return w->state = state;
}

static holder_state first_look(holder_watch *w, const run_holder *h, const char *folder, double now)
{
    /* Silence is counted from here, whenever the beat was written: the reader's clock knows no
     * other moment. */
    *w = (holder_watch){.seen = *h, .seen_at = now};
    bool locked = run_folder_locked(folder);
    return plan_next(w, folder, now, locked ? HOLDER_LOCKED : HOLDER_DOUBTED);
}

static holder_state beating(holder_watch *w, const run_holder *h, const char *folder, double now)
{
    /* Once per holder is enough: a mount does not begin to lock. */
    bool locked = w->tried || run_folder_locked(folder);
    w->seen = *h;
    w->seen_at = now;
    w->tried = true;
    return plan_next(w, folder, now, locked ? HOLDER_BEATING : HOLDER_UNLOCKED);
}

holder_state holder_watch_look(holder_watch *w, const char *folder, double now)
{
    run_holder h;
    /* Ten calls a second cost the file system nothing. */
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
