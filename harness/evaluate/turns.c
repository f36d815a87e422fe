#include "harness/evaluate/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A counter per lane and layer: how many calls have left that layer. Call n waits before a layer l
 * that carries something until left[lane, l] = n, which is the number of calls before it. So calls
 * of a lane overtake each other nowhere, each layer sees them in order, and several are at work at
 * once in different layers, as in a pipeline:
 *
 *   thread A, call 0:   layer 0 | layer 1 | layer 2 |
 *   thread B, call 1:             layer 0 | layer 1 | layer 2 |
 *   thread A, call 2:                                 layer 0 | ...
 *
 * One mutex and one condition serve all lanes and layers. A layer's work takes long beside a lock,
 * and the waiting are as many as threads at most; `waiting` spares the broadcast where nobody
 * waits. */

struct turns {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    int64_t lanes;
    int layers;    /* with the head */
    int waiting;   /* threads, just now */
    int64_t *left; /* [lanes, layers]: calls that have left */
};

turns *turns_new(int64_t lanes, int layers)
{
    turns *t = calloc(1, sizeof *t);
    CHECK(t, "out of memory for turns");
    t->lanes = lanes;
    t->layers = layers + 1;
    t->left = calloc((size_t)(lanes * t->layers), sizeof *t->left);
    CHECK(t->left, "out of memory for turns of %lld lanes", (long long)lanes);
    CHECK(pthread_mutex_init(&t->mutex, NULL) == 0 && pthread_cond_init(&t->moved, NULL) == 0,
          "no mutex");
    return t;
}

void turns_free(turns *t)
{
    if (!t) return;
    pthread_cond_destroy(&t->moved);
    pthread_mutex_destroy(&t->mutex);
    free(t->left);
    free(t);
}

void turns_restart(turns *t)
{
    memset(t->left, 0, (size_t)(t->lanes * t->layers) * sizeof *t->left);
}

/* depth counts layers from 0, and the head's is the number of layers: the last column. */
static int64_t *left_of(const turn *t, const layer *self)
{
    return &t->all->left[t->lane * t->all->layers + self->dims.depth];
}

/* The mutex orders memory, too: what the call before wrote into the lane's slots before it left is
 * there for whoever was let in. */
static void wait_for(void *user, const layer *self)
{
    turn *t = user;
    turns *all = t->all;
    pthread_mutex_lock(&all->mutex);
    all->waiting++;
    while (*left_of(t, self) < t->call) {
        pthread_cond_wait(&all->moved, &all->mutex);
    }
    all->waiting--;
    pthread_mutex_unlock(&all->mutex);
}

/* Each call leaves each layer that carries something exactly once, in order. One that left twice,
 * or not at all, would let two calls into one layer's state, or none for ever: the CHECK finds the
 * first at once. */
static void leave(void *user, const layer *self)
{
    turn *t = user;
    turns *all = t->all;
    pthread_mutex_lock(&all->mutex);
    CHECK(*left_of(t, self) == t->call, "%s: call %lld leaves after %lld", self->name,
          (long long)t->call, (long long)*left_of(t, self));
    ++*left_of(t, self);
    if (all->waiting > 0) pthread_cond_broadcast(&all->moved);
    pthread_mutex_unlock(&all->mutex);
}

model_turn turns_of(turn *t)
{
    return (model_turn){t, wait_for, leave};
}
