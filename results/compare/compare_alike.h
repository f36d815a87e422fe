/* Runs that were not evaluated as those beside them: where an `eval:` section was changed and not
 * all runs are evaluated anew. */
#pragma once

#include "results/compare/compare.h"

/* Takes the result of those away that are on another split than most runs, or of another protocol
 * than most seeds of their variant; split of c is then that of all. */
void compare_alike(comparison *c, arena *a);
