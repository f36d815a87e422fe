/* The same text on both sides of a split: what is held out has then been trained on. Documents are
 * compared by their checksums, so links and copies under other names are found, and edited copies
 * are not. */
#include <stdlib.h>
#include <string.h>

#include "data/corpus_class.h"

/* Shorter ones are equal by chance: a blank document, a question of one token. */
enum { MIN_BYTES = 64 };

/* Documents of a split, sorted by checksum. */
typedef struct sorted_documents {
    const char **hashes; /* into those of the split, SHA256_HEX each */
    int64_t count;
} sorted_documents;

static int by_hash(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static sorted_documents sort_split(const corpus_split *s, const char *hashes)
{
    sorted_documents d = {malloc((size_t)(s->count + 1) * sizeof *d.hashes), s->count};
    CHECK(d.hashes, "out of memory");
    for (int64_t i = 0; i < s->count; i++) {
        /* Pointers are sorted and not the hashes, so that a find gives the document's number back.
         */
        d.hashes[i] = hashes + i * SHA256_HEX;
    }
    if (s->count) qsort(d.hashes, (size_t)s->count, sizeof *d.hashes, by_hash);
    return d;
}

/* Index in its split of a document with that checksum; -1: there is none. */
static int64_t find_equal(const sorted_documents *d, const char *first, const char *hash)
{
    const char **found =
        d->count ? bsearch(&hash, d->hashes, (size_t)d->count, sizeof *d->hashes, by_hash) : NULL;
    return found ? (*found - first) / SHA256_HEX : -1;
}

static void compare_splits(const corpus *c, char *const *hashes, const sorted_documents *d,
                           split_kind from, split_kind to)
{
    const corpus_split *s = &c->splits[to], *other = &c->splits[from];
    int64_t equal = 0, tokens = 0, first = -1, twin = -1, all = 0;
    for (int64_t i = 0; i < s->count; i++) {
        const entry *x = &s->entries[i];
        all += x->tokens;
        /* Width: of ids, which is 1 for text. */
        if (x->tokens * reader_width(c->reader) < MIN_BYTES) continue;
        int64_t found = find_equal(d, hashes[from], hashes[to] + i * SHA256_HEX);
        if (found < 0) continue;
        if (first < 0) first = i;
        if (twin < 0) twin = found;
        tokens += x->tokens;
        equal++;
    }
    if (equal == 0) return;
    corpus_say(c,
               "warning: %lld of %lld documents of %s (%.1f %% of it) have the same text as "
               "documents of %s: %s is %s",
               (long long)equal, (long long)s->count, split_name(to),
               100.0 * (double)tokens / (double)all, split_name(from), s->entries[first].name,
               other->entries[twin].name);
}

void corpus_duplicates_say(const corpus *c, char *const *hashes)
{
    /* Made-up corpora have no reader; their documents repeat as often as their options make likely.
     */
    if (!c->say || !c->reader) return;
    for (int from = SPLIT_TRAIN; from < SPLIT_TEST; from++) {
        sorted_documents d = sort_split(&c->splits[from], hashes[from]);
        /* Train against validation and test, and validation against test, on which results are
         * reported. */
        for (int to = from + 1; to < SPLITS; to++) {
            compare_splits(c, hashes, &d, (split_kind)from, (split_kind)to);
        }
        free(d.hashes);
    }
}
