/* The options of a run's own final evaluation: what is done where nothing else is asked for, so
 * that figures of another split compare with it. */
#pragma once

#include "harness/evaluate/eval_task.h"

/* folder: a run's, or that of a checkpoint in it. Of the final evaluation where there is one, else
 * of the one that is planned; of a checkpoint that is no run's the defaults. Texts live as long as
 * the arena. False and e: what is written there cannot be read. */
bool own_eval_read(eval_options *o, const char *folder, arena *a, err *e);
