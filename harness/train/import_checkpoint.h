/* A checkpoint whose weights another program has changed, as a model of its own.
 *
 * A run's checkpoint belongs to the figures of that run: its manifest knows the checksums, and a
 * changed file is refused. Taken in here it becomes another folder (imported.h) under a name that
 * is made of its weights. */
#pragma once

#include "data/corpus.h"

typedef struct checkpoint_import {
    const char *from; /* safetensors file; or folder of a run or checkpoint, its model's file */
    /* Folder of a run: whose spec it is, where the file has lost its metadata. NULL: a run's folder
     * that it lies in. */
    const char *like;
    const char *runs; /* folder of runs' folders, where the run may lie that it was; may be NULL */
    const node *data; /* replaces the spec's section; NULL: as trained */
} checkpoint_import;

/* Every parameter must be there in its shape, and nothing else, in F64, F32, F16 or BF16; all names
 * may have a common prefix. */
bool import_checkpoint(const char *folder, const checkpoint_import *how,
                       const corpus_places *places, err *e);
