/* Whether a file is the one that was read before, without reading it. */
#pragma once

#include "core/base/base.h"

/* Its size and a number that changes with its content: of the file's place on the disk and the time
 * of its last change of any kind (ctime), which, unlike the time of writing, nobody can set back.
 */
bool file_stamp(const char *path, int64_t *bytes, int64_t *stamp, err *e);
