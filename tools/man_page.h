/* Manual pages, from the same tables as the help: loci(1), and loci-VERB(1) of each verb. */
#pragma once

#include "tools/cli.h"

void man_page_verb(FILE *out, const verb *v);
/* The program's own, which names those of its verbs; hidden ones are left out. */
void man_page_program(FILE *out, const verb *const *verbs, int count);
