/* The comparison: figures, words, forms, and experiments that are not finished. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "results/compare/compare.h"
#include "results/compare/compare_load.h"
#include "results/compare/compare_notes.h"
#include "results/compare/compare_table.h"
#include "results/compare/compare_verdict.h"
#include "results/report/status.h"
#include "results/store/collect.h"
#include "tests/support/compared.h"
#include "tests/test.h"

static void units(void)
{
    EXPECT(fabs(compare_perplexity(log(4.0) * 10, 10) - 4) < 1e-12 &&
               isnan(compare_bits_per_byte(1, -1)) && isnan(compare_perplexity(1, -1)) &&
               fabs(compare_bits_per_byte(log(2.0) * 24, 3) - 8) < 1e-12,
           "derived figures");
}

/* A perplexity of thousands, where training failed, takes no digits from the others. */
static void digits(void)
{
    compared_variant v[3] = {{.label = "a"}, {.label = "b"}, {.label = "failed"}};
    comparison c = {.count = 3, .variants = v};
    static const double means[] = {14.8, 102.5, 8225.6};
    for (int i = 0; i < 3; i++) {
        v[i].value[COMPARE_PERPLEXITY].mean = means[i];
    }
    EXPECT(compare_table_decimals(&c, COMPARE_PERPLEXITY) == 1, "by the largest of the others");
    v[2].value[COMPARE_PERPLEXITY].mean = (double)NAN;
    EXPECT(compare_table_decimals(&c, COMPARE_PERPLEXITY) == 1, "without a result");
}

static void figures(void)
{
    fake_experiment x = compared_fake(2, 3);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    double base[3], other[3];
    for (int i = 0; i < 3; i++) {
        base[i] = fake_bits_per_byte(&x, 0, i + 1);
        other[i] = fake_bits_per_byte(&x, 1, i + 1);
    }
    EXPECT(c->count == 2 && c->baseline == 0 && c->metric == COMPARE_BITS_PER_BYTE, "head");
    estimate mean = stats_mean(other, 3, 0.95), d = stats_paired(other, base, 3, 0.95);
    const compared_variant *v = &c->variants[1];
    EXPECT(fabs(v->value[COMPARE_BITS_PER_BYTE].mean - mean.mean) < 1e-12, "mean");
    EXPECT(fabs(v->value[COMPARE_BITS_PER_BYTE].half - mean.half) < 1e-12, "interval");
    EXPECT(fabs(v->difference.mean - d.mean) < 1e-12 && fabs(v->difference.half - d.half) < 1e-12,
           "difference %g +- %g, not %g +- %g", v->difference.mean, v->difference.half, d.mean,
           d.half);
    EXPECT(d.half < mean.half / 2, "pairing does not help");
    EXPECT(v->params == 842000 && v->peak_bytes == 40 << 20, "costs");
    EXPECT(fabs(v->tokens_per_second / 40321 - 1) < 1e-9, "speed %g", v->tokens_per_second);
    arena_free(a);
}

/* Speed is tokens by time: a run that took twice as long counts twice, not its rate half. */
static void speed_over_seeds(void)
{
    fake_experiment x = compared_fake(2, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    char text[64];
    for (int v = 0; v < 2; v++) {
        for (int seed = 1; seed <= 2; seed++) {
            snprintf(text, sizeof text, "{\"alone_tokens_per_second\": %d}", 1000 * seed);
            fake_append(&x, v, seed, "speed.json", text);
        }
    }
    c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && c->alone && fabs(c->variants[1].tokens_per_second - 4000.0 / 3) < 1e-6,
           "1000 and 2000 together are %g", c ? c->variants[1].tokens_per_second : 0);
    arena_free(a);
}

/* A dynamic evaluation's cost and choices stand in the table; without any nobody is bothered. */
static void cost_of_learning(void)
{
    static const char line[] =
        "{\"eval\": \"learned%d\", \"step\": 200, \"tokens_seen\": 409600, \"split\": "
        "\"validation\", "
        "\"final\": true, \"nats\": 1200, \"tokens\": 1000, \"bytes\": 1000, \"words\": null, "
        "\"seconds\": %g, \"tokens_per_second\": 2000, \"flops_per_token\": 3e6, \"anon_bytes\": "
        "%d, \"dynamic\": {\"rate\": %g, \"decay\": 0}, \"protocol\": {}, \"losses\": null, "
        "\"documents\": []}\n";
    fake_experiment x = compared_fake(2, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    EXPECT(c && !c->learning && !c->variants[1].rates[0], "nothing learned yet");
    for (int seed = 1; seed <= 2; seed++) {
        char text[1024];
        snprintf(text, sizeof text, line, seed, 0.25 * seed, seed << 20, 0.01 * seed);
        fake_append(&x, 1, seed, "evals.jsonl", text);
    }
    c = compared_load(a, &x, &(compare_options){0});
    if (!c) return;
    const eval_cost *cost = &c->variants[1].eval;
    EXPECT(c->learning && cost->flops == 3e6 && fabs(cost->seconds - 375e-6) < 1e-12 &&
               cost->anon_bytes == 2 << 20,
           "%g %g %g", cost->flops, cost->seconds, cost->anon_bytes);
    char *text = compared_print(c, TABLE_MARKDOWN);
    EXPECT(strstr(text, "0.01, 0.02 | 0 |") && strstr(text, " 375.0 | 2 |"), "%s", text);
    free(text);
    arena_free(a);
}

/* What routed layers did stands in the table where there are any, of finished runs alone. */
static void routed(void)
{
    fake_experiment x = compared_fake(2, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    char *text = c ? compared_print(c, TABLE_MARKDOWN) : strdup("");
    EXPECT(!strstr(text, "rerouted"), "%s", text);
    free(text);
    for (int seed = 1; seed <= 2; seed++) {
        char line[512];
        static const char early[] = "{\"step\":100,\"tokens\":9,\"seconds\":1,\"layers\":{"
                                    "\"blocks.0.switch_ffn\":{\"load_entropy\":0.1}}}\n";
        fake_append(&x, 1, seed, "metrics.jsonl", early);
        snprintf(line, sizeof line,
                 "{\"step\":200,\"tokens\":9,\"seconds\":1,\"layers\":{"
                 "\"blocks.0.switch_ffn\":{\"load_entropy\":0.%d,\"dropped\":0.125},"
                 "\"blocks.1.switch_ffn\":{\"load_entropy\":0.9,\"dropped\":0.375}}}\n",
                 6 + seed);
        fake_append(&x, 1, seed, "metrics.jsonl", line);
        for (int k = 1; k <= 3; k++) { /* the last one tells nothing */
            snprintf(line, sizeof line,
                     "{\"eval\":\"r%d-%d\",\"step\":%d,\"split\":\"validation\",\"nats\":1,"
                     "\"tokens\":1,\"layers\":{\"blocks.0.switch_ffn\":{\"changed\":%s}}}\n",
                     seed, k, 50 * k,
                     k == 3   ? "null"
                     : k == 2 ? "0.25"
                              : "0.75");
            fake_append(&x, 1, seed, "evals.jsonl", line);
        }
    }
    c = compared_load(a, &x, &(compare_options){0});
    if (!c) return;
    const double *r = c->variants[1].routing;
    /* Entropies 0.7 and 0.9, 0.8 and 0.9. */
    EXPECT(fabs(r[ROUTING_ENTROPY] - 0.825) < 1e-12 && fabs(r[ROUTING_DROPPED] - 0.25) < 1e-12 &&
               fabs(r[ROUTING_CHANGED] - 0.25) < 1e-12,
           "%g %g %g", r[ROUTING_ENTROPY], r[ROUTING_DROPPED], r[ROUTING_CHANGED]);
    EXPECT(isnan(c->variants[0].routing[ROUTING_ENTROPY]), "a variant without experts");
    text = compared_print(c, TABLE_MARKDOWN);
    EXPECT(strstr(text, "| 0.825 | 0.250 | 0.250 |") && strstr(text, "rerouted"), "%s", text);
    free(text);
    text = compared_print(c, TABLE_CSV);
    EXPECT(strstr(text, ",load_entropy,dropped,routing_changed,"), "%s", text);
    free(text);
    arena_free(a);
}

static void in_words(void)
{
    fake_experiment x = compared_fake(5, 3);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    char *text = compared_print(c, TABLE_TEXT);
    static const char *const needed[] = {
        "short (baseline)",
        "'long' is better than 'short' by 0.0",
        "'wide' is within noise of 'short'",
        "'deep' seems worse than 'short' by 0.0",
        "2/3: 1 diverged",
        "wide, seed 2: diverged: step 400: gradient of blocks.1.ffn.up",
        "deep, seed 2: failed: killed by signal 9",
        "recurrent, seed 2: interrupted",
        "Scored: validation split, 90000 bytes, 90000 tokens, 16000 words, 3 documents.",
        "context 256; memory carried state, reset at documents",
        "paired over 2 seeds",
        "corrected for 4 comparisons by Holm",
        "Noise floor: two runs of 'short'",
        "long: -0.0407, -0.0407 to -0.0407, better in 3 of 3"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        EXPECT(strstr(text, needed[i]), "no \"%s\" in:\n%s", needed[i], text);
    }
    free(text);
    arena_free(a);
}

static void one_seed_claims_nothing(void)
{
    fake_experiment x = compared_fake(2, 1);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    char *text = compared_print(c, TABLE_TEXT);
    EXPECT(strstr(text, "from one seed: no interval is claimed"), "%s", text);
    free(text);
    text = compared_print(c, TABLE_CSV);
    EXPECT(!strstr(text, "nan") && !strstr(text, "inf"), "%s", text);
    free(text);
    arena_free(a);
}

static void not_started(void)
{
    static const fake_variant planned[] = {{"a", 0, 0, 1, 1, "planned", false},
                                           {"b", 0, 0, 1, 1, "planned", false}};
    fake_experiment x = compared_of(planned, 2, 2);
    fake_write(&x);
    err e = {0};
    char folder[4096];
    /* Seed 1 finished in the fake; a fresh experiment has no folders at all. */
    snprintf(folder, sizeof folder, "rm -rf '%s/runs'", x.out);
    EXPECT(system(folder) == 0, "the runs stay");
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){0});
    if (!c) return;
    for (int f = TABLE_TEXT; f <= TABLE_MD; f++) {
        char *text = compared_print(c, (table_format)f);
        EXPECT(f != TABLE_TEXT || strstr(text, "No run has finished yet."), "%s", text);
        EXPECT(!strstr(text, "nan"), "%s", text);
        free(text);
    }
    store *s = store_open_reader(x.out, &e);
    status_totals all = {0};
    char sentence[256];
    EXPECT(s && status_total(&all, s, x.name, &e), "%s", e.text);
    status_sentence(sentence, &all);
    EXPECT(all.waiting == 4 && all.failed == 0 && strstr(sentence, "0 of 4 runs done, 4 waiting"),
           "%d waiting, %d failed: %s", all.waiting, all.failed, sentence);
    store_close(s);
    arena_free(a);
}

/* Of three runs, of which each took 1.5 s for its evaluation and next to nothing for its training,
 * a fourth is left. */
static void time_left(void)
{
    static const fake_variant quick[] = {{"quick", 0, 0.001, 842000, 1e9, "planned", false}};
    fake_experiment x = compared_of(quick, 1, 4);
    fake_write(&x);
    err e = {0};
    /* By hand, afterwards: no part of what the run takes. */
    fake_append(&x, 0, 1, "evals.jsonl",
                "{\"eval\": \"later\", \"step\": 300, \"split\": \"test\", \"final\": false, "
                "\"nats\": 1, \"tokens\": 1, \"seconds\": 900}\n");
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){0});
    store *s = store_open_reader(x.out, &e);
    status_totals all = {0};
    EXPECT(c && s && status_total(&all, s, x.name, &e), "%s", e.text);
    EXPECT(all.done == 3 && all.waiting == 1 && all.seconds_left > 1.5 && all.seconds_left < 1.6,
           "%d done, %d waiting, %g s left", all.done, all.waiting, all.seconds_left);
    store_close(s);
    arena_free(a);
}

static void forms(void)
{
    fake_experiment x = compared_fake(5, 3);
    fake_write(&x);
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){.baseline = "long"});
    if (!c) return;
    EXPECT(c->baseline == 1 && c->variants[0].difference.mean > 0, "another baseline");
    char *text = compared_print(c, TABLE_JSON);
    json_error_t where;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    EXPECT(o, "JSON: %s", where.text);
    const json_t *v = json_array_get(json_object_get(o, "variants"), 1);
    EXPECT(json_is_string(
               json_object_get(json_array_get(json_object_get(o, "variants"), 0), "verdict")),
           "verdict");
    EXPECT(json_is_null(json_object_get(v, "difference")), "the baseline's own difference");
    EXPECT(json_array_size(json_object_get(v, "runs")) == 3, "runs");
    EXPECT(fabs(json_get_double(v, "bits_per_byte") -
                c->variants[1].value[COMPARE_BITS_PER_BYTE].mean) < 1e-12,
           "mean");
    json_decref(o);
    free(text);
    text = compared_print(c, TABLE_CSV);
    int lines = 0, commas = 0;
    for (const char *p = text; *p; p++) {
        lines += *p == '\n';
        commas += lines == 0 && *p == ',';
    }
    EXPECT(lines == 6 && commas > 20, "%d lines, %d commas in the first:\n%s", lines, commas, text);
    free(text);
    text = compared_print(c, TABLE_MARKDOWN);
    EXPECT(strncmp(text, "| variant |", 11) == 0 && strstr(text, "|---|---|--:|"), "%s", text);
    free(text);
    arena_free(a);
}

/* What a label says is text in Markdown, in the table and in the words below it. */
static void markdown_is_escaped(void)
{
    static const fake_variant variants[] = {{"short", 0, 0.001, 1000, 1, NULL, false},
                                            {"<b>_long_", 0.03, 0.001, 1000, 1, NULL, false}};
    fake_experiment x = compared_of(variants, 2, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    char *text = compared_print(c, TABLE_MARKDOWN);
    EXPECT(strstr(text, "| \\<b>\\_long\\_ |") && strstr(text, "\n- '\\<b>\\_long\\_' is better"),
           "%s", text);
    EXPECT(!strstr(text, "'<b>"), "%s", text);
    free(text);
    arena_free(a);
}

/* Without an empty line Markdown would take a second heading for more of the item before it. */
static void markdown_lists(void)
{
    compared_variant list[] = {{.label = "bytes", .documents = {.n = 2, .unit = DOCUMENT_BYTES}},
                               {.label = "words", .documents = {.n = 2, .unit = DOCUMENT_WORDS}}};
    const comparison c = {.count = 2,
                          .variants = list,
                          .baseline = -1,
                          .split = "",
                          .same_text = true,
                          .noise_floor = (double)NAN};
    text_memory m;
    compare_notes_print(text_begin(&m), &c, "- ");
    char *text = text_end(&m);
    EXPECT(strstr(text, ":\n\n- bytes: ") && strstr(text, "\n\nBy document (nats per word") &&
               strstr(text, ":\n\n- words: ") && strstr(text, "\n\nNo run has"),
           "%s", text);
    free(text);
}

/* Of several evaluations of a split the one counts that was done as the final one was. */
static void like_the_final_one(void)
{
    static const char line[] =
        "{\"eval\": \"%s%d\", \"step\": 200, \"tokens_seen\": 409600, \"split\": \"test\", "
        "\"final\": false, \"nats\": %.17g, \"tokens\": %d, \"bytes\": %d, \"protocol\": "
        "{\"context\": "
        "256, \"memory\": \"%s\", \"start\": \"learned vector, first token counted\", \"data\": "
        "\"abcdef0123456789\"}}\n";
    static const char carried[] = "carried state, reset at documents";
    fake_experiment x = compared_fake(1, 1);
    fake_write(&x);
    char text[1024];
    /* Ids in an order that is not theirs. */
    snprintf(text, sizeof text, line, "c", 1, 2000 * log(2.0), 1000, 1000, carried);
    fake_append(&x, 0, 1, "evals.jsonl", text);
    snprintf(text, sizeof text, line, "a", 1, 90000.0, 90000, 90000, "none");
    fake_append(&x, 0, 1, "evals.jsonl", text);
    snprintf(text, sizeof text, line, "b", 1, 1500.0, 1500, 1500, "none");
    fake_append(&x, 0, 1, "evals.jsonl", text);
    arena *a = arena_new(0);
    comparison *c = compared_load(a, &x, &(compare_options){.split = "test"});
    if (!c) return;
    EXPECT(fabs(c->variants[0].value[COMPARE_BITS_PER_BYTE].mean - 2) < 1e-9, "%g",
           c->variants[0].value[COMPARE_BITS_PER_BYTE].mean);
    arena_free(a);
}

static void wrong_names(void)
{
    fake_experiment x = compared_fake(2, 2);
    fake_write(&x);
    arena *a = arena_new(0);
    err e = {0}, note = {0};
    store *s = collect_and_open(x.out, &note, &e);
    EXPECT(s, "%s", e.text);
    if (!s) return;
    EXPECT(!compare_load(a, s, "memry", &(compare_options){0}, &e) &&
               strstr(e.text, "did you mean 'memory'?"),
           "%s", e.text);
    EXPECT(!compare_load(a, s, "memory", &(compare_options){.baseline = "shrt"}, &e) &&
               strstr(e.text, "did you mean 'short'?"),
           "%s", e.text);
    comparison *c = compare_load(a, s, "memory", &(compare_options){.split = "test"}, &e);
    EXPECT(c && strcmp(c->split, "test") == 0 && c->variants[0].value[1].n == 0, "%s", e.text);
    char *text = c ? compared_print(c, TABLE_TEXT) : strdup("");
    EXPECT(strstr(text, "4 runs have finished, but none was evaluated on the test split.\n"), "%s",
           text);
    free(text);
    table *t = table_new(a);
    EXPECT(status_runs(t, s, "memory", &e) && table_rows(t) == 4, "%s", e.text);
    t = table_new(a);
    EXPECT(status_experiments(t, s, &e) && table_rows(t) == 1, "%s", e.text);
    store_close(s);
    arena_free(a);
}

/* Whether a result may still come is said, so that nobody waits for what has ended. */
static void no_pair_yet_or_ever(void)
{
    static const char *const cases[][2] = {{"planned", "compared yet: no seed"},
                                           {"interrupted", "compared yet: no seed"},
                                           {"failed", "none comes by itself"},
                                           {"diverged", "none comes by itself"}};
    fake_experiment x = compared_fake(2, 2);
    arena *a = arena_new(0);
    comparison *c = compared_written(a, &x);
    if (!c) return;
    compared_variant *v = &c->variants[1];
    v->difference.n = 0;
    v->runs[0].status = "diverged";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[COMPARE_VERDICT_BYTES];
        v->runs[1].status = cases[i][0];
        compare_verdict(text, c, 1);
        EXPECT(strstr(text, cases[i][1]), "%s: %s", cases[i][0], text);
    }
    arena_free(a);
}

const test_suite test_compare = {"results/compare",
                                 {{"units", units},
                                  {"digits", digits},
                                  {"figures", figures},
                                  {"speed_over_seeds", speed_over_seeds},
                                  {"cost_of_learning", cost_of_learning},
                                  {"routed", routed},
                                  {"in_words", in_words},
                                  {"one_seed_claims_nothing", one_seed_claims_nothing},
                                  {"not_started", not_started},
                                  {"time_left", time_left},
                                  {"forms", forms},
                                  {"markdown_is_escaped", markdown_is_escaped},
                                  {"markdown_lists", markdown_lists},
                                  {"like_the_final_one", like_the_final_one},
                                  {"wrong_names", wrong_names},
                                  {"no_pair_yet_or_ever", no_pair_yet_or_ever},
                                  {0}}};
