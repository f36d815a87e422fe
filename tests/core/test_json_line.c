/* Lines and files that carry their checksum: what was changed is found, what has none is taken as
 * it is. */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json_line.h"
#include "core/options/node.h"
#include "tests/test.h"

static json_t *record(void)
{
    return json_pack("{s:i, s:f, s:s, s:{s:n}}", "step", 12, "nats", 1234.0625, "name",
                     "\u00e9 \"}", "layers", "x");
}

static void whole_lines(void)
{
    size_t bytes;
    json_auto_t *x = record();
    text_auto *line = json_line_text(x, &bytes);
    EXPECT(bytes == strlen(line) && line[bytes - 1] == '\n' && strstr(line, ",\"crc\":\""), "%s",
           line);
    json_auto_t *back = json_line_load(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    EXPECT(back && json_get_double(back, "nats") == 1234.0625, "%s", line);
    /* Written anew it is sealed anew. */
    text_auto *again = json_line_text(back, &bytes);
    EXPECT(strcmp(line, again) == 0, "%s%s", line, again);
    json_object_set_new(back, "step", json_integer(13));
    text_auto *other = json_line_text(back, &bytes);
    json_auto_t *changed = json_line_load(other, bytes, 0, NULL);
    EXPECT(json_get_int(changed, "step", 0) == 13 && strcmp(line, other) != 0, "%s", other);
}

typedef json_t *(*loader)(const char *text, size_t bytes);

static json_t *load_line(const char *text, size_t bytes)
{
    return json_line_load(text, bytes, 0, NULL);
}

static json_t *load_file(const char *text, size_t bytes)
{
    err ignored;
    return json_parse(text, bytes, "x.json", &ignored);
}

/* Every bit of it: it is refused, or says what x says (a bit of the key `crc` leaves it without a
 * seal). */
static void changed_bits(char *text, size_t bytes, const json_t *x, loader load)
{
    int refused = 0;
    for (size_t i = 0; i < 8 * bytes; i++) {
        char *byte = text + i / 8;
        *byte = (char)(*byte ^ 1 << i % 8);
        json_auto_t *y = load(text, bytes);
        *byte = (char)(*byte ^ 1 << i % 8);
        refused += !y;
        json_t *value;
        const char *name;
        json_object_foreach((json_t *)(uintptr_t)x, name, value)
            EXPECT(!y || json_equal(json_object_get(y, name), value), "bit %zu of %s", i, text);
    }
    EXPECT(refused > 8 * 50, "%d", refused);
}

/* And every digit. */
static void changed_bytes(void)
{
    size_t bytes;
    json_auto_t *x = record();
    text_auto *line = json_line_text(x, &bytes);
    for (size_t line_break = 0; line_break < 2; line_break++) {
        changed_bits(line, bytes - line_break, x, load_line);
    }
    json_error_t wrong;
    char *digit = strstr(line, "1234.0625");
    digit[1] = '3';
    EXPECT(!json_line_load(line, bytes, 0, &wrong) && strstr(wrong.text, "changed since"), "%s",
           wrong.text);
}

static void without_a_seal(void)
{
    static const char *const lines[] = {"{}", "{\"step\":1}\n", "{\"crc\":\"00000000\"}",
                                        "{\"step\":1,\"crc\":7}"};
    for (int i = 0; i < 4; i++) {
        json_auto_t *x = json_line_load(lines[i], strlen(lines[i]), 0, NULL);
        EXPECT(x, "%s", lines[i]);
    }
}

/* The same of a file: read, it has the keys that were written, and none for its seal. */
static void changed_files(void)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    size_t bytes;
    json_auto_t *x = record();
    EXPECT(file_join(path, test_folder(), "x.json", &e) && json_write(path, x, &e), "%s", e.text);
    json_auto_t *back = json_read(path, &e);
    EXPECT(json_equal(x, back), "%s", e.text);
    text_auto *text = file_read(path, &bytes, &e);
    EXPECT(text && strstr(text, ",\n \"crc\": \""), "%s", text ? text : e.text);
    if (text) changed_bits(text, bytes, x, load_file);
    char *digit = text ? strstr(text, "1234.0625") : NULL;
    if (digit) digit[1] = '3';
    EXPECT(digit && !json_parse(text, bytes, "x.json", &e) && strstr(e.text, "x.json: changed"),
           "%s", e.text);
    arena *a = arena_new(0);
    EXPECT(text && file_write(path, text, bytes, &e) && !node_load(a, path, &e) &&
               strstr(e.text, "changed since"),
           "%s", e.text);
    arena_free(a);
}

/* One that somebody has laid out anew is taken as it is, and sealed when it is written. */
static void files_without_a_seal(void)
{
    static const char TEXT[] = "{\"step\": 1,\n   \"crc\": \"00000000\"}\n";
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, test_folder(), "y.json", &e) &&
               file_write(path, TEXT, sizeof TEXT - 1, &e),
           "%s", e.text);
    json_auto_t *x = json_read(path, &e);
    EXPECT(json_get_int(x, "step", 0) == 1 && json_write(path, x, &e), "%s", e.text);
    json_auto_t *y = json_read(path, &e);
    EXPECT(json_get_int(y, "step", 0) == 1 && !json_object_get(y, "crc"), "%s", e.text);
    json_auto_t *none = json_object();
    EXPECT(json_write(path, none, &e), "%s", e.text);
    json_auto_t *again = json_read(path, &e);
    EXPECT(json_equal(again, none), "%s", e.text);
}

const test_suite test_json_line = {"core/json_line",
                                   {{"whole_lines", whole_lines},
                                    {"changed_bytes", changed_bytes},
                                    {"without_a_seal", without_a_seal},
                                    {"changed_files", changed_files},
                                    {"files_without_a_seal", files_without_a_seal},
                                    {0}}};
