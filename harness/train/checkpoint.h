/* Checkpoints: two safetensors files and the manifest that makes them one.
 *
 *   checkpoint/model-<step>.safetensors   parameters; metadata: spec (spec_paths.h), seed,
 *                                         run, step
 *   checkpoint/train-<step>.safetensors   moments, carried state by lane, reading position,
 *                                         counters, where the last evaluation's tokens were sent
 *   checkpoint/manifest.json              see checkpoint_files.h
 */
#pragma once

#include "harness/train/checkpoint_files.h"
#include "harness/train/trainer.h"

/* `folder` is the checkpoint folder itself; it is made if missing. */
bool checkpoint_save(const char *folder, trainer *t, const char *run, err *e);

/* A kept model: a checkpoint folder with the model alone, to evaluate or to start from. Leaves an
 * equally good or better one alone, whose merit has to be of the same kind; without merit (NULL),
 * any that is there. As safe from being killed as checkpoint_save. */
bool checkpoint_keep(const char *folder, trainer *t, const char *run, const checkpoint_merit *merit,
                     err *e);
/* Kept models lie beside a run's checkpoint folder, as checkpoint-<step> and checkpoint-best. */
#define CHECKPOINT_KEPT "checkpoint-"
#define CHECKPOINT_BEST "checkpoint-best"

/* Puts a fresh trainer of the same spec where the checkpoint stands. Rank 0 asks the others to do
 * the same, from the same file: any number of ranks takes up what any other saved. */
bool checkpoint_load(const char *folder, trainer *t, err *e);
/* Only how far it is. */
bool checkpoint_progress(train_progress *p, const char *folder, err *e);
