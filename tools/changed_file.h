/* A spec file that says otherwise than when its experiment was run: the results are not its. */
#pragma once

#include "harness/spec/spec.h"
#include "results/store/store.h"

/* Says on stderr in what the file differs from what the experiment of its name was run with last,
 * --set and extended files included; nothing if it does not, or the experiment is not there. */
void changed_file_say(store *s, const spec *file);
