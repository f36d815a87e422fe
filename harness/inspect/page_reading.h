/* The page's sections about what changes while a model reads; nothing where that was not looked at.
 */
#pragma once

#include <stdio.h>

#include "harness/inspect/inspection.h"

void page_reading_changes(FILE *out, const inspection *x, arena *a);
void page_reading_states(FILE *out, const inspection *x, arena *a);
