/* Lines of JSON that results stand in, each with its checksum, by which a byte that a disk or a
 * copy has changed is found:
 *
 *   {"step":1,"loss":2.5,"crc":"1a2b3c4d"}     CRC-32 (zlib's) of what stands before `,"crc"`
 *
 * The last key of its line. A line without one (an earlier version's, another program's) is taken
 * as it is. */
#pragma once

#include "core/base/json.h"

/* The seal, with the closing bracket. */
enum { JSON_LINE_SEAL_BYTES = 18 };

/* line: `bytes` of an object of one key or more, without line break, and room for the seal. Its new
 * length. */
size_t json_line_seal(char *line, size_t bytes);

/* The record as such a line, with its line break; a seal that it was read with is left out. The
 * caller frees. */
char *json_line_text(const json_t *record, size_t *bytes);

/* As json_loadb, of a line with or without its line break; NULL also for one that is not what was
 * sealed, which `wrong` (may be NULL) says. */
json_t *json_line_load(const char *line, size_t bytes, size_t flags, json_error_t *wrong);
