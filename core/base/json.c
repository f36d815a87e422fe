#include "core/base/json.h"

#include "core/base/file.h"
#include "core/base/json_seal.h"
#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A value takes up to twenty times its text.
 * A larger one, maybe a stranger's, could take the machine's memory. */
enum { JSON_FILE_BYTES = 256 << 20 };

/* jansson returns NULL for a value that it has no memory for and json_object_set_new then refuses
 * quietly: a metric would be missing from a file that is otherwise whole. */
static void *needed_memory(size_t bytes)
{
    void *memory = malloc(bytes);
    CHECK(memory || bytes == 0, "out of memory for %zu bytes of JSON", bytes);
    return memory;
}

void json_need_memory(void)
{
    json_set_alloc_funcs(needed_memory, free);
}

/* JSON has no NaN; jansson makes no real of one. null keeps the place: a reader sees that the step
 * was there and had no number. */
json_t *json_finite(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

double json_get_double(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *json_get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int json_utf8_bytes(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    int n = c[0] < 0x80                   ? c[0] != 0
            : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
            : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
            : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                          : 0;
    for (int i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80) return 0;
    }
    /* Written longer than it need be, half of a pair of UTF-16, beyond the last character. */
    bool wrong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] >= 0xa0) ||
                 (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] >= 0x90);
    return wrong ? 0 : n;
}

json_t *json_words(const char *text)
{
    json_t *value = json_string(text);
    if (value) return value;
    text_memory m;
    FILE *out = text_begin(&m);
    for (int bytes; *text; text += MAX(bytes, 1)) {
        bytes = json_utf8_bytes(text);
        if (bytes > 0) fwrite(text, 1, (size_t)bytes, out);
        if (bytes == 0) fputs("\xef\xbf\xbd", out);
    }
    text_auto *whole = text_end(&m);
    return json_string(whole);
}

/* Of two equal keys jansson would take the last: which one was meant, nobody knows. */
json_t *json_parse(const char *text, size_t bytes, const char *path, err *e)
{
    if (bytes > JSON_FILE_BYTES) {
        err_set(e, "%s: of %zu bytes; no file of JSON here has more than 256 MiB", path, bytes);
        return NULL;
    }
    if (bytes == 0) {
        err_set(e, "%s: is empty, not JSON", path);
        return NULL;
    }
    json_error_t where;
    json_t *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    if (!value) err_set(e, "%s:%d:%d: is not JSON: %s", path, where.line, where.column, where.text);
    json_seal_state seal = value ? json_seal_look(text, bytes) : JSON_UNSEALED;
    if (seal == JSON_SEALED) json_object_del(value, "crc");
    if (seal != JSON_CHANGED) return value;
    json_decref(value);
    err_set(e, "%s: " JSON_CHANGED_TEXT JSON_CHANGED_REMEDY, path);
    return NULL;
}

json_t *json_read(const char *path, err *e)
{
    size_t bytes;
    text_auto *text = file_read(path, &bytes, e);
    return text ? json_parse(text, bytes, path, e) : NULL;
}

json_t *json_read_named(const char *path, err *e)
{
    size_t bytes;
    text_auto *text = file_read_named(path, &bytes, e);
    return text ? json_parse(text, bytes, path, e) : NULL;
}

/* Prints the number that the text begins with; returns what follows it. */
static const char *put_shortest(FILE *out, const char *text)
{
    char *end, digits[TEXT_NUMBER_BYTES];
    /* 15 digits first: every decimal of up to 15 digits that was typed into a spec comes back as it
     * was typed; 16 and 17 follow where a computed number needs them. */
    text_number(digits, strtod(text, &end), 15);
    char *power = strchr(digits, 'e'); /* "e-08", "e+300" */
    if (power) *power++ = 0;
    fputs(digits, out);
    if (power) fprintf(out, "e%d", atoi(power));
    if (!power && !strchr(digits, '.')) fputs(".0", out); /* a real stays one */
    return end;
}

/* jansson prints all of 17 digits, 0.1 as 0.10000000000000001: its numbers, which are all that
 * begins with a digit or - outside of texts, are printed again with as few as give them back.
 * Whole numbers are copied: jansson writes a point or an exponent into every real, so a number
 * without either is an integer, of up to 64 bits, which a double would not hold. Inside of quotes
 * nothing is touched, and a backslash takes the next byte with it: \" does not end a text. */
char *json_text(const json_t *x, size_t flags)
{
    text_auto *exact = json_dumps(x, flags | JSON_REAL_PRECISION(17));
    if (!exact) return NULL;
    text_memory m;
    FILE *out = text_begin(&m);
    bool quoted = false;
    for (const char *at = exact; *at;) {
        if (quoted && *at == '\\') { /* and what it escapes */
            fputc(*at++, out);
            fputc(*at++, out);
            continue;
        }
        if (!quoted && strchr("-0123456789", *at)) {
            size_t n = strspn(at, "-+.0123456789eE");
            bool whole = strcspn(at, ".eE") >= n;
            if (whole) fwrite(at, 1, n, out);
            at = whole ? at + n : put_shortest(out, at);
            continue;
        }
        quoted = quoted != (*at == '"');
        fputc(*at++, out);
    }
    return text_end(&m);
}

void json_print(FILE *out, const json_t *x, size_t flags)
{
    text_auto *text = json_text(x, flags);
    if (text) fputs(text, out);
}

/* A seal that it was read with, and that somebody laid out anew, is none of its keys. */
bool json_write(const char *path, const json_t *value, err *e)
{
    json_auto_t *own = json_copy((json_t *)(uintptr_t)value);
    json_object_del(own, "crc");
    text_auto *text = json_text(own, JSON_INDENT(1));
    if (!text)
        return err_set(e, "%s: a value cannot be written as JSON (text that is not UTF-8?)", path);
    size_t bytes;
    text_auto *sealed = json_sealed(JSON_SEAL_FILE, text, &bytes);
    return file_write(path, sealed, bytes, e);
}

/* As a person would compare them: 15 digits, so that two ways to compute one number are no
 * difference. */
static char *value_text(const json_t *x)
{
    if (!x) return NULL;
    text_memory m;
    FILE *out = text_begin(&m);
    if (json_is_string(x))
        fputs(json_string_value(x), out);
    else
        json_dumpf(x, out, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    return text_end(&m);
}

static void tell_difference(const json_t *x, const json_t *y, const char *path, json_difference f,
                            void *user)
{
    text_auto *a = value_text(x), *b = value_text(y);
    if (!a || !b || strcmp(a, b) != 0) f(user, path, a, b);
}

void json_differences(const json_t *x, const json_t *y, const char *path, json_difference f,
                      void *user)
{
    char inner[1024];
    const char *key;
    json_t *value;
    if (json_equal(x, y)) return;
    if (json_is_object(x) && json_is_object(y)) {
        /* Keys of x in their order, then those that only y has. jansson's loop wants a pointer that
         * is not const, though it changes nothing. */
        json_object_foreach((json_t *)(uintptr_t)x, key, value)
        {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
            json_differences(value, json_object_get(y, key), inner, f, user);
        }
        json_object_foreach((json_t *)(uintptr_t)y, key, value)
        {
            if (json_object_get(x, key)) continue;
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
            tell_difference(NULL, value, inner, f, user);
        }
    } else if (json_is_array(x) && json_is_array(y)) {
        size_t n = MAX(json_array_size(x), json_array_size(y));
        for (size_t i = 0; i < n; i++) {
            snprintf(inner, sizeof inner, "%s[%zu]", path, i);
            json_differences(json_array_get(x, i), json_array_get(y, i), inner, f, user);
        }
    } else {
        tell_difference(x, y, path, f, user);
    }
}
