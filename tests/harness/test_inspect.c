/* Inspection of a model with planted memories: keys and values set by hand, recovered exactly. */
#include "harness/inspect/inspect.h"
#include "harness/inspect/inspect_page.h"
#include "harness/inspect/inspect_record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/train/trained_model.h"
#include "results/store/inspect_words.h"
#include "tests/support/corpora.h"
#include "tests/support/planted.h"
#include "tests/test.h"

/* Memory i fires at the letter FIRES[i] and says the letter SAYS[i]. */
static const char FIRES[] = "qxzJ", SAYS[] = "uye!";
enum { PLANTED = 4, BYTES = 256, TOP = 5 };

static const char TEXT[] =
    "The quick fox axed a queue. Was it quiet? A zebra mixed zest with exyl.\n\n"
    "\"Quite zany,\" said q. The zoo queried the quota of boxy, foxy, waxy equals. "
    "It was amazed, queerly, at a lazy quiz by six antiques.";

typedef struct planted {
    trained_model loaded;
    prefixes text;
    int32_t ids[sizeof TEXT];
    int64_t count;
} planted;

static const char SPEC[] =
    "{width: 256, context: 32, embedding: {tied: true}, norm: {kind: none}, blocks: "
    "[{ffn: {hidden: 4, activation: relu}}]}";

/* The embedding is the identity, so the stream names tokens. */
static void plant(trained_model *m)
{
    const params *p = model_params_const(m->model);
    memset(m->values, 0, (size_t)p->total * sizeof *m->values);
    for (int i = 0; i < BYTES; i++) {
        planted_param(m, "embedding.weight", NULL)[i * BYTES + i] = 1;
    }
    for (int i = 0; i < PLANTED; i++) {
        planted_param(m, "blocks.0.ffn.keys.weight", NULL)[i * BYTES + FIRES[i]] = 2;
        planted_param(m, "blocks.0.ffn.keys.bias", NULL)[i] = -1;
        planted_param(m, "blocks.0.ffn.values.weight", NULL)[SAYS[i] * PLANTED + i] = (real)(3 + i);
    }
}

static void memories_open(planted *x)
{
    err e = {0};
    memset(x, 0, sizeof *x);
    trained_model *m = &x->loaded;
    planted_open(m, SPEC, TEXT);
    plant(m);
    corpus_split *split = corpus_get(m->corpus, SPLIT_TRAIN);
    CHECK(prefixes_open(&x->text, m->corpus, split, 0, m->memory, &e), "%s", e.text);
    x->count = x->text.tokens;
    CHECK(prefixes_read(&x->text, 0, x->count, x->ids, &e), "%s", e.text);
}

static inspect_options options_of(bool once)
{
    return (inspect_options){.split = SPLIT_TRAIN,
                             .sample_split = SPLIT_VALIDATION,
                             .rows = 2,
                             .top = TOP,
                             .prefixes = 1000,
                             .perturb = 4,
                             .once_per_sentence = once};
}

/* Where key `i` fires, in order, at most TOP; the last token of a text ends no prefix. */
static int expected_triggers(const planted *x, int i, bool once, int64_t *tokens)
{
    int n = 0;
    for (int64_t t = 0; t + 1 < x->count && n < TOP; t++) {
        if (x->ids[t] != FIRES[i]) continue;
        if (once && n > 0 &&
            prefixes_sentence(&x->text, tokens[n - 1]) == prefixes_sentence(&x->text, t)) {
            continue;
        }
        tokens[n++] = t;
    }
    return n;
}

static void check_key(const planted *x, const inspected_layer *l, int i, bool once)
{
    int64_t tokens[TOP];
    int n = expected_triggers(x, i, once, tokens), follows = 0;
    const trigger *got = triggers_of(&l->triggers, i);
    EXPECT(l->triggers.sizes[i] == n, "key %d: %d triggers, not %d", i, l->triggers.sizes[i], n);
    for (int k = 0; k < MIN(n, l->triggers.sizes[i]); k++) {
        EXPECT(got[k].token == tokens[k] && got[k].coefficient == 1 &&
                   got[k].next == x->ids[tokens[k] + 1],
               "key %d: trigger %d is token %lld (%g), not %lld", i, k, (long long)got[k].token,
               (double)got[k].coefficient, (long long)tokens[k]);
        follows += x->ids[tokens[k] + 1] == SAYS[i];
    }
    EXPECT(l->values[i].tokens[0] == SAYS[i], "value %d says %d", i, l->values[i].tokens[0]);
    double p = exp(3 + i) / (exp(3 + i) + BYTES - 1); /* float sums of 256 terms: 1e-6 */
    EXPECT(fabs((double)l->values[i].probabilities[0] / p - 1) < 1e-5, "value %d: %g, not %g", i,
           (double)l->values[i].probabilities[0], p);
    EXPECT(l->agreements[i].matches == follows, "key %d: %d of its triggers agree, not %d", i,
           l->agreements[i].matches, follows);
    EXPECT(l->agreements[i].match == (n > 0 && x->ids[tokens[0] + 1] == SAYS[i]), "key %d: %d", i,
           l->agreements[i].match);
}

/* Which memory fires at a token, or -1. */
static int fires_at(const planted *x, int64_t token)
{
    const char *at = x->ids[token] ? strchr(FIRES, x->ids[token]) : NULL;
    return at ? (int)(at - FIRES) : -1;
}

static void check_samples(const planted *x, const inspection *got)
{
    const inspected_layer *l = &got->layers[0];
    EXPECT(got->sample_count == x->count - 1, "%lld prefixes of %lld tokens",
           (long long)got->sample_count, (long long)x->count);
    for (int64_t i = 0; i < got->sample_count; i++) {
        const prefix_reading *p = &l->readings[i];
        int64_t token = got->samples[i];
        int m = fires_at(x, token), own = x->ids[token], says = m < 0 ? own : SAYS[m];
        EXPECT(p->active == (m >= 0) && p->match_output_active == (m >= 0), "prefix %lld: %d, %d",
               (long long)i, p->active, p->match_output_active);
        EXPECT(p->top_residual == own && p->top_stream == says && got->finals[i] == says,
               "prefix %lld: %d, %d, not %d, %d", (long long)i, p->top_residual, p->top_stream, own,
               says);
        refinement_case expected = m < 0 ? REFINE_RESIDUAL : REFINE_OUTPUT;
        EXPECT(value_readings_refinement(p) == expected, "prefix %lld: case %d", (long long)i,
               value_readings_refinement(p));
    }
}

/* Without its last token no planted key fires; without another it fires as before. */
static void check_perturbed(const inspected_layer *l)
{
    EXPECT(l->perturbed_count == 3, "%d keys lost tokens", l->perturbed_count);
    for (int i = 0; i < l->perturbed_count; i++) {
        const perturbation *p = &l->perturbed[i];
        EXPECT(p->silent == 0 && p->triggers > 0, "%lld, %lld", (long long)p->silent,
               (long long)p->triggers);
        EXPECT(p->change[REMOVE_FIRST] == 0, "%g", p->change[REMOVE_FIRST]);
    }
}

static void recovers(void)
{
    planted x;
    memories_open(&x);
    for (int i = 0; i < 4; i++) {
        bool once = i % 2;
        inspect_options options = options_of(once);
        inspect_task task = {.loaded = &x.loaded,
                             .options = &options,
                             .parts = INSPECT_MEMORIES,
                             .threads = 1 + i / 2};
        inspection got;
        err e = {0};
        bool ok = inspect(&got, &task, &e);
        EXPECT(ok, "%s", e.text);
        if (!ok) continue;
        EXPECT(got.layer_count == 1, "%d layers", got.layer_count);
        for (int k = 0; k < PLANTED; k++) {
            check_key(&x, &got.layers[0], k, once);
        }
        check_samples(&x, &got);
        check_perturbed(&got.layers[0]);
        inspection_deinit(&got);
    }
    planted_close(&x.loaded);
}

/* ---- what is written ---- */

static int64_t count_lines(const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "inspect/%s.jsonl", part);
    err e = {0};
    char *text = file_read(test_inside(name), NULL, &e);
    EXPECT(text, "%s", e.text);
    int64_t n = 0;
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1, n++) {
        json_t *json = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        EXPECT(json_is_object(json), "%s: line %lld is no object", part, (long long)n);
        EXPECT(n > 0 || strcmp(json_get_text(json, "inspect"), part) == 0, "%s: no head", part);
        json_decref(json);
    }
    free(text);
    return n;
}

static void writes(void)
{
    planted x;
    memories_open(&x);
    inspect_options options = options_of(false);
    inspect_task task = {
        .loaded = &x.loaded, .options = &options, .parts = INSPECT_MEMORIES, .threads = 1};
    inspection got;
    err e = {0};
    bool ok = inspect(&got, &task, &e) && inspect_record(&got, test_folder(), &e) &&
              inspect_page(&got, test_folder(), "planted <&>", &e);
    EXPECT(ok, "%s", e.text);
    if (ok) {
        EXPECT(count_lines("keys") > 1 + PLANTED, "too few lines");
        EXPECT(count_lines("values") > 1 + PLANTED, "too few lines");
        EXPECT(count_lines("composition") > got.sample_count, "too few lines");
        EXPECT(count_lines("refinement") > got.sample_count, "too few lines");
        double figure = inspection_figure(&got, INSPECT_REFINEMENT, got.layers[0].layer,
                                          "residual_is_final", 0);
        EXPECT(figure > 0 && figure < 1, "%g", figure);
        for (int i = 0; i < got.figure_count; i++) {
            EXPECT(*inspect_words(inspection_part_name(got.figures[i].part), got.figures[i].name),
                   "%s: no words", got.figures[i].name);
        }
        char *page = file_read(test_inside("inspect/index.html"), NULL, &e);
        EXPECT(page && strstr(page, "planted &lt;&amp;>") && strstr(page, "<mark>q</mark>"),
               "no triggers on the page");
        free(page);
        inspection_deinit(&got);
    }
    planted_close(&x.loaded);
}

static void stops(void)
{
    planted x;
    memories_open(&x);
    volatile sig_atomic_t stop = 1;
    inspect_options options = options_of(false);
    inspect_task task = {.loaded = &x.loaded,
                         .options = &options,
                         .parts = INSPECT_MEMORIES,
                         .threads = 1,
                         .stop = &stop};
    inspection got;
    err e = {0};
    bool ok = inspect(&got, &task, &e);
    EXPECT(ok && got.stopped && got.figure_count == 0, "%s", e.text);
    if (ok) inspection_deinit(&got);
    planted_close(&x.loaded);
}

static void refuses(void)
{
    planted x;
    memories_open(&x);
    static const char spec[] = "{width: 256, context: 8, blocks: [{lstm: {}}]}";
    err e = {0};
    const node *n = node_parse(x.loaded.memory, spec, strlen(spec), "lstm", &e);
    model_inputs inputs = {.vocab = BYTES, .seed = 1};
    model_free(x.loaded.model);
    x.loaded.model = model_build(n, &inputs, &e);
    inspect_options options = options_of(false);
    inspect_task task = {
        .loaded = &x.loaded, .options = &options, .parts = INSPECT_MEMORIES, .threads = 1};
    inspection got;
    EXPECT(!inspect(&got, &task, &e) && strstr(e.text, "no layer"), "%s", e.text);
    planted_close(&x.loaded);
}

static void refuses_no_numbers(void)
{
    planted x;
    memories_open(&x);
    planted_param(&x.loaded, "blocks.0.ffn.keys.weight", NULL)[7] = (real)NAN;
    inspect_options options = options_of(false);
    inspect_task task = {
        .loaded = &x.loaded, .options = &options, .parts = INSPECT_MEMORIES, .threads = 1};
    inspection got;
    err e = {0};
    EXPECT(!inspect(&got, &task, &e) && strstr(e.text, "parameter blocks.0.ffn.keys.weight"), "%s",
           e.text);
    planted_close(&x.loaded);
}

/* Every token of `text` with a bar before it begins a sentence, and no other does. */
static void expect_sentences(const char *text)
{
    char plain[256];
    bool starts[256] = {false};
    int n = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '|') {
            starts[n] = true;
        } else {
            plain[n++] = *c;
        }
    }
    plain[n] = 0;
    corpora_write("quotes/train/a", plain, -1);
    corpora_write("quotes/validation/a", plain, -1);
    corpus *c = corpora_need("{corpus: text, path: quotes}");
    if (!c) return;
    arena_auto *a = arena_new(0);
    prefixes p;
    err e = {0};
    EXPECT(prefixes_open(&p, c, corpus_get(c, SPLIT_TRAIN), 0, a, &e), "%s", e.text);
    for (int i = 0; i < n && !*e.text; i++) {
        EXPECT((prefixes_sentence(&p, i) == i) == starts[i], "'%s': %s '%s'", plain,
               starts[i] ? "none begins with" : "one begins with", plain + i);
    }
    corpus_close(c);
}

/* Quotes and brackets behind a full stop belong to what it ends, also as bytes. */
static void closing_quotes(void)
{
    expect_sentences("|He said (I think.) |\"So.\" |Then.x 'No!' |End");
    expect_sentences("|“So it is.” |“Yes?” |‘No.’ |He");
    expect_sentences("|»So ist es.« |„Ja.“ |Er");
    expect_sentences("|So.— no a.é b.“x” c");
    expect_sentences("|One\n\n|“Two.”x three");
}

static void sentences(void)
{
    planted x;
    memories_open(&x);
    static const char *const begin[] = {"The quick", "Was it",  "A zebra",
                                        "\"Quite",   "The zoo", "It was"};
    int n = 0;
    for (int64_t t = 0; t < x.count; t++) {
        if (prefixes_sentence(&x.text, t) != t) continue;
        EXPECT(n < 6 && strncmp(TEXT + t, begin[n], strlen(begin[n])) == 0,
               "sentence %d begins with %.10s", n, TEXT + t);
        n++;
    }
    EXPECT(n == 6, "%d sentences", n);
    planted_close(&x.loaded);
}

const test_suite test_inspect = {"harness/inspect",
                                 {{"recovers", recovers},
                                  {"writes", writes},
                                  {"stops", stops},
                                  {"refuses", refuses},
                                  {"refuses_no_numbers", refuses_no_numbers},
                                  {"sentences", sentences},
                                  {"closing_quotes", closing_quotes},
                                  {0}}};
