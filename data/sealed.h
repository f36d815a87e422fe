/* Files of a cache, with their checksum behind them: what was cut off or changed since is as good
 * as none, and made again. */
#pragma once

#include "core/base/file.h"

bool sealed_write(const char *path, const void *data, size_t bytes, err *e);
/* The content and a NUL; caller frees. NULL and no bytes: there is none, or not as it was written.
 */
char *sealed_read(const char *path, size_t *bytes);
