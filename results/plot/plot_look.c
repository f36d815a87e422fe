#include "results/plot/plot_look.h"

#include <string.h>

#include "results/plot/plot_series.h"
#include "results/store/query.h"

/* A look is a number: colour is its rest by PLOT_TELLABLE, dashes or marks what is left
 * (plot_series.c). For a grid of two axes the number is made of the two places, so that all
 * variants with one value share a colour and all with a value of the other share dashes, and a
 * reader sees both effects at once. Everything else is numbered through, colours first, dashes when
 * colours are used up. */

enum { AXES = 2, VALUES = PLOT_TELLABLE, DASHES = 5 };

/* The values of two axes, in order of appearance, and which of them a variant has. VALUES is as
 * many as there are colours: a larger axis could not be told apart by them. */
typedef struct grid {
    int axes, count[AXES]; /* axes -1: it is none, or too large to be told apart */
    const char *name[AXES], *value[AXES][VALUES];
    int *place[AXES]; /* [variants] */
} grid;

/* Where the text is in the list, put at its end if it is not there yet; -1: there is no room. In
 * order of appearance, which is the plan's: the first value has the first colour. */
static int place_of(const char **list, int *count, int room, const char *text)
{
    for (int i = 0; i < *count; i++) {
        if (strcmp(list[i], text) == 0) return i;
    }
    if (*count == room) return -1;
    list[*count] = text;
    return (*count)++;
}

/* An axis or a value too many ends the attempt: g->axes stays -1. */
static bool read_variant(grid *g, arena *a, store *s, const comparison *c, int variant, err *e)
{
    query q = QUERY(s, e,
                    "SELECT axis, value FROM axis WHERE experiment = ?1 AND label = ?2 "
                    "ORDER BY position",
                    c->experiment, c->variants[variant].plan_label);
    int seen = 0;
    while (query_next(&q)) {
        const char *axis = query_text(&q, "axis", a), *value = query_text(&q, "value", a);
        int k = g->axes < 0 ? -1 : place_of(g->name, &g->axes, AXES, axis);
        int place = k < 0 ? -1 : place_of(g->value[k], &g->count[k], VALUES, value);
        if (place < 0) {
            g->axes = -1;
        } else {
            g->place[k][variant] = place;
            seen++;
        }
    }
    /* A variant that lacks one of the axes has no place in the grid. */
    if (seen != AXES) g->axes = -1;
    return query_close(&q);
}

/* A copy: the comparison itself is drawn by others in other orders, and printed. */
const comparison *plot_look(arena *a, store *s, const comparison *c, err *e)
{
    comparison *out = ARENA_NEW(a, comparison, 1);
    grid g = {.place = {ARENA_NEW(a, int, c->count), ARENA_NEW(a, int, c->count)}};
    *out = *c;
    out->variants = ARENA_NEW(a, compared_variant, c->count);
    for (int i = 0; i < c->count; i++) {
        if (!read_variant(&g, a, s, c, i, e)) return NULL;
    }
    /* Colours are told apart more easily than dashes, so the axis with more values has them. */
    int colour = g.count[0] >= g.count[1] ? 0 : 1, dash = 1 - colour;
    /* Tuned variants are called by their group, which is no longer a cell of the grid. */
    bool drawn = !c->tune && g.axes == AXES && g.count[dash] > 1 && g.count[dash] <= DASHES;
    for (int i = 0; i < c->count; i++) {
        out->variants[i] = c->variants[i];
        out->variants[i].look = drawn ? g.place[colour][i] + PLOT_TELLABLE * g.place[dash][i] : i;
    }
    return out;
}
