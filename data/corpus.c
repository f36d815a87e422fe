#include "data/corpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "data/corpus_class.h"
#include "data/file_stamp.h"

const char *split_name(split_kind kind)
{
    static const char *const NAMES[SPLITS] = {"train", "validation", "test"};
    CHECK(kind >= 0 && kind < SPLITS, "split %d", (int)kind);
    return NAMES[kind];
}

/* ---- documents ---- */

/* A name in UTF-8: bytes that are none are written as \xNN, since databases and JSON take no
 * others. */
static const char *name_in_utf8(arena *a, const char *name)
{
    char *kept = arena_push(a, 4 * (int64_t)strlen(name) + 1, 1), *out = kept;
    while (*name) {
        int bytes = json_utf8_bytes(name);
        if (bytes > 0) {
            memcpy(out, name, (size_t)bytes);
            out += bytes;
        } else {
            out += sprintf(out, "\\x%02x", (unsigned char)*name);
        }
        name += MAX(bytes, 1);
    }
    *out = 0;
    return kept;
}

entry *corpus_add(corpus *c, split_kind kind, const char *name)
{
    corpus_split *s = &c->splits[kind];
    if (s->count == s->capacity) {
        s->capacity = MAX(64, 2 * s->capacity);
        entry *grown = ARENA_NEW(c->memory, entry, s->capacity);
        if (s->count) memcpy(grown, s->entries, (size_t)s->count * sizeof *grown);
        s->entries = grown;
    }
    entry *added = &s->entries[s->count++];
    *added = (entry){.name = name_in_utf8(c->memory, name)};
    return added;
}

bool corpus_add_text(corpus *c, split_kind kind, const char *name, const char *path, int64_t offset,
                     int64_t bytes, err *e)
{
    int64_t size, stamp;
    char plain_name[FILE_PATH_BYTES];
    path = corpus_unpacked(c, path, e);
    if (!path) return false;
    if (file_is_folder(path)) {
        return err_set(e, "%s: holds several files; unpack it", name);
    }
    snprintf(plain_name, sizeof plain_name, "%s", name);
    corpus_unpacked_name(plain_name);
    if (!file_stamp(path, &size, &stamp, e)) return false;
    if (bytes < 0) bytes = size - offset;
    CHECK(offset >= 0 && offset + bytes <= size, "bytes %lld + %lld of %lld", (long long)offset,
          (long long)bytes, (long long)size);
    if (bytes == 0) return true;
    entry *added = corpus_add(c, kind, plain_name);
    added->file = reader_add(c->reader, path);
    added->offset = offset;
    added->tokens = added->bytes = bytes;
    added->stamp = stamp;
    return true;
}

void corpus_clear(corpus *c)
{
    for (int kind = 0; kind < SPLITS; kind++) {
        c->splits[kind].count = c->splits[kind].capacity = 0;
        c->splits[kind].entries = NULL;
    }
}

void corpus_sum(corpus *c)
{
    for (int kind = 0; kind < SPLITS; kind++) {
        corpus_split *s = &c->splits[kind];
        s->tokens = s->bytes = s->words = s->unknown = s->unknown_bytes = 0;
        for (int64_t i = 0; i < s->count; i++) {
            s->tokens += s->entries[i].tokens;
            s->bytes += s->entries[i].bytes;
            s->words += s->entries[i].words;
            s->unknown += s->entries[i].unknown;
            s->unknown_bytes += s->entries[i].unknown_bytes;
        }
    }
}

/* Training and validation are needed by every run; some published sets have no test part. */
static bool check_splits(const corpus *c, err *e)
{
    for (int kind = SPLIT_TRAIN; kind <= SPLIT_VALIDATION; kind++) {
        if (c->splits[kind].tokens > 0) continue;
        return node_err(e, c->spec,
                        "%s: the %s split of corpus '%s' is empty; give a path with "
                        "text for it",
                        c->where, split_name((split_kind)kind), c->cls->name);
    }
    return true;
}

/* ---- opening ---- */

static const char *const CORPUS_KEY[] = {"corpus", NULL};

const data_options *corpus_data_options(const corpus *c)
{
    return c->options;
}

static const corpus_class *class_of(const node *spec, err *e)
{
    const node *name = node_get(spec, "corpus");
    int count;
    const corpus_class *const *all = corpus_classes(&count);
    if (!name) {
        node_err(e, spec,
                 "`corpus` is missing; give one of those that `loci data list` shows, for "
                 "example {corpus: kjv}");
        return NULL;
    }
    const corpus_class *cls = name->kind == NODE_SCALAR ? corpus_class_find(name->text) : NULL;
    if (cls) return cls;
    const char *known[64];
    char list[512] = "";
    CHECK(count <= 64, "%d corpora", count);
    for (int i = 0; i < count; i++) {
        known[i] = all[i]->name;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i]);
    }
    const char *text = name->kind == NODE_SCALAR ? name->text : "(not a name)";
    const char *near = option_nearest(text, count, known);
    node_err(e, name, "unknown corpus '%s'%s%s%s; there are %s", text,
             near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", list);
    return NULL;
}

static bool read_options(void **options, const corpus_class *cls, const node *spec, arena *a,
                         err *e)
{
    *options = arena_push_zero(a, 1, cls->options_bytes);
    if (!options_read(*options, cls->options, spec, CORPUS_KEY, a, e)) return false;
    if (!cls->path_required || ((const data_options *)*options)->path) return true;
    return node_err(e, spec, "corpus '%s' needs `path`: a file or folder", cls->name);
}

bool corpus_check(const node *spec, err *e)
{
    const corpus_class *cls = class_of(spec, e);
    arena *a = arena_new((size_t)1 << 16);
    void *options;
    bool ok = cls && read_options(&options, cls, spec, a, e);
    arena_free(a);
    return ok;
}

static bool open_class(corpus *c, err *e)
{
    if (!read_options(&c->options, c->cls, c->spec, c->memory, e)) return false;
    if (c->cls->text) {
        c->reader = reader_new(c->memory, 1, 256);
        c->has_words = true;
    }
    if (!c->cls->open(c, e)) return false;
    corpus_sum(c);
    if (!check_splits(c, e)) return false;
    if (!c->cls->text) return true;
    return corpus_index(c, e) && corpus_tokenize(c, e);
}

corpus *corpus_open(const node *spec, const corpus_places *places, err *e)
{
    static const char *const NO_ROOTS[] = {NULL};
    const corpus_class *cls = class_of(spec, e);
    if (!cls) return NULL;
    arena *memory = arena_new(1 << 20);
    corpus *c = arena_push_zero(memory, 1, sizeof *c);
    c->memory = memory;
    c->cls = cls;
    c->spec = node_copy(memory, spec);
    c->where = c->root = "";
    c->roots = places && places->roots ? places->roots : NO_ROOTS;
    c->cache = places ? places->cache : NULL;
    c->say = places ? places->say : NULL;
    c->entropy = (double)NAN;
    for (int kind = 0; kind < SPLITS; kind++) {
        c->splits[kind].kind = (split_kind)kind;
        c->splits[kind].of = c;
    }
    if (open_class(c, e)) return c;
    corpus_close(c);
    return NULL;
}

void corpus_close(corpus *c)
{
    if (!c) return;
    reader_free(c->reader);
    arena_free(c->memory);
}

/* ---- what it says of itself ---- */

corpus_split *corpus_get(corpus *c, split_kind kind)
{
    CHECK(kind >= 0 && kind < SPLITS, "split %d", (int)kind);
    return c->splits[kind].count ? &c->splits[kind] : NULL;
}

int64_t corpus_vocab(const corpus *c)
{
    return c->vocab;
}

bool corpus_lossless(const corpus *c)
{
    return c->lossless;
}

bool corpus_has_words(const corpus *c)
{
    return c->has_words;
}

double corpus_entropy(const corpus *c)
{
    return c->entropy;
}

int64_t corpus_span(const corpus *c)
{
    return corpus_data_options(c)->span;
}

const char *corpus_where(const corpus *c)
{
    return c->where;
}

const char *corpus_hash(const corpus *c)
{
    return c->hash;
}

const char *corpus_tokenizer(const corpus *c)
{
    return c->tokenizer[0] ? c->tokenizer : "none";
}

/* Paths are spelt out in full, so that the resolved form opens the same files from anywhere. */
node *corpus_resolved(const corpus *c, arena *a)
{
    node *resolved = node_map(a);
    node_set(a, resolved, "corpus", node_scalar(a, c->cls->name, true));
    const node *options = options_node(a, c->options, c->cls->options);
    for (int i = 0; i < options->count; i++) {
        node_set(a, resolved, options->keys[i], options->items[i]);
    }
    if (*c->where) node_set(a, resolved, "path", node_scalar(a, c->where, false));
    const node *tokenizer = corpus_data_options(c)->tokenizer;
    if (c->model_path && tokenizer && tokenizer->kind == NODE_SCALAR) {
        node_set(a, resolved, "tokenizer", node_scalar(a, c->model_path, false));
    }
    return resolved;
}

node *corpus_changed(const corpus *c, arena *a)
{
    node *changed = node_map(a);
    node_set(a, changed, "corpus", node_scalar(a, c->cls->name, true));
    const node *options = options_changed(a, c->options, c->cls->options);
    for (int i = 0; i < options->count; i++) {
        node_set(a, changed, options->keys[i], options->items[i]);
    }
    node_set(a, changed, "content", node_scalar(a, c->hash, false));
    return changed;
}

/* ---- splits ---- */

int64_t split_documents(const corpus_split *s)
{
    return s->count;
}

static const entry *entry_at(const corpus_split *s, int64_t index)
{
    CHECK(index >= 0 && index < s->count, "document %lld of %lld", (long long)index,
          (long long)s->count);
    return &s->entries[index];
}

document split_document(const corpus_split *s, int64_t index)
{
    const entry *d = entry_at(s, index);
    return (document){.name = d->name,
                      .title = d->title,
                      .tokens = d->tokens,
                      .bytes = d->bytes,
                      .words = d->words,
                      .unknown = d->unknown,
                      .unknown_bytes = d->unknown_bytes,
                      .distance = d->distance,
                      .answers = d->answers,
                      .stride = d->stride,
                      .answers_only = d->answers_only};
}

int64_t split_tokens(const corpus_split *s)
{
    return s->tokens;
}

int64_t split_bytes(const corpus_split *s)
{
    return s->bytes;
}

int64_t split_words(const corpus_split *s)
{
    return s->words;
}

int64_t split_unknown(const corpus_split *s)
{
    return s->unknown;
}

int64_t split_unknown_bytes(const corpus_split *s)
{
    return s->unknown_bytes;
}

int64_t split_vocab(const corpus_split *s)
{
    return s->of->vocab;
}

bool split_read(const corpus_split *s, int64_t doc, int64_t begin, int64_t n, int32_t *ids, err *e)
{
    const entry *d = entry_at(s, doc);
    CHECK(begin >= 0 && n >= 0 && begin + n <= d->tokens, "tokens %lld + %lld of %lld",
          (long long)begin, (long long)n, (long long)d->tokens);
    const corpus *c = s->of;
    if (c->reader) {
        return reader_ids(c->reader, d->file, d->offset + begin * reader_width(c->reader), n, ids,
                          e);
    }
    for (int64_t i = 0; i < n; i++) {
        ids[i] = c->ids[d->offset + begin + i];
    }
    return true;
}
