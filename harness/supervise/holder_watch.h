/* A run that somebody on another machine works on, watched without troubling the file system.
 *
 * Its lock file names the holder, whose beat counts up while it lives (run/run_lease.h). The first
 * look asks for the lock; after that a busy run is looked at every 5 seconds at first, then up to
 * every 30, at moments that differ between machines, and while it beats the lock is asked for once
 * more only: a lock that can be had while its holder goes on beating proves that the mount does not
 * lock across machines, and that two workers could write into one folder. */
#pragma once

#include "harness/run/run_lease.h"

typedef enum holder_state {
    HOLDER_NONE,    /* nobody elsewhere: this machine's own lock decides */
    HOLDER_LOCKED,  /* has the lock */
    HOLDER_BEATING, /* was alive when last looked at; or it is too early to look again */
    HOLDER_DOUBTED, /* left a line without a lock; whether it beats is not known yet */
    HOLDER_DEAD,    /* has not beaten for two and a half beats: may be taken over */
    HOLDER_UNLOCKED /* beats without a lock */
} holder_state;

typedef struct holder_watch {
    run_holder seen;
    double seen_at;   /* monotonic: when that beat was first seen */
    double next_look; /* monotonic */
    int looks;        /* of this holder */
    bool tried;       /* the lock, once it was seen to beat */
    holder_state state;
} holder_watch;

/* How it stands at `now` (monotonic). */
holder_state holder_watch_look(holder_watch *w, const char *folder, double now);
