#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/shards.h"

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
    *h = (shard_header){wide ? 4 : 2, SHARD_HEADER_BYTES, start[2]};
    if (start[1] != (wide ? 7 : 1)) {
        return err_set(e, "%s: version %d of llm.c's shards is unknown; %d would be right", name,
                       start[1], wide ? 7 : 1);
    }
    int64_t expected = SHARD_HEADER_BYTES + h->tokens * h->width;
    if (h->tokens < 0 || expected != file_bytes) {
        return err_set(e,
                       "%s: holds %lld bytes, but its header tells %d tokens (%lld bytes); it was "
                       "cut off or is still being written",
                       name, (long long)file_bytes, start[2], (long long)expected);
    }
    return true;
}

bool shard_header_parse(shard_header *h, const unsigned char *start, size_t known,
                        int64_t file_bytes, const char *name, err *e)
{
    int32_t first[3] = {0};
    if (known >= sizeof first) memcpy(first, start, sizeof first);
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (first[0] != OTHERS[i].magic) continue;
        return err_set(e, "%s: this is an %s, not token ids; give the .bin of tokens", name,
                       OTHERS[i].what);
    }
    if (first[0] == MAGIC_UINT16 || first[0] == MAGIC_UINT32) {
        return parse_llmc(h, first, file_bytes, name, e);
    }
    if (file_bytes % 2 != 0) {
        return err_set(e,
                       "%s: %lld bytes are no whole number of 2-byte ids; give raw uint16 or an "
                       "llm.c .bin file",
                       name, (long long)file_bytes);
    }
    *h = (shard_header){2, 0, file_bytes / 2};
    return true;
}

bool shard_header_read(shard_header *h, const char *path, err *e)
{
    unsigned char start[12];
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pread(fd, start, sizeof start, 0);
    int problem = errno;
    if (fd >= 0) close(fd);
    if (got < 0) return err_set(e, "%s: cannot be read: %s", path, strerror(problem));
    return shard_header_parse(h, start, (size_t)got, bytes, path, e);
}
