/* Writing a corpus's splits as token shards for other programs.
 *
 * An export may go over an older one of loci's: files keep their names as far as they can, and
 * those that are left over are removed. Anything else in the folder that looks like a shard stops
 * it, since other programs read whatever matches train_*.bin. */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "data/prepare.h"
#include "data/shards.h"

enum { IDS_AT_ONCE = 1 << 15 };

static bool export_document(shard_writer *w, const corpus_split *s, int64_t doc, int32_t *ids,
                            err *e)
{
    /* Name, bytes and words go along, so that the export has bits per byte as the corpus had. */
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
        /* No file of a split that there is not: other programs would read one of no tokens. */
        if (s->count == 0) continue;
        ok = shard_writer_split(w, s->kind, e);
        for (int64_t i = 0; i < s->count && ok; i++) {
            ok = export_document(w, s, i, ids, e);
        }
    }
    free(ids);
    return ok;
}

/* ---- what an older export left ---- */

/* The shards that a corpus.json tells of, as a set of names; NULL and e: it cannot be read. An
 * empty set where there is none. */
static json_t *listed_shards(const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *split;
    json_t *found = json_object(), *parts, *file;
    size_t i;
    if (!file_join(path, folder, "corpus.json", e)) return json_decref(found), NULL;
    if (!file_exists(path)) return found;
    json_auto_t *all = json_read(path, e);
    if (!all) return json_decref(found), NULL;
    json_object_foreach(json_object_get(all, "splits"), split, parts)
    {
        json_array_foreach(json_object_get(parts, "files"), i, file)
        {
            const char *name = json_get_text(file, "file");
            /* Names in a sidecar are a stranger's: none may lead out of the folder and be removed
             * there. */
            if (name && !strchr(name, '/')) json_object_set_new(found, name, json_true());
        }
    }
    return found;
}

/* Shards of somebody else would be read together with the new ones. */
static bool check_folder(const char *folder, const json_t *listed, err *e)
{
    const char *const *names;
    int64_t count = 0;
    arena_auto *a = arena_new(1 << 14);
    bool ok = !file_exists(folder) || file_list(folder, a, &names, &count, e);
    for (int64_t i = 0; i < count && ok; i++) {
        if (!text_ends(names[i], ".bin")) continue;
        if (json_object_get(listed, names[i])) continue;
        ok = err_set(e,
                     "%s/%s: is no shard that loci wrote, and programs would read it together with "
                     "the new ones; export into another folder, or remove it",
                     folder, names[i]);
    }
    return ok;
}

/* Removes what was listed and is no more. */
static bool remove_stale(const char *folder, const json_t *before, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *name;
    /* What the sidecar that was just written tells of. */
    json_t *value, *now = listed_shards(folder, e);
    bool ok = now != NULL;
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        if (!ok || json_object_get(now, name)) continue;
        ok = file_join(path, folder, name, e) && file_remove(path, e);
    }
    json_decref(now);
    return ok;
}

/* ---- export ---- */

/* The tokenizer goes along, so that the folder can be decoded elsewhere. */
static bool write_shards(const corpus *c, const prepare_options *o, err *e)
{
    char model[FILE_PATH_BYTES];
    shard_meta meta = {.corpus = c->cls->name,
                       .source = c->source,
                       .tokenizer = c->bytes    ? "bytes"
                                    : c->pieces ? c->pieces->hash
                                                : "none",
                       .model = c->pieces ? "tokenizer.model" : NULL,
                       .vocab = c->vocab,
                       .separator = o->separator,
                       .lossless = c->lossless,
                       .words = c->has_words};
    shard_writer *w = shard_writer_begin(o->out, o->format, &meta, e);
    bool ok = w && export_splits(w, c, e);
    if (ok && c->pieces) {
        ok = file_join(model, o->out, "tokenizer.model", e) && file_copy(c->model_path, model, e);
    }
    ok = ok && shard_writer_finish(w, e);
    shard_writer_free(w);
    return ok;
}

/* Stale shards go last: killed before, the folder has them beside a corpus.json that does not tell
 * of them, and the next export says so. */
bool prepare_export(const corpus *c, const prepare_options *o, err *e)
{
    json_auto_t *before = listed_shards(o->out, e);
    /* Looked at before a byte is written: an export that is refused leaves the folder as it was. */
    return before && check_folder(o->out, before, e) && write_shards(c, o, e) &&
           remove_stale(o->out, before, e);
}
