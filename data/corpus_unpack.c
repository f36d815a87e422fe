/* Packed text, unpacked into the cache:
 *
 *   <cache>/unpacked-<hash of path, size and stamp>/NAME     what a gzip file or a zip file holds
 *
 * Like all of the cache it may be removed at any time. What was unpacked from an older file stays
 * until then.
 *
 * Unpacked once and then read as a plain file, since streams are read at random places. The name in
 * the cache has the packed file's size and stamp in it, so a file that was replaced is unpacked
 * anew. Nothing is told by a file's ending; what it is, its first bytes say (data/packed.h). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/file.h"
#include "data/corpus_class.h"
#include "data/file_stamp.h"
#include "data/packed.h"

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void corpus_unpacked_name(char *name)
{
    size_t n = strlen(name);
    /* A document is called what it was before it was packed, so that packing changes no identity.
     */
    if (n > 3 && strcasecmp(name + n - 3, ".gz") == 0) name[n - 3] = 0;
    if (n > 4 && strcasecmp(name + n - 4, ".zip") == 0) name[n - 4] = 0;
}

static bool unpacked_folder(char folder[FILE_PATH_BYTES], const corpus *c, const char *path, err *e)
{
    char key[FILE_PATH_BYTES + 64], hex[SHA256_HEX], name[64];
    int64_t bytes, stamp;
    if (!c->cache)
        return err_set(e, "%s: is packed, and there is no cache folder to unpack it in", path);
    if (!file_stamp(path, &bytes, &stamp, e)) return false;
    /* Not its content: hashing a large archive would take as long as unpacking it. */
    snprintf(key, sizeof key, "%lld %lld %s", (long long)bytes, (long long)stamp, path);
    sha256_hex(hex, key, strlen(key));
    snprintf(name, sizeof name, "unpacked-%.16s", hex);
    return file_join(folder, c->cache, name, e);
}

/* ---- gzip ---- */

static bool unpack_gzip(const corpus *c, const char *path, const char *out, err *e)
{
    char folder[FILE_PATH_BYTES];
    packed_kind kind;
    const char *what;
    int64_t bytes;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(out, '/') - out), out);
    if (!file_stat(path, &bytes, NULL, e)) return false;
    /* Only what takes a moment is worth a word. */
    if (bytes > 1 << 20) corpus_say(c, "%s: unpacking", path);
    if (!file_make_folders(folder, e) || !gzip_unpack(path, out, e)) return false;
    if (!packed_find_file(&kind, &what, out, e)) return false;
    /* HTML is decided about by the caller, which knows whether this kind of corpus takes pages. */
    if (kind == PACKED_NOT || kind == PACKED_HTML) return true;
    /* Or the next look would find it unpacked, and read what was refused here. */
    file_remove(out, NULL);
    return err_set(e, "%s: holds %s", path, what ? what : "another packed file; unpack it");
}

/* ---- zip ---- */

/* Documents of office programs and e-books are zip files, too. */
static bool check_members(const zip_member *list, int64_t count, const char *path, err *e)
{
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, "[Content_Types].xml") != 0 &&
            strcmp(list[i].name, "mimetype") != 0) {
            continue;
        }
        return err_set(e, "%s: is a document of an office program or an e-book; save it as text",
                       path);
    }
    /* Folders only, or what a Mac notes about files. */
    return count > 0 || err_set(e, "%s: there is nothing in this zip file", path);
}

/* zip_list has refused names that lead out of the folder. */
static bool extract_member(const zip_member *m, const file_map *map, const char *path,
                           const char *folder, err *e)
{
    char out[FILE_PATH_BYTES], parent[FILE_PATH_BYTES];
    if (!file_join(out, folder, m->name, e)) return false;
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(out, '/') - out), out);
    return file_make_folders(parent, e) && zip_extract(m, map->data, map->bytes, path, out, e);
}

/* The folder takes its name when it is complete. */
static bool unpack_zip(const corpus *c, const char *path, const char *folder, err *e)
{
    char part[FILE_PATH_BYTES];
    zip_member *list;
    int64_t count = 0;
    file_map_auto map = {0};
    if (snprintf(part, sizeof part, "%s.part", folder) >= (int)sizeof part) {
        return err_set(e, "%s: the path is too long", folder);
    }
    /* What a killed process has left; the lock of the cache is held. */
    if (!file_remove_tree(part, e) || !file_map_open_named(&map, path, e)) return false;
    bool ok = zip_list(&list, &count, map.data, map.bytes, path, c->memory, e) &&
              check_members(list, count, path, e);
    if (ok) corpus_say(c, "%s: unpacking", path);
    for (int64_t i = 0; i < count && ok; i++) {
        ok = extract_member(&list[i], &map, path, part, e);
    }
    ok = ok && file_rename(part, folder, e);
    if (!ok) file_remove_tree(part, NULL);
    return ok;
}

/* The only file below a folder, through folders that hold nothing else; NULL: there are several. A
 * zip of one text is that text. */
static const char *only_file(const char *folder, arena *a)
{
    const char *const *names;
    int64_t count;
    char path[FILE_PATH_BYTES];
    if (!file_list_named(folder, a, &names, &count, NULL) || count != 1) return NULL;
    if (!file_join(path, folder, names[0], NULL)) return NULL;
    return file_is_folder(path) ? only_file(path, a) : arena_strdup(a, path);
}

/* The folder that has the files: archives often hold one folder with everything. */
static const char *inner_folder(const char *folder, arena *a)
{
    const char *const *names;
    int64_t count;
    char path[FILE_PATH_BYTES];
    if (file_list_named(folder, a, &names, &count, NULL) && count == 1 &&
        file_join(path, folder, names[0], NULL) && file_is_folder(path)) {
        return inner_folder(path, a);
    }
    return arena_strdup(a, folder);
}

/* ---- either ---- */

static const char *unpacked(const corpus *c, packed_kind kind, const char *path, err *e)
{
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES], out[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%s", last_name(path));
    corpus_unpacked_name(name);
    if (!unpacked_folder(folder, c, path, e) || !file_join(out, folder, name, e)) return NULL;
    /* What is there under this name is whole: both are renamed into place. */
    const char *done = kind == PACKED_GZIP ? out : folder;
    /* Looked at twice, the second time under the lock: workers of a sweep come here together, and
     * the first unpacks for all. */
    if (!file_exists(done)) {
        int lock = corpus_cache_lock(c->cache, e);
        if (lock < 0) return NULL;
        bool ok = file_exists(done) || (kind == PACKED_GZIP ? unpack_gzip(c, path, out, e)
                                                            : unpack_zip(c, path, folder, e));
        corpus_cache_unlock(lock);
        if (!ok) return NULL;
    }
    if (kind == PACKED_GZIP) return arena_strdup(c->memory, out);
    const char *only = only_file(folder, c->memory);
    return only ? only : inner_folder(folder, c->memory);
}

const char *corpus_unpacked(const corpus *c, const char *path, err *e)
{
    packed_kind kind;
    const char *what;
    if (file_is_folder(path)) return path;
    if (!packed_find_file(&kind, &what, path, e)) return NULL;
    if (kind == PACKED_GZIP || kind == PACKED_ZIP) {
        const char *plain = unpacked(c, kind, path, e);
        if (!plain || file_is_folder(plain)) return plain;
        path = plain;
        /* Once more: what was packed may be packed itself, or be no text. */
        if (!packed_find_file(&kind, &what, path, e)) return NULL;
    }
    if (kind == PACKED_HTML && c->cls->pages) {
        corpus_say(c, "%s: is %s; read as text all the same", path, what);
        return path;
    }
    if (kind == PACKED_NOT) return path;
    return err_set(e, "%s: this is %s", path, what ? what : "packed twice; unpack it"), NULL;
}

/* `where` is what the user named and what messages say; `root` is what is read, perhaps in the
 * cache. */
bool corpus_locate(corpus *c, err *e)
{
    const char *path = corpus_data_options(c)->path;
    const char *found = corpus_find(c->cls, path, c->spec, c->roots, c->memory, e);
    if (!found) return false;
    c->where = found;
    err why = {0};
    c->root = corpus_unpacked(c, found, &why);
    if (c->root) return true;
    const node *at = node_get(c->spec, "path");
    return node_err_of(e, at ? at : c->spec, &why);
}
