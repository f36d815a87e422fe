#include "harness/train/lane_states.h"

#include <stdlib.h>
#include <string.h>

/* A lane's state as bytes: its positions and documents, how many arrays it carries, and of each the
 * name's length, the shape, the name, the values.
 *
 *   position [rows], document [rows], n; n times: array_head, name\0, values [rows, length, width]
 *
 * Which arrays there are differs from lane to lane and step to step (a slot may carry nothing), so
 * each is told by name. Nothing is checked for a stranger's bytes: it is another rank of this run.
 */
typedef struct array_head {
    int64_t name_bytes; /* with its 0 */
    int64_t shape[3];
} array_head;

static size_t values_bytes(const int64_t shape[3])
{
    return (size_t)(shape[0] * shape[1] * shape[2]) * sizeof(real);
}

/* One byte more than asked for: of nothing, too, there is a pointer. */
static void *room(size_t bytes)
{
    void *p = malloc(bytes + 1);
    CHECK(p, "out of memory for carried state (%zu bytes)", bytes);
    return p;
}

static char *put(char *to, const void *data, size_t bytes)
{
    memcpy(to, data, bytes);
    return to + bytes;
}

static const char *get(const char *from, void *data, size_t bytes)
{
    memcpy(data, from, bytes);
    return from + bytes;
}

/* Appends to *bytes of *data, which grows: all lanes of a rank go in one message. */
static void pack_state(char **data, size_t *bytes, model_state *s)
{
    int slots = model_state_slots(s);
    size_t rows = (size_t)model_state_rows(s) * sizeof(int64_t);
    state_view *views = room((size_t)slots * sizeof *views);
    int64_t n = model_state_views(s, views, slots);
    /* Reckoned before it is written, array by array as below: the two have to agree. */
    size_t all = 2 * rows + sizeof n;
    for (int64_t i = 0; i < n; i++) {
        all += sizeof(array_head) + strlen(views[i].name) + 1 + values_bytes(views[i].shape);
    }
    *data = realloc(*data, *bytes + all);
    CHECK(*data, "out of memory for carried state (%zu bytes)", *bytes + all);
    char *at = *data + *bytes;
    *bytes += all;
    at = put(at, model_state_positions(s), rows);
    at = put(at, model_state_documents(s), rows);
    at = put(at, &n, sizeof n);
    for (int64_t i = 0; i < n; i++) {
        array_head head = {.name_bytes = (int64_t)strlen(views[i].name) + 1};
        memcpy(head.shape, views[i].shape, sizeof head.shape);
        at = put(at, &head, sizeof head);
        at = put(at, views[i].name, (size_t)head.name_bytes);
        at = put(at, views[i].data, values_bytes(head.shape));
    }
    free(views);
}

/* NULL and e where it does not fit. The lane is cleared first: slots that were not sent carry
 * nothing. */
static const char *unpack_state(model_state *s, const char *at, err *e)
{
    size_t rows = (size_t)model_state_rows(s) * sizeof(int64_t);
    int64_t n;
    model_state_clear(s);
    at = get(at, model_state_positions(s), rows);
    at = get(at, model_state_documents(s), rows);
    at = get(at, &n, sizeof n);
    for (int64_t i = 0; i < n; i++) {
        array_head head;
        at = get(at, &head, sizeof head);
        const char *name = at;
        size_t bytes = values_bytes(head.shape);
        real *values = room(bytes); /* aligned */
        memcpy(values, at + head.name_bytes, bytes);
        bool ok = model_state_restore(s, name, head.shape, values, e);
        free(values);
        if (!ok) return NULL;
        at += (size_t)head.name_bytes + bytes;
    }
    return at;
}

/* `at` NULL: a lane before did not fit. */
static bool unpack_rank(model_state **states, rank_lanes theirs, int64_t rows, const model *m,
                        const char *at, err *e)
{
    for (int64_t i = theirs.first; at && i < theirs.first + theirs.count; i++) {
        if (!states[i]) states[i] = model_state_new(m, rows);
        at = unpack_state(states[i], at, e);
    }
    return at != NULL;
}

/* Sizes first, of all ranks to all, since a receiver must know how much comes. Rank 0 takes one
 * rank's states after the other: of what all carry together it holds one part twice, not all of it.
 * Its own lanes are there already. */
bool lane_states_gather(model_state **states, int64_t lanes, int64_t rows, const model *m,
                        rank_group *r, err *e)
{
    int count = ranks_count(r), me = ranks_me(r);
    if (count == 1) return true;
    char *mine = NULL;
    size_t bytes = 0, *all = room((size_t)count * sizeof *all);
    rank_lanes own = ranks_lanes(r, me, lanes);
    for (int64_t i = own.first; me > 0 && i < own.first + own.count; i++) {
        pack_state(&mine, &bytes, states[i]);
    }
    bool ok = ranks_gather(r, &bytes, sizeof bytes, all, e);
    if (ok && me > 0) ok = ranks_exchange(r, &(rank_part){0, mine, bytes}, 1, NULL, 0, e);
    for (int i = 1; ok && me == 0 && i < count; i++) { /* one at a time: only one is held twice */
        char *theirs = room(all[i]);
        ok = ranks_exchange(r, NULL, 0, &(rank_part){i, theirs, all[i]}, 1, e) &&
             unpack_rank(states, ranks_lanes(r, i, lanes), rows, m, theirs, e);
        free(theirs);
    }
    free(all);
    free(mine);
    return ok;
}
