/* Reference cases of optimisers, clipping and schedules. */
#include "tests/reference/reference.h"

#include "core/train/optim.h"
#include "core/train/schedule.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARAMETERS = 8, NAME_BYTES = 64 };

/* The case's parameters in flat vectors, as a trainer holds them. */
typedef struct fixture {
    params p;
    real *values;
    grads g;
    optim *m;
} fixture;

/* Parameters are the tensors <prefix>0<suffix>, <prefix>1<suffix>, ... All are matrices here, so
 * that weight decay reaches each, as it does in the vectors. */
static void declare(reference_case *c, fixture *f, const char *prefix, const char *suffix)
{
    params_init(&f->p, c->memory);
    char name[NAME_BYTES];
    for (int i = 0; i < MAX_PARAMETERS; i++) {
        snprintf(name, sizeof name, "%s%d%s", prefix, i, suffix);
        if (!reference_has(c, name)) break;
        const st_tensor *t = reference_get(c, name);
        params_add(&f->p, arena_strdup(c->memory, name), ROLE_MATRIX, t->rank, t->shape,
                   (param_init){INIT_ZERO, 0});
    }
    f->values = arena_push_zero(c->memory, f->p.total, sizeof *f->values);
    f->g.values = arena_push_zero(c->memory, f->p.total, sizeof *f->values);
    f->g.has = arena_push_zero(c->memory, f->p.pieces, sizeof *f->g.has);
}

static void load(reference_case *c, const fixture *f, int i, real *flat, const char *name)
{
    const param *p = &f->p.list[i];
    memcpy(flat + p->offset, reference_real(c, name), (size_t)p->count * sizeof *flat);
}

static bool make_optim(reference_case *c, fixture *f, const char *yaml)
{
    optim_options options;
    err e = {0};
    node *n = node_parse(c->memory, yaml, strlen(yaml), "case", &e);
    if (n && optim_read(&options, n, c->memory, &e)) f->m = optim_new(&options, &f->p, &e);
    if (!f->m) reference_fail(c, "%s", e.text);
    return f->m != NULL;
}

static void step(reference_case *c, fixture *f, double lr)
{
    memset(f->g.has, true, (size_t)f->p.pieces);
    optim_report report = optim_step(f->m, f->values, &f->g, lr, NULL);
    if (report.bad) reference_fail(c, "gradient of %s is not finite", report.bad);
}

static void train(reference_case *c, fixture *f, const double *rates)
{
    char name[NAME_BYTES];
    for (int i = 0; i < f->p.count; i++)
        load(c, f, i, f->values, f->p.list[i].name);
    for (int t = 0; t < reference_size(c, "steps"); t++) {
        for (int i = 0; i < f->p.count; i++) {
            snprintf(name, sizeof name, "p%d.grad.%d", i, t);
            load(c, f, i, f->g.values, name);
        }
        step(c, f, rates[t]);
        for (int i = 0; i < f->p.count; i++) {
            snprintf(name, sizeof name, "p%d.after.%d", i, t);
            reference_expect(c, name, f->values + f->p.list[i].offset, "outputs");
        }
    }
}

/* Moments: second ones are tiny, so both are compared relatively (1e-5, as the set's notes say). */
static void expect_moments(reference_case *c, const fixture *f, const char *view_name,
                           const char *suffix)
{
    optim_view views[16];
    int n = MIN(optim_views(f->m, views, 16), 16);
    char name[NAME_BYTES];
    for (int k = 0; k < n; k++) {
        if (strcmp(views[k].name, view_name) != 0) continue;
        for (int i = 0; i < f->p.count; i++) {
            snprintf(name, sizeof name, "p%d%s", i, suffix);
            const real *flat = views[k].data;
            reference_expect_close(c, name, flat + f->p.list[i].offset, 1e-5, 0);
        }
        return;
    }
    reference_fail(c, "the optimiser has no state %s", view_name);
}

static void check_adam(reference_case *c)
{
    fixture f = {0};
    declare(c, &f, "p", ".start");
    bool decoupled = json_is_true(json_object_get(c->config, "decoupled"));
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "{kind: %s, beta1: %.17g, beta2: %.17g, eps: %.17g, weight_decay: %.17g, clip: 0}",
             decoupled ? "adamw" : "adam", reference_number(c, "beta1"),
             reference_number(c, "beta2"), reference_number(c, "eps"),
             reference_number(c, "weight_decay"));
    if (!make_optim(c, &f, yaml)) return;
    const json_t *list = json_object_get(c->config, "lr_per_step");
    double rates[64] = {0};
    for (size_t i = 0; i < MIN(json_array_size(list), (size_t)64); i++) {
        rates[i] = json_number_value(json_array_get(list, i));
    }
    train(c, &f, rates);
    expect_moments(c, &f, "optimizer.m", ".m");
    expect_moments(c, &f, "optimizer.v", ".v");
    optim_free(f.m);
}

static void check_adafactor(reference_case *c)
{
    fixture f = {0};
    declare(c, &f, "p", ".start");
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "{kind: adafactor, eps1: %.17g, eps2: %.17g, update_clip: %.17g, decay_power: 0.8, "
             "relative_step: true, scale_parameter: true, weight_decay: 0, clip: 0}",
             reference_number(c, "eps1"), reference_number(c, "eps2"),
             reference_number(c, "clip_threshold"));
    if (!make_optim(c, &f, yaml)) return;
    double rates[64];
    for (int i = 0; i < 64; i++)
        rates[i] = 1e-2; /* the largest relative step */
    train(c, &f, rates);
    optim_free(f.m);
}

/* One step of plain descent from 0 at rate 1 leaves minus the clipped gradient. */
static void check_clip(reference_case *c)
{
    fixture f = {0};
    declare(c, &f, "g", "");
    char yaml[128];
    snprintf(yaml, sizeof yaml, "{kind: sgd, momentum: 0, weight_decay: 0, clip: %.17g}",
             reference_number(c, "max_norm"));
    if (!make_optim(c, &f, yaml)) return;
    for (int i = 0; i < f.p.count; i++)
        load(c, &f, i, f.g.values, f.p.list[i].name);
    memset(f.g.has, true, (size_t)f.p.pieces);
    optim_report report = optim_step(f.m, f.values, &f.g, 1, NULL);
    real norm = (real)report.norm;
    reference_expect(c, "norm", &norm, "outputs");
    for (int i = 0; i < f.p.count; i++) {
        const param *p = &f.p.list[i];
        real *clipped = ARENA_NEW(c->memory, real, p->count);
        for (int64_t k = 0; k < p->count; k++)
            clipped[k] = -f.values[p->offset + k];
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "g%d.clipped", i);
        reference_expect(c, name, clipped, "outputs");
    }
    optim_free(f.m);
}

static void check_cosine(reference_case *c)
{
    double lr = reference_number(c, "lr_max");
    schedule_options s = {.kind = SCHEDULE_COSINE,
                          .warmup = reference_size(c, "warmup_steps"),
                          .min = reference_number(c, "lr_min") / lr};
    const st_tensor *t = reference_get(c, "lr");
    if (!t) return;
    real *rates = ARENA_NEW(c->memory, real, t->count);
    for (int64_t i = 0; i < t->count; i++) {
        rates[i] = (real)(lr * schedule_factor(&s, i, reference_size(c, "total_steps")));
    }
    reference_expect(c, "lr", rates, "outputs");
}

const reference_entry REFERENCE_OPTIM[] = {
    {"basics", "adamw", check_adam},    {"basics", "adamw-schedule", check_adam},
    {"basics", "adam-l2", check_adam},  {"basics", "adafactor", check_adafactor},
    {"basics", "clip", check_clip},     {"basics", "clip-below", check_clip},
    {"basics", "cosine", check_cosine}, {NULL, NULL, NULL}};
