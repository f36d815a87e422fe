/* The list of a corpus's documents, while a kind fills it.
 *
 * A kind of corpus (data/corpus_class.h) adds its documents one by one, in an order that is its own
 * and is always the same: numbers of documents stand in stream cursors and in records of
 * evaluations. Of a document only its place is kept, never its text. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "data/corpus_class.h"
#include "data/file_stamp.h"

/* A name in UTF-8: bytes that are none are written as \xNN, since databases and JSON take no
 * others.
 * File names on Unix are bytes. A byte that is none becomes four characters at most, hence the
 * room. */
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
    /* The pointer is good until the next document is added: the list may move. */
    entry *added = &s->entries[s->count++];
    *added = (entry){.name = name_in_utf8(c->memory, name)};
    return added;
}

bool corpus_add_plain(corpus *c, split_kind kind, const char *name, const char *path,
                      int64_t offset, int64_t bytes, err *e)
{
    int64_t size, stamp;
    char plain_name[FILE_PATH_BYTES];
    snprintf(plain_name, sizeof plain_name, "%s", name);
    corpus_unpacked_name(plain_name);
    if (!file_stamp(path, &size, &stamp, e)) return false;
    /* -1: the rest of the file. The caller has looked at the file before; that it has shrunk since
     * is not expected here, and reading would tell. */
    if (bytes < 0) bytes = size - offset;
    CHECK(offset >= 0 && offset + bytes <= size, "bytes %lld + %lld of %lld", (long long)offset,
          (long long)bytes, (long long)size);
    /* An empty document has no token to predict and would be a row without a target. */
    if (bytes == 0) return true;
    entry *added = corpus_add(c, kind, plain_name);
    added->file = reader_add(c->reader, path);
    added->offset = offset;
    /* Bytes are ids until a tokenizer replaces them (corpus_tokenize). */
    added->tokens = added->bytes = bytes;
    added->stamp = stamp;
    return true;
}

bool corpus_add_text(corpus *c, split_kind kind, const char *name, const char *path, err *e)
{
    path = corpus_unpacked(c, path, e);
    if (!path) return false;
    if (file_is_folder(path)) return err_set(e, "%s: holds several files; unpack it", name);
    return corpus_add_plain(c, kind, name, path, 0, -1, e);
}

/* The arena keeps the old entries until the corpus goes; this happens once, when text gives way to
 * shards. */
void corpus_clear(corpus *c)
{
    for (int kind = 0; kind < SPLITS; kind++) {
        c->splits[kind].count = c->splits[kind].capacity = 0;
        c->splits[kind].entries = NULL;
    }
}

void corpus_sum(corpus *c)
{
    /* From nothing each time: it is called again once text has become ids, and once words are
     * counted. */
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

void corpus_say(const corpus *c, const char *format, ...)
{
    char line[2 * FILE_PATH_BYTES + 512];
    /* Who listens decides where remarks go; in a worker nobody does. */
    if (!c->say) return;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    c->say(c->user, line);
}
