/* What `loci data` does: says what there is, and does ahead of a run what opening a corpus would do
 * in it. Nothing here makes a run different; it only begins sooner, and checks what a run has no
 * time to check. */
#include "data/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/shards.h"

/* ---- listing ---- */

/* The program in PATH, or NULL. */
static const char *find_program(const char *name, arena *a)
{
    const char *at = getenv("PATH");
    char path[FILE_PATH_BYTES];
    while (at && *at) {
        int n = (int)strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/%s", MIN(n, FILE_PATH_BYTES / 2), at, name);
        if (access(path, X_OK) == 0) return arena_strdup(a, path);
        at += n + (at[n] == ':');
    }
    return NULL;
}

/* kjv: the cached books, else the program that prints them. */
static const char *find_kjv(const corpus_places *places, arena *a)
{
    char path[FILE_PATH_BYTES];
    bool cached = places && places->cache && file_join(path, places->cache, "kjv", NULL) &&
                  file_is_folder(path);
    return cached ? arena_strdup(a, path) : find_program("bible", a);
}

/* Where an empty `path` would lead, or NULL. */
static const char *find_quietly(const corpus_class *cls, const corpus_places *places, arena *a)
{
    static const char *const NO_ROOTS[] = {NULL};
    const char *const *roots = places && places->roots ? places->roots : NO_ROOTS;
    if (!cls->candidates) return NULL;
    /* Without e: that a corpus is not there is an answer here, no error. */
    const char *found = corpus_find(cls, NULL, node_map(a), roots, a, NULL);
    return !found && strcmp(cls->name, "kjv") == 0 ? find_kjv(places, a) : found;
}

int prepare_list(const corpus_info **list, const corpus_places *places, arena *a)
{
    int count;
    const corpus_class *const *all = corpus_classes(&count);
    corpus_info *infos = ARENA_NEW(a, corpus_info, count);
    for (int i = 0; i < count; i++) {
        infos[i] = (corpus_info){all[i]->name, all[i]->help, all[i]->options, all[i]->get,
                                 find_quietly(all[i], places, a)};
    }
    *list = infos;
    return count;
}

bool prepare_format_find(const char *name, shard_format *format)
{
    static const char *const NAMES[] = {"llmc", "nanogpt"};
    for (int i = 0; i < 2; i++) {
        if (strcmp(name, NAMES[i]) != 0) continue;
        *format = (shard_format)i;
        return true;
    }
    return false;
}

/* ---- prepare ---- */

/* Shards with a description are compared with it: nothing else notices a changed bit in the cache.
 */
static bool verify(const corpus *c, err *e)
{
    /* Made-up text has no file, and bytes of a text were just hashed by being indexed. */
    if (!c->reader || (c->cls->text && !c->pieces)) return true;
    char folder[FILE_PATH_BYTES], sidecar[FILE_PATH_BYTES];
    /* All shards of a corpus lie in one folder. */
    snprintf(folder, sizeof folder, "%s", reader_path(c->reader, 0));
    char *slash = strrchr(folder, '/');
    if (!slash) return true;
    *slash = 0;
    if (!file_join(sidecar, folder, "corpus.json", e)) return false;
    return !file_exists(sidecar) || shards_verify(folder, e);
}

/* Token counts are taken although few models need them: whoever prepares wants nothing left to wait
 * for.
 */
corpus *prepare_corpus(const node *spec, const corpus_places *places,
                       const prepare_options *options, err *e)
{
    corpus *c = corpus_open(spec, places, e);
    if (!c) return NULL;
    int64_t *counts = verify(c, e) ? corpus_token_counts(c, e) : NULL;
    bool ok = counts != NULL;
    free(counts);
    if (ok && options->export) ok = prepare_export(c, options, e);
    if (ok) return c;
    corpus_close(c);
    return NULL;
}
