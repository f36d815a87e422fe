#include "harness/inspect/prefixes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A split as one line of tokens, numbered through. Sentences are found once, on opening, by the
 * text of the tokens, and kept as a bit per token: 1 / 32 of the ids' own size. The start of a
 * token's sentence is then the highest bit set at or below it, a few words back, with no table of
 * sentences.
 *
 * Why sentences at all: triggers are prefixes of sentences (Geva et al. 2021, sec. 3), and the
 * published code keeps of a sentence the best prefix only, or a key's triggers may be neighbouring
 * positions of one passage. */

enum { READ_TOKENS = 65536 };

/* ---- the text of single tokens ---- */

/* The tokenizer drops the space before a text's first word, so a piece is what it adds behind
 * another one: decode(anchor, id) without decode(anchor). The anchor is any token that has a text.
 */
static int32_t find_anchor(const corpus *c, int64_t vocab, size_t *length)
{
    for (int32_t id = 0; id < vocab; id++) {
        text_auto *text = corpus_decode(c, &id, 1);
        *length = text ? strlen(text) : 0;
        if (*length > 0) return id;
    }
    return 0;
}

/* Texts of all tokens, once: sentences are found by them, and all that is shown is made of them. A
 * token whose text is shorter behind the anchor than the anchor alone has none of its own.
 */
static void read_pieces(prefixes *p, const corpus *c)
{
    size_t length = 0;
    int32_t anchor = find_anchor(c, p->vocab, &length);
    p->pieces = ARENA_NEW(p->memory, const char *, p->vocab);
    for (int64_t id = 0; id < p->vocab; id++) {
        text_auto *text = corpus_decode(c, (int32_t[]){anchor, (int32_t)id}, 2);
        p->pieces[id] =
            text && strlen(text) >= length ? arena_strdup(p->memory, text + length) : "";
    }
}

/* ---- sentences ---- */

/* A sentence's end is seen (ENDED: behind . ! ?), then white space (BETWEEN), and only what follows
 * begins the next one: closing quotes and brackets still belong to the old. */
typedef enum sentence_state { INSIDE, ENDED, BETWEEN } sentence_state;

typedef struct sentence_reader {
    sentence_state state;
    int newlines;
    unsigned char held; /* of a quote of several bytes: its last byte so far */
    int64_t length;     /* tokens since the last start */
} sentence_reader;

/* Whether a byte belongs to what still stands behind a full stop: brackets and quotes, straight or
 * typeset. A token may be a part of a quote, as bytes are. */
static bool closes(sentence_reader *r, unsigned char c)
{
    unsigned char held = r->held;
    r->held = c;
    if (held == 0 && (c == 0xc2 || c == 0xe2)) return true;
    if (held == 0xe2 && c == 0x80) return true;
    r->held = 0;
    if (held == 0x80) return c && strchr("\x98\x99\x9c\x9d\xb9\xba", c); /* the last of E2 80 .. */
    if (held == 0xc2) return c == 0xab || c == 0xbb;                     /* << and >> */
    return held == 0 && strchr("\"')]}", c);
}

/* True if a sentence begins with this piece. Pieces may hold several characters or words; a
 * sentence that begins inside of one begins with it, as tokens are not split. `3.14` ends none, for
 * no white space follows; `Mr. Smith` does, as in simple splitters everywhere. An empty line (a
 * second newline) ends a sentence without a full stop, such as a heading. */
static bool begins(sentence_reader *r, const char *piece)
{
    bool start = false;
    for (const char *c = piece; *c; c++) {
        if (isspace((unsigned char)*c)) {
            r->newlines += *c == '\n';
            if (r->state == ENDED || r->newlines > 1) r->state = BETWEEN;
            continue;
        }
        r->newlines = 0;
        if (r->state == BETWEEN) {
            start = true;
            r->state = INSIDE;
        }
        if (strchr(".!?", *c)) {
            r->state = ENDED;
            r->held = 0;
        } else if (r->state == ENDED && !closes(r, (unsigned char)*c)) {
            r->state = INSIDE;
        }
    }
    /* A text without full stops (code, lists) is cut at the longest length there may be. */
    if (r->length >= SENTENCE_TOKENS) start = true;
    r->length = start ? 1 : r->length + 1;
    return start;
}

static void mark_starts(prefixes *p, int64_t token)
{
    p->starts[token / 64] |= (uint64_t)1 << (token % 64);
}

/* The reader begins anew with each document, and so does a sentence. */
static bool mark_document(prefixes *p, int64_t index, int32_t *ids, err *e)
{
    int64_t begin = p->first[index], end = p->first[index + 1];
    sentence_reader r = {.state = INSIDE};
    if (end > begin) mark_starts(p, begin);
    for (int64_t at = begin; at < end; at += READ_TOKENS) {
        int64_t n = MIN((int64_t)READ_TOKENS, end - at);
        if (!prefixes_read(p, at, n, ids, e)) return false;
        for (int64_t i = 0; i < n; i++) {
            if (begins(&r, prefixes_piece(p, ids[i]))) mark_starts(p, at + i);
        }
    }
    return true;
}

/* first [documents + 1], cut at the limit: the last document may be there in part, and
 * first[documents] is the number of tokens. */
bool prefixes_open(prefixes *p, const corpus *c, corpus_split *split, int64_t limit, arena *a,
                   err *e)
{
    int64_t all = split_documents(split), total = split_tokens(split);
    *p = (prefixes){.memory = a, .split = split, .vocab = corpus_vocab(c)};
    p->tokens = limit > 0 ? MIN(limit, total) : total;
    p->first = ARENA_NEW(a, int64_t, all + 1);
    p->first[0] = 0;
    while (p->documents < all && p->first[p->documents] < p->tokens) {
        int64_t end = p->first[p->documents] + split_document(split, p->documents).tokens;
        p->first[++p->documents] = MIN(end, p->tokens);
    }
    /* One word more than full ones: the last bits have room, and a search down from the last token
     * stays inside. */
    p->starts = arena_push_zero(a, p->tokens / 64 + 1, sizeof *p->starts);
    read_pieces(p, c);
    int32_t *ids = malloc(READ_TOKENS * sizeof *ids);
    CHECK(ids, "out of memory for %d tokens", READ_TOKENS);
    bool ok = true;
    for (int64_t d = 0; ok && d < p->documents; d++) {
        ok = mark_document(p, d, ids, e);
    }
    free(ids);
    return ok;
}

/* ---- asking ---- */

/* By halving: the last document that begins at or before the token. */
int64_t prefixes_document(const prefixes *p, int64_t token)
{
    CHECK(token >= 0 && token < p->tokens, "token %lld of %lld", (long long)token,
          (long long)p->tokens);
    int64_t low = 0, high = p->documents;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (p->first[middle] <= token) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

int64_t prefixes_sentence(const prefixes *p, int64_t token)
{
    CHECK(token >= 0 && token < p->tokens, "token %lld of %lld", (long long)token,
          (long long)p->tokens);
    int64_t word = token / 64;
    /* Bits of this word at and below the token; the shift is 63 - token mod 64, never 64. */
    uint64_t bits = p->starts[word] & (UINT64_MAX >> (63 - token % 64));
    while (!bits) {
        bits = p->starts[--word]; /* token 0 begins one */
    }
    return word * 64 + 63 - __builtin_clzll(bits);
}

bool prefixes_read(const prefixes *p, int64_t begin, int64_t n, int32_t *ids, err *e)
{
    int64_t d = prefixes_document(p, begin);
    return split_read(p->split, d, begin - p->first[d], n, ids, e);
}

const char *prefixes_piece(const prefixes *p, int32_t id)
{
    return id >= 0 && id < p->vocab ? p->pieces[id] : "";
}
