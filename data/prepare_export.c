/* Writing a corpus's splits as token shards for other programs.
 *
 * An export may go over an older one of loci's: files keep their names as far as they can, and
 * those that are left over are removed. Anything else in the folder that looks like a shard stops
 * it, since other programs read whatever matches train_*.bin. While it lasts, and where it was
 * killed or the disk was full, SHARDS_UNFINISHED stands there: such a folder is no corpus, and the
 * same command makes it one. */
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

/* Adds the shards that a corpus.json tells of to a set of names; none where there is no such
 * file. */
static bool add_listed(json_t *found, const char *folder, const char *file, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *split;
    json_t *parts, *shard;
    size_t i;
    if (!file_join(path, folder, file, e)) return false;
    if (!file_exists(path)) return true;
    json_auto_t *all = json_read_named(path, e);
    if (!all) return false;
    json_object_foreach(json_object_get(all, "splits"), split, parts)
    {
        json_array_foreach(json_object_get(parts, "files"), i, shard)
        {
            const char *name = json_get_text(shard, "file");
            /* Names in a sidecar are a stranger's: none may lead out of the folder and be removed
             * there. */
            if (name && !strchr(name, '/')) json_object_set_new(found, name, json_true());
        }
    }
    return true;
}

/* The .bin files of the folder: into `found`, or an error where one is not in it. Shards of
 * somebody else would be read together with the new ones. */
static bool look_at_shards(json_t *found, const char *folder, bool ours, err *e)
{
    const char *const *names;
    int64_t count = 0;
    arena_auto *a = arena_new(1 << 14);
    bool ok = !file_exists(folder) || file_list_named(folder, a, &names, &count, e);
    for (int64_t i = 0; i < count && ok; i++) {
        if (!text_ends(names[i], ".bin")) continue;
        if (ours && shard_writer_names(names[i])) {
            json_object_set_new(found, names[i], json_true());
        }
        if (json_object_get(found, names[i])) continue;
        ok = err_set(e,
                     "%s/%s: is no shard that loci wrote, and programs would read it together with "
                     "the new ones; export into another folder, or remove it",
                     folder, names[i]);
    }
    return ok;
}

/* The shards of the folder, all of them loci's; NULL and e: there is another, or something cannot
 * be read. Where an export did not end those of its names are: none other was there when it
 * began. */
static json_t *old_shards(const char *folder, err *e)
{
    char mark[FILE_PATH_BYTES];
    json_t *found = json_object();
    bool ok = file_join(mark, folder, SHARDS_UNFINISHED, e) &&
              add_listed(found, folder, "corpus.json", e) &&
              look_at_shards(found, folder, file_exists(mark), e);
    if (ok) return found;
    json_decref(found);
    return NULL;
}

/* From here on the folder is nobody's corpus until the new corpus.json stands: the old one does not
 * tell of the shards that are about to take their places. A rename needs no room. */
static bool mark_unfinished(const char *folder, err *e)
{
    char mark[FILE_PATH_BYTES], sidecar[FILE_PATH_BYTES];
    if (!file_make_folders(folder, e) || !file_join(mark, folder, SHARDS_UNFINISHED, e) ||
        !file_join(sidecar, folder, "corpus.json", e)) {
        return false;
    }
    if (file_exists(sidecar)) return file_rename(sidecar, mark, e);
    return file_exists(mark) || file_write(mark, "{}\n", 3, e);
}

/* Removes what was there and is no more, and the mark last: killed before it, the next export does
 * it. */
static bool remove_stale(const char *folder, const json_t *before, err *e)
{
    char path[FILE_PATH_BYTES];
    const char *name;
    json_t *value;
    /* What the sidecar that was just written tells of. */
    json_auto_t *now = json_object();
    bool ok = add_listed(now, folder, "corpus.json", e);
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        if (!ok || json_object_get(now, name)) continue;
        ok = file_join(path, folder, name, e) && file_remove(path, e);
    }
    return ok && file_join(path, folder, SHARDS_UNFINISHED, e) && file_remove(path, e);
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
        ok = file_join(model, o->out, "tokenizer.model", e) &&
             file_copy_named(c->model_path, model, e);
    }
    ok = ok && shard_writer_finish(w, e);
    shard_writer_free(w);
    return ok;
}

bool prepare_export(const corpus *c, const prepare_options *o, err *e)
{
    /* Looked at before a byte is written: an export that is refused leaves the folder as it was. */
    json_auto_t *before = old_shards(o->out, e);
    return before && mark_unfinished(o->out, e) && write_shards(c, o, e) &&
           remove_stale(o->out, before, e);
}
