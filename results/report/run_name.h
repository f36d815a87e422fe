/* How people name runs. */
#pragma once

#include <stdint.h>

/* EXPERIMENT[/LABEL[/SEED]]: a label may hold slashes and be a number, a seed is digits behind it.
 */
typedef struct run_name {
    char experiment[256], label[256]; /* label "": any */
    int64_t seed;                     /* -1: any */
} run_name;
void run_name_read(run_name *r, const char *text);
