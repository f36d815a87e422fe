/* Preparing corpora ahead of a run, listing what there is, and writing token shards for other
 * programs.
 *
 * Opening a corpus prepares whatever is missing (kjv's books, checksums and word counts, a trained
 * tokenizer, token shards), so preparing is never required; it moves the waiting to a chosen
 * moment. */
#pragma once

#include "data/corpus.h"
#include "data/shard_header.h"

/* One kind of corpus: `data: {corpus: NAME, ...}`. */
typedef struct corpus_info {
    const char *name, *help;
    const option *options; /* of the data node, besides `corpus` itself */
    const char *get;       /* how to come by it: "data/fetch.sh enwik8"; "" if nothing is needed */
    const char
        *found; /* what an empty `path` would use (a path; kjv: maybe the program); or NULL */
} corpus_info;

/* Every kind in the table's order; *list and its texts live as long as the arena. */
int prepare_list(const corpus_info **list, const corpus_places *places, arena *a);

bool prepare_format_find(const char *name, shard_format *format); /* "llmc", "nanogpt" */

typedef struct prepare_options {
    bool export; /* write shards to `out`, too */
    shard_format format;
    int64_t separator; /* id that is written between documents, where the format's users look for
                          it: before each in llm.c's, behind each in nanoGPT's; -1: none */
    const char *out;   /* folder; made if missing */
} prepare_options;

/* Opens the corpus of a `data:` node and prepares everything that a run on it would need, token
 * counts included; returns it open, for the caller to report on and close. */
corpus *prepare_corpus(const node *spec, const corpus_places *places,
                       const prepare_options *options, err *e);

/* Writes every split of c to the folder as token shards (train*.bin, val*.bin, test*.bin) with the
 * sidecar corpus.json (data/README.md); `corpus: shards` reads it back, separators left out. Shards
 * of an older export there go; shards that no corpus.json there tells of are an error, since other
 * programs would read them together with the new ones. What is left where it fails is not read
 * (SHARDS_UNFINISHED), and can be gone over. */
bool prepare_export(const corpus *c, const prepare_options *o, err *e);
