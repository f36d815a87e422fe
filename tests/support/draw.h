/* Of many cases that are alike, those that are tried today. LOCI_TEST_SAMPLE names the draw (any
 * text; `make test` takes the date); without it everything is tried. */
#pragma once

#include <stdbool.h>

/* Whether this check is to be made of this case: of one of so many, for each check another draw. */
bool drawn_one_of(int many, const char *check, const char *of);
/* Of one of three in a build with sanitizers, which is several times slower; of each in others. */
bool drawn_if_slow(const char *check, const char *of);
