/* Ids from files, by pread: no position is shared, nothing is mapped (a file that is cut off while
 * it is mapped kills the process; here it is an error with a name), and only a few descriptors stay
 * open of however many files there are. */
#include "data/reader.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ids in files are little-endian");

/* Descriptors kept: more than rows are usual, few against the usual limit of 1024. A file has its
 * place by number, so two files that share one only cost an open() when they alternate. */
enum { KEPT = 256, CHUNK_BYTES = 1 << 16 };

struct reader {
    arena *memory;
    int width;
    int64_t vocab;
    const char **paths;
    int count, capacity;
    pthread_mutex_t lock; /* guards `open` */
    struct {
        int fd, file; /* fd -1: none */
    } open[KEPT];
};

reader *reader_new(arena *a, int width, int64_t vocab)
{
    CHECK(width == 1 || width == 2 || width == 4 || width == 8, "width %d", width);
    reader *r = arena_push_zero(a, 1, sizeof *r);
    r->memory = a;
    r->width = width;
    r->vocab = vocab;
    pthread_mutex_init(&r->lock, NULL);
    for (int i = 0; i < KEPT; i++) {
        r->open[i].fd = -1;
    }
    return r;
}

void reader_free(reader *r)
{
    if (!r) return;
    for (int i = 0; i < KEPT; i++) {
        if (r->open[i].fd >= 0) close(r->open[i].fd);
    }
    pthread_mutex_destroy(&r->lock);
}

int reader_add(reader *r, const char *path)
{
    /* Documents of one file are added one after the other, and share its number. */
    if (r->count && strcmp(r->paths[r->count - 1], path) == 0) return r->count - 1;
    if (r->count == r->capacity) {
        r->capacity = MAX(16, 2 * r->capacity);
        const char **grown = ARENA_NEW(r->memory, const char *, r->capacity);
        if (r->count) memcpy(grown, r->paths, (size_t)r->count * sizeof *grown);
        r->paths = grown;
    }
    /* Opened when first read: a corpus of a hundred thousand files opens as fast as one. */
    r->paths[r->count] = arena_strdup(r->memory, path);
    return r->count++;
}

const char *reader_path(const reader *r, int file)
{
    CHECK(file >= 0 && file < r->count, "file %d of %d", file, r->count);
    return r->paths[file];
}

int reader_width(const reader *r)
{
    return r->width;
}

/* The file's descriptor; call with the lock held. -1 and e if it cannot be opened. */
static int descriptor(reader *r, int file, err *e)
{
    /* No list of what was used last: rows go through files in order, and an open() costs
     * microseconds. */
    int place = file % KEPT;
    if (r->open[place].fd >= 0 && r->open[place].file == file) return r->open[place].fd;
    /* Before the other is closed: where opening fails that one can still be read. */
    int fd = file_open_named(reader_path(r, file), NULL, e);
    if (fd < 0) return -1;
    if (r->open[place].fd >= 0) close(r->open[place].fd);
    r->open[place].fd = fd;
    r->open[place].file = file;
    return fd;
}

/* One pread may give less than was asked for: at signals, on network file systems. */
static bool read_all(const reader *r, int fd, int file, int64_t offset, int64_t bytes, void *out,
                     err *e)
{
    for (int64_t done = 0; done < bytes;) {
        ssize_t got = pread(fd, (char *)out + done, (size_t)(bytes - done), offset + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_failed(e, r->paths[file], "cannot be read");
        if (got == 0) {
            long long at = offset + done, end = offset + bytes;
            return err_set(e,
                           "%s: ends at byte %lld, before the %lld bytes that are expected; the "
                           "file was cut off after the corpus was opened, restore it",
                           r->paths[file], at, end);
        }
        done += got;
    }
    return true;
}

/* The lock is held while reading: another thread could close the descriptor for a file that shares
 * its place. A read of cached pages takes a microsecond. */
bool reader_bytes(reader *r, int file, int64_t offset, int64_t bytes, void *out, err *e)
{
    pthread_mutex_lock(&r->lock);
    int fd = descriptor(r, file, e);
    bool ok = fd >= 0 && read_all(r, fd, file, offset, bytes, out, e);
    pthread_mutex_unlock(&r->lock);
    return ok;
}

/* A little-endian number of `width` bytes. memcpy, since ids in a file need not be aligned; the
 * compiler makes one load of it. */
static uint64_t number_at(const unsigned char *bytes, int width)
{
    uint64_t number = 0;
    memcpy(&number, bytes, (size_t)width);
    return number;
}

/* Loops of one width each, which the compiler makes quick. memcpy, as in number_at: a shard's
 * header need not leave ids aligned. */
#define LARGEST(type)                                                                              \
    for (int64_t i = 0; i < n; i++) {                                                              \
        type id;                                                                                   \
        memcpy(&id, bytes + (int64_t)sizeof id * i, sizeof id);                                    \
        largest = MAX(largest, id);                                                                \
    }

uint64_t reader_largest(const reader *r, const unsigned char *bytes, int64_t n)
{
    /* Unsigned in every width: a negative id of a signed type is a very large one, and refused. */
    uint64_t largest = 0;
    if (r->width == 1) {
        LARGEST(uint8_t)
    } else if (r->width == 2) {
        LARGEST(uint16_t)
    } else if (r->width == 4) {
        LARGEST(uint32_t)
    } else {
        LARGEST(uint64_t)
    }
    return largest;
}

/* n ids that are known to be below the vocabulary. */
static void widen(int32_t *restrict ids, const unsigned char *restrict bytes, int64_t n, int width)
{
    if (width == 1) {
        for (int64_t i = 0; i < n; i++) {
            /* The caller's pread filled them, unseen by the analyser. NOLINTNEXTLINE */
            ids[i] = bytes[i];
        }
    } else if (width == 2) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t id;
            memcpy(&id, bytes + 2 * i, sizeof id);
            ids[i] = id;
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            ids[i] = (int32_t)number_at(bytes + i * width, width);
        }
    }
}

/* Ids index tables of the model's, so none that is too large may pass, even if the file was
 * replaced after it was indexed. */
bool reader_ids(reader *r, int file, int64_t offset, int64_t n, int32_t *ids, err *e)
{
    /* On the stack, for lanes read at the same time. */
    unsigned char chunk[CHUNK_BYTES];
    int64_t per_chunk = CHUNK_BYTES / r->width;
    for (int64_t done = 0; done < n;) {
        int64_t now = MIN(n - done, per_chunk), at = offset + done * r->width;
        if (!reader_bytes(r, file, at, now * r->width, chunk, e)) return false;
        /* Checked as a whole, then widened without a check: both loops are as fast as memory. */
        uint64_t largest = reader_largest(r, chunk, now);
        if (largest >= (uint64_t)r->vocab) {
            long long end = at + now * r->width;
            return err_set(e,
                           "%s: token %llu between bytes %lld and %lld; with a vocabulary of %lld "
                           "ids must be below it, give the right data.vocab or other shards",
                           r->paths[file], (unsigned long long)largest, (long long)at, end,
                           (long long)r->vocab);
        }
        widen(ids + done, chunk, now, r->width);
        done += now;
    }
    return true;
}
