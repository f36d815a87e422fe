/* Reference cases of dynamic evaluation: statistics and updates by the public functions, on the
 * case's own small model, logits = O tanh(E[x]) + b. */
#include "tests/reference/reference.h"

#include <stdio.h>
#include <string.h>

#include "core/ops/ops.h"
#include "harness/evaluate/dynamic.h"

enum { EMBED, OUT, BIAS, PARAMS };
static const char *const NAMES[PARAMS] = {"embed", "out", "bias"};

typedef struct toy {
    reference_case *c;
    params params;
    tape *tape;
    real *start, *values;
    grads grads;
    int64_t bptt;
} toy;

static real *vector(reference_case *c, const params *p)
{
    return arena_push_zero(c->memory, p->total, sizeof(real));
}

static void toy_init(toy *m, reference_case *c)
{
    int64_t vocab = reference_size(c, "vocab"), dim = reference_size(c, "dim");
    *m = (toy){.c = c, .tape = tape_new(), .bptt = reference_size(c, "bptt")};
    params_init(&m->params, c->memory);
    for (int i = 0; i < PARAMS; i++) {
        params_add(&m->params, NAMES[i], ROLE_MATRIX, i == BIAS ? 1 : 2, (int64_t[]){vocab, dim},
                   (param_init){INIT_ZERO, 0});
    }
    params_seal(&m->params);
    m->start = vector(c, &m->params);
    m->values = vector(c, &m->params);
    m->grads.values = vector(c, &m->params);
    m->grads.has = arena_push_zero(c->memory, m->params.pieces, sizeof(bool));
    for (int i = 0; i < PARAMS; i++) {
        char name[32];
        snprintf(name, sizeof name, "p0.%s", NAMES[i]);
        const param *q = &m->params.list[i];
        memcpy(m->start + q->offset, reference_real(c, name), (size_t)q->count * sizeof(real));
    }
}

/* Mean loss of n positions; its gradient goes to m->grads. */
static double toy_loss(toy *m, const int32_t *inputs, const int32_t *targets, int64_t n)
{
    tensor *w[PARAMS];
    tape_reset(m->tape, true);
    for (int i = 0; i < PARAMS; i++) {
        const param *q = &m->params.list[i];
        w[i] = tape_param(m->tape, m->values + q->offset, m->grads.values + q->offset, q->rank,
                          q->shape);
    }
    tensor *h = op_activation(m->tape, op_gather(m->tape, w[EMBED], inputs, n), ACT_TANH);
    tensor *logits = op_linear(m->tape, h, w[OUT], w[BIAS]);
    tensor *loss = op_cross_entropy(m->tape, logits, targets, NULL, (real)(1 / (double)n), NULL);
    tape_backward(m->tape, loss, 1);
    for (int i = 0; i < PARAMS; i++) {
        m->grads.has[m->params.list[i].first_piece] = w[i]->has_grad;
    }
    return (double)*loss->data;
}

static void compare(toy *m, const char *what, const real *got)
{
    for (int i = 0; i < PARAMS; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s.%s", what, NAMES[i]);
        reference_expect(m->c, name, got + m->params.list[i].offset, "params");
    }
}

static void measure(toy *m, dynamic_statistics *s)
{
    reference_case *c = m->c;
    int64_t length = reference_size(c, "train_length"), streams = reference_size(c, "train_batch");
    const int64_t *text = reference_int(c, "train_tokens");
    int32_t inputs[256], targets[256];
    CHECK(m->bptt * streams <= 256, "room for 256 tokens");
    memcpy(m->values, m->start, (size_t)m->params.total * sizeof(real));
    dynamic_statistics_init(s, &m->params);
    for (int64_t i = 0; i < length - 2; i += m->bptt) {
        int64_t n = MIN(m->bptt, length - 1 - i) * streams;
        for (int64_t k = 0; k < n; k++) {
            inputs[k] = (int32_t)text[i * streams + k];
            targets[k] = (int32_t)text[(i + 1) * streams + k];
        }
        toy_loss(m, inputs, targets, n);
        dynamic_statistics_add(s, &m->grads);
    }
    dynamic_statistics_close(s, NULL);
    if (s->batches != reference_size(c, "train_minibatches")) {
        reference_fail(c, "%lld minibatches", (long long)s->batches);
    }
    compare(m, "rms", s->rms);
    real mean = (real)s->mean;
    reference_expect(c, "gsum", &mean, "params");
}

static void check_variant(toy *m, const char *variant, const json_t *how,
                          const dynamic_statistics *s)
{
    reference_case *c = m->c;
    bool rms = strcmp(json_string_value(json_object_get(how, "rule")), "rms") == 0;
    dynamic_rule rule = {.params = &m->params,
                         .start = m->start,
                         .statistics = rms ? s : NULL,
                         .rate = json_number_value(json_object_get(how, "lr")),
                         .decay = json_number_value(json_object_get(how, "lambda")),
                         .eps = json_number_value(json_object_get(how, "eps"))};
    if (rms) {
        real *rates = vector(c, &m->params);
        for (int64_t i = 0; i < m->params.total; i++) {
            rates[i] = (real)dynamic_decay_rate(&rule, i);
        }
        char what[64];
        snprintf(what, sizeof what, "%s.rate", variant);
        compare(m, what, rates);
    }
    const int64_t *text = reference_int(c, "tokens");
    int64_t segments = reference_size(c, "segments"), at = 0;
    double sum = 0, weights = 0;
    memcpy(m->values, m->start, (size_t)m->params.total * sizeof(real));
    for (int64_t i = 0; i < segments; i++) {
        int32_t inputs[64], targets[64];
        int64_t n = i + 1 < segments ? m->bptt : reference_size(c, "last_segment");
        CHECK(n <= 64, "room for 64 tokens");
        for (int64_t k = 0; k < n; k++, at++) {
            inputs[k] = (int32_t)text[at];
            targets[k] = (int32_t)text[at + 1];
        }
        double loss = toy_loss(m, inputs, targets, n), weight = (double)n / (double)m->bptt;
        dynamic_step(&rule, m->values, &m->grads);
        char name[64];
        snprintf(name, sizeof name, "%s.seg%d.loss", variant, (int)i);
        reference_expect(c, name, &(real){(real)loss}, "loss");
        snprintf(name, sizeof name, "%s.seg%d.after", variant, (int)i);
        compare(m, name, m->values);
        sum += loss * weight;
        weights += weight;
    }
    char name[64];
    snprintf(name, sizeof name, "%s.overall_loss", variant);
    reference_expect(c, name, &(real){(real)(sum / weights)}, "loss");
}

static void check_dyneval(reference_case *c)
{
    toy m;
    dynamic_statistics s;
    toy_init(&m, c);
    measure(&m, &s);
    const char *variant;
    json_t *how, *variants = json_object_get(c->config, "variants");
    json_object_foreach(variants, variant, how)
    {
        check_variant(&m, variant, how, &s);
    }
    dynamic_statistics_deinit(&s);
    tape_free(m.tape);
}

const reference_entry REFERENCE_DYN[] = {{"dyneval", NULL, check_dyneval}, {NULL, NULL, NULL}};
