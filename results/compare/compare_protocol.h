/* How a comparison's runs were evaluated, and who otherwise than the first. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"

void compare_protocol_print(FILE *out, const comparison *c);
