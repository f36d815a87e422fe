/* Which runs the experiments of a results folder need: those that they plan, and those that these
 * start from (init_from), however many steps away, named by id or by the path of a checkpoint. */
#pragma once

#include "core/base/json.h"

/* An object with an entry for each of them, of the experiments but `except` (may be NULL). The
 * caller's; NULL and e: a record cannot be read, and without it nobody knows. */
json_t *manage_needs(const char *out, const char *except, err *e);

/* Whether a run starts from what lies in this folder of run `id`: a model that was kept on the
 * way (checkpoint-STEP), or what was set aside. */
bool manage_needs_folder(const json_t *needs, const char *id, const char *folder);
