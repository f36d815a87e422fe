/* Tables: alignment, numbers with sensible digits, quoting. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/table/export.h"
#include "results/table/table_break.h"
#include "results/table/table_fit.h"
#include "tests/test.h"

static char *print(const table *t, table_format format, bool colour)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    table_print(f, t, format, colour);
    fclose(f);
    return text;
}

static void expect_text(const table *t, table_format format, bool colour, const char *expected)
{
    char *text = print(t, format, colour);
    EXPECT(strcmp(text, expected) == 0, "got:\n%s\nexpected:\n%s", text, expected);
    free(text);
}

static void numbers(void)
{
    static const struct {
        double value;
        int decimals;
        bool plus;
        const char *text;
    } cases[] = {{2.25, 2, false, "2.25"},
                 {2.25, 2, true, "+2.25"},
                 {-0.001, 2, true, "0.00"},
                 {-2.5, 1, true, "-2.5"},
                 {0, 3, true, "0.000"},
                 {123456789, 0, false, "123456789"},
                 {5.2753e12, 4, true, "+5.275e+12"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[32];
        table_number(got, cases[i].value, cases[i].decimals, cases[i].plus);
        EXPECT(strcmp(got, cases[i].text) == 0, "'%s' instead of '%s'", got, cases[i].text);
    }
}

static table *sample(arena *a)
{
    table *t = table_new(a);
    int name = table_column(t, "name", "name", "", TABLE_LEFT);
    int mean = table_column(t, "mean", "loss", "nats", 0);
    int size = table_column(t, "size", "size", "", 0);
    int hidden = table_column(t, "hidden", "", "", TABLE_PROGRAMS);
    int shown = table_column(t, "shown", "note", "", TABLE_LEFT | TABLE_PEOPLE);
    table_row(t);
    table_text(t, name, "a|b, \"c\"");
    table_mean(t, mean, 2.25, 0.5, 2, false);
    table_scaled(t, size, 1234567);
    table_int(t, hidden, 7);
    table_text(t, shown, "x");
    table_row(t);
    table_text(t, name, "d\u00e9");
    table_mean(t, mean, 10.5, (double)NAN, 2, false);
    table_row(t);
    table_mean(t, mean, -0.001, 0.25, 2, true);
    return t;
}

static void text(void)
{
    arena *a = arena_new(0);
    expect_text(sample(a), TABLE_TEXT, false,
                "name              loss   size  note\n"
                "                  nats\n"
                "a|b, \"c\"   2.25 \u00b1 0.50  1.23M  x\n"
                "d\u00e9        10.50             -  -\n"
                "-          0.00 \u00b1 0.25      -  -\n");
    char *colour = print(sample(a), TABLE_TEXT, true);
    EXPECT(strncmp(colour, "\033[1mname", 8) == 0, "no bold title: %s", colour);
    free(colour);
    arena_free(a);
}

static void markdown(void)
{
    arena *a = arena_new(0);
    expect_text(sample(a), TABLE_MARKDOWN, true,
                "| name | loss, nats | size | note |\n"
                "|---|--:|--:|---|\n"
                "| a\\|b, \"c\" | 2.25 \u00b1 0.50 | 1.23M | x |\n"
                "| d\u00e9 | 10.50 | - | - |\n"
                "| - | 0.00 \u00b1 0.25 | - | - |\n");
    arena_free(a);
}

static void csv(void)
{
    arena *a = arena_new(0);
    expect_text(sample(a), TABLE_CSV, true,
                "name,mean,size,hidden\n"
                "\"a|b, \"\"c\"\"\",2.25,1234567,7\n"
                "d\u00e9,10.5,,\n"
                ",-0.001,,\n");
    arena_free(a);
}

static void json(void)
{
    arena *a = arena_new(0);
    char *got = print(sample(a), TABLE_JSON, true);
    json_error_t where;
    json_t *rows = json_loads(got, JSON_REJECT_DUPLICATES, &where);
    EXPECT(rows && json_array_size(rows) == 3, "%s", where.text);
    json_t *first = json_array_get(rows, 0), *last = json_array_get(rows, 2);
    EXPECT(json_integer_value(json_object_get(first, "hidden")) == 7, "hidden");
    EXPECT(json_is_null(json_object_get(last, "name")), "an empty cell");
    EXPECT(!json_object_get(first, "shown"), "a column for people");
    json_decref(rows);
    free(got);
    arena_free(a);
}

static void scaled_numbers(void)
{
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},         {17, "17"},        {999, "999"},     {999.7, "1.00k"},
                 {1000, "1.00k"},  {51234, "51.2k"},  {999499, "999k"}, {999500, "1.00M"},
                 {1.5e9, "1.50G"}, {2.5e15, "2.50P"}, {12.345, "12.3"}, {-1234, "-1.23k"},
                 {1e20, "100000P"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char got[16];
        table_si(got, known[i].value);
        EXPECT(strcmp(got, known[i].text) == 0, "%g is %s, not %s", known[i].value, got,
               known[i].text);
    }
}

static void many_rows(void)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    int n = table_column(t, "n", "n", "", 0);
    for (int i = 0; i < 1000; i++) {
        EXPECT(table_row(t) == i, "row %d", i);
        table_int(t, n, i);
    }
    json_t *rows = table_json(t);
    EXPECT(json_integer_value(json_object_get(json_array_get(rows, 999), "n")) == 999, "last row");
    json_decref(rows);
    arena_free(a);
}

/* The text on lines of at most so many columns, '|' between them. */
static void expect_broken(const char *text, int cells, const char *expected)
{
    char got[256] = "";
    size_t n = 0;
    int lines = table_break_lines(text, cells), counted = 0;
    for (; *text; text += table_blanks(text), counted++) {
        size_t part = table_break(text, cells);
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", n ? "|" : "", (int)part, text);
        text += part;
    }
    EXPECT(strcmp(got, expected) == 0 && counted == lines, "%s, %d lines, not %s", got, lines,
           expected);
}

/* At blanks, and in names; never in a number, and within a word where it has to be. */
static void broken_texts(void)
{
    expect_broken("lr=4e-3 (edge)", 14, "lr=4e-3 (edge)");
    expect_broken("lr=4e-3 (edge)", 13, "lr=4e-3|(edge)");
    expect_broken("0.142 bits/byte (-0.02 to 0.26)", 15, "0.142 bits/byte|(-0.02 to 0.26)");
    expect_broken("keys-help-a-model", 12, "keys-help-a-|model");
    expect_broken("model.blocks[0].ffn.hidden", 18, "model.blocks[0].|ffn.hidden");
    expect_broken("1,000 or {\"a\":1,\"b\":2}", 8, "1,000 or|{\"a\":1,|\"b\":2}");
    expect_broken("abcdefgh", 3, "abc|def|gh");
    expect_broken("\u65e5\u672c\u8a9e", 1, "\u65e5|\u672c|\u8a9e");
    EXPECT(table_widest_part("at 4e-3 of-it") == 4, "%d", table_widest_part("at 4e-3 of-it"));
}

/* What a broken text has on all its lines stands in its column, and as few lines as may be. */
static void broken_cells(void)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    int name = table_column(t, "name", "name", "", TABLE_LEFT | TABLE_WHOLE);
    int mean = table_column(t, "mean", "loss", "", TABLE_KEPT);
    int more = table_column(t, "more", "more", "", TABLE_LEFT | TABLE_WHOLE);
    table_row(t);
    table_text(t, name, "memory=plain lr=2e-3 (baseline)");
    table_mean(t, mean, 2.25, 0.5, 2, false);
    table_text(t, more, "1/3: 1 failed");
    const struct {
        int columns, name, lines, more;
    } cases[] = {{INT_MAX, 31, 1, 13}, {59, 31, 1, 13}, {58, 31, 1, 0}, {44, 31, 1, 0},
                 {43, 18, 2, 10},      {42, 18, 2, 9},  {26, 12, 3, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        table_width w[TABLE_COLUMNS];
        table_fit(w, t, cases[i].columns);
        int width = w[more].out ? 0 : w[more].whole, lines = table_row_lines(w, t, 0);
        EXPECT(!w[mean].out && w[name].whole >= cases[i].name && width == cases[i].more &&
                   lines == cases[i].lines,
               "%d columns: a name of %d, in %d lines, and %d", cases[i].columns, w[name].whole,
               lines, width);
    }
    arena_free(a);
}

/* Where one text has to be broken, others that have room stay on one line. */
static void one_is_broken(void)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    enum { WORDS = TABLE_LEFT | TABLE_WHOLE };
    int name = table_column(t, "name", "name", "", WORDS);
    int shown = table_column(t, "shown", "shown", "", WORDS | TABLE_KEPT);
    int edge = table_column(t, "edge", "edge", "", WORDS | TABLE_KEPT);
    table_row(t);
    table_text(t, name, "hash-better");
    table_text(t, shown, "0.0668 bits/byte (-0.0912 to 0.225)");
    table_text(t, edge, "above 0.02");
    table_width w[TABLE_COLUMNS];
    table_fit(w, t, 50);
    EXPECT(w[name].whole == 11 && w[edge].whole == 10 && w[shown].whole >= 18, "%d, %d, %d",
           w[name].whole, w[shown].whole, w[edge].whole);
    arena_free(a);
}

/* "of 300" says nothing without the step before it. */
static void behind(void)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    table_column(t, "name", "name", "", TABLE_LEFT);
    int step = table_column(t, "step", "step", "", 0);
    int of = table_column(t, "of", "of", "", TABLE_BEHIND);
    table_row(t);
    table_text(t, 0, "short");
    table_int(t, step, 120000);
    table_int(t, of, 3);
    table_width w[TABLE_COLUMNS];
    table_fit(w, t, 12);
    EXPECT(w[step].out && w[of].out, "step %d, of %d", !w[step].out, !w[of].out);
    table_fit(w, t, 20);
    EXPECT(!w[step].out && !w[of].out, "step %d, of %d", !w[step].out, !w[of].out);
    arena_free(a);
}

/* Letters that LaTeX takes for its own, or, as '<' and '>', shows as others. */
static void latex(void)
{
    arena *a = arena_new(0);
    table *t = table_new(a);
    int name = table_column(t, "name", "a_b", "", TABLE_LEFT), p = table_column(t, "p", "p", "", 0);
    table_row(t);
    table_text(t, name, "<b> & 5 %%\\");
    table_probability(t, p, 1e-5);
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    table_latex(f, t);
    fclose(f);
    EXPECT(strstr(text, "\na\\_b & p \\\\\n") &&
               strstr(text, "\n$<$b$>$ \\& 5 \\%\\textbackslash{} & $<$0.001 \\\\\n"),
           "%s", text);
    free(text);
    arena_free(a);
}

const test_suite test_table = {"results/table",
                               {{"text", text},
                                {"markdown", markdown},
                                {"numbers", numbers},
                                {"csv", csv},
                                {"behind", behind},
                                {"latex", latex},
                                {"json", json},
                                {"scaled_numbers", scaled_numbers},
                                {"many_rows", many_rows},
                                {"broken_texts", broken_texts},
                                {"broken_cells", broken_cells},
                                {"one_is_broken", one_is_broken},
                                {0}}};
