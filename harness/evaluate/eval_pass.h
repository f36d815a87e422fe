/* The pass over the text: rows in lanes, lanes on threads, and every token's loss on its document's
 * sum. Inside of evaluate.c, but for what a call takes. */
#pragma once

#include "harness/evaluate/eval_pass_parts.h"

/* p: zero but for task, result, split and losses_out. Fills result->documents (arena). */
bool eval_pass_open(eval_pass *p, arena *a, err *e);
void eval_pass_close(eval_pass *p);
/* Goes on from where an earlier sitting was, if anything of it is there. */
bool eval_pass_resume(eval_pass *p, err *e);
/* Reads it all, or until the task is stopped. */
bool eval_pass_run(eval_pass *p, err *e);

/* Tokens of one lane's call, which is what a thread has on its tape at a time. The task needs only
 * model, options and lanes. */
int64_t eval_pass_call_tokens(const eval_task *task);
