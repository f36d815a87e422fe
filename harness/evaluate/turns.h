/* Who may enter a layer: in each lane call n + 1 comes to a layer that carries something only when
 * call n has left it. Threads take calls in their order, so that the first of those at work waits
 * for nobody, and nobody waits for ever. */
#pragma once

#include "models/model.h"

typedef struct turns turns;
/* layers: of the stack; the head is one more. */
turns *turns_new(int64_t lanes, int layers);
void turns_free(turns *t);
/* No lane has run a call: between rounds, when no thread is at work. */
void turns_restart(turns *t);

/* The turns of call `call` of a lane, counted from 0 since turns_restart; the caller's memory. */
typedef struct turn {
    turns *all;
    int64_t lane, call;
} turn;
model_turn turns_of(turn *t);
