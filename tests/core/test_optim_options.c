/* What a spec says of the optimizer: defaults by kind, groups of parameters, what is refused. */
#include <math.h>
#include <string.h>

#include "core/train/optim.h"
#include "tests/test.h"

/* A rate for one kind is none for another: each has its own unless the spec says one. */
static void defaults_of_the_kind(void)
{
    static const struct {
        const char *text;
        double lr, clip;
    } cases[] = {{"{}", 1e-3, 1},
                 {"{kind: adam}", 1e-3, 1},
                 {"{kind: adafactor}", 0.1, 0},
                 {"{kind: adafactor, lr: 1e-3, clip: 1}", 1e-3, 1},
                 {"{kind: sgd}", 0.3, 1},
                 {"{kind: sgd, lr: 1e-3}", 1e-3, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena *a = arena_new(0);
        err e = {0};
        optim_options o;
        const node *n = node_parse(a, cases[i].text, strlen(cases[i].text), "x.yaml", &e);
        EXPECT(n && optim_read(&o, n, a, &e), "%s", e.text);
        EXPECT(o.lr == cases[i].lr && o.clip == cases[i].clip, "%s: %g, %g", cases[i].text, o.lr,
               o.clip);
        arena_free(a);
    }
}

/* Matrices decay, and what groups say: an embedding as nanoGPT's, which is the head's matrix. */
static void decay_by_groups(void)
{
    arena *a = arena_new(0);
    const int64_t shape[] = {2, 3};
    const struct {
        const char *name;
        param_role role;
        double scale;
    } list[] = {{"embedding.weight", ROLE_EMBEDDING, 1},
                {"w.weight", ROLE_MATRIX, 1},
                {"w.bias", ROLE_BIAS, 0},
                {"head.weight", ROLE_MATRIX, 0}};
    const char text[] = "{weight_decay: 0.5, groups: [{match: \"embedding.*\", decay: true}, "
                        "{match: \"head.*\", decay: false}]}";
    params p;
    optim_options o;
    err e = {0};
    params_init(&p, a);
    for (int i = 0; i < 4; i++) {
        params_add(&p, list[i].name, list[i].role, 2, shape, (param_init){INIT_CONSTANT, 1});
    }
    params_seal(&p);
    const node *n = node_parse(a, text, sizeof text - 1, "x.yaml", &e);
    EXPECT(n && optim_read(&o, n, a, &e) && optim_apply_groups(&p, &o, a, &e), "%s", e.text);
    optim *m = optim_new(&o, &p, &e);
    grads g = {.values = arena_push_zero(a, p.total, sizeof(real)),
               .has = arena_push_zero(a, p.pieces, sizeof(bool))};
    real *values = arena_push_zero(a, p.total, sizeof(real));
    params_start(&p, values, 1);
    optim_step(m, values, &g, 0.1, NULL);
    for (int i = 0; i < 4; i++) {
        double kept = (double)values[p.list[i].offset], expected = 1 - 0.1 * 0.5 * list[i].scale;
        EXPECT(fabs(kept - expected) < 1e-6, "%s: %g, not %g", list[i].name, kept, expected);
    }
    optim_free(m);
    arena_free(a);
}

static void wrong_options(void)
{
    static const char *const cases[][2] = {
        {"{kind: sgd, beta1: 0.5}", "x.yaml:1:20: beta1: has no effect with `kind: sgd`"},
        {"{momentum: 0.5}", "no effect"},
        {"{kind: adamw, eps1: 1}", "no effect"},
        {"{lr: fast}", "x.yaml:1:6"},
        {"{learning_rate: 1}", "learning_rate"},
        {"{groups: {}}", "not a list"},
        {"{groups: [3]}", "not a map"},
        {"{groups: [{lr: 2}]}", "match"},
        {"{groups: [{match: a}]}", "changes nothing"},
        {"{groups: [{match: a, lrs: 1}]}", "lrs"},
        {"{groups: [{match: \"x*\", lr: 1}]}", "matches no parameter"},
        {"{groups: [{match: \"*\", decay: false}]}",
         "x.yaml:1:31: groups[0].decay: has no effect with `weight_decay: 0`"},
        {"{weight_decay: 1, groups: [{match: \"*.bias\", decay: false}]}", "decays as it says"}};
    const int64_t shape[] = {2, 3};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena *a = arena_new(0);
        params p;
        optim_options o;
        err e = {0};
        params_init(&p, a);
        params_add(&p, "a.weight", ROLE_MATRIX, 2, shape, (param_init){INIT_NORMAL, 0.5});
        params_add(&p, "a.bias", ROLE_BIAS, 1, shape, (param_init){INIT_NORMAL, 0.5});
        params_seal(&p);
        node *n = node_parse(a, cases[i][0], strlen(cases[i][0]), "x.yaml", &e);
        bool ok = n && optim_read(&o, n, a, &e) && optim_apply_groups(&p, &o, a, &e);
        EXPECT(!ok && strstr(e.text, cases[i][1]), "%s: '%s'", cases[i][0], e.text);
        arena_free(a);
    }
}

const test_suite test_optim_options = {"core/optim_options",
                                       {{"decay_by_groups", decay_by_groups},
                                        {"wrong_options", wrong_options},
                                        {"defaults_of_the_kind", defaults_of_the_kind},
                                        {0}}};
