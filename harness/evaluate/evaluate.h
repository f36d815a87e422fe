/* Evaluation of a model on a corpus split: the forward path over whole documents, state carried
 * from block to block, every token scored once.
 *
 *   eval: {split: validation, rows: 8, tokens: 0, document_tokens: 0, context: 0, stored: 0, span:
 * 0, losses: true, dynamic: {kind: rms, ...}, sample: {...}}     see dynamic.h, sample.h
 *
 * Documents are read in order by `rows` parallel rows, which are cut into lanes like a training
 * batch. A document's first token is predicted from the learned start vector. State is reset where
 * a document begins, and every `span` tokens if one is given. A model without carried state gives
 * the same losses wherever its documents are cut between blocks, so its blocks are spread over the
 * rows. Where state is carried, a call may come to a layer once the call before has left it, so
 * that one document is work for several threads; a model that learns reads call after call, and is
 * helped inside of its products once one document alone is left. Sums are kept per document, in
 * double, in the order of the text: they do not depend on the number of threads. Memory does not
 * grow with the documents' length. */
#pragma once

#include "harness/evaluate/eval_task.h"
#include "harness/evaluate/rank_calls.h"

extern const option EVAL_OPTIONS[];

bool eval_options_read(eval_options *o, const node *n, arena *a, err *e);
/* What an `eval:` section says beside the defaults that figures depend on; NULL if it is none. */
node *eval_options_changed(arena *a, const node *eval);
split_kind eval_options_split(const eval_options *o);
/* Whether there is something to evaluate, and the model can learn from it as it is asked to: else
 * false and the place, before hours of training end in nothing. spec: whose `eval:` section it is.
 */
bool eval_options_check(const eval_options *o, const node *spec, const model *m, corpus *c, err *e);

/* Fills r (evaluate_deinit frees it). A model that learns reads with one row per lane; a grid is
 * tried on the validation split first, and the best of it applied to the split. Fails if the corpus
 * lacks the split, a file cannot be read or the losses not be written. */
bool evaluate(evaluation *r, const eval_task *task, err *e);
void evaluate_deinit(evaluation *r);
/* On ranks other than 0: the lanes of this one, in an evaluation that rank 0 shares with it. task:
 * what the run's evaluations have in common. */
bool evaluate_help(const eval_task *task, const rank_request *q, err *e);

/* How the figures came about, as recorded beside them; and the identity of an evaluation: 16 hex
 * digits of the hash of run, step, split and protocol. Decref the protocol. */
json_t *eval_record_protocol(const eval_task *task);
enum { EVAL_ID_CHARS = 17 };
void eval_record_id(char id[EVAL_ID_CHARS], const char *run, int64_t step, const char *split,
                    const json_t *protocol);
void eval_record_task_id(char id[EVAL_ID_CHARS], const eval_task *task, const char *run,
                         int64_t step);

/* The record of an evaluation as it stands in evals.jsonl (see run_folder.h). Decref it. */
json_t *eval_record(const evaluation *r, const eval_task *task, const char *id, int64_t step,
                    int64_t tokens_seen, bool final);
