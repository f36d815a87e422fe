/* An evaluation that ranks share: each runs its own lanes, rank 0 has all losses and adds them up.
 *
 * Shared is what nothing is learned in, and where onlookers can write out what they see, which then
 * comes to rank 0 at the end (eval_task.h). Every round, of the calls that are
 * read together, rank 0 says what comes next. What is shared is not kept on the way (eval_keep.h).
 * Inside of evaluate.c, whose evaluate_help is what the others do. */
#pragma once

#include "harness/evaluate/eval_pass_parts.h"
#include "harness/evaluate/rank_calls.h"

/* On rank 0, of a pass that begins: if it can be shared, the others are asked, and p->ranks set. */
bool eval_ranks_begin(eval_pass *p, err *e);

typedef enum eval_next { EVAL_READ, EVAL_ENDED, EVAL_STOPPED, EVAL_FAILED } eval_next;
/* Rank 0's word, to all. */
bool eval_ranks_next(eval_pass *p, eval_next *next, err *e);

/* What the ranks' lanes lost in the calls that were read comes to rank 0. */
bool eval_ranks_gather(eval_pass *p, err *e);

/* At the end of a pass that was complete: what the others' onlookers saw is added to rank 0's. */
bool eval_ranks_seen(eval_pass *p, err *e);

/* On the others: what was asked for, as changes of the task that a run's evaluations have in
 * common. The task borrows both, and is complete but for its pass. */
void eval_ranks_task(eval_task *task, eval_options *options, eval_forget *forget,
                     const rank_request *q);
/* The pass of it, which is open, is shared. */
void eval_ranks_join(eval_pass *p);
