/* Tables token id -> expert, made before training (Roller et al. 2021, arXiv:2106.04426, sec. 3).
 *
 * A table has hashes * (vocab + 1) entries, [hashes, vocab + 1]; the last of each row is the start
 * token's. Hash m of several is independent of the others where chance is involved. */
#pragma once

#include "core/base/rng.h"
#include "core/options/node.h"

typedef struct hash_table_shape {
    int64_t experts, hashes, vocab;
    rng_key key; /* what is drawn; `row` numbers the hashes */
} hash_table_shape;

/* Each id to an expert drawn uniformly. */
void hash_table_random(int32_t *table, const hash_table_shape *s);
/* Hash m: digit m of the id in base `experts`. */
void hash_table_modulo(int32_t *table, const hash_table_shape *s);
/* Greedy: ids by decreasing count (ties: smaller id first), each to the expert with the smallest
 * sum of counts so far (ties: smaller index). For m > 0 each `experts` ids in a row of that order
 * are shuffled. counts [vocab]; load [hashes, experts] receives the sums of counts. */
void hash_table_balanced(int32_t *table, double *load, const int64_t *counts,
                         const hash_table_shape *s);
/* Experts are the clusters of a k-means over points [vocab + 1, width] (entry vocab: the start
 * token's). */
void hash_table_clustered(int32_t *table, const double *points, int64_t width,
                          const hash_table_shape *s);
/* The opposite: the ids of each of `clusters` clusters are spread over all experts, so that similar
 * tokens are kept apart. Within a cluster each `experts` ids in a row, in random order, get
 * different experts. */
void hash_table_dispersed(int32_t *table, const double *points, int64_t width, int64_t clusters,
                          const hash_table_shape *s);
/* Reads a text file with a line per token id of `hashes` experts (numbers separated by blanks or
 * commas); a further line is the start token's, which otherwise gets expert 0. False and
 * "FILE:line: ..." for anything else, with `at`'s place in front. */
bool hash_table_read(int32_t *table, const char *path, const hash_table_shape *s, const node *at,
                     err *e);
