/* How a comparison's runs were evaluated, and who otherwise than the first. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"

void compare_protocol_print(FILE *out, const comparison *c);
/* Which of several protocols it is, and which others there are; nothing where there is one. */
void compare_protocol_print_choice(FILE *out, const comparison *c);
