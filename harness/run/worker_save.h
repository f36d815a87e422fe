/* What a worker saves of its model: the checkpoint that the run goes on from, and models beside it
 * that training was asked to keep. */
#pragma once

#include "harness/run/worker_parts.h"
#include "harness/train/checkpoint_files.h"

/* The checkpoint, and before it on the disk the lines that it counts on; nothing where it has been
 * saved as it is. False and e if it cannot be written, or the lease is lost. */
bool worker_save(worker *w, err *e);
/* The checkpoint is the trainer's, as it stands. */
void worker_save_note(worker *w);

/* A model beside the checkpoint, by its name, and what it is kept for (NULL: nothing but its
 * step). */
bool worker_save_model(worker *w, const char *name, const checkpoint_merit *merit, err *e);
/* That of the step, if every so many are kept. */
bool worker_save_step(worker *w, err *e);
