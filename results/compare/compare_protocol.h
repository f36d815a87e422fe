/* How a comparison's runs were evaluated, and who otherwise than the first. */
#ifndef LOCI_RESULTS_COMPARE_PROTOCOL_H
#define LOCI_RESULTS_COMPARE_PROTOCOL_H

#include <stdio.h>

#include "results/compare/compare.h"

void compare_protocol_print(FILE *out, const comparison *c);

#endif
