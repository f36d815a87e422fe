/* RFC 4180: fields with commas, newlines or quotes stand in quotes, a quote inside is written
 * twice. The text is changed where it stands: quoted fields are compacted to their beginnings, and
 * a NUL is put behind each, so that rows cost no memory. Quotes that do not fit are errors, not
 * guesses: a missing one would make one field of a thousand rows. */
#include "data/csv.h"

void csv_init(csv *c, char *text, int64_t bytes, const char *file)
{
    *c = (csv){.at = text, .end = text + bytes, .file = file, .next_line = 1};
    /* Looking one character ahead then needs no check of the end. */
    CHECK(*c->end == 0, "the text must end with a NUL");
}

/* Moves over a quoted field whose opening quote was read; what it holds is compacted to `out`.
 * Returns the end of the compacted text, NULL if the closing quote is missing. `out` never
 * overtakes what is read: a doubled quote becomes one. */
static char *quoted(csv *c, char *out)
{
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at[1] != '"') {
                c->at++;
                return out;
            }
            c->at++;
        }
        /* A field may go over several lines; errors name the line on which its row began. */
        if (*c->at == '\n') c->next_line++;
        *out++ = *c->at;
    }
    return NULL;
}

/* A lone carriage return is text. */
static bool at_separator(const csv *c)
{
    return c->at == c->end || *c->at == ',' || *c->at == '\n' ||
           (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'));
}

/* One field; leaves c->at on the separator. */
static bool read_field(csv *c, err *e)
{
    /* A quote that is missing turns the rest of the file into fields. */
    if (c->count == CSV_MAX_FIELDS) {
        return err_set(e, "%s:%lld: more than %d fields; is a quote missing?", c->file,
                       (long long)c->line, CSV_MAX_FIELDS);
    }
    char *begin = c->at, *end;
    if (*c->at == '"') {
        c->at++;
        end = quoted(c, begin);
        if (!end) {
            return err_set(e, "%s:%lld: field %d: the closing quote is missing", c->file,
                           (long long)c->line, c->count + 1);
        }
        if (!at_separator(c)) {
            return err_set(
                e,
                "%s:%lld: field %d: a comma must follow the closing quote; write a quote "
                "inside a field as two",
                c->file, (long long)c->next_line, c->count + 1);
        }
    } else {
        while (!at_separator(c)) {
            c->at++;
        }
        end = c->at;
    }
    c->field[c->count] = begin;
    c->bytes[c->count++] = end - begin;
    return true;
}

/* Steps over an end of line, if one is there. */
static void end_line(csv *c)
{
    if (c->at < c->end && *c->at == '\r') c->at++;
    if (c->at < c->end && *c->at == '\n') {
        c->at++;
        c->next_line++;
    }
}

bool csv_next(csv *c, err *e)
{
    if (e) e->text[0] = 0;
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r') && at_separator(c)) {
        end_line(c);
    }
    /* Without an error: the end. e tells the two apart. */
    if (c->at == c->end) return false;
    c->line = c->next_line;
    c->count = 0;
    /* A comma at the end of a row means one more field, which is empty. */
    for (;;) {
        if (!read_field(c, e)) return false;
        if (c->at == c->end || *c->at != ',') break;
        c->at++;
    }
    end_line(c);
    /* Only here: the NUL behind a field may fall on the separator just read. */
    for (int i = 0; i < c->count; i++) {
        c->field[i][c->bytes[i]] = 0;
    }
    return true;
}
