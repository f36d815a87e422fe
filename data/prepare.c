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

/* ---- export ---- */

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

enum { IDS_AT_ONCE = 1 << 15 };

static bool export_document(shard_writer *w, const corpus_split *s, int64_t doc, int32_t *ids,
                            err *e)
{
    document d = split_document(s, doc);
    for (int64_t at = 0; at < d.tokens; at += IDS_AT_ONCE) {
        int64_t n = MIN(d.tokens - at, IDS_AT_ONCE);
        if (!split_read(s, doc, at, n, ids, e) || !shard_writer_ids(w, ids, n, e)) return false;
    }
    return shard_writer_document(w, &d, e);
}

static bool export_splits(shard_writer *w, const corpus *c, err *e)
{
    int32_t *ids = malloc(IDS_AT_ONCE * sizeof *ids);
    bool ok = ids != NULL || err_set(e, "out of memory");
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        const corpus_split *s = &c->splits[kind];
        if (s->count == 0) continue;
        ok = shard_writer_split(w, s->kind, e);
        for (int64_t i = 0; i < s->count && ok; i++) {
            ok = export_document(w, s, i, ids, e);
        }
    }
    free(ids);
    return ok;
}

bool prepare_export(const corpus *c, const char *folder, shard_format format, err *e)
{
    char model[FILE_PATH_BYTES];
    shard_meta meta = {.corpus = c->cls->name,
                       .source = c->source,
                       .tokenizer = c->bytes    ? "bytes"
                                    : c->pieces ? c->pieces->hash
                                                : "none",
                       .model = c->pieces ? "tokenizer.model" : NULL,
                       .vocab = c->vocab,
                       .lossless = c->lossless,
                       .words = c->has_words};
    shard_writer *w = shard_writer_begin(folder, format, &meta, e);
    bool ok = w && export_splits(w, c, e);
    if (ok && c->pieces) {
        ok = file_join(model, folder, "tokenizer.model", e) && file_copy(c->model_path, model, e);
    }
    ok = ok && shard_writer_finish(w, e);
    shard_writer_free(w);
    return ok;
}

/* ---- prepare ---- */

/* Shards with a description are compared with it: nothing else notices a changed bit in the cache.
 */
static bool verify(const corpus *c, err *e)
{
    if (!c->reader || (c->cls->text && !c->pieces)) return true;
    char folder[FILE_PATH_BYTES], sidecar[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", reader_path(c->reader, 0));
    char *slash = strrchr(folder, '/');
    if (!slash) return true;
    *slash = 0;
    if (!file_join(sidecar, folder, "corpus.json", e)) return false;
    return !file_exists(sidecar) || shards_verify(folder, e);
}

corpus *prepare_corpus(const node *spec, const corpus_places *places,
                       const prepare_options *options, err *e)
{
    corpus *c = corpus_open(spec, places, e);
    if (!c) return NULL;
    int64_t *counts = verify(c, e) ? corpus_token_counts(c, e) : NULL;
    bool ok = counts != NULL;
    free(counts);
    if (ok && options->export) ok = prepare_export(c, options->out, options->format, e);
    if (ok) return c;
    corpus_close(c);
    return NULL;
}
