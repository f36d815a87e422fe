/* An evaluation that is kept on the way: one that was stopped or killed goes on from there when it
 * is asked for again, and ends with the bits of one that never was.
 *
 *   PATH.safetensors   sums of the documents, place in the text, what lanes carry and what looks on
 *                      has counted; replaced atomically every so many seconds, and when it is
 *                      stopped; without place and lanes once every token has its loss
 *   PATH.f32           losses of tokens so far (losses_file.h)
 *
 * PATH is FOLDER/part-ID with the identity of the evaluation (evaluate.h). What does not fit, or
 * cannot be read, is not gone on from: the evaluation begins at its beginning. Inside of
 * evaluate.c, but for what the folder's owner says and removes. */
#pragma once

#include "core/base/file.h"
#include "harness/evaluate/eval_pass_parts.h"

/* FOLDER/part-ID into path [FILE_PATH_BYTES]. */
bool eval_keep_path(char *path, const char *folder, const char *id, err *e);
/* Removes what any evaluation has kept in the folder. */
bool eval_keep_clear(const char *folder, err *e);

/* Puts the pass where it was left; *complete: to its end, and only documents and watch are there.
 * False: nothing was kept that fits. The pass is as it was opened then. */
bool eval_keep_load(eval_pass *p, bool *complete);
/* Removes what this evaluation has kept, which has turned out to be another's. False where the
 * folder is no longer ours. */
bool eval_keep_forget(const eval_pass *p, err *e);
/* Between two calls, or at the end. Only a folder that is no longer ours is an error: without a
 * kept part the evaluation is as good. */
bool eval_keep_save(eval_pass *p, bool complete, err *e);
