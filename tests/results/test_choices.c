/* Comparisons of what is chosen first: the best value of a tuned axis, and equal training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "results/compare/compare.h"
#include "results/compare/compare_at.h"
#include "results/compare/compare_load.h"
#include "results/store/collect.h"
#include "tests/support/compared.h"
#include "tests/test.h"

/* Two variants at three rates: 'long' is best at 3e-3 on validation, 'short' at 1e-3, an edge. */
static const fake_variant VARIANTS[] = {
    {"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
    {"short 3e-3", -0.1, 0.001, 842000, 51234, NULL, false},
    {"short 1e-2", -0.2, 0.001, 842000, 51234, NULL, false},
    {"long 1e-3", -0.05, 0.001, 842000, 25617, NULL, false},
    {"long 3e-3", 0.04, 0.001, 842000, 25617, NULL, false},
    {"long 1e-2", -0.3, 0.001, 842000, 25617, NULL, false},
};
enum { COUNT = 6, SEEDS = 3, TOKENS = 90000, END = 200 };

static fake_experiment fake(int variants)
{
    return compared_of(VARIANTS, variants, SEEDS);
}

/* An evaluation of every run, `bits` above what it is in the end. */
static void evaluated(const fake_experiment *x, const char *split, int step, double bits)
{
    for (int v = 0; v < x->variants; v++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            char line[1024];
            double nats = (fake_bits_per_byte(x, v, seed) + bits) * log(2.0) * TOKENS;
            snprintf(line, sizeof line,
                     "{\"eval\": \"%s-%d-%d-%d\", \"step\": %d, \"tokens_seen\": %d, \"final\": "
                     "false, \"split\": \"%s\", \"nats\": %.17g, \"tokens\": %d, \"bytes\": %d, "
                     "\"words\": 16000, \"protocol\": {\"context\": 256, \"memory\": \"carried "
                     "state, reset at documents\", \"start\": \"learned vector, first token "
                     "counted\", \"data\": \"abcdef0123456789\"}}\n",
                     split, v, seed, step, step, step * 2048, split, nats, TOKENS, TOKENS);
            fake_append(x, v, seed, "evals.jsonl", line);
        }
    }
}

static comparison *load(arena *a, const fake_experiment *x, const compare_options *o, err *e)
{
    err note = {0};
    store *s = collect_and_open(x->out, &note, e);
    comparison *c = s ? compare_load(a, s, x->name, o, e) : NULL;
    EXPECT(!note.text[0], "%s", note.text);
    store_close(s);
    return c;
}

static void expect_text(const char *text, const char *needed)
{
    EXPECT(strstr(text, needed), "no \"%s\" in:\n%s", needed, text);
}

static void tuned(void)
{
    fake_experiment x = fake(COUNT);
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && c->count == 2 && c->baseline == 0, "%s", e.text);
    if (!c) return;
    const compared_variant *s = &c->variants[0], *l = &c->variants[1];
    EXPECT(strcmp(s->label, "short") == 0 && strcmp(s->tuned, "lr=1e-3") == 0 && s->edge, "%s, %s",
           s->label, s->tuned);
    EXPECT(strcmp(l->label, "long") == 0 && strcmp(l->tuned, "lr=3e-3") == 0 && !l->edge &&
               l->tried == 3,
           "%s, %s", l->label, l->tuned);
    /* Gains of 0.04 and 0, each with noise of 0.001 at most. */
    EXPECT(fabs(l->difference.mean + 0.04) < 0.003, "%g", l->difference.mean);
    char *text = compared_print(c, TABLE_TEXT);
    expect_text(text, "reported there, too");
    expect_text(text, "lr=1e-3 (edge)");
    expect_text(text, "'long' is better than 'short' by 0.0");
    free(text);
    /* Test counts where it is there, and is not what is chosen by. */
    evaluated(&x, "test", END, 0.25);
    c = load(a, &x, &(compare_options){.tune = "optimizer.lr", .baseline = "long 1e-2"}, &e);
    EXPECT(c && strcmp(c->split, "test") == 0 && c->baseline == 1, "%s", e.text);
    if (!c) return;
    double expected = fake_bits_per_byte(&x, 4, 1) + 0.25;
    EXPECT(fabs(c->variants[1].runs[0].value[COMPARE_BITS_PER_BYTE] - expected) < 1e-9, "%g",
           c->variants[1].runs[0].value[COMPARE_BITS_PER_BYTE]);
    text = compared_print(c, TABLE_TEXT);
    expect_text(text, "the best of up to 3 by its mean on validation; reported on test.");
    free(text);
    EXPECT(!load(a, &x, &(compare_options){.tune = "rate"}, &e) &&
               strstr(e.text, "memory sweeps: optimizer.lr reach"),
           "%s", e.text);
    arena_free(a);
}

/* Groups that differ behind hundreds of letters are two. */
static void long_names(void)
{
    static char labels[4][700];
    static fake_variant list[4];
    for (int i = 0; i < 4; i++) {
        memset(labels[i], 'x', 600);
        snprintf(labels[i] + 600, 100, "%c %s", "AB"[i / 2], i % 2 ? "3e-3" : "1e-3");
        list[i] = (fake_variant){labels[i], 0.01 * i, 0.001, 842000, 51234, NULL, false};
    }
    fake_experiment x = compared_of(list, 4, SEEDS);
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && c->count == 2 && c->variants[0].tried == 2 && c->variants[1].tried == 2,
           "%d groups of 2: %s", c ? c->count : 0, e.text);
    c = load(a, &x, &(compare_options){0}, &e);
    char *text = c ? compared_print(c, TABLE_CSV) : strdup("");
    for (int i = 0; i < 4; i++) {
        EXPECT(strstr(text, labels[i]), "variant %d is cut for programs", i);
    }
    free(text);
    arena_free(a);
}

/* Values that are not chosen lose their runs in words; without validation nothing is chosen. */
static void tuned_without(void)
{
    static const fake_variant own[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                       {"short 1e-2", 0.9, 0.001, 842000, 51234, "diverged", false},
                                       {"long 1e-3", 0.1, 0.001, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 3, SEEDS, 20, own};
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && c->unchosen_lost == 1, "%s", e.text);
    if (!c) return;
    /* Two good seeds are no reason to take what lost the third. */
    EXPECT(strcmp(c->variants[0].tuned, "lr=1e-3") == 0, "%s", c->variants[0].tuned);
    char *text = compared_print(c, TABLE_TEXT);
    expect_text(text, "Of values that were not chosen 1 run is without a result");
    free(text);
    fake_experiment only = {test_folder(), "memory", 1, SEEDS, 20, own};
    evaluated(&only, "test", END, 0);
    /* Nothing of 'long' on test: so that counts of none, and what would make it count is said. */
    c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && strcmp(c->split, "validation") == 0 && c->variants[1].value[1].n == SEEDS, "%s",
           e.text);
    EXPECT(c && c->chosen == 2 * SEEDS && c->lacking == SEEDS, "%d of %d", c->lacking, c->chosen);
    if (!c) return;
    text = compared_print(c, TABLE_TEXT);
    char id[17], command[64];
    fake_run_id(id, x.name, own[2].label, 2);
    snprintf(command, sizeof command, "    loci eval %s --split test\n", id);
    expect_text(text, "3 of 6 are not.");
    expect_text(text, command);
    free(text);
    text = compared_print(c, TABLE_MARKDOWN);
    snprintf(command, sizeof command, "\n- loci eval %s --split test\n", id);
    expect_text(text, "What is missing:\n\n- loci eval ");
    expect_text(text, command);
    expect_text(text, " --split test\n\nAll at once: ");
    free(text);
    /* Asked for, it is shown without a figure, not left out. */
    c = load(a, &x, &(compare_options){.tune = "lr", .split = "test"}, &e);
    EXPECT(c && strcmp(c->split, "test") == 0 && !c->variants[1].runs[0].scored, "%s", e.text);
    /* What was not chosen need not be evaluated there: one run has no result, not three. */
    EXPECT(c && c->unchosen_lost == 1, "%d", c ? c->unchosen_lost : -1);
    arena_free(a);
}

/* No value is the best where their figures are per token of different tokenizers. */
static void tuned_tokenizers(void)
{
    static const fake_variant own[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, true},
                                       {"short 1e-2", 0.1, 0.001, 842000, 51234, NULL, true},
                                       {"long 1e-3", 0, 0.001, 842000, 51234, NULL, true}};
    fake_experiment x = {test_folder(), "memory", 3, SEEDS, 20, own};
    const compare_options o = {.tune = "lr", .metric = COMPARE_PERPLEXITY};
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    for (int v = 2; v > 0; v--) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            fake_tokenizer(&x, v, seed, "words.model");
        }
        /* Of one group by itself: what it is not chosen from may be of another. */
        if (v == 2) EXPECT(load(a, &x, &o, &e), "%s", e.text);
    }
    EXPECT(!load(a, &x, &o, &e) && strstr(e.text, "different tokenizers"), "%s", e.text);
    arena_free(a);
}

/* As if the spec had asked for `eval: {split: test}`. */
static void final_on_test(const char *path)
{
    err e = {0};
    char *text = file_read(path, NULL, &e), *split = text ? strstr(text, "validation") : NULL;
    EXPECT(split, "%s", path);
    if (split) {
        memcpy(split, "test", 4);
        memmove(split + 4, split + strlen("validation"), strlen(split + strlen("validation")) + 1);
        EXPECT(file_write(path, text, strlen(text), &e), "%s", e.text);
    }
    free(text);
}

/* What the other axes say is called as in the labels: with the axis's name where they have it. */
static void tuned_names(void)
{
    static const fake_variant own[] = {
        {"lr=1e-3 decay=0", 0, 0.001, 842000, 51234, NULL, false},
        {"lr=1e-3 decay=0.1", 0.1, 0.001, 842000, 51234, NULL, false},
        {"lr=3e-3 decay=0", 0, 0.001, 842000, 51234, NULL, false},
        {"lr=3e-3 decay=0.1", 0, 0.001, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 4, SEEDS, 20, own};
    arena *a = arena_new(0);
    err e = {0};
    char path[4096];
    fake_write(&x);
    snprintf(path, sizeof path, "%s/experiments/memory.json", x.out);
    json_t *o = json_read(path, &e), *run;
    size_t i;
    json_array_foreach(json_object_get(o, "runs"), i, run)
    {
        const char *label = json_get_text(run, "label");
        json_object_set_new(run, "axes",
                            json_pack("{s:s%, s:s}", "optimizer.lr", label + 3, (size_t)4,
                                      "optimizer.decay", strrchr(label, '=') + 1));
    }
    EXPECT(json_write(path, o, &e), "%s", e.text);
    json_decref(o);
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && c->count == 2 && strcmp(c->variants[0].label, "decay=0") == 0 &&
               strcmp(c->variants[1].label, "decay=0.1") == 0,
           "%s", c ? c->variants[0].label : e.text);
    arena_free(a);
}

/* All are evaluated on test alone: there is no best value. */
static void tuned_on_nothing(void)
{
    fake_experiment x = fake(COUNT);
    arena *a = arena_new(0);
    err e = {0};
    char path[4096], id[17];
    fake_write(&x);
    fake_axes(&x);
    for (int v = 0; v < COUNT; v++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            fake_run_id(id, x.name, VARIANTS[v].label, seed);
            snprintf(path, sizeof path, "%s/runs/%s/evals.jsonl", x.out, id);
            final_on_test(path);
        }
    }
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && !c->variants[0].tuned && c->variants[0].value[COMPARE_BITS_PER_BYTE].n == 0, "%s",
           e.text);
    char *text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    expect_text(text, "nothing of this variant was evaluated on validation");
    free(text);
    arena_free(a);
}

/* What looks at its targets is called so without its label, too. */
static void tuned_oracle(void)
{
    static const fake_variant own[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                       {"peek 1e-3 (oracle)", 1, 0, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 2, SEEDS, 20, own};
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    comparison *c = load(a, &x, &(compare_options){.tune = "lr"}, &e);
    EXPECT(c && c->count == 2, "%s", e.text);
    if (!c) return;
    EXPECT(strcmp(c->variants[0].label, "short") == 0, "%s", c->variants[0].label);
    EXPECT(strcmp(c->variants[1].label, "peek (oracle)") == 0, "%s", c->variants[1].label);
    arena_free(a);
}

/* The loss at step 100 is 1 bit higher than at 200; in between it falls with the logarithm. */
static void at_equal_cost(void)
{
    fake_experiment x = fake(4);
    arena *a = arena_new(0);
    err e = {0};
    fake_write(&x);
    fake_axes(&x);
    evaluated(&x, "validation", 100, 1);
    compare_options o = {0};
    EXPECT(compare_at_read(&o, "tokens=300k", &e), "%s", e.text);
    comparison *c = load(a, &x, &o, &e);
    EXPECT(c && c->variants[3].difference.n == 3, "%s", e.text);
    if (!c) return;
    double share = log(300000 / 204800.0) / log(2.0);
    const compared_run *r = &c->variants[3].runs[1];
    double expected = fake_bits_per_byte(&x, 3, 2) + 1 - share;
    EXPECT(fabs(r->value[COMPARE_BITS_PER_BYTE] - expected) < 1e-9 && r->from_step == 100 &&
               r->to_step == END,
           "%g, not %g", r->value[COMPARE_BITS_PER_BYTE], expected);
    char *text = compared_print(c, TABLE_TEXT);
    expect_text(text, "At equal tokens: 300k of training.");
    expect_text(text, "short 1e-3: between steps 100 and 200");
    free(text);
    /* No command evaluates what a model was on the way. */
    o.tune = "lr";
    c = load(a, &x, &o, &e);
    text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    expect_text(text, "Test is not reported: 6 of 6 chosen runs have no evaluations of it around");
    EXPECT(!strstr(text, "loci eval"), "%s", text);
    free(text);
    o.tune = NULL;
    /* 'long' is trained at half the speed: in the time of 'short', half the way. */
    EXPECT(compare_at_read(&o, "seconds", &e), "%s", e.text);
    c = load(a, &x, &o, &e);
    EXPECT(c && fabs(c->at_amount - END * 2048 / 51234.0) < 1e-6, "%s", e.text);
    if (!c) return;
    r = &c->variants[3].runs[0];
    EXPECT(r->from_step == 100 && r->to_step == 100 &&
               fabs(r->value[COMPARE_BITS_PER_BYTE] - fake_bits_per_byte(&x, 3, 1) - 1) < 1e-9,
           "step %lld", (long long)r->from_step);
    EXPECT(c->variants[0].runs[0].to_step == END, "'short' is cut");
    /* Before the first evaluation nothing is known. */
    EXPECT(compare_at_read(&o, "tokens=100k", &e), "%s", e.text);
    c = load(a, &x, &o, &e);
    text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    expect_text(text, "has no evaluations around that amount; train.eval_every makes some");
    expect_text(text, "At equal tokens: 100k of training.\n12 runs have finished, but none was "
                      "evaluated on the validation split around that amount.\n");
    free(text);
    arena_free(a);
}

static void amounts(void)
{
    compare_options o = {0};
    err e = {0};
    EXPECT(compare_at_read(&o, "flops=1e15", &e) && o.at == AT_FLOPS &&
               fabs(o.at_amount - 1e15) < 1,
           "%s", e.text);
    EXPECT(compare_at_read(&o, "flops", &e) && isnan(o.at_amount), "%s", e.text);
    static const char *const bad[] = {"",         "steps=4", "tokens=",      "tokens=-2",
                                      "tokens=x", "flops=0", "tokens=least", "least"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT(!compare_at_read(&o, bad[i], &e) && strstr(e.text, "tokens=2M"), "'%s' is taken",
               bad[i]);
    }
}

const test_suite test_choices = {"results/choices",
                                 {{"tuned", tuned},
                                  {"long_names", long_names},
                                  {"tuned_without", tuned_without},
                                  {"tuned_tokenizers", tuned_tokenizers},
                                  {"tuned_names", tuned_names},
                                  {"tuned_on_nothing", tuned_on_nothing},
                                  {"tuned_oracle", tuned_oracle},
                                  {"at_equal_cost", at_equal_cost},
                                  {"amounts", amounts},
                                  {0}}};
