/* Finished runs whose weights somebody has changed since: their figures are those of the model that
 * was trained. */
#pragma once

#include <stdio.h>

#include "harness/run/experiment.h"

/* Prints a line for each run of the experiment, whose runs lie below OUT; nothing if there are
 * none. Cheap: checksums are taken of files only that are younger than their manifest. */
void changed_weights_say(FILE *print, const experiment *x, const char *out);
