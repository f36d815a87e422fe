#include "core/base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct crew {
    int helpers;
    pthread_t *ids;
    /* (number of the work << 32) + (its parts << 16) + parts that are taken: one word, so that a
     * helper who comes late to work that is done takes nothing of the next by mistake. */
    _Atomic uint64_t work;
    _Atomic int finished, asleep;
    _Atomic bool leave;
    bool busy; /* with a part of its owner's, who gets no help inside of it */
    crew_fn fn;
    void *arg;
    pthread_mutex_t mutex;
    pthread_cond_t called;
};

static _Thread_local crew *mine;

/* Looks at what is awaited before a thread sleeps, or gives way to others: about 250 microseconds.
 */
enum { LOOKS = 5000 };

static inline void look_away(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

static int parts_of(uint64_t work)
{
    return (int)(work >> 16 & 0xffff);
}

static int taken_of(uint64_t work)
{
    return (int)(work & 0xffff);
}

static bool has_work(crew *c)
{
    uint64_t work = atomic_load(&c->work);
    return taken_of(work) < parts_of(work);
}

/* A part, or -1. Whoever has one may read fn and arg: they stay until it has finished. */
static int take(crew *c)
{
    uint64_t work = atomic_load(&c->work);
    while (taken_of(work) < parts_of(work)) {
        if (atomic_compare_exchange_weak(&c->work, &work, work + 1)) return taken_of(work);
    }
    return -1;
}

static void work_on(crew *c)
{
    for (int part; (part = take(c)) >= 0;) {
        c->fn(c->arg, part);
        atomic_fetch_add(&c->finished, 1);
    }
}

static void wait_for_call(crew *c)
{
    for (int i = 0; i < LOOKS; i++) {
        if (has_work(c) || atomic_load(&c->leave)) return;
        look_away();
    }
    pthread_mutex_lock(&c->mutex);
    atomic_fetch_add(&c->asleep, 1);
    while (!has_work(c) && !atomic_load(&c->leave)) {
        pthread_cond_wait(&c->called, &c->mutex);
    }
    atomic_fetch_sub(&c->asleep, 1);
    pthread_mutex_unlock(&c->mutex);
}

static void *help(void *arg)
{
    crew *c = arg;
    while (!atomic_load(&c->leave)) {
        work_on(c);
        wait_for_call(c);
    }
    return NULL;
}

/* A helper that goes to sleep counts itself before it looks for work once more, and work is there
 * before its owner counts sleepers: one of the two sees the other. */
static void wake(crew *c)
{
    if (atomic_load(&c->asleep) == 0) return;
    pthread_mutex_lock(&c->mutex);
    pthread_cond_broadcast(&c->called);
    pthread_mutex_unlock(&c->mutex);
}

crew *crew_new(int threads, err *e)
{
    crew *c = calloc(1, sizeof *c);
    pthread_t *ids = calloc((size_t)MAX(threads, 1), sizeof *ids);
    CHECK(c && ids, "out of memory for %d threads", threads);
    c->ids = ids;
    CHECK(pthread_mutex_init(&c->mutex, NULL) == 0 && pthread_cond_init(&c->called, NULL) == 0,
          "no mutex");
    while (c->helpers < threads - 1) {
        int failure = pthread_create(&c->ids[c->helpers], NULL, help, c);
        if (failure) {
            err_set(e, "thread %d of %d cannot be started (%s); use fewer threads", c->helpers + 2,
                    threads, strerror(failure));
            crew_free(c);
            return NULL;
        }
        c->helpers++;
    }
    return c;
}

void crew_free(crew *c)
{
    if (!c) return;
    atomic_store(&c->leave, true);
    wake(c);
    for (int i = 0; i < c->helpers; i++) {
        pthread_join(c->ids[i], NULL);
    }
    pthread_cond_destroy(&c->called);
    pthread_mutex_destroy(&c->mutex);
    free(c->ids);
    free(c);
}

void crew_help(crew *c)
{
    mine = c;
}

int crew_hands(void)
{
    return mine && !mine->busy ? mine->helpers + 1 : 1;
}

void crew_run(crew_fn fn, void *arg, int parts)
{
    CHECK(parts >= 0 && parts <= CREW_PARTS, "%d parts", parts);
    crew *c = mine;
    if (crew_hands() == 1 || parts <= 1) {
        for (int i = 0; i < parts; i++) {
            fn(arg, i);
        }
        return;
    }
    c->busy = true;
    c->fn = fn;
    c->arg = arg;
    atomic_store(&c->finished, 0);
    uint64_t number = (atomic_load(&c->work) >> 32) + 1;
    atomic_store(&c->work, number << 32 | (uint64_t)parts << 16);
    wake(c);
    work_on(c);
    for (int i = 0; atomic_load(&c->finished) < parts; i++) {
        if (i < LOOKS) {
            look_away();
        } else {
            sched_yield();
        }
    }
    c->busy = false;
}
