/* A text that the model writes after its final evaluation, to be looked at beside its figures.
 *
 *   eval: {sample: {prompt: "In the beginning", tokens: 200}}
 *
 * What `loci generate` draws with the run's seed: the same bits for any number of threads. It is no
 * figure: neither a run's identity nor an evaluation's has it. */
#pragma once

#include <signal.h>

#include "core/base/json.h"
#include "data/corpus.h"
#include "models/model.h"

typedef struct sample_options {
    const node *at; /* NULL: none is wanted */
    const char *prompt;
    int64_t tokens;
} sample_options;

extern const option SAMPLE_OPTIONS[];

/* n: the section, NULL or null for none; as it is used, without defaults unsaid, in o->at. */
bool sample_options_read(sample_options *o, const node *n, arena *a, err *e);

/* Fails, at the section's place, where a corpus has no text or cannot read the prompt. */
bool sample_check(const sample_options *o, const corpus *c, err *e);

/* {prompt, tokens, seed, text}; decref it. NULL with e, or without where *stop was raised. */
json_t *sample_draw(const sample_options *o, const model *m, const real *values, const corpus *c,
                    uint64_t seed, const volatile sig_atomic_t *stop, err *e);

/* Whether a record is what these options ask for. */
bool sample_is(const json_t *record, const sample_options *o);
