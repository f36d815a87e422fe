/* Trigger examples of key-value memories (Geva et al. 2021, arXiv:2012.14913, sec. 3): for every
 * memory the prefixes with the largest positive coefficients, in one pass over any amount of text.
 *
 * Memory: count x top entries, whatever was read. A prefix is known by the index of its last token;
 * of equal coefficients the earlier prefix counts more, so the result does not depend on the order
 * in which prefixes are offered. */
#pragma once

#include "core/base/arena.h"

typedef struct trigger {
    real coefficient;
    int32_t next;     /* id of the token that follows the prefix */
    int64_t token;    /* index of the prefix's last token */
    int64_t sentence; /* index of the first token of its sentence */
} trigger;

typedef struct triggers {
    int64_t count, top;
    bool per_sentence; /* only the best prefix of each sentence: the published code's rule */
    trigger *list;     /* [count, top]: heaps, least on top, until triggers_finish */
    int32_t *sizes;    /* [count] */
    real *bar;         /* [count]: less than that is not in the top */
} triggers;

/* Memory is the arena's. */
void triggers_init(triggers *t, int64_t count, int64_t top, bool per_sentence, arena *a);

/* Offers coefficients [n] of memories first .. first + n - 1, or ids [n] if not NULL, at the prefix
 * `at`, whose own coefficient is not looked at. */
void triggers_offer(triggers *t, const real *coefficients, int64_t n, int64_t first,
                    const int32_t *ids, trigger at);
/* Offers all that `from` holds. */
void triggers_merge(triggers *t, const triggers *from);
/* Sorts every list in decreasing order; nothing may be offered afterwards. */
void triggers_finish(triggers *t);
/* Triggers of memory i, sizes[i] of them. */
const trigger *triggers_of(const triggers *t, int64_t i);
