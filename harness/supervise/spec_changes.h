/* What a spec says otherwise than when its experiment was run last. */
#pragma once

#include <stdio.h>

#include "harness/run/experiment.h"

/* Prints which of the variants that OUT/experiments/NAME.json names are others now, or gone, and
 * the options in which they differ; nothing if none. x is resolved. A variant that only has another
 * label, as all have once an axis is added, is no other one. Runs of what a variant was stay in
 * their folders and are never compared with those of what it is: they have other identities.
 * Of those that are none, what is asked of how they are logged and kept is named where it comes too
 * late. Returns how many variants are others or gone. */
int spec_changes(FILE *print, const experiment *x, const char *out);
