#include "harness/train/spec_model.h"

#include "harness/train/train_kernels.h"

#include <stdlib.h>
#include <string.h>

/* Layers say by bits what they need beside the spec (model_needs); here it is fetched, and only
 * what is asked for: counting the tokens of a corpus is a pass over it, and texts of all tokens are
 * memory. */

/* What a layer can only be built or run with. Said at the model's place before anything is built: a
 * layer that is built from another model's tensors could only say that it has none. */
static bool check_needs(unsigned needs, const node *model_spec, const node *init, const corpus *c,
                        err *e)
{
    if ((needs & NEEDS_TOKEN_TEXT) && strcmp(corpus_tokenizer(c), "none") == 0) {
        return node_err(
            e, model_spec,
            "a layer looks at the texts of tokens, and this corpus's are numbers alone; "
            "leave its option out, or name the tokens' `tokenizer` in `data`");
    }
    if (!(needs & (NEEDS_SOURCE | NEEDS_PREDICTIONS)) || !node_is_null(init)) return true;
    return node_err(e, model_spec, "a layer %s; name a trained model with `init_from:`",
                    needs & NEEDS_SOURCE ? "is built from another model's parameters"
                                         : "is told another model's predictions");
}

/* [vocab] in the arena. A token that has no text of its own has an empty one. */
static const char *const *token_texts(arena *a, const corpus *c)
{
    int64_t vocab = corpus_vocab(c);
    const char **texts = ARENA_NEW(a, const char *, vocab);
    for (int32_t id = 0; id < vocab; id++) {
        text_auto *text = corpus_decode(c, &id, 1);
        texts[id] = arena_strdup(a, text ? text : "");
    }
    return texts;
}

/* counts are the model's only while it is built: it keeps what it makes of them. */
model *spec_model(arena *a, const node *spec, const model_sizes *sizes, corpus *c, int64_t seed,
                  const tensor_source *source, err *e)
{
    const node *n = node_get(spec, "model"), *train = node_get(spec, "train");
    if (!n) return err_set(e, "the spec has no section `model`; describe one"), NULL;
    model *m = NULL;
    tape_kernels kernels;
    if (!train_kernels_read(&kernels, train, a, e) || !(n = model_resized(a, n, sizes, e))) {
        return NULL;
    }
    int64_t *counts = NULL;
    unsigned needs = model_needs(n);
    const node *init = node_get(spec, "init_from");
    if (!check_needs(needs, n, init, c, e)) return NULL;
    if (!(needs & NEEDS_TOKEN_COUNTS) || (counts = corpus_token_counts(c, e))) {
        model_inputs inputs = {.vocab = corpus_vocab(c),
                               .seed = (uint64_t)seed,
                               .token_counts = counts,
                               .token_text = needs & NEEDS_TOKEN_TEXT ? token_texts(a, c) : NULL,
                               .source = needs & NEEDS_SOURCE ? source : NULL};
        m = model_build(n, &inputs, e);
    }
    /* A model that failed has said why; what was fetched for it goes in any case. */
    free(counts);
    if (m) model_set_kernels(m, kernels);
    return m;
}

bool spec_model_same_params(const model *a, const model *b)
{
    const params *p = model_params_const(a), *q = model_params_const(b);
    bool same = p->total == q->total && p->count == q->count;
    for (int i = 0; same && i < p->count; i++) {
        same = strcmp(p->list[i].name, q->list[i].name) == 0 &&
               memcmp(p->list[i].shape, q->list[i].shape, sizeof p->list[i].shape) == 0;
    }
    return same;
}
