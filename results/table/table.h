/* Tables for people and for programs: one content, printed as aligned text, Markdown, CSV or JSON.
 *
 * A column has a key for programs and a title with a unit for people; it may be meant for one of
 * the two only ("2.310 +- 0.012" for people is three columns for programs). Cells that were not
 * set are empty: "-" for people, nothing in CSV, null in JSON. Text is UTF-8. Everything lives in
 * the arena. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "core/base/arena.h"

typedef enum table_format {
    TABLE_TEXT,
    TABLE_MARKDOWN,
    TABLE_CSV,
    TABLE_JSON,
    TABLE_MD, /* short for Markdown */
    TABLE_LATEX
} table_format;
#define TABLE_FORMATS "text|markdown|csv|json|md" /* for an option, in the order of the enum */

/* Who reads it: programs want one table and nothing else, numbers unrounded. */
bool table_for_programs(table_format format);

enum {
    TABLE_LEFT = 1,     /* align left (default: right) */
    TABLE_PEOPLE = 2,   /* only in text and Markdown */
    TABLE_PROGRAMS = 4, /* only in CSV and JSON */
    TABLE_SPARE = 8,    /* a terminal that is too narrow does without it */
    TABLE_KEPT = 16,    /* what the table is read for: goes last */
    TABLE_NEXT = 64,    /* comes right behind those */
    TABLE_BEHIND = 128, /* says nothing without the column before it */
    TABLE_WHOLE = 32    /* a name, or figures in words: never cut, but on several lines */
};

enum { TABLE_COLUMNS = 320 };

typedef enum cell_kind { CELL_EMPTY, CELL_TEXT, CELL_INT, CELL_REAL } cell_kind;

typedef struct table_cell {
    cell_kind kind;
    const char *text; /* for people; of a mean, what stands before the sign */
    const char *half; /* of a mean with an interval, what stands behind it */
    int64_t integer;
    double real;
} table_cell;

typedef struct table_head {
    const char *key, *title, *unit;
    int flags;
} table_head;

typedef struct table_line {
    table_cell *cell; /* [columns] */
} table_line;

/* What a table holds, for the forms that print it; others fill it by the functions below. */
typedef struct table {
    arena *memory;
    int columns, rows, capacity;
    table_head column[TABLE_COLUMNS];
    table_line *line; /* [rows] */
} table;

table *table_new(arena *a);
/* Returns the column's index. unit: second line of the title, "" for none. */
int table_column(table *t, const char *key, const char *title, const char *unit, int flags);
/* Opens a row; the cells set next belong to it. Returns its index. */
int table_row(table *t);

void table_text(table *t, int column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An integer as it is: 1234567. */
void table_int(table *t, int column, int64_t value);
/* decimals behind the point for people, full precision for programs. NaN: an empty cell. */
void table_real(table *t, int column, double value, int decimals);
/* A probability to three decimals, below that "<0.001". */
void table_probability(table *t, int column, double value);
/* Three digits and a power of a thousand for people ("1.23M"), full precision for programs. */
void table_scaled(table *t, int column, double value);
/* "mean +- half"; without the interval if half is NaN; for people only (programs: the mean). The
 * signs of a column stand below each other. plus: with a sign before positive means. */
void table_mean(table *t, int column, double mean, double half, int decimals, bool plus);

/* Puts a mark before what the row's cell shows to people. */
void table_mark(table *t, int column, const char *mark);

/* A number as tables show it; decimals <= 9. plus: with a sign before positive ones. */
void table_number(char text[32], double value, int decimals, bool plus);

/* A text as a field of CSV (RFC 4180); a number in the shortest form that reads back as the same
 * double. */
void table_print_csv(FILE *out, const char *text);
void table_print_number(FILE *out, double x);

int table_rows(const table *t);

/* colour: bold titles by ANSI sequences, for text only (callers respect NO_COLOR). Text fits into
 * the terminal that it goes to: columns of least use are left out, and named, and the widest texts
 * cut (table_fit.h). */
void table_print(FILE *out, const table *t, table_format format, bool colour);
/* The words below a table that people read, as its format has them: broken on a terminal, escaped
 * in Markdown (`markdown`: with its lists); none in forms for programs. */
typedef void (*table_say)(FILE *out, const void *about, bool markdown);
void table_words(FILE *out, table_format format, table_say say, const void *about);
/* The columns for programs: an array with an object per row. Decref it. */
json_t *table_json(const table *t);

/* A tabular for \usepackage{booktabs}, of the columns for people. */
void table_latex(FILE *out, const table *t);

/* "1.23M", "842k", "17": three significant digits and k, M, G, T, P. */
void table_si(char text[16], double value);
/* A perplexity in a sentence: "12.3456", "1034.57", "2.64772e+08" where a model is far off. */
void table_perplexity(char text[16], double value);
