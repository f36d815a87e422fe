/* NumPy's format (NEP 1): a magic, a version, the length of a description, and that as text of a
 * Python dictionary, "{'descr': '<u2', 'fortran_order': False, 'shape': (1000,), }". It is not
 * parsed as Python: the two values that matter are found by their keys and must have exactly the
 * forms that a row of integers has. Everything else is refused with what to save instead. */
#include "data/npy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char MAGIC[6] = "\x93NUMPY";

enum { DESCRIPTION_BYTES = 1024 };

bool npy_is(const unsigned char *start, size_t known)
{
    return known >= sizeof MAGIC && memcmp(start, MAGIC, sizeof MAGIC) == 0;
}

/* The value behind 'key': in the description, NULL if it is not there. */
static const char *value_of(const char *description, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    /* Keys are quoted, and no value that a row of integers has holds one. */
    const char *at = strstr(description, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " ");
}

/* "'<u2'" or "'|u1'". False: no little-endian integers.
 * text begins with a quote and is a C string, so that reading ahead stops at its end. */
static bool read_type(token_type *type, const char *text)
{
    /* Byte order '<', or '|' where there is none: big-endian ids are refused, not turned round. */
    static const struct {
        const char *text;
        token_type type;
    } TYPES[] = {{"<u2", TOKEN_UINT16}, {"<u4", TOKEN_UINT32}, {"<i4", TOKEN_INT32},
                 {"<i8", TOKEN_INT64},  {"<u8", TOKEN_UINT64}, {"<i2", TOKEN_INT16},
                 {"|u1", TOKEN_UINT8},  {"|i1", TOKEN_INT8}};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        if (strncmp(text + 1, TYPES[i].text, 3) != 0 || text[4] != '\'') continue;
        *type = TYPES[i].type;
        return true;
    }
    return false;
}

/* "(1000,)": one number. */
static bool read_length(int64_t *length, const char *text)
{
    if (*text != '(' || !isdigit((unsigned char)text[1])) return false;
    char *end;
    /* Out of range it is the largest number, which no file's size agrees with. */
    long long n = strtoll(text + 1, &end, 10);
    *length = n;
    /* A second number would be a table of ids: rows of one length, padded perhaps, which no stream
     * should read through. */
    return end[0] == ',' && end[1] == ')';
}

/* The description as text; its bytes begin at *begin. */
static bool read_description(char text[DESCRIPTION_BYTES], size_t *end, const unsigned char *start,
                             size_t known)
{
    if (known < 12) return false;
    /* Version 1 has 2 bytes for the length, 2 and 3 have 4. */
    bool wide = start[6] >= 2;
    size_t begin = wide ? 12 : 10, length = (size_t)start[8] | (size_t)start[9] << 8;
    if (wide) length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    if (start[6] < 1 || start[6] > 3 || length >= DESCRIPTION_BYTES || begin + length > known) {
        return false;
    }
    memcpy(text, start + begin, length);
    text[length] = 0;
    *end = begin + length;
    /* No zero bytes inside: texts below are C strings. */
    return strlen(text) == length;
}

bool npy_parse(npy_header *h, const unsigned char *start, size_t known, int64_t file_bytes,
               const char *name, err *e)
{
    char text[DESCRIPTION_BYTES];
    size_t end;
    if (!read_description(text, &end, start, known)) {
        return err_set(e, "%s: the header of this .npy file is damaged", name);
    }
    const char *descr = value_of(text, "descr"), *shape = value_of(text, "shape");
    /* A list in the place of a type is one of named columns. */
    if (!descr || *descr != '\'' || !shape) {
        return err_set(e, "%s: this .npy file holds records, not ids; save one row of integers",
                       name);
    }
    *h = (npy_header){.offset = (int64_t)end};
    if (!read_type(&h->type, descr)) {
        return err_set(e,
                       "%s: holds numbers of type %.*s; ids are little-endian integers, such as "
                       "'<u2' or '<i4': save ids.astype('<u4')",
                       name, (int)strcspn(descr + 1, "'") + 2, descr);
    }
    if (!read_length(&h->count, shape)) {
        return err_set(e, "%s: has the shape %.*s; ids are one row: save ids.ravel()", name,
                       (int)strcspn(shape, ")") + 1, shape);
    }
    int64_t width = token_type_width(h->type);
    /* The header's count against the file's size: no more, no less. */
    if (h->count <= (INT64_MAX - h->offset) / width && h->offset + h->count * width == file_bytes) {
        return true;
    }
    return err_set(e,
                   "%s: holds %lld bytes, but its header tells %lld numbers of %lld bytes; it was "
                   "cut off or is still being written",
                   name, (long long)file_bytes, (long long)h->count, (long long)width);
}
