/* What kind of ids a file holds, from its first bytes and its size. llm.c's shards and .npy files
 * say so; raw files (nanoGPT's) do not, and then nearly any file is a valid one: a text read as
 * 2-byte ids trains without an error. So raw ids are believed only after the marks of everything
 * that is likely to be mistaken for them, and a user who knows better says dtype. */
#include "data/shard_header.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/npy.h"

/* Order: marks of files that are something else of llm.c's, marks of what we read, and only then
 * raw ids. Everything is compared with the size of the file: a header that tells more tokens than
 * there are is that of a copy that broke off, and one that tells fewer would leave text out without
 * a word. */

enum { MAGIC_UINT16 = 20240520, MAGIC_UINT32 = 20240801 };

/* Other files of llm.c begin with these; read as raw ids they would train on nonsense. */
static const struct {
    int32_t magic;
    const char *what;
} OTHERS[] = {
    {20240522, "llm.c evaluation file"}, {20240326, "llm.c model"},
    {20240327, "llm.c debug state"},     {20240328, "llm.c tokenizer"},
    {20240527, "llm.c training state"},
};

static bool parse_llmc(shard_header *h, const int32_t *start, int64_t file_bytes, const char *name,
                       err *e)
{
    bool wide = start[0] == MAGIC_UINT32;
    *h = (shard_header){wide ? TOKEN_UINT32 : TOKEN_UINT16, SHARD_HEADER_BYTES, start[2]};
    if (start[1] != (wide ? 7 : 1)) {
        return err_set(e, "%s: version %d of llm.c's shards is unknown; %d would be right", name,
                       start[1], wide ? 7 : 1);
    }
    /* int32 tokens times 4 cannot overflow. */
    int64_t expected = SHARD_HEADER_BYTES + h->tokens * token_type_width(h->type);
    if (h->tokens < 0 || expected != file_bytes) {
        return err_set(e,
                       "%s: holds %lld bytes, but its header tells %d tokens (%lld bytes); it was "
                       "cut off or is still being written",
                       name, (long long)file_bytes, start[2], (long long)expected);
    }
    return true;
}

/* ---- raw ids: nothing in the file says what it is ---- */

/* Fewer than packed.c knows of text: ids may begin with marks as short as some there (a UTF-16 mark
 * is an id, and so is that of compress). */
static const struct {
    const char *magic;
    size_t bytes;
    const char *what;
} KNOWN[] = {
    {"\x1f\x8b\x08", 3, "a gzip file; unpack it with gunzip"},
    {"PK\x03\x04", 4, "a zip file (.npz and PyTorch's .pt are such); write its ids alone"},
    {"\x28\xb5\x2f\xfd", 4, "a zstd file; unpack it with zstd -d"},
    {"\xfd"
     "7zXZ\0",
     6, "an xz file; unpack it with xz -d"},
    {"BZh", 3, "a bzip2 file; unpack it with bzip2 -d"},
    {"PAR1", 4, "a Parquet file"},
    {"ARROW1", 6, "an Arrow file"},
    {"MMIDIDX", 7, "an index of Megatron's data sets; the ids are in the .bin file beside it"},
    {"TNTIDX", 6, "an index of Megatron's data sets; the ids are in the .bin file beside it"},
    {"\x89HDF\r\n", 6, "an HDF5 file"},
};

static bool is_text(const unsigned char *start, size_t known)
{
    for (size_t i = 0; i < known; i++) {
        bool printed = start[i] >= ' ' && start[i] < 0x7f;
        if (!printed && start[i] != '\n' && start[i] != '\r' && start[i] != '\t') return false;
    }
    /* Few bytes may look like text by chance: 32 small ids can. */
    return known >= 64;
}

static bool refuse_known(const unsigned char *start, size_t known, const char *name, err *e)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        if (known < KNOWN[i].bytes || memcmp(start, KNOWN[i].magic, KNOWN[i].bytes) != 0) continue;
        err_set(e, "%s: this is %s, not token ids (if it is, say how wide: dtype)", name,
                KNOWN[i].what);
        return true;
    }
    if (!is_text(start, known)) return false;
    /* Two-byte ids of printable ASCII on both halves, 64 bytes of them in a row, are text for all
     * that matters. */
    err_set(e, "%s: this is text, not token ids; read it with {corpus: text, path: ...}", name);
    return true;
}

/* Ids of 4 or 8 bytes, seen as pairs of 2: the second of every pair is the upper half, next to
 * nothing, while the first takes many values. No text of 2-byte ids alternates like that. */
static bool looks_wide(const unsigned char *start, size_t known)
{
    enum { PAIRS = 16, SMALL = 32, LARGE = 64 };
    int upper = 0, lower = 0;
    size_t pairs = known / 4;
    for (size_t i = 0; i < pairs; i++) {
        uint16_t pair[2];
        memcpy(pair, start + 4 * i, sizeof pair);
        lower = MAX(lower, pair[0]);
        upper = MAX(upper, pair[1]);
    }
    /* Upper halves below 32 are ids below 2^21, more than vocabularies have. */
    return pairs >= PAIRS && lower >= LARGE && upper < SMALL;
}

static bool parse_raw(shard_header *h, token_type type, const unsigned char *start, size_t known,
                      int64_t file_bytes, const char *name, err *e)
{
    bool guessed = type == TOKEN_AUTO;
    *h = (shard_header){.type = guessed ? TOKEN_UINT16 : type};
    int64_t width = token_type_width(h->type);
    /* An option ends the guessing. (Where a header says otherwise, check_type refuses it.) */
    if (guessed && refuse_known(start, known, name, e)) return false;
    if (file_bytes % width != 0) {
        return err_set(e,
                       "%s: %lld bytes are no whole number of %lld-byte ids (%s); say what they "
                       "are with dtype (" TOKEN_TYPES ")",
                       name, (long long)file_bytes, (long long)width, token_type_name(h->type));
    }
    if (guessed && looks_wide(start, known)) {
        return err_set(e,
                       "%s: every second 2-byte id is next to nothing, as if ids had 4 or 8 bytes; "
                       "say what they are with dtype: uint32, int64 or, if so, uint16",
                       name);
    }
    h->tokens = file_bytes / width;
    return true;
}

/* What the file says of itself and what the user says must agree. */
static bool check_type(const shard_header *h, token_type type, const char *name, err *e)
{
    if (type == TOKEN_AUTO || type == h->type) return true;
    return err_set(e, "%s: its header says that ids are %s, not %s; leave dtype out", name,
                   token_type_name(h->type), token_type_name(type));
}

bool shard_header_parse(shard_header *h, token_type type, const unsigned char *start, size_t known,
                        int64_t file_bytes, const char *name, err *e)
{
    int32_t first[3] = {0};
    /* Shorter files have none of the marks, and are raw. */
    if (known >= sizeof first) memcpy(first, start, sizeof first);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (first[0] != OTHERS[i].magic) continue;
        return err_set(e, "%s: this is an %s, not token ids; give the .bin of tokens", name,
                       OTHERS[i].what);
    }
    if (first[0] == MAGIC_UINT16 || first[0] == MAGIC_UINT32) {
        return parse_llmc(h, first, file_bytes, name, e) && check_type(h, type, name, e);
    }
    if (npy_is(start, known)) {
        npy_header npy;
        if (!npy_parse(&npy, start, known, file_bytes, name, e)) return false;
        *h = (shard_header){npy.type, npy.offset, npy.count};
        return check_type(h, type, name, e);
    }
    return parse_raw(h, type, start, known, file_bytes, name, e);
}

/* The beginning of a file. -1 and e on failure. */
static ssize_t read_start(unsigned char start[SHARD_START_BYTES], int64_t *file_bytes,
                          const char *path, err *e)
{
    int fd = file_open_named(path, file_bytes, e);
    if (fd < 0) return -1;
    ssize_t got = pread(fd, start, SHARD_START_BYTES, 0);
    if (got < 0) file_failed(e, path, "cannot be read");
    close(fd);
    return got;
}

bool shard_header_read(shard_header *h, token_type type, const char *path, err *e)
{
    unsigned char start[SHARD_START_BYTES];
    int64_t bytes;
    ssize_t got = read_start(start, &bytes, path, e);
    return got >= 0 && shard_header_parse(h, type, start, (size_t)got, bytes, path, e);
}

/* A sidecar has said that this is a shard of loci's, so nothing has to be guessed: without a mark
 * it is nanoGPT's form, of 2 bytes. */
bool shard_header_read_described(shard_header *h, const char *path, err *e)
{
    unsigned char start[SHARD_START_BYTES];
    int64_t bytes;
    ssize_t got = read_start(start, &bytes, path, e);
    if (got < 0) return false;
    int32_t magic = 0;
    if (got >= (ssize_t)sizeof magic) memcpy(&magic, start, sizeof magic);
    token_type type = magic == MAGIC_UINT32 ? TOKEN_UINT32 : TOKEN_UINT16;
    return shard_header_parse(h, type, start, (size_t)got, bytes, path, e);
}
