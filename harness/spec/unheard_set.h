/* `--set` on what a sweep sets itself: the sweep's values are put in place after it. */
#pragma once

#include "harness/spec/sweep.h"

/* sets: "path=value" texts, NULL-terminated, or NULL. False, naming the axis and what would work,
 * where one changes no variant, since each has a value of the sweep in its place. */
bool unheard_set_check(const sweep *s, const char *const *sets, err *e);

/* One sentence on a `--set` that changes nothing in this variant, though it does in others; NULL if
 * each is heard. */
const char *unheard_set_of(arena *a, const variant_plan *v, const char *const *sets);
