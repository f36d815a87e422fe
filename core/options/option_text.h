/* What options read from and say about texts: numbers, and the name that was probably meant. */
#pragma once

#include "core/options/node.h"

/* Numbers as specs write them: 1e6, 1_000, 0x1F, and of decimal ones k, M, G, T for powers of
 * 1000. */
bool option_text_to_int(const char *text, int64_t *value);
bool option_text_to_real(const char *text, double *value);

/* The same of a value in a tree, whoever reads it: what YAML takes for a number is one without
 * quotes alone. What is a text to YAML, and JSON therefore quotes ("2M"), may stand in quotes. */
bool option_node_to_int(const node *n, int64_t *value);
bool option_node_to_real(const node *n, double *value);

/* Why a value is none, as far as that can be told: " (did you mean '200k'?)" of 200K, and so of
 * other suffixes in the other case; " (what is in quotes is a text)"; else "". */
enum { OPTION_MEANT_BYTES = 96 };
const char *option_node_meant(char hint[OPTION_MEANT_BYTES], const node *n);

/* The known name nearest to `name` by edits, or NULL if none is near. */
const char *option_nearest(const char *name, int n, const char *const *known);

/* For owners of maps whose keys are not a table: fails with "unknown key '...' (did you mean
 * '...'?)" at key i of `map`. */
bool option_unknown(err *e, const node *map, int i, int n, const char *const *known);
