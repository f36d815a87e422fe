/* `--set` on what the sweep sets: refused where it changes nothing, a warning where little. */
#include <stdio.h>
#include <string.h>

#include "harness/spec/spec.h"
#include "harness/spec/unheard_set.h"
#include "tests/test.h"

static const char SPEC[] =
    "data: {corpus: markov}\n"
    "model: {width: 16, context: 16, blocks: [{ffn: {hidden: 32}}]}\n"
    "train: {budget: {steps: 3}, batch: 2}\n"
    "sweep:\n"
    "  grid:\n"
    "    optimizer.lr: [1e-3, 3e-3]\n"
    "    \"model.blocks[0].ffn\": {wide: {ffn: {hidden: 64}}, hashed: {hash_ffn: {hidden: 8}}}\n"
    "    rest: {long: {train.budget: {steps: 9}}, short: {}}\n";

/* The sweep of SPEC, and what is said of one --set. */
static const char *said_of(const char *set, err *e)
{
    const char *const sets[] = {set, NULL};
    static char text[1100];
    spec *s = spec_parse(SPEC, strlen(SPEC), "s.yaml", sets, e);
    EXPECT(s, "%s", e->text);
    sweep *all = s ? sweep_expand(s->memory, node_get(s->root, "sweep"), "s", e) : NULL;
    EXPECT(all, "%s: %s", set, e->text);
    text[0] = 0;
    if (all && unheard_set_check(all, sets, e)) {
        for (int i = 0; i < all->variant_count; i++) {
            const char *one = unheard_set_of(s->memory, &all->variants[i], sets);
            if (one) snprintf(text, sizeof text, "%s", one);
        }
    } else {
        snprintf(text, sizeof text, "refused: %s", e->text);
    }
    spec_free(s);
    return text;
}

static void says_so(void)
{
    static const struct {
        const char *set, *said; /* "": nothing is said */
    } CASES[] = {
        {"optimizer.lr=1e-4", "refused: --set optimizer.lr=1e-4"},
        {"optimizer.\"lr\"=1e-4", "sweep's axis 'optimizer.lr'"},
        {"model.blocks[0].ffn.hidden=4", "refused: "},
        {"model.blocks[0].layers[0].ffn.hidden=4", "refused: "},
        {"model.blocks[0].ffn={hidden: 4}", "axis 'model.blocks[0].ffn'"},
        {"train.budget.steps=5", "changes nothing here: the sweep's axis 'rest'"},
        {"train.budget={tokens: 5}", "changes nothing here"},
        {"optimizer.beta1=0.8", ""},
        {"model.blocks[0].ffn_more=1", ""},
        {"optimizer={lr: 1e-4, beta1: 0.8}", ""},
        {"sweep.grid.\"optimizer.lr\"=[1e-4]", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        err e = {0};
        const char *said = said_of(CASES[i].set, &e);
        bool good = CASES[i].said[0] ? strstr(said, CASES[i].said) != NULL : !said[0];
        EXPECT(good, "%s: '%s', expected '%s'", CASES[i].set, said, CASES[i].said);
    }
}

const test_suite test_unheard_set = {"harness/unheard_set", {{"says so", says_so}, {0}}};
