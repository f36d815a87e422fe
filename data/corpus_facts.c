/* What an open corpus says of itself.
 *
 * Two descriptions are made here. Resolved: enough to open the same corpus again, with full paths.
 * Changed: enough to tell whether two runs read the same, and no more; hashed into a run's
 * identity, it names the content by its hash instead of by a path, so that a run is the same run on
 * another machine. */

#include <string.h>

#include "data/corpus_class.h"
#include "data/file_stamp.h"

corpus_split *corpus_get(corpus *c, split_kind kind)
{
    CHECK(kind >= 0 && kind < SPLITS, "split %d", (int)kind);
    /* An empty split is none: some published sets have no test part. */
    return c->splits[kind].count ? &c->splits[kind] : NULL;
}

corpus_split *corpus_need(corpus *c, split_kind kind, err *e)
{
    corpus_split *split = corpus_get(c, kind);
    if (!split) err_set(e, "the corpus has no %s split; choose another", split_name(kind));
    return split;
}

/* Every kind's options begin with these. */
const data_options *corpus_data_options(const corpus *c)
{
    return c->options;
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

/* Documents of one file follow each other. */
bool corpus_touched(const corpus *c)
{
    for (int kind = 0; c->reader && kind < SPLITS; kind++) {
        int file = -1;
        for (int64_t i = 0; i < c->splits[kind].count; i++) {
            const entry *d = &c->splits[kind].entries[i];
            int64_t bytes, stamp;
            if (d->file == file || d->stamp == 0) continue;
            file = d->file;
            if (!file_stamp(reader_path(c->reader, file), &bytes, &stamp, NULL) ||
                stamp != d->stamp) {
                return true;
            }
        }
    }
    return false;
}

/* "none": ids without a text, which are compared with nothing. */
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
    /* Empty for corpora that are made up. */
    if (*c->where) node_set(a, resolved, "path", node_scalar(a, c->where, false));
    const node *tokenizer = corpus_data_options(c)->tokenizer;
    /* A tokenizer that is trained keeps its options here: where its file lies in the cache follows
     * from them. */
    if (c->model_path && tokenizer && tokenizer->kind == NODE_SCALAR) {
        node_set(a, resolved, "tokenizer", node_scalar(a, c->model_path, false));
    }
    return resolved;
}

/* A span that no document fills is none. The default stays what it is where it is no shorter. */
static void settle_span(const corpus *c, data_options *o)
{
    int64_t longest = 0, usual;
    const corpus_split *train = &c->splits[SPLIT_TRAIN];
    for (int64_t i = 0; i < train->count; i++) {
        longest = MAX(longest, train->entries[i].tokens);
    }
    /* Of the kind: made-up corpora have no spans by default. */
    const char *initial = option_find(c->cls->options, "span")->initial;
    /* The default is a text in a table of ours. */
    CHECK(option_text_to_int(initial, &usual), "span: %s", initial);
    /* It cuts at least one document, so it makes a difference. */
    if (o->span < longest && o->span > 0) return;
    /* Both mean that nothing is cut. The default is left out of the identity, and so is what means
     * the same. */
    o->span = usual >= longest ? usual : 0;
}

static const void *settled_options(const corpus *c, arena *a)
{
    void *options = arena_push(a, 1, c->cls->options_bytes);
    /* On a copy: the corpus goes on with what was given. */
    memcpy(options, c->options, c->cls->options_bytes);
    settle_span(c, options);
    /* After the span, which all kinds have. */
    if (c->cls->settle) c->cls->settle(options);
    return options;
}

/* Paths are left out: the content's hash says what was read, wherever it lay. */
node *corpus_changed(const corpus *c, arena *a)
{
    node *changed = node_map(a);
    node_set(a, changed, "corpus", node_scalar(a, c->cls->name, true));
    const node *options = options_changed(a, settled_options(c, a), c->cls->options);
    for (int i = 0; i < options->count; i++) {
        node_set(a, changed, options->keys[i], options->items[i]);
    }
    node_set(a, changed, "content", node_scalar(a, c->hash, false));
    return changed;
}
