#include "harness/evaluate/turns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

static int64_t *left_of(const turn *t, const layer *self)
{
    return &t->all->left[t->lane * t->all->layers + self->dims.depth];
}

/* The mutex orders memory, too: what the call before wrote is there. */
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
