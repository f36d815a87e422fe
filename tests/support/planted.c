#include "tests/support/planted.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/corpora.h"
#include "tests/test.h"

void planted_open(trained_model *m, const char *spec, const char *text)
{
    err e = {0};
    memset(m, 0, sizeof *m);
    corpora_write("text/train/a.txt", text, -1);
    corpora_write("text/validation/b.txt", text, -1);
    corpora_write("text/test/c.txt", text, -1);
    m->memory = arena_new(0);
    m->corpus = corpora_need("{corpus: text, path: text}");
    m->seed = 1;
    snprintf(m->run, sizeof m->run, "planted");
    const node *n = node_parse(m->memory, spec, strlen(spec), "planted", &e);
    model_inputs inputs = {.vocab = PLANTED_VOCAB, .seed = 1};
    m->model = n ? model_build(n, &inputs, &e) : NULL;
    CHECK(m->model, "%s", e.text);
    const params *p = model_params_const(m->model);
    m->values = arena_push_zero(m->memory, p->total, sizeof(real));
    params_start(p, m->values, 1);
}

void planted_close(trained_model *m)
{
    model_free(m->model);
    corpus_close(m->corpus);
    arena_free(m->memory);
}

real *planted_param(trained_model *m, const char *name, int64_t *n)
{
    const params *p = model_params_const(m->model);
    int i = params_find(p, name);
    CHECK(i >= 0, "no %s", name);
    if (n) *n = p->list[i].count;
    return m->values + p->list[i].offset;
}

void planted_fill(trained_model *m, const char *name, real x)
{
    int64_t n;
    real *values = planted_param(m, name, &n);
    for (int64_t i = 0; i < n; i++) {
        values[i] = x;
    }
}
