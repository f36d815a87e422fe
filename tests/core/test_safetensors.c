#include "core/train/safetensors.h"

#include "core/base/file.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path_of_file(void)
{
    static char path[FILE_PATH_BYTES];
    EXPECT(file_join(path, test_folder(), "x.safetensors", NULL), "path");
    return path;
}

static void save_then_open(void)
{
    static const float f[6] = {1, 2, 3, 4, 5, -6};
    static const double d[2] = {0.1, 1e300};
    static const int64_t i[1] = {-5};
    static const uint8_t u[3] = {1, 0, 255};
    const st_entry entries[] = {{"bytes", ST_U8, 1, {3}, u},
                                {"model.w", ST_F32, 2, {2, 3}, f},
                                {"double", ST_F64, 1, {2}, d},
                                {"scalar", ST_I64, 0, {0}, i},
                                {"empty", ST_F32, 2, {0, 3}, NULL}};
    const st_text about[] = {{"step", "12"}, {"spec", "{\"a\": \"\xc3\xa9\"}"}};
    err e = {0};
    char hex[SHA256_HEX], again[SHA256_HEX];
    EXPECT(safetensors_save(path_of_file(), entries, 5, about, 2, hex, &e), "%s", e.text);
    EXPECT(file_sha256(again, path_of_file(), &e) && strcmp(hex, again) == 0, "%s %s", hex, again);
    safetensors *s = safetensors_open(path_of_file(), &e);
    EXPECT(s && safetensors_count(s) == 5, "%s", e.text);
    if (!s) return;
    EXPECT(strcmp(safetensors_metadata(s, "format"), "pt") == 0, "format");
    EXPECT(strcmp(safetensors_metadata(s, "spec"), about[1].value) == 0, "spec");
    EXPECT(!safetensors_metadata(s, "absent") && !safetensors_find(s, "absent"), "absent");
    static const int64_t wide[2] = {2, 3}, other[2] = {3, 2};
    const st_tensor *w = safetensors_find(s, "model.w");
    EXPECT(w && safetensors_shape_is(w, 2, wide, &e) && memcmp(w->data, f, sizeof f) == 0, "%s",
           e.text);
    EXPECT(w && !safetensors_shape_is(w, 2, other, &e) &&
               strstr(e.text, "[2, 3]; it should be [3, 2]"),
           "%s", e.text);
    real x[2];
    EXPECT(safetensors_copy(x, safetensors_find(s, "double"), &e) && x[0] > (real)0.0999, "%s",
           e.text);
    EXPECT(!safetensors_copy(x, safetensors_find(s, "scalar"), &e) && strstr(e.text, "I64"), "%s",
           e.text);
    int64_t n[3];
    EXPECT(safetensors_copy_int(n, safetensors_find(s, "scalar"), &e) && n[0] == -5, "%s", e.text);
    EXPECT(safetensors_copy_int(n, safetensors_find(s, "bytes"), &e) && n[2] == 255, "%s", e.text);
    EXPECT(!safetensors_copy_int(n, safetensors_find(s, "double"), &e), "doubles are no integers");
    for (int k = 0; k < 5; k++) { /* the file is mapped at a page: addresses show the alignment */
        const st_tensor *t = safetensors_at(s, k);
        size_t size = (size_t)safetensors_dtype_bits(t->dtype) / 8;
        EXPECT((uintptr_t)t->data % (k == 0 ? 64 : size) == 0, "%s at %p", t->name, t->data);
    }
    safetensors_close(s);
}

static const float DATUM = 1.5f;

/* Header text and `size` bytes of data behind it, DATUM over and over, parsed from the heap so that
 * ASan sees its end. */
static safetensors *parse(const char *header, size_t size, err *e)
{
    static char *bytes; /* outlives what is returned */
    size_t n = strlen(header);
    free(bytes);
    bytes = calloc(8 + n + size, 1);
    bytes[0] = (char)(n & 255);
    bytes[1] = (char)(n >> 8);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i + sizeof DATUM <= size; i += sizeof DATUM) {
        memcpy(bytes + 8 + n + i, &DATUM, sizeof DATUM);
    }
    return safetensors_parse(bytes, 8 + n + size, "test", e);
}

#define A "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}"
#define B "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}"

static void accepts(void)
{
    static const struct {
        const char *header;
        size_t size;
        int count;
    } cases[] = {{"{}", 0, 0},
                 {"{}      ", 0, 0},
                 {" \t\r\n{} \t\r\n", 0, 0},
                 {"{\"__metadata__\":null}", 0, 0},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],"
                  "\"x\":{\"y\":[1,null]}}}",
                  4, 1},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1],"
                  "\"data_offsets\":[0,4]}}",
                  4, 1},
                 {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],"
                  "\"data_offsets\":[0,0]}}",
                  0, 1},
                 {"{\"__metadata__\":{}}", 0, 0},
                 {"{\"b\":" B ",\"a\":" A "}", 8, 2},
                 {"{\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 1},
                 {"{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, 1},
                 {"{\"z\":{\"dtype\":\"I8\",\"shape\":[0,9],\"data_offsets\":[4,4]},\"a\":" A
                  ",\"b\":" B "}",
                  8, 3},
                 {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                  "\"b\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[1,3]}}",
                  3, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err e = {0};
        safetensors *s = parse(cases[i].header, cases[i].size, &e);
        EXPECT(s && safetensors_count(s) == cases[i].count, "%s: %s", cases[i].header, e.text);
        for (int k = 0; s && k < safetensors_count(s); k++) {
            const st_tensor *t = safetensors_at(s, k);
            real x = 0;
            if (t->dtype != ST_F32 || t->count != 1) continue;
            EXPECT(safetensors_copy(&x, t, &e) && x >= (real)DATUM && x <= (real)DATUM, "%s: %g",
                   cases[i].header, (double)x);
        }
        safetensors_close(s);
    }
}

static void rejects(void)
{
    static const struct {
        const char *header;
        size_t size;
        const char *message;
    } cases[] = {
        {"", 0, "does not begin"},
        {" ", 0, "does not begin"},
        {"[]", 0, "does not begin"},
        {"{} x", 0, "header, column"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         4, "duplicate"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,4,0],"
         "\"data_offsets\":[0,0]}}",
         0, "impossibly large"},
        {"{\"a\":1,}", 0, "header, column"},
        {"{}", 1, "1 bytes follow"},
        {"{\"a\":" A ",\"a\":" A "}", 4, "duplicate"},
        {"{\"a\":" A "}", 3, "outside the file"},
        {"{\"a\":" A "}", 5, "1 bytes follow"},
        {"{\"a\":" B "}", 8, "hole or overlaps"},
        {"{\"a\":" A ",\"b\":" A "}", 4, "hole or overlaps"},
        {"{\"a\":7}", 0, "not an object"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "not a list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
         "other than sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
         "other than sizes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}", 4,
         "impossibly large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "disagree"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "disagree"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "disagree"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,9223372036854775807]}}", 4,
         "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "[begin, end]"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not text"},
        {"{\"__metadata__\":[]}", 0, "not an object"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err e = {0};
        safetensors *s = parse(cases[i].header, cases[i].size, &e);
        EXPECT(!s && strstr(e.text, cases[i].message) && strncmp(e.text, "test: ", 6) == 0,
               "%s: '%s'", cases[i].header, e.text);
        safetensors_close(s);
    }
    static const unsigned char huge[9] = {255, 255, 255, 255, 255, 255, 255, 255, '{'};
    err e = {0};
    EXPECT(!safetensors_parse(huge, 9, "test", &e) && strstr(e.text, "cut off"), "%s", e.text);
    EXPECT(!safetensors_parse(huge, 7, "test", &e) && strstr(e.text, "7 bytes"), "%s", e.text);
}

/* Every prefix of a good file and every file with one byte changed is refused or read, never worse.
 */
static void cut_and_changed_files(void)
{
    static const float f[6] = {1, 2, 3, 4, 5, -6};
    const st_entry entries[] = {{"a", ST_F32, 2, {2, 3}, f}, {"b", ST_F32, 1, {6}, f}};
    err e = {0};
    EXPECT(safetensors_save(path_of_file(), entries, 2, NULL, 0, NULL, &e), "%s", e.text);
    size_t bytes = 0;
    char *good = file_read(path_of_file(), &bytes, &e);
    for (size_t n = 0; n < bytes; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, good, n);
        EXPECT(!safetensors_parse(cut, n, "cut", &e), "%zu of %zu bytes were accepted", n, bytes);
        free(cut);
    }
    for (size_t n = 0; n < bytes; n++) {
        good[n] = (char)(good[n] + 1);
        safetensors_close(safetensors_parse(good, bytes, "changed", &e));
        good[n] = (char)(good[n] - 1);
    }
    free(good);
}

/* Values of IEEE half precision and bfloat16 with exact results. */
static void halves(void)
{
    static const uint16_t bits[] = {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001, 0x8001, 0x0000};
    static const real values[] = {1, -2, 65504, (real)0x1p-14, (real)0x1p-24, (real)-0x1p-24, 0};
    static const uint16_t brain[] = {0x3F80, 0xC040, 0x0080};
    static const real brain_values[] = {1, -3, (real)0x1p-126};
    real got[7];
    err e = {0};
    st_tensor t = {.name = "h",
                   .dtype = ST_F16,
                   .rank = 1,
                   .shape = (const int64_t[]){7},
                   .count = 7,
                   .data = bits};
    EXPECT(safetensors_copy(got, &t, &e) && memcmp(got, values, sizeof got) == 0, "%g %g %g %g %g",
           (double)got[0], (double)got[1], (double)got[2], (double)got[3], (double)got[4]);
    static const uint16_t special[] = {0x7C00, 0x7E00};
    t.data = special;
    t.count = 2;
    EXPECT(safetensors_copy(got, &t, &e) && got[0] > (real)1e38 && got[1] != got[1], "%g %g",
           (double)got[0], (double)got[1]);
    t = (st_tensor){.name = "b",
                    .dtype = ST_BF16,
                    .rank = 1,
                    .shape = (const int64_t[]){3},
                    .count = 3,
                    .data = brain};
    EXPECT(safetensors_copy(got, &t, &e) && memcmp(got, brain_values, sizeof brain_values) == 0,
           "%g", (double)got[0]);
}

const test_suite test_safetensors = {"core/safetensors",
                                     {{"save_then_open", save_then_open},
                                      {"accepts", accepts},
                                      {"rejects", rejects},
                                      {"cut_and_changed_files", cut_and_changed_files},
                                      {"halves", halves},
                                      {0}}};
