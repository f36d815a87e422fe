/* Which evaluations a comparison is of: one protocol for all runs, whatever else was evaluated. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_load.h"
#include "results/compare/compare_read.h"
#include "results/store/collect.h"
#include "tests/support/compared.h"
#include "tests/test.h"

enum { SEEDS = 3, END = 200, TOKENS = 90000 };

static const fake_variant VARIANTS[] = {{"plain", 0, 0.001, 1000, 1, NULL, false},
                                        {"wide", 0.03, 0.001, 1000, 1, NULL, false}};

#define SHARED                                                                                     \
    "\"memory\": \"carried state, reset at documents\", \"start\": \"learned vector, first token " \
    "counted\", \"data\": \"abcdef0123456789\""
#define OWN "\"context\": 256, " SHARED
#define LEARNS                                                                                     \
    "\"dynamic\": {\"kind\": \"sgd\", \"rates\": [0.01], \"decays\": [0], \"segment\": 256}"
#define LEARNS_SHORT                                                                               \
    "\"dynamic\": {\"kind\": \"sgd\", \"rates\": [0.01], \"decays\": [0], \"segment\": 64}"

/* One of a run; `id` decides among equals wherever nothing else does. */
typedef struct fake_evaluation {
    const char *id, *split, *protocol;
    int step;
    bool final;
    double bits;
} fake_evaluation;

static void evaluated_on(int tokens, const fake_experiment *x, int variant, int seed,
                         fake_evaluation v)
{
    char line[1024];
    const char *learned = strstr(v.protocol, "dynamic") ? "{\"rate\": 1, \"decay\": 0}" : "null";
    snprintf(
        line, sizeof line,
        "{\"eval\": \"%s-%d-%d\", \"step\": %d, \"tokens_seen\": %d, \"final\": %s, \"split\": "
        "\"%s\", \"nats\": %.17g, \"tokens\": %d, \"bytes\": %d, \"dynamic\": %s, "
        "\"protocol\": {%s}}\n",
        v.id, variant, seed, v.step, v.step, v.final ? "true" : "false", v.split,
        v.bits * log(2.0) * tokens, tokens, tokens, learned, v.protocol);
    fake_append(x, variant, seed, "evals.jsonl", line);
}

static void evaluated(const fake_experiment *x, int variant, int seed, fake_evaluation v)
{
    evaluated_on(TOKENS, x, variant, seed, v);
}

static fake_experiment written(void)
{
    fake_experiment x = compared_of(VARIANTS, 2, SEEDS);
    fake_write(&x);
    return x;
}

/* The figures of all runs are these; NaN: it has none. */
static void expect_figures(const comparison *c, double plain, double wide)
{
    const double wanted[] = {plain, wide};
    for (int i = 0; c && i < 2; i++) {
        for (int k = 0; k < SEEDS; k++) {
            double x = c->variants[i].runs[k].value[COMPARE_BITS_PER_BYTE];
            EXPECT(isnan(wanted[i]) ? isnan(x) : fabs(x - wanted[i]) < 1e-9, "%d %d: %g, not %g", i,
                   k, x, wanted[i]);
        }
    }
}

static void expect_text(const comparison *c, const char *needed)
{
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, needed), "no \"%s\" in:\n%s", needed, text);
    free(text);
}

/* Ids in an order that mixes runs: by them alone some would be learners, others not. */
static void written_twice(const fake_experiment *x)
{
    for (int v = 0; v < 2; v++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            bool first = (v + seed) % 2;
            evaluated(x, v, seed,
                      (fake_evaluation){first ? "a" : "b", "test", OWN ", \"rows\": 8", END, false,
                                        3 + v});
            evaluated(x, v, seed,
                      (fake_evaluation){first ? "b" : "a", "test", OWN ", \"rows\": 8, " LEARNS,
                                        END, false, 1 + v});
        }
    }
}

static void one_for_all(void)
{
    fake_experiment x = written();
    written_twice(&x);
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, 3, 4);
    expect_text(c, "but otherwise: rows 8 (6 of 6 runs).\n");
    expect_text(
        c, "which --protocol shows: 'rows 8; learning by sgd every block, rate 0.01' (6 runs).\n");
    c = compared_load(a, &x, &(compare_options){.split = "test", .protocol = "dynamic"});
    expect_figures(c, 1, 2);
    expect_text(c, "which --protocol shows: 'rows 8' (6 runs).\n");
    c = compared_load(a, &x, &(compare_options){.split = "test", .protocol = "rows 8"});
    expect_figures(c, 3, 4);
    c = compared_load(a, &x, &(compare_options){.split = "test", .protocol = "own"});
    expect_figures(c, (double)NAN, (double)NAN);
    /* The own one of some: it counts once all have it. */
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"c", "test", OWN, END, false, 2});
    }
    c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, 3, 4);
    expect_text(c, "which --protocol shows: 'own' (3 runs), 'rows 8; learning ");
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 1, seed, (fake_evaluation){"c", "test", OWN, END, false, 2.5});
    }
    c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, 2, 2.5);
    expect_text(c, "which --protocol shows: 'rows 8' (6 runs), 'rows 8; learning ");
    arena_free(a);
}

static void unknown_words(void)
{
    fake_experiment x = written();
    written_twice(&x);
    arena *a = arena_new(0);
    err e = {0}, note = {0};
    store *s = collect_and_open(x.out, &note, &e);
    const compare_options none = {.split = "test", .protocol = "spam"};
    EXPECT(s && !compare_load(a, s, x.name, &none, &e) &&
               strstr(e.text, "--protocol spam: none is told so; there are, on the test split: "
                              "'rows 8' (6 of 6 runs), 'rows 8; learning "),
           "%s", e.text);
    const compare_options both = {.split = "test", .protocol = "rows"};
    EXPECT(s && !compare_load(a, s, x.name, &both, &e) &&
               strstr(e.text, "--protocol rows: several are told so; there are"),
           "%s", e.text);
    store_close(s);
    arena_free(a);
}

/* The one that most have, the others without a figure and told. */
static void not_all(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"a", "test", OWN, END, false, 2});
        evaluated(&x, 1, seed, (fake_evaluation){"a", "test", OWN ", " LEARNS, END, false, 1});
    }
    comparison *c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, 2, (double)NAN);
    expect_text(c, "wide, seed 1: done: was evaluated here before its end or by another protocol "
                   "only (run ");
    expect_text(c, "0/3: 3 without a result ");
    arena_free(a);
}

/* Of those that as many have the own one, though its words come after others'. */
static void own_of_as_many(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"a", "test", OWN ", \"rows\": 8", END, false, 1});
        evaluated_on(TOKENS / 2, &x, 1, seed, (fake_evaluation){"a", "test", OWN, END, false, 2});
    }
    expect_figures(compared_load(a, &x, &(compare_options){.split = "test"}), (double)NAN, 2);
    arena_free(a);
}

/* Of those that as many have that of the most text, whatever its words. */
static void of_the_most_text(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int v = 0; v < 2; v++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            evaluated_on(TOKENS / 2, &x, v, seed,
                         (fake_evaluation){"a", "test", OWN ", \"rows\": 16", END, false, 3});
            evaluated(&x, v, seed,
                      (fake_evaluation){"b", "test", OWN ", \"rows\": 8", END, false, 1 + v});
        }
    }
    expect_figures(compared_load(a, &x, &(compare_options){.split = "test"}), 1, 2);
    arena_free(a);
}

/* A model that learned on is another: what it scored on its way is none of its results. */
static void at_the_end(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"a", "test", OWN, END / 2, false, 2});
        evaluated(&x, 1, seed, (fake_evaluation){"a", "test", OWN, END, false, 2.5});
    }
    comparison *c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, (double)NAN, 2.5);
    arena_free(a);
}

/* What is asked of all is one protocol, though contexts differ, and segments with them. */
static void of_other_contexts(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    static const char narrow[] = "\"context\": 64, " SHARED;
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 1, seed, (fake_evaluation){"f", "validation", narrow, END, true, 2});
        evaluated(&x, 0, seed, (fake_evaluation){"a", "test", OWN ", " LEARNS, END, false, 3});
        evaluated(&x, 1, seed,
                  (fake_evaluation){"a", "test", "\"context\": 64, " SHARED ", " LEARNS_SHORT, END,
                                    false, 4});
        evaluated(&x, 0, seed, (fake_evaluation){"b", "test", narrow, END, false, 5});
        evaluated(&x, 1, seed, (fake_evaluation){"b", "test", narrow, END, false, 6});
    }
    comparison *c =
        compared_load(a, &x, &(compare_options){.split = "test", .protocol = "dynamic"});
    expect_figures(c, 3, 4);
    expect_text(c, "but otherwise: learning by sgd every block, rate 0.01 (6 of 6 runs).\n");
    /* --context 64 of the narrow one is its own. */
    c = compared_load(a, &x, &(compare_options){.split = "test", .protocol = "context 64"});
    expect_figures(c, 5, 6);
    c = compared_load(a, &x, &(compare_options){.split = "test"});
    expect_figures(c, 5, 6);
    arena_free(a);
}

/* Half of the runs are evaluated anew, on another split or by another `eval:` section. */
static void half_anew(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    evaluated(&x, 0, 1, (fake_evaluation){"f", "test", OWN, END, true, 1});
    evaluated(&x, 1, 2, (fake_evaluation){"f", "validation", OWN ", \"rows\": 8", END, true, 1});
    comparison *c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && strcmp(c->split, "validation") == 0, "%s", c ? c->split : "none");
    EXPECT(c && c->variants[0].value[1].n == 2 && c->variants[1].value[1].n == 2, "all but one");
    expect_text(c, "plain, seed 1: done: its final evaluation is on the test split (run ");
    expect_text(c, "2/3: 1 without a result ");
    expect_text(c, "wide, seed 2: done: was evaluated otherwise than other seeds: rows 8; loci run "
                   "evaluates all alike (run ");
    arena_free(a);
}

/* Of two splits that as many have it is the first run's. */
static void half_and_half(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"f", "test", OWN, END, true, 1});
    }
    comparison *c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && strcmp(c->split, "test") == 0, "%s", c ? c->split : "none");
    arena_free(a);
}

/* Evaluated anew, nothing on the way was done as the final one: said, and the old one has it. */
static void on_the_way(void)
{
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int v = 0; v < 2; v++) {
        for (int seed = 1; seed <= SEEDS; seed++) {
            evaluated(&x, v, seed, (fake_evaluation){"w", "validation", OWN, 100, false, 4 + v});
            evaluated(&x, v, seed,
                      (fake_evaluation){"f", "validation", OWN ", \"rows\": 8", END, true, 1});
            evaluated(&x, v, seed, (fake_evaluation){"t", "test", OWN, END, false, 1});
        }
    }
    compare_options at = {.at = AT_TOKENS, .at_amount = 100};
    comparison *c = compared_load(a, &x, &at);
    expect_figures(c, (double)NAN, (double)NAN);
    expect_text(c, "has no evaluations around that amount that were done so; 1 on the way were "
                   "done otherwise (--protocol): no rows (run ");
    at.protocol = "no rows";
    expect_figures(compared_load(a, &x, &at), 4, 5);
    c = compared_load(a, &x,
                      &(compare_options){.split = "test", .at = AT_TOKENS, .at_amount = 100});
    expect_text(c, "around that amount on that split; --split validation has 1 on the way (run ");
    arena_free(a);
}

/* Of each variant one of two rates is better. */
static fake_experiment written_rates(void)
{
    static const fake_variant rates[] = {{"a 1e-3", 0.05, 0.001, 1000, 1, NULL, false},
                                         {"a 3e-3", 0, 0.001, 1000, 1, NULL, false},
                                         {"b 1e-3", 0, 0.001, 1000, 1, NULL, false},
                                         {"b 3e-3", 0.05, 0.001, 1000, 1, NULL, false}};
    fake_experiment x = compared_of(rates, 4, SEEDS);
    fake_write(&x);
    fake_axes(&x);
    return x;
}

/* What was chosen by tuning is evaluated, and nothing else. */
static void tuned(void)
{
    fake_experiment x = written_rates();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        for (int v = 0; v < 4; v++) {
            evaluated(&x, v, seed,
                      (fake_evaluation){"q", "test", OWN ", \"tokens\": 100", END, false, 9});
        }
        evaluated(&x, 0, seed, (fake_evaluation){"z", "test", OWN, END, false, 2});
        evaluated(&x, 3, seed, (fake_evaluation){"z", "test", OWN, END, false, 3});
    }
    comparison *c = compared_load(a, &x, &(compare_options){.tune = "lr"});
    EXPECT(c && strcmp(c->split, "test") == 0, "reported on test");
    expect_figures(c, 2, 3);
    arena_free(a);
}

/* What only others are evaluated by is no choice, though nothing of it learns. */
static void tuned_learners(void)
{
    fake_experiment x = written_rates();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        for (int v = 0; v < 4; v++) {
            bool chosen = v % 3 == 0;
            evaluated(&x, v, seed,
                      (fake_evaluation){"z", "test", chosen ? OWN ", " LEARNS : OWN, END, false,
                                        chosen ? 2 + v : 9});
        }
    }
    comparison *c = compared_load(a, &x, &(compare_options){.tune = "lr"});
    EXPECT(c && strcmp(c->split, "test") == 0, "reported on test");
    expect_figures(c, 2, 5);
    arena_free(a);
}

/* A rate that was chosen by the text that is reported is told, as a tuned value is; one that was
 * given, or is reported on other text, is not. */
static void chosen_by_what_is_scored(void)
{
    static const char chosen[] = OWN ", \"dynamic\": {\"kind\": \"sgd\", \"rates\": [0.1, 1], "
                                     "\"decays\": [0, 1e-3], \"segment\": 256}";
    static const char warning[] = "learns in evaluation, the best of up to 4, and reported there, "
                                  "too: the figures are too good";
    fake_experiment x = written();
    arena *a = arena_new(0);
    for (int seed = 1; seed <= SEEDS; seed++) {
        evaluated(&x, 0, seed, (fake_evaluation){"g", "validation", OWN ", " LEARNS, END, true, 2});
        evaluated(&x, 1, seed, (fake_evaluation){"g", "validation", chosen, END, true, 2});
        evaluated(&x, 0, seed, (fake_evaluation){"t", "test", OWN ", " LEARNS, END, false, 2});
        evaluated(&x, 1, seed, (fake_evaluation){"t", "test", chosen, END, false, 2});
    }
    comparison *c = compared_load(a, &x, &(compare_options){0});
    expect_text(c, "Chosen on validation: the rate and decay by which 'wide' learns");
    expect_text(c, warning);
    c = compared_load(a, &x, &(compare_options){.split = "test"});
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, "'wide': learning by sgd") && !strstr(text, "Chosen"), "%s", text);
    free(text);
    arena_free(a);
}

/* Claims are about the runs' own evaluations: no other stands in for one that is missing. */
static void strictly(void)
{
    fake_experiment x = written();
    written_twice(&x);
    arena *a = arena_new(0);
    err e = {0}, note = {0};
    store *s = collect_and_open(x.out, &note, &e);
    expect_figures(s ? compare_read(a, s, x.name, "test", &e) : NULL, (double)NAN, (double)NAN);
    store_close(s);
    arena_free(a);
}

const test_suite test_evaluation_choice = {"results/evaluation_choice",
                                           {{"one_for_all", one_for_all},
                                            {"unknown_words", unknown_words},
                                            {"not_all", not_all},
                                            {"at_the_end", at_the_end},
                                            {"of_other_contexts", of_other_contexts},
                                            {"half_anew", half_anew},
                                            {"half_and_half", half_and_half},
                                            {"on_the_way", on_the_way},
                                            {"own_of_as_many", own_of_as_many},
                                            {"of_the_most_text", of_the_most_text},
                                            {"tuned", tuned},
                                            {"tuned_learners", tuned_learners},
                                            {"chosen_by_what_is_scored", chosen_by_what_is_scored},
                                            {"strictly", strictly},
                                            {0}}};
