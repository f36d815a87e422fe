/* How a layer shows what goes on inside it: tensors by name, memories that fire, exchanges with
 * what it carries. It costs nothing unless somebody looks. */
#pragma once

#include "layers/layer.h"

/* The key-value memories of a layer (Geva et al. 2021, arXiv:2012.14913): memory i fires with a
 * coefficient m_i, and the layer adds sum_i m_i value_i to its output. Component k of value i is
 * element (i / n) group_stride + (i mod n) stride + k component_stride of the parameter, n = count
 * / groups. Where a value is no part of a parameter, `value` computes it: out [width]. */
typedef struct layer_memories {
    int64_t count;  /* memories in all */
    int64_t groups; /* equal groups of consecutive memories (experts); 1: none */
    int values;     /* parameter, by index in params; -1: no memory has a value there */
    int64_t group_stride, stride, component_stride; /* in elements */
    void (*value)(const layer *self, const params *p, const real *values, int64_t memory,
                  real *out); /* NULL: see values */
} layer_memories;

enum { MAX_EXCHANGES = 65 };

/* How the positions of a text use the places (state vectors) of what a layer carries. */
typedef struct layer_exchange {
    const char *name;   /* "read...", "write..."; distinct in a layer */
    const layer *owner; /* of what is carried: may be another layer */
    bool write;
    int64_t places;
} layer_exchange;

/* A named tensor offered to inspection. x is valid during the call only. The model offers every
 * layer's "residual", "output" and "stream" [rows, time, width], the head's "input" and "logits".
 */
typedef void (*tap_fn)(void *user, const layer *self, const char *name, const tensor *x);

/* The tap of a layer whose weights learn while it reads: what its output (a head's logits) would
 * have been, had they learned nothing. Of the output's shape. */
#define LAYER_TAP_UNLEARNED "unlearned"

/* The tap of a layer that sends a token to one or more of several sets of weights: which, as
 * numbers [choices, rows, time] (-1: none), as the layer itself chose, whatever a full expert then
 * drops. Routing is traced by it. */
#define LAYER_TAP_EXPERT "expert"

/* Memories that fired: entry e is about position[e] (row-major in the call; NULL: e) and memories
 * ids[e, :], or first[e], first[e] + 1, ... (NULLs: 0, 1, ...). Valid during the call only. */
typedef struct memory_use {
    int64_t entries, width;
    const int32_t *position;  /* [entries] or NULL */
    const int32_t *first;     /* [entries] or NULL */
    const int32_t *ids;       /* [entries, width] or NULL */
    const real *coefficients; /* [entries, width] */
} memory_use;
typedef void (*fired_fn)(void *user, const layer *self, const memory_use *use);

/* One exchange of the call's positions [begin, begin + time). Weights are means over heads.
 *   read:  weights [rows, time, places], what of its attention a position gives each place (1 in
 *          all, 0 where there is nothing to read); strength [rows, time], the norm of what the
 *          position got, relative to that of the layer's output
 *   write: weights [rows, time, places], how much each place takes in of the position (in all,
 *          over the places' positions, 1 or less); keys, how many positions a place chose among;
 *          strength [rows, places], how far a place moved, relative to its norm before
 * Valid during the call only. */
typedef struct exchange_use {
    int64_t begin, time;
    double keys;
    const real *weights, *strength;
} exchange_use;
typedef void (*exchanged_fn)(void *user, const layer *self, int exchange, const exchange_use *use);

/* Who looks at a call; NULL where nobody does. */
typedef struct layer_watch {
    tap_fn tap;
    fired_fn fired;
    exchanged_fn exchanged;
    void *user; /* of all three */
} layer_watch;

void layer_tap(const layer_ctx *c, const layer *self, const char *name, const tensor *x);
/* The same for coefficients. Where they cost extra, ask c->watch->fired first. */
void layer_fired(const layer_ctx *c, const layer *self, const memory_use *use);
/* The same for exchanges: ask c->watch->exchanged first. */
void layer_exchanged(const layer_ctx *c, const layer *self, int exchange, const exchange_use *use);
