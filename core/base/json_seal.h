/* The checksum of a JSON object's text, as its last key, by which a byte that a disk or a copy has
 * changed is found: CRC-32 (zlib's) of what stands before it.
 *
 *   {"step":1,"loss":2.5,"crc":"1a2b3c4d"}          a line (json_line.h), and status.json
 *
 *   {
 *    "step": 1,
 *    "crc": "1a2b3c4d"                              a file (json_write)
 *   }
 *
 * A text without one (an earlier version's, another program's, one that was laid out anew) is taken
 * as it is. */
#pragma once

#include "core/base/base.h"

typedef enum json_seal_kind { JSON_SEAL_LINE, JSON_SEAL_FILE } json_seal_kind;

/* The longest seal, with the end of the object. */
enum { JSON_SEAL_BYTES = 22 };

/* text: `bytes` of an object of one key or more, without line break behind it, and room for the
 * seal. Its new length. */
size_t json_seal(json_seal_kind kind, char *text, size_t bytes);
/* A copy of a text with a line break behind it and, of such an object, with its seal. Its length
 * too; the caller frees it. */
char *json_sealed(json_seal_kind kind, const char *text, size_t *bytes);

typedef enum json_seal_state { JSON_UNSEALED, JSON_SEALED, JSON_CHANGED } json_seal_state;

/* With or without a line break at the end. */
json_seal_state json_seal_look(const char *text, size_t bytes);

/* Said of a text that is no more what was sealed. */
#define JSON_CHANGED_TEXT "changed since it was written"
/* Of a file, which a person may have changed as well. */
#define JSON_CHANGED_REMEDY                                                                        \
    "; put a good copy there, or, if you changed it, take its last key, \"crc\", out"
