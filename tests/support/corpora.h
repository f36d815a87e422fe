/* Small corpora for tests: files in the case's folder, and opening a `data:` node on them. */
#pragma once

#include "data/corpus.h"

/* Writes text (bytes -1: up to its NUL) to a file in test_folder(), folders made as needed. */
void corpora_write(const char *name, const void *text, int64_t bytes);
/* Lines of words made from seed, about `bytes` long; caller frees. */
char *corpora_text(uint64_t seed, int64_t bytes);

/* Where these corpora are: root test_folder(), cache test_folder()/cache. */
const corpus_places *corpora_places(void);
/* Opens the YAML text of a data node there; NULL and e as corpus_open. */
corpus *corpora_open(const char *yaml, err *e);
/* The same where it must succeed: fails the case otherwise. */
corpus *corpora_need(const char *yaml);

/* A file of the shared data, from LOCI_SHARED or ../shared/data; NULL after test_skip if absent. */
const char *corpora_shared(const char *name);
/* Whether a program is installed; else the case is skipped. */
bool corpora_program(const char *name);
