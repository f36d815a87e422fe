/* Copies of damaged records of experiments (harness/run/set_aside.h): they go where their
 * experiment goes. */
#pragma once

#include "core/base/base.h"

/* Those of an experiment: to the new name, or removed (to NULL). Under the records' lock. */
bool manage_copies_move(const char *out, const char *from, const char *to, err *e);
/* Those of another results folder's experiment, whose record (NAME.json) is brought from there. */
bool manage_copies_bring(const char *out, const char *from, const char *file, err *e);
/* Removes those that have no experiment any more. *bytes: what they have is added; dry: nothing
 * else is done. */
bool manage_copies_drop(int64_t *bytes, const char *out, bool dry, err *e);
