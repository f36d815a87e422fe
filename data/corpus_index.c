/* Checksums of a corpus's documents, with word counts of text or the largest of ids, kept in the
 * cache.
 *
 * <cache>/index-<hash of kind and path>.tsv has a line per document, in the corpus's order:
 *     sha256 <tab> words or largest id <tab> length <tab> stamp <tab> offset <tab> file <newline>
 * and is sealed (sealed.h): a damaged cache costs time only. A document
 * whose file has the same size and stamp (file_stamp.h) is not read again, a line that does not fit
 * is passed over. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "data/corpus_class.h"
#include "data/sealed.h"
#include "data/words.h"

/* LOOK_AHEAD: so many documents that were taken away in a row are stepped over. Documents come in
 * the cache's own order, so one walk through it serves all; where more are gone, the rest is read
 * again. */
enum { CHUNK_BYTES = 1 << 18, LOOK_AHEAD = 64 };

typedef struct line {
    char sha256[SHA256_HEX];
    int64_t count; /* of words; or the largest id */
    int64_t length, stamp, offset;
    const char *file;
} line;

/* Bytes that a document takes up in its file. */
static int64_t length_of(const corpus *c, const entry *d)
{
    return d->tokens * reader_width(c->reader);
}

/* Reads the line at `text` and returns where the next one begins; text must end with a NUL. */
static char *read_line(line *l, char *text)
{
    char *end = strchr(text, '\n');
    memset(l, 0, sizeof *l);
    if (!end) return text + strlen(text);
    *end = 0;
    int file_at = 0;
    /* The file's name stands last, since it may hold tabs. */
    if (sscanf(text, "%64[0-9a-f]\t%" SCNd64 "\t%" SCNd64 "\t%" SCNd64 "\t%" SCNd64 "\t%n",
               l->sha256, &l->count, &l->length, &l->stamp, &l->offset, &file_at) == 5 &&
        file_at > 0 && strlen(l->sha256) == SHA256_HEX - 1) {
        l->file = text + file_at;
    }
    *end = '\n';
    return end + 1;
}

/* The name is compared up to its end, newline included: "a" is not "ab". */
static bool line_fits(const line *l, const corpus *c, const entry *d)
{
    const char *path = reader_path(c->reader, d->file);
    size_t length = strlen(path);
    return l->file && l->length == length_of(c, d) && l->stamp == d->stamp &&
           l->offset == d->offset && strncmp(l->file, path, length) == 0 && l->file[length] == '\n';
}

/* Looks a few lines on from *at for the document; moves *at behind it if it is there. */
static bool look_up(line *found, char **at, const corpus *c, const entry *d)
{
    char *here = *at;
    for (int i = 0; i < LOOK_AHEAD && here && *here; i++) {
        here = read_line(found, here);
        if (line_fits(found, c, d)) {
            *at = here;
            return true;
        }
    }
    return false;
}

/* The first byte of a chunk that is none of the class's.
 * Looked at here since every byte of the text passes by anyway. */
static bool check_alphabet(const corpus *c, const entry *d, int64_t at, const unsigned char *chunk,
                           int64_t n, err *e)
{
    bool known[256] = {false};
    if (!c->cls->alphabet) return true;
    for (const char *letter = c->cls->alphabet; *letter; letter++) {
        known[(unsigned char)*letter] = true;
    }
    for (int64_t i = 0; i < n; i++) {
        if (known[chunk[i]]) continue;
        int64_t byte = d->offset + at + i;
        return node_err(e, c->spec,
                        "%s: byte %lld is 0x%02x, but %s has a-z and spaces only; get it with %s, "
                        "or read the file with {corpus: text}",
                        c->where, (long long)byte, chunk[i], c->cls->name, c->cls->get);
    }
    return true;
}

static bool read_document(line *l, const corpus *c, const entry *d, unsigned char *chunk, err *e)
{
    sha256 hash;
    sha256_init(&hash);
    /* Whether the last byte was inside a word: one that goes over the end of a chunk counts once.
     */
    bool inside = false;
    l->count = 0;
    int64_t length = length_of(c, d);
    for (int64_t done = 0; done < length;) {
        int64_t n = MIN((int64_t)CHUNK_BYTES, length - done);
        if (!reader_bytes(c->reader, d->file, d->offset + done, n, chunk, e)) return false;
        if (!check_alphabet(c, d, done, chunk, n, e)) return false;
        sha256_add(&hash, chunk, (size_t)n);
        if (c->cls->text) {
            l->count += words_count(chunk, n, &inside);
        } else {
            /* Negative ids of signed types are among the largest when read without a sign. */
            uint64_t largest = reader_largest(c->reader, chunk, n / reader_width(c->reader));
            l->count = MAX(l->count, (int64_t)MIN(largest, (uint64_t)INT64_MAX));
        }
        done += n;
    }
    sha256_final_hex(&hash, l->sha256);
    return true;
}

/* An id that is above the vocabulary is found before a run begins, not in the middle of it. */
static bool check_ids(const corpus *c, const entry *d, int64_t largest, err *e)
{
    if (largest < c->vocab) return true;
    return node_err(e, c->spec,
                    "%s: holds the id %lld%s; with a vocabulary of %lld ids must be below it: give "
                    "the right vocab, or the right dtype if ids are raw",
                    reader_path(c->reader, d->file), (long long)largest,
                    largest == INT64_MAX ? " or a negative one" : "", (long long)c->vocab);
}

static bool index_path(char path[FILE_PATH_BYTES], const corpus *c, err *e)
{
    char key[FILE_PATH_BYTES + 32], hex[SHA256_HEX], name[32];
    /* The number is raised when lines get another form: old caches are then not found. */
    snprintf(key, sizeof key, "%s\n%s\n3", c->cls->name, c->where);
    sha256_hex(hex, key, strlen(key));
    snprintf(name, sizeof name, "index-%.16s.tsv", hex);
    return file_join(path, c->cache, name, e);
}

/* The cache as it is, or NULL if there is none; freed by the caller. */
static char *load_cache(const corpus *c)
{
    char path[FILE_PATH_BYTES];
    size_t bytes;
    return c->cache && index_path(path, c, NULL) ? sealed_read(path, &bytes) : NULL;
}

/* Writes every document's line again. */
static bool save_cache(const corpus *c, char *const *hashes, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(c->cache, e) || !index_path(path, c, e)) return false;
    text_memory m;
    FILE *out = text_begin(&m);
    for (int kind = 0; kind < SPLITS; kind++) {
        for (int64_t i = 0; i < c->splits[kind].count; i++) {
            const entry *d = &c->splits[kind].entries[i];
            fprintf(out, "%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\n",
                    hashes[kind] + i * SHA256_HEX, d->count, length_of(c, d), d->stamp, d->offset,
                    reader_path(c->reader, d->file));
        }
    }
    text_auto *text = text_end(&m);
    return sealed_write(path, text, m.bytes, e);
}

/* Fills words, and hashes [count][SHA256_HEX] of every split; *read_any: something had to be read.
 */
static bool index_splits(corpus *c, char **hashes, bool *read_any, err *e)
{
    text_auto *cache = load_cache(c);
    char *at = cache;
    unsigned char *chunk = malloc(CHUNK_BYTES);
    bool ok = chunk != NULL;
    if (!ok) err_set(e, "out of memory");
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        corpus_split *s = &c->splits[kind];
        hashes[kind] = arena_push_zero(c->memory, s->count, SHA256_HEX);
        for (int64_t i = 0; i < s->count && ok; i++) {
            line l;
            /* `at` stays where it is after a miss, so that a new document costs no other one its
             * line. */
            if (!look_up(&l, &at, c, &s->entries[i])) {
                ok = read_document(&l, c, &s->entries[i], chunk, e);
                *read_any = true;
            }
            if (c->cls->text) {
                s->entries[i].words = l.count;
            } else {
                ok = ok && check_ids(c, &s->entries[i], l.count, e);
            }
            s->entries[i].count = l.count;
            memcpy(hashes[kind] + i * SHA256_HEX, l.sha256, SHA256_HEX);
        }
    }
    free(chunk);
    return ok;
}

/* The identity of the text: what is in which split, under which name; not where it lies.
 * Names count, since they stand in results and decide over splits; lengths, since two documents
 * joined would have another hash but might have one of these. Two corpora with the same source give
 * a model the same text in the same order. */
static void hash_source(corpus *c, char *const *hashes)
{
    sha256 all;
    sha256_init(&all);
    for (int kind = 0; kind < SPLITS; kind++) {
        for (int64_t i = 0; i < c->splits[kind].count; i++) {
            const entry *d = &c->splits[kind].entries[i];
            char text[FILE_PATH_BYTES + 256];
            int n = snprintf(text, sizeof text, "%s\t%s\t%" PRId64 "\t%s\n",
                             split_name((split_kind)kind), d->name, length_of(c, d),
                             hashes[kind] + i * SHA256_HEX);
            sha256_add(&all, text, (size_t)MIN(n, (int)sizeof text - 1));
        }
    }
    sha256_final_hex(&all, c->source);
}

bool corpus_index(corpus *c, err *e)
{
    char *hashes[SPLITS];
    bool read_any = false;
    if (!index_splits(c, hashes, &read_any, e)) return false;
    if (read_any && c->cache && !save_cache(c, hashes, e)) return false;
    hash_source(c, hashes);
    /* Here, while there are hashes: they are not kept. */
    corpus_duplicates_say(c, hashes);
    corpus_sum(c);
    return true;
}
