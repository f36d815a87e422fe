/* The comparison by slices: figures, words, forms, pictures. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_load.h"
#include "results/compare/compare_slices.h"
#include "results/compare/compare_slices_print.h"
#include "results/plot/plot.h"
#include "results/store/collect.h"
#include "results/table/export.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0.001, 842000, 51234, NULL, false},
    {"long", 0.039, 0.002, 842000, 40321, NULL, false},
    {"wide", 0, 0.01, 1684000, 30123, "diverged", false},
};

static fake_experiment fake(int seeds)
{
    return (fake_experiment){test_folder(), "memory", 3, seeds, 20, VARIANTS};
}

/* The slices of an experiment with so many seeds; the comparison, too. The arena is the caller's.
 */
static slice_comparison *load(arena *a, int seeds, bool sliced, comparison **c)
{
    err e = {0}, note = {0};
    fake_experiment x = fake(seeds);
    (sliced ? fake_write_sliced : fake_write)(&x);
    store *s = collect_and_open(x.out, &note, &e);
    *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    slice_comparison *slices = *c ? compare_slices(a, *c, s, BY_FREQUENCY, &e) : NULL;
    EXPECT(slices && !note.text[0], "%s %s", e.text, note.text);
    store_close(s);
    return slices;
}

static char *print(const comparison *c, const slice_comparison *x, table_format format)
{
    char *text = NULL;
    size_t bytes;
    err e = {0};
    FILE *f = open_memstream(&text, &bytes);
    EXPECT(compare_slices_print(f, c, x, format, false, &e), "%s", e.text);
    fclose(f);
    return text;
}

static void figures(void)
{
    arena *a = arena_new(0);
    comparison *c;
    slice_comparison *s = load(a, 3, true, &c);
    if (!s) return;
    EXPECT(s->count == 3 && s->parts == 3 && s->bytes, "%d slices", s->count);
    EXPECT(s->low[1] == 64 && s->high[1] == 127 && s->tokens[1] == 30000, "bounds");
    for (int k = 0; k < 3; k++) {
        const compared_slice *cell = compare_slices_at(s, 1, k);
        /* The fake's noise of documents is 0.001 at most, its variants' 0.003. */
        EXPECT(fabs(cell->difference.mean + 0.039 * k) < 0.005 && cell->difference.n == 3,
               "slice %d: %g of %d", k, cell->difference.mean, cell->difference.n);
        EXPECT(cell->over_text.low <= cell->difference.mean + 1e-12 &&
                   cell->over_text.high >= cell->difference.mean - 1e-12 &&
                   cell->over_text.high - cell->over_text.low < 0.003,
               "%g to %g", cell->over_text.low, cell->over_text.high);
        EXPECT(cell->least <= cell->value.mean && cell->value.mean <= cell->most, "range");
    }
    EXPECT(compare_slices_at(s, 2, 0)->difference.n == 2, "a run that diverged counts");
    arena_free(a);
}

/* A run of other tokens is no partner, neither by its mean nor over the text. */
static void other_tokens(void)
{
    arena *a = arena_new(0);
    comparison *c;
    err e = {0};
    if (!load(a, 1, true, &c)) return;
    c->variants[1].runs[0].tokenizer = c->variants[1].runs[0].corpus = "other";
    store_auto *db = collect_and_open(test_folder(), NULL, &e);
    slice_comparison *s = db ? compare_slices(a, c, db, BY_FREQUENCY, &e) : NULL;
    const compared_slice *cell = s ? compare_slices_at(s, 1, 1) : NULL;
    EXPECT(cell && cell->difference.n == 0 && isnan(cell->over_text.low), "%s: %d, from %g", e.text,
           cell ? cell->difference.n : 0, cell ? cell->over_text.low : 0);
    cell = s ? compare_slices_at(s, 2, 1) : NULL;
    EXPECT(cell && cell->difference.n == 1 && cell->over_text.low < 0, "those of the same tokens");
    arena_free(a);
}

static void in_words(void)
{
    arena *a = arena_new(0);
    comparison *c;
    slice_comparison *s = load(a, 3, true, &c);
    if (!s) return;
    static const char *const needed[] = {
        "'long': within noise at 0; better at 64 to 255, most at 128-255 (-0.07",
        "'wide': within noise at 0 to 255.", "occurrences of the token in the training split",
        "paired over 2 to 3 seeds", "about 0.3 of 6"};
    char *text = print(c, s, TABLE_TEXT), *csv = print(c, s, TABLE_CSV);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        EXPECT(strstr(text, needed[i]), "no \"%s\" in:\n%s", needed[i], text);
    }
    EXPECT(strncmp(csv, "variant,low,high,tokens,n,bits_per_token", 40) == 0 &&
               strstr(csv, "\nlong,128,255,30000,3,"),
           "%s", csv);
    free(csv);
    free(text);
    arena_free(a);
}

/* One seed: an interval over documents, called so. */
static void one_seed(void)
{
    arena *a = arena_new(0);
    comparison *c;
    slice_comparison *s = load(a, 1, true, &c);
    if (!s) return;
    char *text = print(c, s, TABLE_MARKDOWN);
    EXPECT(strstr(text, "by bootstrap over 3 documents") && strstr(text, "(-0.0") &&
               !strstr(text, "paired over"),
           "%s", text);
    free(text);
    arena_free(a);
}

static void none_recorded(void)
{
    arena *a = arena_new(0);
    comparison *c;
    slice_comparison *s = load(a, 2, false, &c);
    err e = {0};
    EXPECT(s && s->count == 0, "slices of nothing");
    EXPECT(s && !compare_slices_print(stderr, c, s, TABLE_TEXT, false, &e) &&
               strstr(e.text, "another `eval:` section"),
           "%s", e.text);
    arena_free(a);
}

/* A row per slice of every evaluation, nothing averaged over seeds. */
static void exported(void)
{
    fake_experiment x = fake(1);
    err e = {0}, note = {0};
    fake_write_sliced(&x);
    store *s = collect_and_open(x.out, &note, &e);
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    EXPECT(s && export_rows(f, s, x.name, EXPORT_SLICES, EXPORT_CSV, &e), "%s", e.text);
    fclose(f);
    store_close(s);
    int rows = 0;
    for (const char *c = text; *c; c++) {
        rows += *c == '\n';
    }
    EXPECT(rows == 1 + 3 * 4 * 3 && strstr(text, ",position,64,127,30000,2."), "%s", text);
    free(text);
}

const test_suite test_slice_tables = {"results/slice_tables",
                                      {{"figures", figures},
                                       {"other_tokens", other_tokens},
                                       {"in_words", in_words},
                                       {"one_seed", one_seed},
                                       {"none_recorded", none_recorded},
                                       {"exported", exported},
                                       {0}}};
