/* Has the plain model learned what it will? A verdict on models that are still learning to spell is
 * one about that. */
#pragma once

#include <stdio.h>

#include "results/compare/compare.h"

/* Below this fall per doubling of tokens a curve counts as flat, in bits per byte. */
#define FLATNESS_BITS 0.02

typedef struct flatness {
    const char *variant; /* the experiment's baseline */
    int n;               /* seeds with an evaluation half of the way; 0: nothing is known */
    double fall;         /* of the evaluated loss from there to the end, mean over them */
    const char *unit;    /* "bits/byte"; "bits/token" where a lossy tokenizer has no bytes */
    double tokens;       /* of training, at the end */
} flatness;

/* runs: as compare_read has them. False and e if the database cannot be read. */
bool flatness_read(flatness *f, arena *a, store *s, const comparison *runs, err *e);

/* "'plain' still gained ... over its last doubling of tokens (750k to 1.5M; 6 seeds): not flat
 * ...", without a full stop; nothing if nothing is known. */
void flatness_words(FILE *out, const flatness *f);
