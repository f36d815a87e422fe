#include "core/base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Work is an array of parts that a counter gives out: every thread, the owner too, takes the next
 * number until there is none, and the owner waits until as many have finished as there were. Parts
 * are independent and each is computed whole by one thread, so neither the number of helpers nor
 * who was late changes a bit.
 *
 * What is shared, and when it is published:
 *
 *   fn, arg    written by the owner before `work`; read only by who holds a part of that work
 *   work       the owner's store opens a work, a compare-and-swap takes a part of it
 *   finished   counted up behind a part; the owner's reads of it make the part's results visible
 *   asleep     helpers on the condition; who has none to wake pays no system call
 *
 * All atomics have the default, sequentially consistent order. `wake` needs it (a store of one
 * variable and a load of another on each side), the rest would do with less, and none of it is
 * inside a kernel's loop. */

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

/* The crew of the thread that is helped. A helper's own is NULL, so a product inside of a part that
 * it works on is computed alone, and crews never nest. */
static _Thread_local crew *mine;

/* Looks at what is awaited before a thread sleeps, or gives way to others: about 250 microseconds.
 */
enum { LOOKS = 5000 };

/* The processor's hint for such a loop: the sibling on the same core gets its units meanwhile.
 * Other processors give way to other threads, which takes longer than the loop was counted for. */
static inline void look_away(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    sched_yield();
#endif
}

/* Parts and parts taken have 16 bits each; CREW_PARTS fits, and a part is taken only while taken <
 * parts, so that the lowest field never runs over into the next. */
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

/* A part, or -1. Whoever has one may read fn and arg: they stay until it has finished.
 * The next work cannot begin before that, since its owner waits for every part. A helper that read
 * the word of one work and swaps during the next fails: the numbers differ, though parts and parts
 * taken may be the same. */
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

/* First awake, then asleep. A sleeper costs its owner a system call per work, and comes late, when
 * a small product is done; a loop without end would keep a core from other runs. */
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

/* `leave` is looked at only between works: whoever frees a crew has no work open. */
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

/* c->helpers counts the threads that run, so that a failure half-way joins just those. */
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
    /* Nobody else can count here: all parts of the last work had finished when its owner
     * returned. */
    atomic_store(&c->finished, 0);
    uint64_t number = (atomic_load(&c->work) >> 32) + 1;
    atomic_store(&c->work, number << 32 | (uint64_t)parts << 16);
    wake(c);
    work_on(c);
    /* The last parts of others. Where there are more threads than cores a helper may have lost its
     * own in the middle of a part: after a while the owner gives way to it instead of holding it
     * up. */
    for (int i = 0; atomic_load(&c->finished) < parts; i++) {
        if (i < LOOKS) {
            look_away();
        } else {
            sched_yield();
        }
    }
    c->busy = false;
}
