#include "harness/evaluate/state_entries.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a lane carries, as named arrays. Names have the lane's number in them and the slot's own
 * name behind it ("state.3.blocks.1.attention.kv"), so that a checkpoint says what it holds to
 * whoever opens it, and a model whose layers were renamed is refused by name rather than filled
 * with another layer's state.
 *
 * Which slots are there changes from save to save: a slot that carries nothing just then has no
 * array. Loading therefore goes through the file and puts back what it finds, instead of asking for
 * every slot. */

/* For "state.LANE." and "position.LANE"; slots' names are compared where they stand. */
enum { NAME_BYTES = 64 };

/* The list doubles in the arena; the old one stays there until the arena goes, which is soon: an
 * arena per save. */
void state_entries_add(state_entries *l, const char *name, st_dtype dtype, int rank,
                       const int64_t *shape, const void *data)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 64;
        st_entry *grown = ARENA_NEW(l->memory, st_entry, l->capacity);
        if (l->count) memcpy(grown, l->list, (size_t)l->count * sizeof *grown);
        l->list = grown;
    }
    st_entry *x = &l->list[l->count++];
    *x = (st_entry){.name = name, .dtype = dtype, .rank = rank, .data = data};
    memcpy(x->shape, shape, (size_t)rank * sizeof *shape);
}

char *state_entries_text(arena *a, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return arena_strdup(a, text);
}

/* Views point into the state itself: nothing may run on it until the file is written. */
void state_entries_add_lane(state_entries *l, model_state *s, int64_t lane)
{
    int slots = model_state_slots(s);
    state_view *views = ARENA_NEW(l->memory, state_view, slots);
    int n = model_state_views(s, views, slots);
    long long i = lane;
    for (int v = 0; v < n; v++) {
        state_entries_add(l, state_entries_text(l->memory, "state.%lld.%s", i, views[v].name),
                          ST_REAL, 3, views[v].shape, views[v].data);
    }
    const int64_t rows[] = {model_state_rows(s)};
    state_entries_add(l, state_entries_text(l->memory, "position.%lld", i), ST_I64, 1, rows,
                      model_state_positions(s));
    state_entries_add(l, state_entries_text(l->memory, "document.%lld", i), ST_I64, 1, rows,
                      model_state_documents(s));
}

/* position and document [rows]: where each row stands since its reset, and in its document. */
static bool load_rows(const safetensors *file, const char *kind, int64_t lane, int64_t rows,
                      int64_t *out, err *e)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%lld", kind, (long long)lane);
    const st_tensor *st = safetensors_find(file, name);
    if (!st) return err_set(e, "%s: missing: the checkpoint has fewer lanes", name);
    return safetensors_shape_is(st, 1, &rows, e) && safetensors_copy_int(out, st, e);
}

/* Copied out of the file first: there the array may be of another precision, and at any address.
 * What slot it is, and whether the shape fits, is the model's to say (model_state_restore). */
static bool load_slots(const safetensors *file, model_state *s, int64_t lane, arena *a, err *e)
{
    char prefix[NAME_BYTES];
    size_t length = (size_t)snprintf(prefix, sizeof prefix, "state.%lld.", (long long)lane);
    for (int i = 0; i < safetensors_count(file); i++) {
        const st_tensor *st = safetensors_at(file, i);
        if (strncmp(st->name, prefix, length) != 0) continue;
        if (st->rank != 3) return err_set(e, "%s: a state of rank %d", st->name, st->rank);
        real *data = ARENA_NEW(a, real, st->count);
        if (!safetensors_copy(data, st, e) ||
            !model_state_restore(s, st->name + length, st->shape, data, e)) {
            return false;
        }
    }
    return true;
}

/* Slots first: what they refuse leaves the positions as they were. */
bool state_entries_load_lane(const safetensors *file, model_state *s, int64_t lane, err *e)
{
    int64_t rows = model_state_rows(s);
    arena_auto *a = arena_new(0);
    return load_slots(file, s, lane, a, e) &&
           load_rows(file, "position", lane, rows, model_state_positions(s), e) &&
           load_rows(file, "document", lane, rows, model_state_documents(s), e) &&
           (model_state_check_rows(s, e) ||
            err_prefix(e, "position.%lld: the checkpoint is damaged", (long long)lane));
}
