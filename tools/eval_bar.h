/* What a person sees who waits for an evaluation: on a terminal a bar of stderr, elsewhere a line
 * every ten seconds. */
#pragma once

#include "harness/evaluate/evaluate.h"
#include "harness/supervise/progress.h"

typedef struct eval_bar {
    progress *shown; /* NULL: nothing is */
    char name[128], trial[32];
} eval_bar;

/* name: what is evaluated, "keys, seed 1". */
void eval_bar_begin(eval_bar *b, const char *name);
eval_reader eval_bar_reader(eval_bar *b);
/* Removes the bar: before anything else is printed. */
void eval_bar_end(eval_bar *b);
