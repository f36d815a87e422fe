/* Results without training: run folders and experiment records as the harness leaves them, with
 * made-up but plausible figures, for tests of what reads them. */
#pragma once

#include "core/base/json.h"

typedef struct fake_variant {
    const char *label;
    double gain;  /* bits per byte below the baseline, on average */
    double noise; /* of the gain, between seeds */
    int64_t params;
    double speed; /* tokens per second */
    const char
        *lost;  /* what becomes of seed 2: "failed", "diverged", "running", "planned" or NULL */
    bool lossy; /* no bytes */
} fake_variant;

typedef struct fake_experiment {
    const char *out, *name;
    int variants, seeds, steps; /* logged steps */
    const fake_variant *variant;
} fake_experiment;

/* Writes everything; the first variant is the baseline. EXPECTs that it can. */
void fake_write(const fake_experiment *x);

/* The same with slices of every kind: 0, 64-127 and 128-255, of 3 parts each; the gain is nothing,
 * once and twice the variant's. */
void fake_write_sliced(const fake_experiment *x);

/* Afterwards: labels of two words become the values of the axes `reach` and `optimizer.lr`. */
void fake_axes(const fake_experiment *x);

/* Afterwards: a run that has begun says that its tokens are of this tokenizer. */
void fake_tokenizer(const fake_experiment *x, int variant, int seed, const char *tokenizer);

/* Afterwards: puts claims, a list as JSON, into its record, the second of them as stated after the
 * fact; takes the run of that label and seed out of its plan (label NULL: none). */
void fake_claim(const fake_experiment *x, const char *text, const char *label, int seed);

/* Id of a run of it, 16 hex digits. */
void fake_run_id(char id[17], const char *experiment, const char *label, int seed);

/* The bits per byte of a finished run. */
double fake_bits_per_byte(const fake_experiment *x, int variant, int seed);

/* The single number that a query of the database below `out` gives; NaN if there is none. */
double fake_ask(const char *out, const char *sql);

/* Appends a line to a file of a run's folder. */
void fake_append(const fake_experiment *x, int variant, int seed, const char *file,
                 const char *line);
