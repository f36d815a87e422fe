/* What an import leaves behind: a folder that is evaluated, started from and generated from like a
 * run's.
 *
 *   FOLDER/spec.yaml
 *   FOLDER/checkpoint/   as harness/train/checkpoint.h describes, without optimiser and carried
 *                        state
 *
 * Its name in records is made of the parameters, so that other weights are another model. */
#pragma once

#include "models/model.h"

typedef struct imported {
    const model *model;
    const real *values; /* [params.total] */
    const node *spec;
    int64_t seed, step, tokens;   /* of its training; 0: not known */
    const char *data, *tokenizer; /* corpus_hash, corpus_tokenizer; NULL: not known */
} imported;

/* Whether the folder is new or empty, or what an import made: whatever else it is stays as it is.
 * Of a run above all, whose figures were measured with its own weights. */
bool imported_may_be_in(const char *folder, err *e);
/* Into such a folder. */
bool imported_save(const char *folder, const imported *x, err *e);
