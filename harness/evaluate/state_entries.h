/* Arrays for a safetensors file, gathered one by one, and what lanes carry among them: checkpoints
 * and evaluations that are kept on the way hold
 *
 *   state.LANE.NAME [rows, length, width]    position.LANE, document.LANE [rows]
 */
#pragma once

#include "core/train/safetensors.h"
#include "models/model.h"

typedef struct state_entries {
    arena *memory;
    st_entry *list;
    int count, capacity;
} state_entries;

/* The data is borrowed, and so is the name: state_entries_text makes one. */
void state_entries_add(state_entries *l, const char *name, st_dtype dtype, int rank,
                       const int64_t *shape, const void *data);
char *state_entries_text(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

void state_entries_add_lane(state_entries *l, model_state *s, int64_t lane);
/* Puts back what a file holds of a lane; slots that it does not hold carry nothing. */
bool state_entries_load_lane(const safetensors *file, model_state *s, int64_t lane, err *e);
