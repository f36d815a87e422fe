/* Headers of shards, the sidecar corpus.json, SentencePiece models and indices of Megatron's data
 * sets: the first byte says which.
 * Any bytes are refused with a message or give a corpus whose documents lie inside its shards. */
#include <stdlib.h>
#include <string.h>

#include "data/megatron.h"
#include "data/shards.h"
#include "tests/fuzz/target.h"

enum { TOKENS = 1000 };

/* Stands for shards that would be there: 1,000 tokens each. */
static bool some_header(shard_header *h, const char *path, err *e)
{
    if (strstr(path, "absent")) return err_set(e, "%s: is not there", path);
    *h = (shard_header){TOKEN_UINT16, SHARD_HEADER_BYTES, TOKENS};
    return true;
}

static void fuzz_sidecar(const uint8_t *bytes, size_t size)
{
    arena *a = arena_new(1 << 16);
    corpus *c = arena_push_zero(a, 1, sizeof *c);
    c->memory = a;
    for (int kind = 0; kind < SPLITS; kind++) {
        c->splits[kind].kind = (split_kind)kind;
        c->splits[kind].of = c;
    }
    err e = {0};
    shard_origin origin;
    bool ok = shards_parse(c, (const char *)bytes, size, "folder", some_header, &origin, &e);
    CHECK(ok || e.text[0], "refused without a message");
    for (int kind = 0; kind < SPLITS && ok; kind++) {
        for (int64_t i = 0; i < c->splits[kind].count; i++) {
            const entry *d = &c->splits[kind].entries[i];
            CHECK(d->offset >= SHARD_HEADER_BYTES && d->tokens >= 0 &&
                      d->offset + 2 * d->tokens <= SHARD_HEADER_BYTES + 2 * TOKENS,
                  "%s lies outside", d->name);
        }
    }
    reader_free(c->reader);
    arena_free(a);
}

/* What the file begins with, and in the last 8 bytes how large it is. */
static void fuzz_header(const uint8_t *bytes, size_t size, token_type told)
{
    int64_t file_bytes = (int64_t)size;
    if (size >= 12 + sizeof file_bytes) {
        size -= sizeof file_bytes;
        memcpy(&file_bytes, bytes + size, sizeof file_bytes);
    }
    if (file_bytes < 0) return;
    err e = {0};
    shard_header h;
    if (!shard_header_parse(&h, told, bytes, size, file_bytes, "fuzz", &e)) {
        CHECK(e.text[0], "refused without a message");
        return;
    }
    CHECK(h.tokens >= 0 && h.offset + h.tokens * token_type_width(h.type) <= file_bytes,
          "%lld tokens in %lld bytes", (long long)h.tokens, (long long)file_bytes);
}

/* Documents of an index lie in its order, and end where the file does. */
static void fuzz_index(const uint8_t *bytes, size_t size)
{
    int64_t data_bytes;
    if (size < sizeof data_bytes) return;
    memcpy(&data_bytes, bytes, sizeof data_bytes);
    arena *a = arena_new(1 << 16);
    err e = {0};
    megatron_index x;
    if (megatron_parse(&x, bytes + 8, size - 8, data_bytes, "fuzz", a, &e)) {
        int64_t last = 0;
        for (int64_t i = 0; i < x.documents; i++) {
            CHECK(x.ends[i] >= last && x.ends[i] <= x.tokens, "document %lld", (long long)i);
            last = x.ends[i];
        }
        CHECK(x.tokens * token_type_width(x.type) == data_bytes, "%lld", (long long)x.tokens);
    } else {
        CHECK(e.text[0], "refused without a message");
    }
    arena_free(a);
}

static void fuzz_model(const uint8_t *bytes, size_t size)
{
    arena *a = arena_new(1 << 16);
    err e = {0};
    sentencepiece *s = sentencepiece_parse(a, bytes, size, "fuzz", &e);
    CHECK(s || e.text[0], "refused without a message");
    if (s) {
        int32_t ids[64];
        for (int i = 0; i < 64; i++) {
            ids[i] = i - 1;
        }
        char *text = sentencepiece_decode(s, ids, 64);
        CHECK(text, "no text");
        free(text);
    }
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size == 0) return 0;
    switch (bytes[0] % 4) {
    case 0:
        fuzz_sidecar(bytes + 1, size - 1);
        break;
    case 1:
        fuzz_header(bytes + 1, size - 1, (token_type)(bytes[0] / 4 % (TOKEN_INT64 + 1)));
        break;
    case 2:
        fuzz_model(bytes + 1, size - 1);
        break;
    default:
        fuzz_index(bytes + 1, size - 1);
    }
    return 0;
}
