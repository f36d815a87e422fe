/* Notes and tags as people see them. */
#pragma once

#include <stdio.h>

#include "results/store/store.h"

/* Those of an experiment, or of a run and of the experiments that plan it (the other is ""), under
 * a title; nothing if there are none. A stranger's note keeps within its indentation. */
bool notes_view_print(FILE *out, store *s, const char *experiment, const char *run, err *e);

/* Those of the experiment and of its runs as a part of its page. */
bool notes_view_html(FILE *out, store *s, const char *experiment, err *e);
