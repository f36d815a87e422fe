/* safetensors files: named arrays that Python reads as they are.
 *
 *   bytes 0..7   N, unsigned, little-endian: length of the header, at most 100,000,000
 *   N bytes      JSON: {"__metadata__": {text: text}, "name": {"dtype": "F32", "shape": [2, 3],
 *                "data_offsets": [begin, end]}, ...}
 *   the rest     the arrays, row-major, little-endian; offsets count from here
 *
 * The reader opens what the reference opens: any rank, other keys in an entry, no metadata or null,
 * white space around the header. As there, offsets start at 0, leave no hole, do not overlap, end
 * at the end of the file and agree with shape and dtype. Names are unique: the reference keeps the
 * last of equal ones, here they are an error. It trusts nothing in the file. Arrays may be
 * unaligned: use safetensors_copy. The writer puts "format": "pt" into the metadata, pads the
 * header so that the data starts at a multiple of 64 bytes, and orders arrays by the size of their
 * elements (largest first), then by name, so that each is aligned to its own element. */
#pragma once

#include "core/base/base.h"
#include "core/base/sha256.h"

typedef enum st_dtype {
    ST_BOOL,
    ST_F4,
    ST_F6_E2M3,
    ST_F6_E3M2,
    ST_U8,
    ST_I8,
    ST_F8_E5M2,
    ST_F8_E4M3,
    ST_F8_E8M0,
    ST_F8_E4M3FNUZ,
    ST_F8_E5M2FNUZ,
    ST_I16,
    ST_U16,
    ST_F16,
    ST_BF16,
    ST_I32,
    ST_U32,
    ST_F32,
    ST_C64,
    ST_F64,
    ST_I64,
    ST_U64,
    ST_DTYPES
} st_dtype;

/* The dtype of `real` in this build. */
#define ST_REAL (REAL_IS_DOUBLE ? ST_F64 : ST_F32)

const char *safetensors_dtype_name(st_dtype dtype); /* "F32" */
int safetensors_dtype_bits(st_dtype dtype);

typedef struct st_tensor {
    const char *name;
    st_dtype dtype;
    int rank;             /* 0: a scalar */
    const int64_t *shape; /* [rank], valid like the name */
    int64_t count;        /* elements */
    const void *data;     /* maybe unaligned */
    size_t bytes;
} st_tensor;

typedef struct safetensors safetensors;

/* Maps a file; what is returned, names and data included, is valid until safetensors_close. */
safetensors *safetensors_open(const char *path, err *e);
safetensors *safetensors_open_named(const char *path, err *e); /* through links (file.h) */
/* The same over the caller's bytes, which must outlive it; `name` stands in messages. */
safetensors *safetensors_parse(const void *bytes, size_t size, const char *name, err *e);
void safetensors_close(safetensors *s);

int safetensors_count(const safetensors *s);
const st_tensor *safetensors_at(const safetensors *s, int i); /* in the order of the data */
const st_tensor *safetensors_find(const safetensors *s, const char *name); /* NULL if absent */
const char *safetensors_metadata(const safetensors *s, const char *key);   /* NULL if absent */

/* The array as `real` into out [t->count]; from F64, F32, F16 or BF16, else an error. */
bool safetensors_copy(real *out, const st_tensor *t, err *e);
/* The same as int64_t, from BOOL and the integer types. */
bool safetensors_copy_int(int64_t *out, const st_tensor *t, err *e);
/* True if the array has that rank and shape, else an error that names both. */
bool safetensors_shape_is(const st_tensor *t, int rank, const int64_t *shape, err *e);

enum { SAFETENSORS_RANK = 8 }; /* of what is written */

/* What to write; all borrowed during the call. */
typedef struct st_entry {
    const char *name;
    st_dtype dtype;
    int rank;
    int64_t shape[SAFETENSORS_RANK];
    const void *data;
} st_entry;

typedef struct st_text {
    const char *key, *value;
} st_text;

/* Writes the file atomically (see file.h). metadata: `texts` pairs besides "format". hex, if not
 * NULL, receives the SHA-256 of the file. Passes the failpoint "safetensors" between header and
 * data. */
bool safetensors_save(const char *path, const st_entry *entries, int count, const st_text *metadata,
                      int texts, char hex[SHA256_HEX], err *e);
