/* Values as distributions over the vocabulary, and their agreement with what triggers their keys
 * (Geva et al. 2021, arXiv:2012.14913, sec. 4):
 *
 *   p_i = softmax(v_i E^T)
 *   key i agrees if argmax p_i is the token that follows its first trigger
 *
 * Coefficients do not enter: a positive factor would change the probabilities and not their order.
 * Values are read out VALUE_ROWS at a time, so that memory is rows x vocab whatever the number of
 * memories; of each only the ten first tokens are kept. */
#include "harness/inspect/inspect_values.h"

#include "harness/train/trained_model.h"
#include "models/readout.h"

enum { VALUE_ROWS = 256 };

/* Rank of the first trigger's next token, where there is one. */
static void rank_of(memory_agreement *a, const real *p, int64_t vocab, const trigger *first)
{
    if (a->triggered) a->rank = value_readings_rank(p, vocab, first->next);
}

/* tops [memories] and with [vocab] are what composition will ask: which token each value names, and
 * how many values name each token. */
static void read_values(inspection *x, inspected_layer *l, const readout *read, arena *a)
{
    const trained_model *m = x->task->loaded;
    const params *p = model_params_const(m->model);
    int64_t width = model_width(m->model), vocab = model_vocab(m->model);
    real *values = ARENA_NEW(a, real, VALUE_ROWS * width);
    real *probabilities = ARENA_NEW(a, real, VALUE_ROWS * vocab);
    for (int64_t at = 0; at < l->memories.count; at += VALUE_ROWS) {
        int64_t n = MIN((int64_t)VALUE_ROWS, l->memories.count - at);
        readout_memory(l->layer, &l->memories, p, m->values, at, n, values);
        value_readings(l->values + at, probabilities, read, values, n, a);
        for (int64_t i = 0; i < n; i++) {
            int32_t top = l->values[at + i].tokens[0];
            l->tops[at + i] = top;
            l->with[top]++;
            if (!l->agreements) continue;
            /* With agreements, sizes[at + i] may be 0: then there is no first trigger, and rank
             * stays -1. */
            const trigger *list = triggers_of(&l->triggers, at + i);
            memory_agreement g = value_readings_agreement(list, l->triggers.sizes[at + i], top);
            rank_of(&g, probabilities + i * vocab, vocab, list);
            l->agreements[at + i] = g;
        }
    }
}

/* Some memories have no values of their own to read (keys whose values are computed elsewhere):
 * they are passed over. Agreements only where the pass over keys was made. */
void inspect_values(inspection *x)
{
    const trained_model *m = x->task->loaded;
    readout read = readout_new(m->model, m->values, x->task->options->as_head);
    for (int i = 0; i < x->layer_count; i++) {
        inspected_layer *l = &x->layers[i];
        if (l->memories.values < 0 && !l->memories.value) continue;
        l->values = ARENA_NEW(x->memory, value_reading, l->memories.count);
        l->tops = ARENA_NEW(x->memory, int32_t, l->memories.count);
        l->with = arena_push_zero(x->memory, model_vocab(m->model), sizeof *l->with);
        if (l->triggers.list) {
            l->agreements = ARENA_NEW(x->memory, memory_agreement, l->memories.count);
        }
        /* Freed with each layer, whose vectors and distributions need it. */
        arena_auto *a = arena_new(0);
        read_values(x, l, &read, a);
    }
}
