/* Lines of JSON that results stand in, each with its checksum (json_seal.h). */
#pragma once

#include "core/base/json.h"
#include "core/base/json_seal.h"

/* The record as such a line, with its line break; a seal that it was read with is left out. The
 * caller frees. */
char *json_line_text(const json_t *record, size_t *bytes);

/* As json_loadb, of a line with or without its line break; NULL also for one that is not what was
 * sealed, which `wrong` (may be NULL) says. */
json_t *json_line_load(const char *line, size_t bytes, size_t flags, json_error_t *wrong);
