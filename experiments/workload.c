#include "experiments/workload.h"

#include <stdlib.h>
#include <string.h>

static node *number_node(arena *a, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return node_scalar(a, arena_strdup(a, text), true);
}

model *workload_model(arena *a, const node *spec, int64_t context, corpus *c, int64_t seed, err *e)
{
    const node *n = node_get(spec, "model");
    if (!n) return err_set(e, "the spec has no section `model`; describe one"), NULL;
    model *m = NULL;
    if (context > 0) {
        node *copy = node_copy(a, n);
        node_set(a, copy, "context", number_node(a, context));
        n = copy;
    }
    int64_t *counts = NULL;
    if (!(model_needs(n) & NEEDS_TOKEN_COUNTS) || (counts = corpus_token_counts(c, e))) {
        model_inputs inputs = {
            .vocab = corpus_vocab(c), .seed = (uint64_t)seed, .token_counts = counts};
        m = model_build(n, &inputs, e);
    }
    free(counts);
    return m;
}

/* The two models must agree in every parameter: only then do the same values serve both. */
static bool same_params(const model *a, const model *b, const node *at, err *e)
{
    const params *p = model_params_const(a), *q = model_params_const(b);
    bool same = p->total == q->total && p->count == q->count;
    for (int i = 0; same && i < p->count; i++) {
        same = strcmp(p->list[i].name, q->list[i].name) == 0 &&
               memcmp(p->list[i].shape, q->list[i].shape, sizeof p->list[i].shape) == 0;
    }
    static const char *const text =
        "the model's parameters depend on its context, so it cannot be evaluated on another one; "
        "leave eval.context out";
    if (same) return true;
    return at ? node_err(e, at, "%s", text) : err_set(e, "eval.context: %s", text);
}

static bool open_models(workload *w, err *e)
{
    w->model = workload_model(w->memory, w->spec, 0, w->corpus, w->seed, e);
    if (!w->model) return false;
    w->eval_model = w->model;
    if (w->eval.context == 0 || w->eval.context == model_context(w->model)) return true;
    w->eval_model = workload_model(w->memory, w->spec, w->eval.context, w->corpus, w->seed, e);
    return w->eval_model &&
           same_params(w->model, w->eval_model, node_at(w->spec, "eval.context"), e);
}

static bool read_options(workload *w, err *e)
{
    const node *s = w->spec;
    return train_options_read(&w->train, node_get(s, "train"), w->memory, e) &&
           eval_options_read(&w->eval, node_get(s, "eval"), w->memory, e) &&
           optim_read(&w->optim, node_get(s, "optimizer"), w->memory, e) &&
           schedule_read(&w->schedule, node_get(s, "schedule"), w->memory, e);
}

/* Completes a workload whose corpus is open. */
static bool open_rest(workload *w, err *e)
{
    return open_models(w, e) &&
           optim_apply_groups(model_params(w->model), &w->optim, w->memory, e) &&
           train_shape_of(&w->shape, &w->train, node_get(w->spec, "train"), model_context(w->model),
                          e);
}

bool workload_open(workload *w, const node *spec, int64_t seed, const corpus_places *places, err *e)
{
    *w = (workload){.memory = arena_new(1 << 16), .spec = spec, .seed = seed, .owns_corpus = true};
    bool ok = read_options(w, e) && (w->corpus = corpus_open(node_get(spec, "data"), places, e)) &&
              open_rest(w, e);
    if (!ok) workload_close(w);
    return ok;
}

bool workload_open_on(workload *w, const node *spec, int64_t seed, corpus *c, err *e)
{
    *w = (workload){.memory = arena_new(1 << 16), .spec = spec, .seed = seed, .corpus = c};
    bool ok = read_options(w, e) && open_rest(w, e);
    if (!ok) workload_close(w);
    return ok;
}

void workload_close(workload *w)
{
    if (w->eval_model != w->model) model_free(w->eval_model);
    if (w->model) model_free(w->model);
    if (w->corpus && w->owns_corpus) corpus_close(w->corpus);
    arena_free(w->memory);
    *w = (workload){0};
}
