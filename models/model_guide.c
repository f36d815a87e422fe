/* A guide: another, trained model whose greedy guess of each target some layers are told. */
#include "core/ops/vec.h"
#include "models/model_parts.h"

#include <string.h>

void model_set_guide(model *m, const model *guide, const real *values)
{
    CHECK(guide->vocab == m->vocab && guide->options.context == m->options.context,
          "a guide of vocabulary %lld and context %lld for %lld and %lld", (long long)guide->vocab,
          (long long)guide->options.context, (long long)m->vocab, (long long)m->options.context);
    m->guide = guide;
    m->guide_values = values;
    m->oracle |= guide->oracle;
}

const int32_t *model_guide_predictions(model_state *s, const model_call *call)
{
    model_state *g = s->guide;
    int64_t n = s->rows * call->time, vocab = s->model->vocab;
    int32_t *guesses = tape_keep(s->ctx.tape, n, sizeof *guesses);
    const model_call own = {.time = call->time,
                            .tokens = call->tokens,
                            .lengths = call->lengths,
                            .mode = MODE_EVAL,
                            .seed = call->seed,
                            .step = call->step,
                            .row0 = call->row0};
    /* A checkpoint restores the positions of `s` only. */
    memcpy(g->position, s->position, (size_t)s->rows * sizeof *g->position);
    memcpy(g->document, s->document, (size_t)s->rows * sizeof *g->document);
    /* A segment of its own on a tape of its own: nothing of it is differentiated. */
    model_begin(g, s->guide_tape, s->model->guide_values, NULL);
    model_result result = model_forward(g, &own);
    model_end(g);
    for (int64_t i = 0; i < n; i++) {
        guesses[i] = (int32_t)vec_most(result.logits->data + i * vocab, vocab);
    }
    return guesses;
}
