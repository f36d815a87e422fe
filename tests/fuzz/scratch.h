/* Files for fuzz targets: a folder of this process, in memory where that is. */
#pragma once

#include "core/base/file.h"

/* The folder's path and `name` behind it; eight results stay valid. The folder is made by the first
 * call and goes with the process. */
const char *scratch_path(const char *name);
/* Writes a file there, folders made as needed. */
void scratch_write(const char *name, const void *data, size_t bytes);
/* What the program prints goes nowhere from now on; libFuzzer's own words stay. */
void scratch_quiet(void);
