#include "core/train/safetensors.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

/* Two runs that computed the same write the same bytes: arrays are ordered by size of element and
 * name, and the header holds what the caller gives and nothing of the moment. The order also
 * aligns: offsets of arrays of 8-byte elements are multiples of 8 since only such stand before
 * them, then come those of 4, 2 and 1. */

enum { DATA_ALIGN = 64 };

/* CHECKs: what is written comes from this program. */
static size_t entry_bytes(const st_entry *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        CHECK(t->shape[i] >= 0 && !__builtin_mul_overflow(count, t->shape[i], &count),
              "%s: axis %d", t->name, i);
    }
    int bits = safetensors_dtype_bits(t->dtype);
    CHECK(bits % 8 == 0, "%s: %s is only read, not written", t->name,
          safetensors_dtype_name(t->dtype));
    return (size_t)count * (size_t)(bits / 8);
}

/* Larger elements first, then by name. */
static int writing_order(const void *a, const void *b)
{
    const st_entry *x = *(const st_entry *const *)a, *y = *(const st_entry *const *)b;
    int p = safetensors_dtype_bits(x->dtype), q = safetensors_dtype_bits(y->dtype);
    return p != q ? q - p : strcmp(x->name, y->name);
}

/* Offsets count from the end of the header, which is not known yet: that is why they do. */
static json_t *describe(const st_entry *t, size_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++) {
        json_array_append_new(shape, json_integer(t->shape[i]));
    }
    json_int_t first = (json_int_t)begin, bytes = (json_int_t)entry_bytes(t);
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", safetensors_dtype_name(t->dtype), "shape",
                     shape, "data_offsets", first, first + bytes);
}

/* The header as text (caller frees), NULL if a name or a metadata text is not UTF-8 or memory is
 * out.
 * jansson keeps the order in which keys were set, so "__metadata__" comes first.
 * json_object_set_new takes its value in any case, and refuses NULL, which is what json_string
 * gives for a text that is not UTF-8. */
static char *header_text(const st_entry *const *order, int count, const st_text *metadata,
                         int texts)
{
    json_auto_t *header = json_object();
    json_t *about = json_pack("{s:s}", "format", "pt");
    bool ok = header && about;
    for (int i = 0; ok && i < texts; i++) {
        ok = json_object_set_new(about, metadata[i].key, json_string(metadata[i].value)) == 0;
    }
    ok = json_object_set_new(header, "__metadata__", about) == 0 && ok;
    size_t begin = 0;
    for (int i = 0; ok && i < count; i++) {
        CHECK(!json_object_get(header, order[i]->name), "two tensors named %s", order[i]->name);
        ok = json_object_set_new(header, order[i]->name, describe(order[i], begin)) == 0;
        begin += entry_bytes(order[i]);
    }
    return ok ? json_dumps(header, JSON_COMPACT) : NULL;
}

/* The length counts the padding. With the 8 bytes in front the data begins at a multiple of 64,
 * which a mapping keeps: arrays can be used where they lie. */
static bool write_header(file_out *f, const char *text, err *e)
{
    static const char spaces[DATA_ALIGN + 1] = "                                "
                                               "                                ";
    size_t bytes = strlen(text), padding = (DATA_ALIGN - (8 + bytes) % DATA_ALIGN) % DATA_ALIGN;
    unsigned char length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)((uint64_t)(bytes + padding) >> (8 * i));
    }
    return file_out_write(f, length, sizeof length, e) && file_out_write(f, text, bytes, e) &&
           file_out_write(f, spaces, padding, e);
}

static bool write_all(const char *path, const char *header, const st_entry *const *order, int count,
                      char hex[SHA256_HEX], err *e)
{
    file_out f;
    sha256 hash;
    if (!file_out_open(&f, path, e)) return false;
    if (hex) {
        sha256_init(&hash);
        f.hash = &hash;
    }
    bool ok = write_header(&f, header, e);
    file_failpoint("safetensors");
    for (int i = 0; ok && i < count; i++) {
        ok = file_out_write(&f, order[i]->data, entry_bytes(order[i]), e);
    }
    ok = ok && file_out_commit(&f, e);
    /* Nothing after a commit; after any failure the temporary file is removed. */
    file_out_cancel(&f);
    if (ok && hex) sha256_final_hex(&hash, hex);
    return ok;
}

bool safetensors_save(const char *path, const st_entry *entries, int count, const st_text *metadata,
                      int texts, char hex[SHA256_HEX], err *e)
{
    const st_entry **order = calloc((size_t)count + 1, sizeof *order);
    if (!order) return err_set(e, "%s: no memory to list %d tensors", path, count);
    for (int i = 0; i < count; i++) {
        order[i] = &entries[i];
    }
    if (count > 1) qsort(order, (size_t)count, sizeof *order, writing_order);
    text_auto *header = header_text(order, count, metadata, texts);
    bool ok = header
                  ? write_all(path, header, order, count, hex, e)
                  : err_set(e, "%s: a name or metadata text is not UTF-8, or memory is out", path);
    free(order);
    return ok;
}
