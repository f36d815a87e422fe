/* A round of a pass: the calls that were read together, on this rank's lanes and threads. Inside of
 * eval_pass.c. */
#pragma once

#include "harness/evaluate/eval_pass_parts.h"

/* Every token of p->text.calls has its loss behind it, and every lane stands behind them. */
void eval_round_run(eval_pass *p);
