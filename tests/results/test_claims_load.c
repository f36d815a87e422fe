/* Claims over made-up results in a database: what is paired, what is missing, what is shown. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/claims/claims_print.h"
#include "results/store/collect.h"
#include "tests/support/compared.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"base", 0, 0.001, 842000, 51234, NULL, false},
    {"good", 0.039, 0.002, 842000, 40321, NULL, false},
    {"same", 0.0, 0.001, 842000, 40321, NULL, false},
    {"broken", 0.05, 0.001, 842000, 30123, "diverged", false},
    {"late", 0.05, 0.001, 842000, 30123, "running", false},
};
enum { COUNT = 5 };

static fake_experiment made(int seeds)
{
    return compared_of(VARIANTS, COUNT, seeds);
}

static const claims *load(arena *a, const fake_experiment *x)
{
    err e = {0}, note = {0};
    store *s = collect_and_open(x->out, &note, &e);
    const claims *c = s ? claims_load(a, s, x->name, &e) : NULL;
    EXPECT(c && !note.text[0], "%s %s", e.text, note.text);
    store_close(s);
    return c;
}

static const char CLAIMS[] =
    "[{\"name\": \"gains\", \"source\": \"a paper\", \"better\": \"good\", \"than\": \"base\","
    "  \"by\": \"0.01 bits/byte\"},"
    " {\"name\": \"equal\", \"variant\": \"same\", \"within\": \"0.02 bits/byte\", \"of\": "
    "\"base\"},"
    " {\"name\": \"broken\", \"better\": \"broken\", \"than\": \"base\"},"
    " {\"name\": \"late\", \"better\": \"late\", \"than\": \"base\"},"
    " {\"name\": \"size\", \"variant\": \"good\", \"at most\": 1, \"of\": \"base\", \"on\": "
    "\"params\"}]";

static char *printed(arena *a, const claims *c, table_format format)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    claims_print(f, a, &c, 1, format, false);
    fclose(f);
    return text;
}

static void verdicts(void)
{
    static const verdict expected[] = {VERDICT_HOLDS, VERDICT_HOLDS, VERDICT_UNDECIDED,
                                       VERDICT_UNDECIDED, VERDICT_HOLDS};
    fake_experiment x = made(4);
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, CLAIMS, NULL, 0);
    const claims *c = load(a, &x);
    if (!c) return;
    EXPECT(c->count == 5, "%d", c->count);
    for (int i = 0; i < c->count; i++) {
        EXPECT(c->list[i].verdict->verdict == expected[i], "%s: %s", c->list[i].claim->name,
               verdict_name(c->list[i].verdict->verdict));
    }
    double gain = 0;
    for (int seed = 1; seed <= 4; seed++) {
        gain += (fake_bits_per_byte(&x, 0, seed) - fake_bits_per_byte(&x, 1, seed)) / 4;
    }
    EXPECT(fabs(c->list[0].verdict->statements[0].estimate - gain) < 1e-9, "gain %g", gain);
    EXPECT(c->list[0].verdict->n == 4 && c->list[0].cost.params == 842000, "cost and n");
    EXPECT(strstr(c->list[2].verdict->why, "'broken', seed 2: diverged"), "%s",
           c->list[2].verdict->why);
    EXPECT(strstr(c->list[3].verdict->why, "3 of 4 seeds"), "%s", c->list[3].verdict->why);
    char *text = printed(a, c, TABLE_TEXT);
    EXPECT(strstr(text, "AFTER THE FACT") && strstr(text, "2 were added later") &&
               strstr(text, "gains: holds: 'good' is better than 'base' by more than 0.01"),
           "%s", text);
    /* No test was made where runs are missing, though three seeds are there. */
    EXPECT(c->list[3].verdict->n == 3 && !strstr(text, "1.000"), "%s", text);
    free(text);
    for (table_format f = TABLE_MARKDOWN; f <= TABLE_JSON; f++) {
        text = printed(a, c, f);
        EXPECT(strstr(text, "a paper") && strstr(text, "undecided"), "%s", text);
        free(text);
    }
    arena_free(a);
}

/* What a claim is called is text in Markdown, and what was withdrawn is not said of the last one.
 */
static void markdown(void)
{
    static const char list[] =
        "[{\"name\": \"_gains_\", \"better\": \"good\", \"than\": \"base\"}]";
    fake_experiment x = made(2);
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, list, NULL, 0);
    const claims *c = load(a, &x);
    if (!c) return;
    claims less = *c;
    less.withdrawn = 1;
    less.withdrawn_names = "'old'";
    char *text = printed(a, &less, TABLE_MARKDOWN);
    EXPECT(strstr(text, "\n- \\_gains\\_: ") && strstr(text, "\n\nWithdrawn from memory"), "%s",
           text);
    free(text);
    arena_free(a);
}

/* Seeds that only one side was planned with are no pairs. */
static void unequal_seeds(void)
{
    fake_experiment x = made(4);
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, CLAIMS, "good", 3);
    const claims *c = load(a, &x);
    if (!c) return;
    EXPECT(c->list[0].verdict->n == 3 && c->list[0].verdict->verdict == VERDICT_HOLDS, "n %d",
           c->list[0].verdict->n);
    EXPECT(c->list[1].verdict->n == 4, "n %d", c->list[1].verdict->n);
    arena_free(a);
}

/* The gain of slices 0, 64-127 and 128-255 is nothing, once and twice the variant's. */
static void slices(void)
{
    static const char text[] =
        "[{\"name\": \"rises\", \"variant\": \"good\", \"rises with\": \"position\", \"over\": "
        "\"base\"},"
        " {\"name\": \"first\", \"better\": \"good\", \"than\": \"base\", \"slice\": {\"position\":"
        " \"0\"}, \"by\": \"0.01 bits/token\"},"
        " {\"name\": \"far\", \"better\": \"good\", \"than\": \"base\", \"slice\": {\"position\": "
        "\"64-\"}, \"by\": \"0.04 bits/token\"},"
        " {\"name\": \"axis\", \"falls with\": \"kind\", \"variants\": [\"base\", \"good\"]}]";
    fake_experiment x = made(4);
    arena *a = arena_new(0);
    fake_write_sliced(&x);
    fake_claim(&x, text, NULL, 0);
    const claims *c = load(a, &x);
    if (!c) return;
    const judgement *j = c->list[0].verdict->statements;
    EXPECT(c->list[0].verdict->verdict == VERDICT_HOLDS && fabs(j->estimate - 0.039) < 0.004,
           "slope %g", j->estimate);
    EXPECT(c->list[1].verdict->verdict == VERDICT_FAILS, "no gain at the beginning: p %g",
           c->list[1].verdict->p);
    j = c->list[2].verdict->statements;
    EXPECT(c->list[2].verdict->verdict == VERDICT_HOLDS && fabs(j->estimate - 1.5 * 0.039) < 0.004,
           "%g", j->estimate);
    EXPECT(c->list[3].verdict->verdict == VERDICT_HOLDS, "%g", c->list[3].verdict->p);
    arena_free(a);
}

/* Per token of another tokenizer nothing is better, whole or sliced, though there are as many. */
static void other_tokens(void)
{
    static const char text[] =
        "[{\"name\": \"all\", \"better\": \"good\", \"than\": \"base\", \"on\": \"perplexity\"},"
        " {\"name\": \"far\", \"better\": \"good\", \"than\": \"base\", \"slice\": {\"position\": "
        "\"64-\"}}]";
    fake_experiment x = made(4);
    arena *a = arena_new(0);
    fake_write_sliced(&x);
    fake_claim(&x, text, NULL, 0);
    for (int other = 0; other < 2; other++) {
        for (int seed = 1; other && seed <= x.seeds; seed++) {
            fake_tokenizer(&x, 1, seed, "words.model");
        }
        const claims *c = load(a, &x);
        for (int i = 0; c && i < c->count; i++) {
            verdict found = c->list[i].verdict->verdict;
            EXPECT(found == (other ? VERDICT_UNDECIDED : VERDICT_HOLDS), "%s, %d: %s",
                   c->list[i].claim->name, other, verdict_name(found));
        }
    }
    arena_free(a);
}

/* What loci inspect found of each seed of `good`: agreement 0.2, 0.3 ... by depth, chance 0.1. */
static void inspect_it(const fake_experiment *x, int seed)
{
    char id[17], folder[512], line[256];
    err e = {0};
    fake_run_id(id, x->name, "good", seed);
    snprintf(folder, sizeof folder, "%s/runs/%s/inspect", x->out, id);
    EXPECT(file_make_folders(folder, &e), "%s", e.text);
    fake_append(x, 1, seed, "inspect/values.jsonl", "{\"inspect\": \"values\", \"step\": 1}\n");
    for (int i = 0; i < 6; i++) {
        bool chance = i >= 3;
        snprintf(line, sizeof line,
                 "{\"layer\": \"blocks.%d.ffn\", \"depth\": %d, \"figure\": \"%s\", \"bin\": 0, "
                 "\"value\": %g}\n",
                 i % 3, i % 3, chance ? "chance" : "agreement",
                 chance ? 0.1 : 0.2 + 0.1 * i + 0.001 * (seed * (i + 1) % 4));
        fake_append(x, 1, seed, "inspect/values.jsonl", line);
    }
}

static void inspected(void)
{
    static const char text[] =
        "[{\"name\": \"rises\", \"variant\": \"good\", \"rises with\": \"depth\", \"on\": "
        "\"inspect.values.agreement\"},"
        " {\"name\": \"chance\", \"variant\": \"good\", \"on\": \"inspect.values.agreement\", "
        "\"above\": \"inspect.values.chance\", \"by\": \"100 %\"},"
        " {\"name\": \"none\", \"variant\": \"same\", \"falls with\": \"depth\", \"on\": "
        "\"inspect.values.agreement\"},"
        " {\"name\": \"number\", \"variant\": \"good\", \"on\": \"inspect.values.agreement\", "
        "\"above\": \"0.35\"}]";
    fake_experiment x = made(3);
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, text, NULL, 0);
    for (int seed = 1; seed <= 3; seed++) {
        inspect_it(&x, seed);
    }
    const claims *c = load(a, &x);
    if (!c) return;
    const judgement *j = c->list[0].verdict->statements;
    EXPECT(c->list[0].verdict->verdict == VERDICT_HOLDS && fabs(j->estimate - 0.1) < 0.002, "%g",
           j->estimate);
    j = c->list[1].verdict->statements;
    EXPECT(c->list[1].verdict->verdict == VERDICT_HOLDS && fabs(j->estimate - 2) < 0.05, "%s, %g",
           verdict_name(c->list[1].verdict->verdict), j->estimate);
    EXPECT(c->list[2].verdict->verdict == VERDICT_UNDECIDED &&
               strstr(c->list[2].verdict->why, "loci inspect measures it"),
           "%s", c->list[2].verdict->why);
    j = c->list[3].verdict->statements;
    EXPECT(c->list[3].verdict->verdict == VERDICT_FAILS && fabs(j->estimate + 0.05) < 0.005,
           "%s, %g", verdict_name(c->list[3].verdict->verdict), j->estimate);
    arena_free(a);
}

/* ---- by document ---- */

/* Six documents of very different sizes. */
enum { MOST = 6 };
static const int SIZE[MOST] = {100, 400, 1000, 5000, 20000, 70000};

/* A later final evaluation of `count` documents at bits[i] per byte. */
static void score_documents(const fake_experiment *x, int variant, int seed, int count,
                            const double *bits)
{
    char *line = NULL;
    size_t bytes;
    double nats = 0;
    int size = 0;
    FILE *f = open_memstream(&line, &bytes);
    for (int i = 0; i < count; i++) {
        nats += bits[i] * log(2.0) * SIZE[i];
        size += SIZE[i];
    }
    fprintf(f,
            "{\"eval\": \"d%d-%d\", \"step\": 300, \"split\": \"validation\", \"final\": true, "
            "\"nats\": %.17g, \"tokens\": %d, \"bytes\": %d, \"protocol\": {\"rows\": 3}, "
            "\"documents\": [",
            variant, seed, nats, size, size);
    for (int i = 0; i < count; i++) {
        fprintf(f, "%s{\"index\": %d, \"nats\": %.17g, \"tokens\": %d, \"bytes\": %d}",
                i ? ", " : "", i, bits[i] * log(2.0) * SIZE[i], SIZE[i], SIZE[i]);
    }
    fputs("]}\n", f);
    fclose(f);
    fake_append(x, variant, seed, "evals.jsonl", line);
    free(line);
}

static const char BY_DOCUMENT[] =
    "[{\"name\": \"documents\", \"better\": \"good\", \"than\": \"base\", \"unit\": "
    "\"documents\"},"
    " {\"name\": \"seeds\", \"better\": \"good\", \"than\": \"base\"}]";

/* Two seeds decide nothing of training again. What their models gain in each document, 0.01 to
 * 0.06, does; the largest one, which is most of the text, counts as any other. */
static void documents(void)
{
    fake_experiment x = made(2);
    x.variants = 2;
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, BY_DOCUMENT, NULL, 0);
    for (int seed = 1; seed <= 2; seed++) {
        double base[MOST], good[MOST];
        for (int i = 0; i < MOST; i++) {
            base[i] = 2.5 - 0.1 * i + 0.3 * seed;
            good[i] = base[i] - 0.01 * (i + 1) + (seed == 1 ? 0.02 : -0.02);
        }
        score_documents(&x, 0, seed, MOST, base);
        score_documents(&x, 1, seed, MOST, good);
    }
    const claims *c = load(a, &x);
    if (!c) return;
    const claim_verdict *v = c->list[0].verdict;
    EXPECT(v->verdict == VERDICT_HOLDS && v->documents == MOST && v->n == 2, "%s, %d documents, %s",
           verdict_name(v->verdict), v->documents, v->why);
    EXPECT(fabs(v->statements[0].estimate - 0.035) < 1e-9, "%.9g", v->statements[0].estimate);
    EXPECT(fabs(v->statements[0].p - 0.005934) < 1e-5, "p %.6f", v->statements[0].p);
    EXPECT(c->list[1].verdict->verdict == VERDICT_UNDECIDED && c->list[1].verdict->documents == 0,
           "two seeds: %s", verdict_name(c->list[1].verdict->verdict));
    char *text = printed(a, c, TABLE_TEXT);
    EXPECT(strstr(text, "6 documents, 2 seeds") &&
               strstr(text, "better than 'base', document by document: 0.035 bits/byte"),
           "%s", text);
    free(text);
    text = printed(a, c, TABLE_CSV);
    EXPECT(strstr(text, ",n,documents,looks,p,"), "%s", text);
    free(text);
    arena_free(a);
}

/* Other documents are no pairs, and three are no sample. */
static void other_documents(void)
{
    static const double bits[MOST] = {2.5, 2.4, 2.3, 2.2, 2.1, 2};
    fake_experiment x = made(2);
    x.variants = 2;
    arena *a = arena_new(0);
    fake_write(&x);
    fake_claim(&x, BY_DOCUMENT, NULL, 0);
    const claims *c = load(a, &x);
    EXPECT(c && strstr(c->list[0].verdict->why, "too few documents"), "%s",
           c ? c->list[0].verdict->why : "");
    for (int seed = 1; seed <= 2; seed++) {
        score_documents(&x, 0, seed, MOST, bits);
        score_documents(&x, 1, seed, MOST - (seed == 2), bits);
    }
    c = load(a, &x);
    EXPECT(c && c->list[0].verdict->verdict == VERDICT_UNDECIDED &&
               strstr(c->list[0].verdict->why, "'good', seed 2: scored other documents"),
           "%s", c ? c->list[0].verdict->why : "");
    arena_free(a);
}

/* An evaluation after half of the baseline's training, `above` the final one. */
static void evaluate_half_way(const fake_experiment *x, int seed, double above)
{
    char line[512];
    double bits = fake_bits_per_byte(x, 0, seed) + above;
    snprintf(
        line, sizeof line,
        "{\"eval\":\"%s-h%d\",\"step\":100,\"tokens_seen\":%d,\"split\":\"validation\",\"nats\":"
        "%.17g,\"tokens\":90000,\"bytes\":90000,\"protocol\":{\"context\":256,\"memory\":"
        "\"carried state, reset at documents\",\"start\":\"learned vector, first token "
        "counted\",\"data\":\"abcdef0123456789\"}}\n",
        x->name, seed, x->steps * 10240, bits * log(2.0) * 90000);
    fake_append(x, 0, seed, "evals.jsonl", line);
}

/* Whether the baseline has learned what it will is said with the verdicts. */
static void flat(void)
{
    static const char text[] = "[{\"name\": \"gains\", \"better\": \"good\", \"than\": \"base\"}]";
    for (int trial = 0; trial < 3; trial++) {
        char name[16];
        snprintf(name, sizeof name, "memory%d", trial);
        fake_experiment x = made(2);
        x.name = name;
        x.variants = 2;
        arena *a = arena_new(0);
        fake_write(&x);
        fake_claim(&x, text, NULL, 0);
        for (int seed = 1; seed <= 2 && trial > 0; seed++) {
            evaluate_half_way(&x, seed, trial == 1 ? 0.3 + 0.02 * seed : 0.001 * seed);
        }
        const claims *c = load(a, &x);
        char *all = c ? printed(a, c, TABLE_TEXT) : strdup("");
        if (c && trial == 0) EXPECT(c->flat.n == 0 && !strstr(all, "still gained"), "%s", all);
        if (c && trial == 1) {
            EXPECT(c->flat.n == 2 && fabs(c->flat.fall - 0.33) < 1e-9, "%g", c->flat.fall);
            EXPECT(strstr(all, "'base' still gained 0.33 bits/byte over its last doubling of "
                               "tokens (205k to 410k; 2 seeds): its curve is not flat"),
                   "%s", all);
        }
        if (c && trial == 2) EXPECT(strstr(all, "its curve is flat (below 0.02)"), "%s", all);
        free(all);
        arena_free(a);
    }
}

static void nothing_claimed(void)
{
    fake_experiment x = made(2);
    arena *a = arena_new(0);
    fake_write(&x);
    const claims *c = load(a, &x);
    EXPECT(c && c->count == 0 && c->withdrawn == 0, "claims");
    arena_free(a);
}

const test_suite test_claims_load = {"results/claims_load",
                                     {{"verdicts", verdicts},
                                      {"markdown", markdown},
                                      {"unequal_seeds", unequal_seeds},
                                      {"slices", slices},
                                      {"other_tokens", other_tokens},
                                      {"inspected", inspected},
                                      {"documents", documents},
                                      {"other_documents", other_documents},
                                      {"flat", flat},
                                      {"nothing_claimed", nothing_claimed},
                                      {0}}};
