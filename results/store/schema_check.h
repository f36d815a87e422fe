/* Is what a database consists of this program's, and what is not, of no consequence?
 *
 * A folder of results may be a stranger's, and so its database: a trigger there would change the
 * figures that are brought in, a view in the place of ours could say anything, or never end. Before
 * anything but its version is asked of it, its schema must be the words of SCHEMA. Beside these
 * there may be what people add for their own questions and what no question of ours is answered by:
 * views, indices of columns that are not unique, the statistics of ANALYZE. */
#pragma once

#include <sqlite3.h>

#include "core/base/base.h"

/* version: its user_version; 0: there must be nothing in it yet. False and e, which begins with the
 * path and says what is there, or that something is missing. */
bool schema_check(sqlite3 *db, int version, const char *path, err *e);
