/* Reading; writing is in safetensors_save.c.
 *
 * The file is mapped, the header parsed as JSON, and each array becomes a pointer into the mapping:
 * opening a checkpoint of gigabytes reads its header only. Nothing of the header is believed. Every
 * size is multiplied with overflow checked, every offset compared with the file's length, and in
 * the end the arrays, sorted by place, must fill the data exactly: no two names can share bytes, no
 * bytes hide between them. After that, code that reads t->count elements from t->data stays inside
 * the mapping.
 *
 * Names and texts belong to the parsed JSON, shapes to one block; all of it goes with the
 * handle. */
#include "core/train/safetensors.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000 };

/* Bits and not bytes: of F4 two elements share a byte, of F6 four share three. */
static const struct {
    const char *name;
    int bits;
} DTYPES[ST_DTYPES] = {
    [ST_BOOL] = {"BOOL", 8},
    [ST_F4] = {"F4", 4},
    [ST_F6_E2M3] = {"F6_E2M3", 6},
    [ST_F6_E3M2] = {"F6_E3M2", 6},
    [ST_U8] = {"U8", 8},
    [ST_I8] = {"I8", 8},
    [ST_F8_E5M2] = {"F8_E5M2", 8},
    [ST_F8_E4M3] = {"F8_E4M3", 8},
    [ST_F8_E8M0] = {"F8_E8M0", 8},
    [ST_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [ST_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [ST_I16] = {"I16", 16},
    [ST_U16] = {"U16", 16},
    [ST_F16] = {"F16", 16},
    [ST_BF16] = {"BF16", 16},
    [ST_I32] = {"I32", 32},
    [ST_U32] = {"U32", 32},
    [ST_F32] = {"F32", 32},
    [ST_C64] = {"C64", 64},
    [ST_F64] = {"F64", 64},
    [ST_I64] = {"I64", 64},
    [ST_U64] = {"U64", 64},
};

struct safetensors {
    file_map map;    /* if opened from a file */
    json_t *header;  /* owns the names and the metadata */
    st_tensor *list; /* by offset */
    st_tensor **by_name;
    int64_t *shapes; /* of all tensors, one behind the other */
    int count;
};

const char *safetensors_dtype_name(st_dtype dtype)
{
    CHECK((unsigned)dtype < ST_DTYPES, "dtype %d", (int)dtype);
    return DTYPES[dtype].name;
}

int safetensors_dtype_bits(st_dtype dtype)
{
    CHECK((unsigned)dtype < ST_DTYPES, "dtype %d", (int)dtype);
    return DTYPES[dtype].bits;
}

/* ---- parsing: `where` is the file's name for messages ---- */

/* Names come from the file and may be of any length; the message has its bound. */
static bool bad_tensor(err *e, const char *where, const char *name, const char *what)
{
    return err_set(e, "%s: tensor '%.200s': %s; the file is damaged or not safetensors", where,
                   name, what);
}

/* A type that is not in the table has no size, so the array's place could not be checked. */
static bool parse_dtype(st_tensor *t, const json_t *entry, const char *where, err *e)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    for (int i = 0; name && i < ST_DTYPES; i++) {
        if (strcmp(name, DTYPES[i].name) != 0) continue;
        t->dtype = (st_dtype)i;
        return true;
    }
    return bad_tensor(e, where, t->name, "dtype is missing or unknown");
}

/* The sizes go to *free, which moves behind them.
 * make_room has counted the axes of all shapes, so the block has room for these. A size of 0 makes
 * an empty array, however large the others are, as long as the product so far fits. */
static bool parse_shape(st_tensor *t, const json_t *entry, int64_t **free, const char *where,
                        err *e)
{
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) return bad_tensor(e, where, t->name, "shape is not a list");
    int64_t *sizes = *free;
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    t->shape = sizes;
    *free += t->rank;
    for (int i = 0; i < t->rank; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0) {
            return bad_tensor(e, where, t->name, "shape holds something other than sizes");
        }
        sizes[i] = json_integer_value(size);
        if (__builtin_mul_overflow(t->count, sizes[i], &t->count)) {
            return bad_tensor(e, where, t->name, "shape is impossibly large");
        }
    }
    return true;
}

/* data [size]: what follows the header. */
static bool parse_offsets(st_tensor *t, const json_t *entry, const char *data, size_t size,
                          const char *where, err *e)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second)) {
        return bad_tensor(e, where, t->name, "data_offsets is not [begin, end]");
    }
    /* Reals are refused above as no integers, numbers beyond 64 bits by the parser. */
    json_int_t begin = json_integer_value(first), end = json_integer_value(second);
    if (begin < 0 || end < begin || (uint64_t)end > size) {
        return bad_tensor(e, where, t->name, "data_offsets lie outside the file (is it cut off?)");
    }
    /* In bits: some types take less than a byte. */
    int64_t bits;
    if (__builtin_mul_overflow(t->count, DTYPES[t->dtype].bits, &bits) || bits % 8 != 0 ||
        end - begin != bits / 8) {
        return bad_tensor(e, where, t->name, "data_offsets disagree with shape and dtype");
    }
    t->data = data + begin;
    t->bytes = (size_t)(end - begin);
    return true;
}

/* By place in the file; of equal places empty tensors come first.
 * So an empty array stands before the one that begins where it ends, and check_layout passes over
 * it. */
static int by_offset(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(st_tensor *const *)a)->name, (*(st_tensor *const *)b)->name);
}

/* The arrays in order fill the data exactly. */
static bool check_layout(const safetensors *s, const char *data, size_t size, const char *where,
                         err *e)
{
    const char *end = data;
    for (int i = 0; i < s->count; i++) {
        if (s->list[i].data != end) {
            return bad_tensor(e, where, s->list[i].name, "leaves a hole or overlaps another");
        }
        end += s->list[i].bytes;
    }
    if (end == data + size) return true;
    return err_set(e, "%s: %zu bytes follow the last tensor; the file is damaged", where,
                   (size_t)(data + size - end));
}

/* Texts only, as the format says: who reads a key need not ask for its type. */
static bool check_metadata(const json_t *metadata, const char *where, err *e)
{
    const char *key;
    json_t *value;
    if (json_is_null(metadata)) return true;
    if (!json_is_object(metadata)) return err_set(e, "%s: __metadata__ is not an object", where);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        if (!json_is_string(value)) {
            return err_set(e, "%s: __metadata__: '%.200s' is not text", where, key);
        }
    }
    return true;
}

/* Room for the tensors and their shapes.
 * Counted before anything is parsed: shapes lie in one block, and a pointer into it stays good. +
 * 1: there may be none. */
static bool make_room(safetensors *s, const char *where, err *e)
{
    size_t n = json_object_size(s->header), axes = 0;
    const char *name;
    json_t *entry;
    json_object_foreach(s->header, name, entry)
    {
        axes += json_array_size(json_object_get(entry, "shape"));
    }
    s->list = calloc(n + 1, sizeof *s->list);
    s->by_name = calloc(n + 1, sizeof(st_tensor *));
    s->shapes = calloc(axes + 1, sizeof *s->shapes);
    return (s->list && s->by_name && s->shapes) ||
           err_set(e, "%s: no memory for %zu tensors", where, n);
}

/* Keys of an entry that are not known are for other programs and passed over. */
static bool parse_entries(safetensors *s, const char *data, size_t size, const char *where, err *e)
{
    if (!make_room(s, where, e)) return false;
    int64_t *free_shapes = s->shapes;
    const char *name;
    json_t *entry;
    json_object_foreach(s->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!check_metadata(entry, where, e)) return false;
            continue;
        }
        st_tensor *t = &s->list[s->count];
        t->name = name;
        if (!json_is_object(entry)) return bad_tensor(e, where, name, "is not an object");
        if (!parse_dtype(t, entry, where, e) || !parse_shape(t, entry, &free_shapes, where, e) ||
            !parse_offsets(t, entry, data, size, where, e)) {
            return false;
        }
        s->count++;
    }
    if (s->count > 1) qsort(s->list, (size_t)s->count, sizeof *s->list, by_offset);
    for (int i = 0; i < s->count; i++) {
        s->by_name[i] = &s->list[i];
    }
    if (s->count > 1) qsort(s->by_name, (size_t)s->count, sizeof *s->by_name, by_name);
    return check_layout(s, data, size, where, e);
}

/* Of JSON: the header may have some at both ends. */
static const char WHITE_SPACE[4] = {' ', '\t', '\n', '\r'};

static bool parse(safetensors *s, const char *bytes, size_t size, const char *where, err *e)
{
    if (size < 8) return err_set(e, "%s: only %zu bytes; this is no safetensors file", where, size);
    /* Its length stands in front, least byte first. */
    uint64_t header = 0;
    /* Byte by byte, so it is read alike on any machine and at any alignment. */
    for (int i = 7; i >= 0; i--) {
        header = header << 8 | (unsigned char)bytes[i];
    }
    /* The second comparison cannot wrap, as size is at least 8. The first bounds what JSON may
     * take. */
    if (header > MAX_HEADER || header > size - 8) {
        return err_set(
            e, "%s: header of %llu bytes in a file of %zu; the file is cut off or not safetensors",
            where, (unsigned long long)header, size);
    }
    json_error_t at;
    const char *text = bytes + 8;
    size_t first = 0;
    /* Looked at before the parser, for the commonest mistake, another kind of file: the first eight
     * bytes of one are a huge length, or no brace follows. */
    while (first < header && memchr(WHITE_SPACE, text[first], sizeof WHITE_SPACE)) {
        first++;
    }
    if (first == header || text[first] != '{') {
        return err_set(e, "%s: the header does not begin with '{'; this is no safetensors file",
                       where);
    }
    s->header = json_loadb(text, (size_t)header, JSON_REJECT_DUPLICATES, &at);
    if (!s->header) return err_set(e, "%s: header, column %d: %s", where, at.position, at.text);
    return parse_entries(s, bytes + 8 + header, size - 8 - (size_t)header, where, e);
}

safetensors *safetensors_parse(const void *bytes, size_t size, const char *name, err *e)
{
    safetensors *s = calloc(1, sizeof *s);
    if (!s) return err_set(e, "%s: no memory", name), NULL;
    if (parse(s, bytes, size, name, e)) return s;
    safetensors_close(s);
    return NULL;
}

static safetensors *open_map(file_map map, const char *path, err *e)
{
    safetensors *s = safetensors_parse(map.data, map.bytes, path, e);
    if (s) {
        /* Only here: a file that was refused is closed by who opened it, once. */
        s->map = map;
    } else {
        file_map_close(&map);
    }
    return s;
}

safetensors *safetensors_open(const char *path, err *e)
{
    file_map map;
    return file_map_open(&map, path, e) ? open_map(map, path, e) : NULL;
}

safetensors *safetensors_open_named(const char *path, err *e)
{
    file_map map;
    return file_map_open_named(&map, path, e) ? open_map(map, path, e) : NULL;
}

void safetensors_close(safetensors *s)
{
    if (!s) return;
    file_map_close(&s->map);
    json_decref(s->header);
    free(s->list);
    free(s->by_name);
    free(s->shapes);
    free(s);
}

/* ---- looking ---- */

int safetensors_count(const safetensors *s)
{
    return s->count;
}

const st_tensor *safetensors_at(const safetensors *s, int i)
{
    CHECK(i >= 0 && i < s->count, "tensor %d of %d", i, s->count);
    return &s->list[i];
}

const st_tensor *safetensors_find(const safetensors *s, const char *name)
{
    /* bsearch compares elements with elements: a tensor that is nothing but a name. */
    st_tensor wanted = {.name = name};
    st_tensor *key = &wanted;
    st_tensor **found =
        s->count == 0 ? NULL
                      : bsearch(&key, s->by_name, (size_t)s->count, sizeof *s->by_name, by_name);
    return found ? *found : NULL;
}

const char *safetensors_metadata(const safetensors *s, const char *key)
{
    return json_string_value(json_object_get(json_object_get(s->header, "__metadata__"), key));
}

/* ---- converting ---- */

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A half has 1 bit of sign, 5 of exponent, 10 of fraction; a float 1, 8 and 23. */
static float float_of_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023;
    /* Exponents are biased by 15 here and by 127 there.
     * Infinity, or NaN if the fraction is not 0. */
    if (exponent == 31) return float_of_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent > 0) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f; /* subnormal */
    return sign ? -small : small;
}

/* bfloat16 is the upper half of a float. From F64 to float is one rounding, all others are
 * exact. */
#define COPY_AS(type, convert)                                                                     \
    for (int64_t i = 0; i < t->count; i++) {                                                       \
        type x; /* through memcpy: the data may be unaligned */                                    \
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);                        \
        out[i] = convert;                                                                          \
    }                                                                                              \
    return true

/* Files of other programs hold what they trained in; all are widened or rounded to `real`. */
bool safetensors_copy(real *out, const st_tensor *t, err *e)
{
    switch (t->dtype) {
    case ST_F64:
        COPY_AS(double, (real)x);
    case ST_F32:
        COPY_AS(float, (real)x);
    case ST_F16:
        COPY_AS(uint16_t, (real)float_of_half(x));
    case ST_BF16:
        COPY_AS(uint16_t, (real)float_of_bits((uint32_t)x << 16));
    default:
        return err_set(e, "tensor '%s': dtype is %s; it should be F64, F32, F16 or BF16", t->name,
                       safetensors_dtype_name(t->dtype));
    }
}

/* The same bits read as signed: negative is what does not fit. */
static bool copy_u64(int64_t *out, const st_tensor *t, err *e)
{
    for (int64_t i = 0; i < t->count; i++) {
        memcpy(&out[i], (const char *)t->data + (size_t)i * sizeof out[i], sizeof out[i]);
        if (out[i] < 0) return err_set(e, "tensor '%s': a number is above 2^63 - 1", t->name);
    }
    return true;
}

bool safetensors_copy_int(int64_t *out, const st_tensor *t, err *e)
{
    switch (t->dtype) {
    case ST_BOOL:
    case ST_U8:
        COPY_AS(uint8_t, x);
    case ST_I8:
        COPY_AS(int8_t, (int64_t)x);
    case ST_I16:
        COPY_AS(int16_t, x);
    case ST_U16:
        COPY_AS(uint16_t, x);
    case ST_I32:
        COPY_AS(int32_t, x);
    case ST_U32:
        COPY_AS(uint32_t, x);
    case ST_I64:
        COPY_AS(int64_t, x);
    case ST_U64:
        return copy_u64(out, t, e);
    default:
        return err_set(e, "tensor '%s': dtype is %s; it should be an integer type", t->name,
                       safetensors_dtype_name(t->dtype));
    }
}

/* The loop ends where the text is full: a file may claim thousands of axes. */
static void print_shape(char *out, size_t bytes, int rank, const int64_t *shape)
{
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < rank && used < bytes; i++) {
        used += (size_t)snprintf(out + used, bytes - used, "%s%lld", i ? ", " : "",
                                 (long long)shape[i]);
    }
}

bool safetensors_shape_is(const st_tensor *t, int rank, const int64_t *shape, err *e)
{
    bool same = t->rank == rank;
    for (int i = 0; i < rank && same; i++) {
        same = t->shape[i] == shape[i];
    }
    if (same) return true;
    char got[200], wanted[200];
    print_shape(got, sizeof got, t->rank, t->shape);
    print_shape(wanted, sizeof wanted, rank, shape);
    return err_set(e, "tensor '%s': shape is [%s]; it should be [%s]", t->name, got, wanted);
}
