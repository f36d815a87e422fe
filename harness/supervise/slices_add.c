/* Slices for runs that were evaluated without: their losses are still there. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/options/node.h"
#include "harness/evaluate/slices.h"
#include "harness/run/run_folder.h"

typedef struct addition {
    const char *folder;
    const corpus_places *places;
    arena *memory;
    corpus *corpus; /* opened where the first record wants it */
    int added, without;
} addition;

/* The text that the run's plan names. */
static bool open_text(addition *x, err *e)
{
    char path[FILE_PATH_BYTES];
    if (x->corpus) return true;
    if (!file_join(path, x->folder, "plan.json", e)) return false;
    json_t *plan = json_read(path, e);
    if (!plan) return false;
    const json_t *data = json_object_get(json_object_get(plan, "spec"), "data");
    char *text = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    char *kept = arena_strdup(x->memory, text ? text : "{}");
    free(text);
    json_decref(plan);
    const node *section = node_parse(x->memory, kept, strlen(kept), path, e);
    x->corpus = section ? corpus_open(section, x->places, e) : NULL;
    return x->corpus != NULL;
}

static bool same_text(const addition *x, const json_t *record, err *e)
{
    const char *data = json_get_text(json_object_get(record, "protocol"), "data");
    if (data && strcmp(data, corpus_hash(x->corpus)) == 0) return true;
    return err_set(e, "%s: was evaluated on another text than is there", x->folder);
}

static bool find_split(split_kind *kind, const json_t *record, err *e)
{
    const char *name = json_get_text(record, "split");
    for (int i = 0; i < SPLITS; i++) {
        *kind = (split_kind)i;
        if (name && strcmp(name, split_name(*kind)) == 0) return true;
    }
    return err_set(e, "a record without a split");
}

/* Each document's entry; NULL and e if the record does not fit its text. */
static slice_document *documents_of(addition *x, const json_t *record, const corpus_split *split,
                                    err *e)
{
    const json_t *list = json_object_get(record, "documents"), *d;
    int64_t n = (int64_t)json_array_size(list);
    slice_document *out = ARENA_NEW(x->memory, slice_document, MAX(n, (int64_t)1));
    size_t i;
    json_array_foreach(list, i, d)
    {
        int64_t index = json_get_int(d, "index", -1), tokens = json_get_int(d, "tokens", -1);
        bool there = split && index >= 0 && index < split_documents(split);
        if (!there || tokens < 0 || tokens > split_document(split, index).tokens) {
            err_set(e, "%s: its documents are not those of the text", x->folder);
            return NULL;
        }
        out[i] = (slice_document){index, tokens};
    }
    return out;
}

static bool add_to(addition *x, json_t *record, const char *losses, err *e)
{
    split_kind kind;
    if (!open_text(x, e) || !same_text(x, record, e) || !find_split(&kind, record, e)) return false;
    slice_document *list = documents_of(x, record, corpus_get(x->corpus, kind), e);
    if (!list) return false;
    int fd = open(losses, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(e, "%s: cannot be read", losses);
    slices *s = ARENA_NEW(x->memory, slices, 1);
    int64_t n = (int64_t)json_array_size(json_object_get(record, "documents"));
    bool ok = slices_measure(s, x->corpus, kind, list, n, fd, e) || err_prefix(e, "%s", losses);
    close(fd);
    if (ok) json_object_set_new(record, "slices", slices_record(s));
    x->added += ok;
    return ok;
}

static bool look_at(addition *x, json_t *record, err *e)
{
    char path[FILE_PATH_BYTES];
    if (json_object_get(record, "slices")) return true;
    const char *losses = json_get_text(record, "losses");
    bool there = losses && !strchr(losses, '/') && file_join(path, x->folder, losses, NULL) &&
                 file_exists(path);
    if (there) return add_to(x, record, path, e);
    x->without += json_is_true(json_object_get(record, "final"));
    return true;
}

/* The file's lines again, with what was added. */
static bool rewrite(addition *x, const char *path, err *e)
{
    size_t bytes, size = 0;
    char *text = file_read(path, &bytes, e), *lines = NULL;
    if (!text) return false;
    FILE *out = open_memstream(&lines, &size);
    CHECK(out, "no memory for records");
    bool ok = true;
    char *at = text, *end;
    for (; ok && (end = memchr(at, '\n', bytes - (size_t)(at - text))) != NULL; at = end + 1) {
        json_error_t where;
        json_t *record = json_loadb(at, (size_t)(end - at), 0, &where);
        ok = record ? look_at(x, record, e) : err_set(e, "%s: is not JSON: %s", path, where.text);
        if (ok) {
            json_dumpf(record, out, JSON_COMPACT | JSON_REAL_PRECISION(17));
            fputc('\n', out);
        }
        json_decref(record);
    }
    fclose(out);
    ok = ok && (x->added == 0 || file_write(path, lines, size, e));
    free(lines);
    free(text);
    return ok;
}

bool slices_add(const char *folder, const corpus_places *places, int *added, int *without, err *e)
{
    char path[FILE_PATH_BYTES];
    *added = *without = 0;
    if (!file_join(path, folder, "evals.jsonl", e)) return false;
    if (!file_exists(path)) return true;
    int lock = run_folder_lock(folder, e);
    if (lock < 0) return false;
    addition x = {.folder = folder, .places = places, .memory = arena_new(1 << 16)};
    bool ok = rewrite(&x, path, e);
    if (x.corpus) corpus_close(x.corpus);
    arena_free(x.memory);
    close(lock);
    *added = ok ? x.added : 0; /* one that fails: none is written */
    *without = x.without;
    return ok;
}
