/* Parts of a comparison, in another order, as a table of two axes, two side by side. */
#include <stdlib.h>
#include <string.h>

#include "results/compare/compare_cell.h"
#include "results/compare/compare_load.h"
#include "results/compare/compare_side.h"
#include "results/compare/compare_view.h"
#include "results/store/collect.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
                                        {"short 3e-3", -0.1, 0.001, 842000, 51234, NULL, false},
                                        {"long 1e-3", 0.2, 0.001, 900000, 25617, NULL, false},
                                        {"long 3e-3", 0.04, 0.001, 900000, 25617, "failed", false}};

static comparison *load(arena *a, store *s, const compare_options *o, err *e)
{
    comparison *c = s ? compare_load(a, s, "memory", o, e) : NULL;
    return c;
}

static store *open_fake(const char *name, int variants)
{
    fake_experiment x = {test_folder(), name, variants, 3, 4, VARIANTS};
    err e = {0}, note = {0};
    fake_write(&x);
    fake_axes(&x);
    store *s = collect_and_open(x.out, &note, &e);
    EXPECT(s, "%s", e.text);
    return s;
}

static void where(void)
{
    store *s = open_fake("memory", 4);
    arena *a = arena_new(0);
    err e = {0};
    comparison *c = load(a, s, &(compare_options){.where = "lr=0.003"}, &e);
    EXPECT(c && c->count == 3 && c->baseline == 0 && c->comparisons == 2, "%s", e.text);
    c = load(a, s, &(compare_options){.where = "reach=long", .baseline = "long 1e-3"}, &e);
    EXPECT(c && c->count == 2 && c->baseline == 0, "%s", e.text);
    static const char *const bad[][2] = {{"lr=7", "no variant has that value"},
                                         {"width=7", "no such axis; memory sweeps: optimizer.lr"},
                                         {"lr", "AXIS=VALUE"}};
    for (int i = 0; i < 3; i++) {
        e = (err){0};
        EXPECT(!load(a, s, &(compare_options){.where = bad[i][0]}, &e) && strstr(e.text, bad[i][1]),
               "%s: %s", bad[i][0], e.text);
    }
    arena_free(a);
    store_close(s);
}

static void sorted(void)
{
    store *s = open_fake("memory", 4);
    arena *a = arena_new(0);
    err e = {0};
    comparison *c = load(a, s, &(compare_options){0}, &e);
    EXPECT(c, "%s", e.text);
    if (!c) return;
    compare_view_sort(c, a, 2); /* bits per byte */
    EXPECT(strcmp(c->variants[0].label, "long 1e-3") == 0 && c->baseline == 2, "%s, %d",
           c->variants[0].label, c->baseline);
    compare_view_sort(c, a, 1);
    EXPECT(strcmp(c->variants[3].label, "short 3e-3") == 0 && c->baseline == 2, "%s",
           c->variants[3].label);
    c->variants[1].params = -1; /* unknown */
    const char *unknown = c->variants[1].label;
    compare_view_sort(c, a, 6);
    EXPECT(strcmp(c->variants[3].label, unknown) == 0, "%s is last", c->variants[3].label);
    arena_free(a);
    store_close(s);
}

static void pivot(void)
{
    bool marked;
    store *s = open_fake("memory", 4);
    arena *a = arena_new(0);
    err e = {0};
    comparison *c = load(a, s, &(compare_options){0}, &e);
    table *t = c ? compare_view_pivot(&marked, a, s, c, "reach", "optimizer.lr", &e) : NULL;
    EXPECT(t && t->rows == 2 && t->columns == 1 + 2 * COMPARE_CELL_COLUMNS, "%s", e.text);
    if (!t) return;
    const int second = 1 + COMPARE_CELL_COLUMNS;
    EXPECT(strcmp(t->column[second].title, "3e-3") == 0 &&
               strcmp(t->line[1].cell[0].text, "long") == 0,
           "%s", t->column[second].title);
    EXPECT(t->line[1].cell[1].text[0] == '*' && t->line[0].cell[1].text[0] != '*' &&
               t->line[1].cell[1].half,
           "%s", t->line[1].cell[1].text);
    /* One of its seeds is lost: it says so, and another is the best. */
    compared_variant *best = NULL;
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].label, "long 1e-3") == 0) best = &c->variants[i];
    }
    EXPECT(best, "no such variant");
    if (best) best->lost = 1;
    t = compare_view_pivot(&marked, a, s, c, "reach", "optimizer.lr", &e);
    EXPECT(t && strncmp(t->line[1].cell[1].text, "(3 of 3) ", 9) == 0 &&
               (t->line[0].cell[1].text[0] == '*') + (t->line[0].cell[second].text[0] == '*') +
                       (t->line[1].cell[second].text[0] == '*') ==
                   1,
           "%s", t ? t->line[1].cell[1].text : e.text);
    if (best) best->lost = 0;
    EXPECT(!compare_view_pivot(&marked, a, s, c, "reach", "width", &e) &&
               strstr(e.text, "no such axis"),
           "%s", e.text);
    arena_free(a);
    store_close(s);
}

/* Per token of another tokenizer no cell is the best, and none shows the better of two. */
static void pivot_tokens(void)
{
    bool marked = false;
    const int second = 1 + COMPARE_CELL_COLUMNS;
    store *s = open_fake("memory", 4);
    arena *a = arena_new(0);
    err e = {0};
    comparison *c = load(a, s, &(compare_options){.metric = COMPARE_PERPLEXITY}, &e);
    EXPECT(c, "%s", e.text);
    if (!c) return;
    table *t = compare_view_pivot(&marked, a, s, c, "reach", "optimizer.lr", &e);
    int marks = 0;
    for (int i = 0; t && i < 4; i++) {
        marks += t->line[i / 2].cell[i % 2 ? second : 1].text[0] == '*';
    }
    EXPECT(marks == 1 && marked, "%d cells: %s", marks, e.text);
    for (int k = 0; k < c->variants[1].run_count; k++) {
        c->variants[1].runs[k].tokenizer = c->variants[1].runs[k].corpus = "other";
    }
    t = compare_view_pivot(&marked, a, s, c, "reach", "optimizer.lr", &e);
    EXPECT(t && !marked, "%s", e.text);
    for (int i = 0; t && i < 4; i++) {
        const char *text = t->line[i / 2].cell[i % 2 ? second : 1].text;
        EXPECT(text[0] != '*', "%s", text);
    }
    EXPECT(!compare_view_pivot(&marked, a, s, c, "reach", "reach", &e) &&
               strstr(e.text, "different tokenizers"),
           "%s", e.text);
    arena_free(a);
    store_close(s);
}

static void side_by_side(void)
{
    bool marked;
    store_close(open_fake("memory", 4));
    store *s = open_fake("other", 2);
    arena *a = arena_new(0);
    err e = {0};
    comparison *x = load(a, s, &(compare_options){0}, &e);
    comparison *y = x ? compare_load(a, s, "other", &(compare_options){0}, &e) : NULL;
    EXPECT(y, "%s", e.text);
    if (!y) return;
    table *t = compare_side(&marked, a, x, y);
    const int second = COMPARE_CELL_COLUMNS;
    EXPECT(t->rows == 2 && t->columns == 2 + 3 * COMPARE_CELL_COLUMNS &&
               t->line[0].cell[1 + 2 * second].kind == CELL_REAL,
           "%d rows", t->rows);
    double mean[2] = {x->variants[0].value[x->metric].mean, y->variants[0].value[y->metric].mean};
    EXPECT((t->line[0].cell[1].text[0] == '*') == (mean[0] < mean[1]) &&
               (t->line[0].cell[1 + second].text[0] == '*') == (mean[1] < mean[0]),
           "%g %s, %g %s", mean[0], t->line[0].cell[1].text, mean[1],
           t->line[0].cell[1 + second].text);
    y->variants[0].value[y->metric].mean = mean[0] - 0.1;
    t = compare_side(&marked, a, x, y);
    EXPECT(marked && t->line[0].cell[1 + second].text[0] == '*' &&
               t->line[0].cell[1].text[0] != '*',
           "%s", t->line[0].cell[1 + second].text);
    /* Per token of another tokenizer neither is better. */
    x->metric = COMPARE_PERPLEXITY;
    y->variants[0].runs[0].tokenizer = y->variants[0].runs[0].corpus = "other";
    y->variants[0].value[x->metric].mean = x->variants[0].value[x->metric].mean - 0.1;
    t = compare_side(&marked, a, x, y);
    EXPECT(t->line[0].cell[1 + second].text[0] != '*' && t->line[0].cell[1].text[0] != '*' &&
               t->line[0].cell[1 + 2 * second].kind == CELL_EMPTY,
           "%s", t->line[0].cell[1 + second].text);
    x->metric = y->metric;
    y->variants[0].runs[0].tokenizer = y->variants[0].runs[1].tokenizer;
    y->variants[0].runs[0].corpus = y->variants[0].runs[1].corpus;
    y->variants[0].lost = 1;
    t = compare_side(&marked, a, x, y);
    EXPECT(t->line[0].cell[1 + second].text[0] == '(' && t->line[0].cell[1].text[0] != '*', "%s",
           t->line[0].cell[1 + second].text);
    EXPECT(compare_side_alike(x, y), "one protocol");
    y->variants[0].runs[0].protocol = "{}";
    EXPECT(!compare_side_alike(x, y), "two protocols");
    y->variants[0].label = "one";
    y->variants[1].label = "two";
    t = compare_side(&marked, a, x, y);
    EXPECT(t->rows == 6 && !marked && t->line[0].cell[1 + second].kind == CELL_EMPTY,
           "%d rows, marked: %d", t->rows, marked);
    arena_free(a);
    store_close(s);
}

const test_suite test_views = {"results/views",
                               {{"where", where},
                                {"sorted", sorted},
                                {"pivot", pivot},
                                {"pivot_tokens", pivot_tokens},
                                {"side_by_side", side_by_side},
                                {0}}};
