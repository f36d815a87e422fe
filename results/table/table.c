#include "results/table/table.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "core/base/json.h"

/* A cell has two faces: the text that people see, made when it is set, and the value that programs
 * get. So every format only prints, no format rounds by its own rules, and what is sorted, exported
 * and shown cannot differ. Rows are as wide as the columns there are, hence columns come first. */

/* Nothing to free: it lives as long as the arena. */
table *table_new(arena *a)
{
    table *t = arena_push_zero(a, 1, sizeof *t);
    t->memory = a;
    return t;
}

/* Texts are copied: keys and titles are often made on the caller's stack. */
int table_column(table *t, const char *key, const char *title, const char *unit, int flags)
{
    CHECK(t->columns < TABLE_COLUMNS && t->rows == 0, "column %s: %d columns, %d rows", key,
          t->columns, t->rows);
    t->column[t->columns] = (table_head){.key = arena_strdup(t->memory, key),
                                         .title = arena_strdup(t->memory, title),
                                         .unit = arena_strdup(t->memory, unit),
                                         .flags = flags};
    return t->columns++;
}

/* Lines double; a line's cells are pushed once and do not move. */
int table_row(table *t)
{
    if (t->rows == t->capacity) {
        /* The old list stays in the arena, all of them together no longer than the last. */
        int more = MAX(16, 2 * t->capacity);
        table_line *longer = arena_push_zero(t->memory, more, sizeof *longer);
        if (t->rows > 0) memcpy(longer, t->line, (size_t)t->rows * sizeof *longer);
        t->line = longer;
        t->capacity = more;
    }
    t->line[t->rows] =
        (table_line){.cell = arena_push_zero(t->memory, t->columns, sizeof(table_cell))};
    return t->rows++;
}

/* Of the last row: a row is filled before the next is opened. */
static table_cell *cell_at(table *t, int column)
{
    CHECK(t->rows > 0 && column >= 0 && column < t->columns, "column %d of %d, row %d", column,
          t->columns, t->rows);
    return &t->line[t->rows - 1].cell[column];
}

/* Whole, however long: two labels that were cut would be one to a program. */
void table_text(table *t, int column, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    CHECK(n >= 0, "a text for column %d", column);
    char *text = arena_push(t->memory, (int64_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    *cell_at(t, column) = (table_cell){.kind = CELL_TEXT, .text = text};
}

void table_int(table *t, int column, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    *cell_at(t, column) =
        (table_cell){.kind = CELL_INT, .text = arena_strdup(t->memory, text), .integer = value};
}

/* `half` NULL: a number without an interval, for which print_cell leaves the room all the same. */
static void set_real(table *t, int column, const char *text, const char *half, double value)
{
    *cell_at(t, column) = (table_cell){.kind = CELL_REAL,
                                       .text = arena_strdup(t->memory, text),
                                       .half = half ? arena_strdup(t->memory, half) : NULL,
                                       .real = value};
}

/* %.*f of 1e300 has 300 digits; from 1e9 on the power is written, within the 32 bytes. */
void table_number(char text[32], double value, int decimals, bool plus)
{
    /* A difference that rounds to nothing is not "-0.000". */
    if (fabs(value) < 0.5 * pow(10, -decimals)) value = 0;
    const char *sign = plus && value > 0 ? "+" : "";
    if (fabs(value) < 1e9) {
        snprintf(text, 32, "%s%.*f", sign, decimals, value);
    } else { /* of a run that went wrong without an infinity */
        snprintf(text, 32, "%s%.3e", sign, value);
    }
}

/* A figure that is not finite has no text that would be true: the cell stays empty. */
void table_real(table *t, int column, double value, int decimals)
{
    char text[32];
    if (!isfinite(value)) return;
    table_number(text, value, decimals, false);
    set_real(t, column, text, NULL, value);
}

/* "<0.001" says all that a reader needs, and no p is 0; programs get the number. */
void table_probability(table *t, int column, double value)
{
    char text[32];
    if (!isfinite(value)) return;
    table_number(text, value, 3, false);
    set_real(t, column, value < 0.001 ? "<0.001" : text, NULL, value);
}

void table_scaled(table *t, int column, double value)
{
    char text[16];
    if (!isfinite(value)) return;
    table_si(text, value);
    set_real(t, column, text, NULL, value);
}

/* Two texts, so that a form can put its own sign between them and align by it. */
void table_mean(table *t, int column, double mean, double half, int decimals, bool plus)
{
    char text[32], interval[32];
    if (!isfinite(mean)) return;
    table_number(text, mean, decimals, plus);
    table_number(interval, half, decimals, false);
    set_real(t, column, text, isfinite(half) ? interval : NULL, mean);
}

/* The value stays: a mark must not make a number a text for programs. */
void table_mark(table *t, int column, const char *mark)
{
    table_cell *x = cell_at(t, column);
    char text[64];
    if (x->kind == CELL_EMPTY) return;
    snprintf(text, sizeof text, "%s%s", mark, x->text);
    x->text = arena_strdup(t->memory, text);
}

int table_rows(const table *t)
{
    return t->rows;
}

void table_si(char text[16], double value)
{
    /* Powers of a thousand also for bytes, as everywhere in tables. */
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    int unit = 0;
    double size = fabs(value);
    /* 999.5 would be printed as 1000. Beyond 1000 P the number grows to more digits, and the text
     * to more letters than three. */
    while (size >= 999.5 && unit < 5) {
        size /= 1000;
        value /= 1000;
        unit++;
    }
    /* Three digits: where rounding would make a fourth, one less behind the point. */
    int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    /* Counts below a thousand are whole numbers, "17", not "17.0". */
    if (unit == 0 && value == floor(value)) decimals = 0;
    snprintf(text, 16, "%.*f%s", decimals, value, units[unit]);
}

/* Perplexities span ten orders of magnitude; beyond a million the power says enough. */
void table_perplexity(char text[16], double value)
{
    if (value < 1e6) {
        snprintf(text, 16, "%.*f", value < 1000 ? 4 : 2, value);
    } else {
        snprintf(text, 16, "%.6g", value);
    }
}

/* Empty cells are null rather than missing: every row has all keys. */
json_t *table_json(const table *t)
{
    json_t *rows = json_array();
    for (int r = 0; r < t->rows; r++) {
        json_t *row = json_object();
        for (int c = 0; c < t->columns; c++) {
            const table_cell *x = &t->line[r].cell[c];
            if (t->column[c].flags & TABLE_PEOPLE) continue;
            json_t *value = x->kind == CELL_TEXT   ? json_words(x->text)
                            : x->kind == CELL_INT  ? json_integer(x->integer)
                            : x->kind == CELL_REAL ? json_finite(x->real)
                                                   : json_null();
            json_object_set_new(row, t->column[c].key, value);
        }
        json_array_append_new(rows, row);
    }
    return rows;
}
