/* Between ids and people: token counts of the training text, decoding and encoding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "data/corpus_class.h"
#include "data/sealed.h"
#include "data/sentencepiece_encoder.h"

/* Token counts are asked for by layers before training (balanced hashing, frequencies) and by
 * slices of an evaluation; reading all of a large corpus for them takes minutes, so they are kept
 * in the cache, under the corpus's hash. That contains text, splits and tokenizer, so another split
 * of the same text has counts of its own. */

/* ---- counts ---- */

enum { IDS_AT_ONCE = 1 << 15 };

/* <cache>/counts-<16 digits of the corpus's hash>.bin: int64 [vocab] */
static bool counts_path(char path[FILE_PATH_BYTES], const corpus *c, err *e)
{
    char name[64];
    snprintf(name, sizeof name, "counts-%.16s.bin", c->hash);
    return file_join(path, c->cache, name, e);
}

/* The cache may be damaged or somebody else's: counts are indexes of nothing, but they set the
 * balance of hash layers, so each must be possible and their sum exact. */
static bool load_counts(const corpus *c, int64_t *counts)
{
    char path[FILE_PATH_BYTES];
    size_t bytes = 0, expected = (size_t)c->vocab * sizeof *counts;
    if (!c->cache || !counts_path(path, c, NULL)) return false;
    text_auto *data = sealed_read(path, &bytes);
    /* Exactly one number per id: a file of another length belongs to something else. */
    bool ok = data && bytes == expected;
    int64_t sum = 0;
    if (ok) memcpy(counts, data, bytes);
    for (int64_t i = 0; i < c->vocab && ok; i++) {
        ok = counts[i] >= 0 && counts[i] <= c->splits[SPLIT_TRAIN].tokens;
        sum += ok ? counts[i] : 0;
    }
    return ok && sum == c->splits[SPLIT_TRAIN].tokens;
}

static bool count_split(const corpus_split *s, int64_t *counts, int32_t *ids, err *e)
{
    for (int64_t doc = 0; doc < s->count; doc++) {
        int64_t tokens = s->entries[doc].tokens;
        for (int64_t at = 0; at < tokens; at += IDS_AT_ONCE) {
            int64_t n = MIN(tokens - at, IDS_AT_ONCE);
            if (!split_read(s, doc, at, n, ids, e)) return false;
            for (int64_t i = 0; i < n; i++) {
                /* split_read lets no id through that is not below the vocabulary. */
                counts[ids[i]]++;
            }
        }
    }
    return true;
}

static bool save_counts(const corpus *c, const int64_t *counts, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!c->cache) return true;
    return file_make_folders(c->cache, e) && counts_path(path, c, e) &&
           sealed_write(path, counts, (size_t)c->vocab * sizeof *counts, e);
}

/* Counts that do not add up to the split are of another corpus, or cut off: counted again. A cache
 * that cannot be written costs the next one its time, nothing else. */
int64_t *corpus_token_counts(corpus *c, err *e)
{
    /* Not of an arena: the caller may drop them before the corpus. */
    int64_t *counts = calloc((size_t)c->vocab, sizeof *counts);
    int32_t *ids = malloc(IDS_AT_ONCE * sizeof *ids);
    CHECK(counts && ids, "out of memory");
    bool ok = load_counts(c, counts);
    if (!ok && c->splits[SPLIT_TRAIN].count == 0) {
        err_set(e, "the counts of its tokens are not in the cache, and its text is not there");
    } else if (!ok) {
        memset(counts, 0, (size_t)c->vocab * sizeof *counts);
        err ignored;
        ok = count_split(&c->splits[SPLIT_TRAIN], counts, ids, e);
        /* Replaced whole, so two processes that count at once write the same over each other. */
        if (ok) save_counts(c, counts, &ignored);
    }
    free(ids);
    if (ok) return counts;
    free(counts);
    return NULL;
}

/* ---- what the tokenizer lacks ---- */

/* Bytes and bare numbers lack nothing. */
int64_t corpus_unknown(const corpus *c, const int32_t *ids, int64_t n)
{
    int64_t unknown = 0;
    for (int64_t i = 0; c->pieces && i < n; i++) {
        unknown += c->pieces->pieces[ids[i]].type == PIECE_UNKNOWN;
    }
    return unknown;
}

/* All of a document is known from preparing it; of its beginning the ids are read again, without
 * text. */
int64_t split_unknown_of(const corpus_split *s, int64_t doc, int64_t n)
{
    const entry *d = &s->entries[doc];
    /* Without the model it is not known which id stands for what is unknown. */
    if (d->unknown == 0 || n == d->tokens || !s->of->pieces) return d->unknown;
    int32_t *ids = malloc(IDS_AT_ONCE * sizeof *ids);
    CHECK(ids, "out of memory");
    int64_t unknown = 0;
    for (int64_t at = 0; at < n && unknown >= 0; at += IDS_AT_ONCE) {
        int64_t now = MIN(n - at, IDS_AT_ONCE);
        bool ok = split_read(s, doc, at, now, ids, NULL);
        if (ok) unknown += corpus_unknown(s->of, ids, now);
        /* Cannot be read any more: not known, which is not 0. */
        if (!ok) unknown = -1;
    }
    free(ids);
    return unknown;
}

/* ---- decoding ---- */

/* A NUL byte is shown as U+FFFD, since the text is a C string. */
static char *decode_bytes(const int32_t *ids, int64_t n)
{
    static const char REPLACEMENT[] = "\xef\xbf\xbd";
    /* 3: the replacement's bytes, the longest that one id becomes. */
    char *text = malloc((size_t)n * 3 + 1);
    CHECK(text, "out of memory");
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        /* Ids come from a model that may have been trained otherwise: others are left out. */
        if (ids[i] > 0 && ids[i] < 256) {
            text[used++] = (char)ids[i];
        } else if (ids[i] == 0) {
            memcpy(text + used, REPLACEMENT, 3);
            used += 3;
        }
    }
    text[used] = 0;
    return text;
}

/* Ids without text: their numbers. */
static char *decode_numbers(const int32_t *ids, int64_t n)
{
    char *text = malloc((size_t)n * 12 + 1);
    CHECK(text, "out of memory");
    int used = 0;
    text[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        /* 12 characters hold a space, a sign and ten digits. */
        used += sprintf(text + used, "%s%d", i ? " " : "", ids[i]);
    }
    return text;
}

char *corpus_decode(const corpus *c, const int32_t *ids, int64_t n)
{
    if (c->bytes) return decode_bytes(ids, n);
    return c->pieces ? sentencepiece_decode(c->pieces, ids, n) : decode_numbers(ids, n);
}

static bool ends_in_space(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && strchr(" \t\n\r", text[n - 1]);
}

/* What ids stand for depends on those before them: a text's first word lacks the space that others
 * have. So both are decoded together, and what the prompt's ids alone give is cut off. */
char *corpus_continue(const corpus *c, const char *prompt, const int32_t *ids, int64_t n,
                      const int32_t *drawn, int64_t count)
{
    int32_t *all = malloc((size_t)(n + count + 1) * sizeof *all);
    CHECK(all, "out of memory");
    if (n > 0) memcpy(all, ids, (size_t)n * sizeof *all);
    if (count > 0) memcpy(all + n, drawn, (size_t)count * sizeof *all);
    text_auto *read = corpus_decode(c, all, n);
    text_auto *whole = corpus_decode(c, all, n + count);
    free(all);
    const char *rest = whole + strlen(read);
    /* Encoding drops a space at a prompt's end, or, where spaces are the ends of words, adds one
     * there: it stands where the prompt has it, or else before what was drawn. */
    bool suffix = c->pieces && c->pieces->whitespace_suffix;
    bool asked = ends_in_space(prompt), has = ends_in_space(read);
    if (asked && !has && *rest == ' ') rest++;
    char *text = malloc(strlen(rest) + 2);
    CHECK(text, "out of memory");
    sprintf(text, "%s%s", suffix && has && !asked ? " " : "", rest);
    return text;
}

/* ---- encoding ---- */

typedef struct prompt {
    const char *text;
    int32_t *ids;
    int64_t n, capacity;
} prompt;

static bool take_prompt(void *user, const int32_t *ids, int64_t n, err *e)
{
    prompt *p = user;
    /* memcpy from or to NULL is not allowed, even of nothing. */
    if (n == 0) return true;
    if (p->n + n > p->capacity) {
        p->capacity = 2 * (p->n + n);
        int32_t *grown = realloc(p->ids, (size_t)p->capacity * sizeof *grown);
        if (!grown) return err_set(e, "out of memory");
        p->ids = grown;
    }
    CHECK(p->ids, "%lld of %lld ids", (long long)p->n, (long long)p->capacity);
    memcpy(p->ids + p->n, ids, (size_t)n * sizeof *ids);
    p->n += n;
    return true;
}

/* "3 0 12": what decode_numbers gives. A corpus of ids without text can be prompted all the same,
 * in the form that it is printed in. */
static bool encode_numbers(prompt *p, int64_t vocab, err *e)
{
    for (const char *at = p->text; *at;) {
        char *end;
        long id = strtol(at, &end, 10);
        if (end == at && strspn(at, " \t\n") == strlen(at)) break;
        if (end == at || id < 0 || id >= vocab) {
            return err_set(
                e,
                "prompt: this corpus has no text; write its ids, numbers below %lld with "
                "spaces between, not \"%.20s\"",
                (long long)vocab, at);
        }
        int32_t one = (int32_t)id;
        if (!take_prompt(p, &one, 1, e)) return false;
        at = end;
    }
    return true;
}

static bool encode_pieces(prompt *p, const corpus *c, err *e)
{
    sentencepiece_ids out = {0};
    /* Opened for this prompt: encoding is rare, and the library's model is large. */
    sentencepiece_encoder *x = sentencepiece_encoder_open(c->pieces, c->model_path, e);
    bool ok = x && sentencepiece_encoder_ids(x, p->text, (int64_t)strlen(p->text), EDGE_WHOLE,
                                             EDGE_WHOLE, &out, e);
    ok = ok && take_prompt(p, out.ids, out.count, e);
    free(out.ids);
    sentencepiece_encoder_close(x);
    return ok;
}

/* A prompt is encoded as a document's beginning would be: with the tokenizer's own prefix. */
bool corpus_encode(const corpus *c, const char *text, int32_t **ids, int64_t *n, err *e)
{
    prompt p = {.text = text};
    bool ok = true;
    if (c->bytes) {
        for (; *p.text && ok; p.text++) {
            int32_t one = (unsigned char)*p.text;
            ok = take_prompt(&p, &one, 1, e);
        }
    } else if (c->pieces) {
        ok = encode_pieces(&p, c, e);
    } else {
        ok = encode_numbers(&p, c->vocab, e);
    }
    if (!ok) {
        free(p.ids);
        return false;
    }
    *ids = p.ids;
    *n = p.n;
    return true;
}
