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
    /* Predictions of a model that looks ahead let this one look ahead, too. */
    m->oracle |= guide->oracle;
}

/* The guide is a whole model with weights that do not move. It reads what the guided model reads,
 * cut into the same calls, so that its state is at every point the one that it would have alone on
 * the text, and what a layer is told at a position depends on tokens up to that position only. The
 * price is a forward pass per call, which model_costs counts. */
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
        /* Ties go to the smaller id, so that guesses do not depend on the machine. */
        guesses[i] = (int32_t)vec_most(result.logits->data + i * vocab, vocab);
    }
    return guesses;
}
