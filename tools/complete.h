/* Completion of command lines in shells, from the tables of the verbs. */
#pragma once

#include "tools/cli.h"

/* The candidates for the last of the words behind `loci`, a line each: verbs, options, their
 * choices, experiments and their variants. None where a file is meant. */
void complete_print(FILE *out, const verb *const *verbs, int verb_count, int count,
                    char *const *words);

/* What a shell reads to complete by that: bash, zsh, fish. NULL: another shell. */
const char *complete_script(const char *shell);
