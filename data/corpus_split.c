/* Splits as readers see them.
 *
 * Everything that reads text goes through split_read: whether ids are bytes of a file, of shards,
 * or in memory is known here and in the reader only. */
#include "data/corpus_class.h"

const char *split_name(split_kind kind)
{
    static const char *const NAMES[SPLITS] = {"train", "validation", "test"};
    CHECK(kind >= 0 && kind < SPLITS, "split %d", (int)kind);
    return NAMES[kind];
}

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
                      /* Pointers are the corpus's: a document is valid as long as that is open.
                       * From here on: what a probe's documents ask for. */
                      .distance = d->distance,
                      .answers = d->answers,
                      .stride = d->stride,
                      .places = d->places,
                      .answers_only = d->answers_only};
}

/* Places are sorted. Half the range at each step, in which the place is, if it is one. */
bool document_has_place(const document *d, int64_t index)
{
    int64_t low = 0,
            high = d->answers; /* if it is one, it is the low-th or one before the high-th */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (d->places[middle] == index) return true;
        if (d->places[middle] < index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
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

/* The one way to a token. An entry's offset counts bytes of its file, or ids that are kept in
 * memory (kinds that make their text up), a byte each. */
bool split_read(const corpus_split *s, int64_t doc, int64_t begin, int64_t n, int32_t *ids, err *e)
{
    const entry *d = entry_at(s, doc);
    /* A reader that asks beyond a document is our own mistake: what the file lacks is told by
     * reader_ids. */
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
