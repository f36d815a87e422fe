/* A small model over a small text of bytes, as if it had been loaded from a checkpoint: for tests
 * of what looks into models. */
#pragma once

#include "harness/train/trained_model.h"

enum { PLANTED_VOCAB = 256 };

/* All three splits are the text. spec: YAML of a `model:` node; parameters start as usual. */
void planted_open(trained_model *m, const char *spec, const char *text);
void planted_close(trained_model *m);

/* Values of a parameter; n, if not NULL: how many. */
real *planted_param(trained_model *m, const char *name, int64_t *n);
/* All of them become x. */
void planted_fill(trained_model *m, const char *name, real x);
