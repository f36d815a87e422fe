/* From a `data:` node to an open corpus.
 *
 * Opening goes from what costs nothing to what may take minutes: options, then the list of
 * documents, then (of text) checksums and word counts, then the tokenizer and its shards. Each step
 * is refused with its place in the spec before the next begins, and everything expensive is in the
 * cache the second time. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/corpus_class.h"

static const char *const CORPUS_KEY[] = {"corpus", NULL};

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
    /* Both ways of being wrong are told at once: the nearest name, and all that there are. */
    const char *known[64];
    /* All names fit: there are a handful, of a few letters. */
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
    /* `corpus` itself is no option of the kind's table. */
    if (!options_read(*options, cls->options, spec, CORPUS_KEY, a, e)) return false;
    /* An option of the table would be required of every kind; `path` is not. */
    if (!cls->path_required || ((const data_options *)*options)->path) return true;
    return node_err(e, spec, "corpus '%s' needs `path`: a file or folder", cls->name);
}

bool corpus_check(const node *spec, err *e)
{
    const corpus_class *cls = class_of(spec, e);
    /* For options that are read and let go: a check opens no file. */
    arena_auto *a = arena_new((size_t)1 << 16);
    void *options;
    return cls && read_options(&options, cls, spec, a, e);
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

/* Text is indexed after its documents are known to be enough, since indexing may read gigabytes. */
static bool open_class(corpus *c, err *e)
{
    if (!read_options(&c->options, c->cls, c->spec, c->memory, e)) return false;
    if (c->cls->text) {
        /* Bytes, at first: a tokenizer puts another reader in its place. */
        c->reader = reader_new(c->memory, 1, 256);
        c->has_words = true;
    }
    if (!c->cls->open(c, e)) return false;
    corpus_sum(c);
    if (!check_splits(c, e)) return false;
    /* Kinds that make their text up, or read ids, index and hash themselves. */
    if (!c->cls->text) return true;
    return corpus_index(c, e) && corpus_tokenize(c, e);
}

/* The corpus lives in its own arena, and so do the spec's nodes that options point to: the caller's
 * may go.
 */
corpus *corpus_new(const corpus_class *cls, const node *spec, const corpus_places *places)
{
    static const char *const NO_ROOTS[] = {NULL};
    arena *memory = arena_new(1 << 20);
    corpus *c = arena_push_zero(memory, 1, sizeof *c);
    c->memory = memory;
    c->cls = cls;
    /* A corpus may outlive the spec: runs of a sweep share it (experiment.c). */
    c->spec = node_copy(memory, spec);
    c->where = c->root = "";
    /* Borrowed: places live as long as the command. */
    c->roots = places && places->roots ? places->roots : NO_ROOTS;
    c->cache = places ? places->cache : NULL;
    c->say = places ? places->say : NULL;
    c->user = places ? places->user : NULL;
    /* Known of made-up text only. */
    c->entropy = (double)NAN;
    for (int kind = 0; kind < SPLITS; kind++) {
        c->splits[kind].kind = (split_kind)kind;
        c->splits[kind].of = c;
    }
    return c;
}

corpus *corpus_open(const node *spec, const corpus_places *places, err *e)
{
    const corpus_class *cls = class_of(spec, e);
    if (!cls) return NULL;
    corpus *c = corpus_new(cls, spec, places);
    if (open_class(c, e)) return c;
    corpus_close(c);
    return NULL;
}

void corpus_close(corpus *c)
{
    if (!c) return;
    /* Its descriptors are what an arena cannot give back. */
    reader_free(c->reader);
    arena_free(c->memory);
}
