/* Which split a file or folder belongs to, as its name says.
 *
 *   train       train, training
 *   validation  validation, valid, val, development, dev
 *   test        test, testing
 *
 * A word is a run of letters, in either case: "wiki.valid.tokens", "fineweb_val_000001.bin" and
 * "Dev.txt" are named validation; "evaluation.txt" and "pretrained.bin" are named nothing. */
#pragma once

#include "data/corpus.h"

/* How many different splits the words of a name tell; *kind is one of them. */
int split_names_told(const char *name, split_kind *kind);

/* Whether the name up to its first dot is such a word and nothing else but numbers:
 * "train", "valid.txt", "train-00000-of-00010.txt". */
bool split_names_plain(const char *name, split_kind *kind);

/* Whether two names differ in numbers alone ("train_0.txt", "train_1.txt"), or in numbers and in
 * the split that they tell ("wiki.train.tokens", "wiki.valid.tokens"). */
bool split_names_parts(const char *a, const char *b);
bool split_names_siblings(const char *a, const char *b);

/* What a message says is expected. */
#define SPLIT_NAMES_EXPECTED "train, validation (or valid, val, dev) and, if there is one, test"
