/* Zip archives (PKWARE's APPNOTE.TXT): the central directory at the end lists the files; each has a
 * local header before its bytes, which are stored as they are or deflated. Sizes above 4 GiB are in
 * extra fields (zip64). Everything little-endian, nothing believed before it is compared with the
 * size of the archive. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/file.h"
#include "data/packed.h"

enum {
    END_BYTES = 22,     /* "PK\5\6": the end of the central directory */
    LOCATOR_BYTES = 20, /* "PK\6\7": where zip64's end is */
    END64_BYTES = 56,   /* "PK\6\6" */
    ENTRY_BYTES = 46,   /* "PK\1\2" */
    LOCAL_BYTES = 30,   /* "PK\3\4" */
    COMMENT_BYTES = 65535,
    CHUNK_BYTES = 1 << 18
};

typedef struct archive {
    const unsigned char *data;
    size_t bytes;
    const char *name;
    err *e;
} archive;

/* Little-endian, as the machine is (reader.c asserts it); at any address, so by memcpy. */
static uint64_t number(const unsigned char *at, int bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, (size_t)bytes);
    return value;
}

static bool damaged(const archive *z, const char *what)
{
    return err_set(z->e, "%s: this zip file is damaged or cut off (%s); get it again", z->name,
                   what);
}

static bool refused(const archive *z, const char *member, const char *what)
{
    return err_set(z->e, "%s: %s %s; unpack it yourself", z->name, member, what);
}

/* ---- the central directory ---- */

typedef struct directory {
    uint64_t offset, bytes, count;
} directory;

/* The end is at the end: 22 bytes in an archive without a comment, found at the first step. */
static bool find_directory(const archive *z, directory *d)
{
    size_t from = z->bytes > END_BYTES + COMMENT_BYTES ? z->bytes - END_BYTES - COMMENT_BYTES : 0;
    for (size_t at = z->bytes >= END_BYTES ? z->bytes - END_BYTES + 1 : 0; at-- > from;) {
        const unsigned char *end = z->data + at;
        /* The end record may have a comment of up to 64 KiB behind it, so it is looked for from the
         * end backwards; what is found first is the last. */
        if (memcmp(end, "PK\5\6", 4) != 0) continue;
        *d = (directory){number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
        if (at < LOCATOR_BYTES || memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) != 0) return true;
        uint64_t at64 = number(end - LOCATOR_BYTES + 8, 8);
        /* In either order: the comparison with the difference alone would pass in an archive that
         * is shorter. */
        if (at64 > z->bytes - END64_BYTES || z->bytes < END64_BYTES ||
            memcmp(z->data + at64, "PK\6\6", 4) != 0) {
            return damaged(z, "the zip64 record is missing");
        }
        end = z->data + at64;
        *d = (directory){number(end + 48, 8), number(end + 40, 8), number(end + 32, 8)};
        return true;
    }
    return damaged(z, "its directory is missing");
}

/* Paths below the folder that is unpacked into.
 * A backslash separates folders for some programs; a name with one is refused as well. */
static bool name_is_safe(const char *name)
{
    if (*name == '/' || *name == 0 || strchr(name, '\\')) return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        size_t n = strcspn(at, "/");
        if ((n == 2 && memcmp(at, "..", 2) == 0) || (n == 1 && *at == '.')) return false;
    }
    return true;
}

/* Sizes and offset that did not fit 32 bits stand in the extra field 1, in this order. */
static bool read_zip64(zip_member *m, const unsigned char *extra, size_t bytes)
{
    int64_t *wide[3] = {&m->bytes, &m->packed_bytes, &m->offset};
    bool any = false;
    for (int i = 0; i < 3; i++) {
        /* All ones mean: look in the extra field. */
        any |= *wide[i] == UINT32_MAX;
    }
    while (any && bytes >= 4) {
        size_t length = number(extra + 2, 2);
        if (length > bytes - 4) return false;
        const unsigned char *at = extra + 4, *end = at + length;
        for (int i = 0; i < 3 && number(extra, 2) == 1; i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (end - at < 8) return false;
            *wide[i] = (int64_t)number(at, 8);
            at += 8;
        }
        if (number(extra, 2) == 1) return true;
        extra = end;
        bytes -= 4 + length;
    }
    return !any;
}

/* One entry of the directory; *length: of the entry. A folder has no name afterwards. */
static bool read_entry(const archive *z, const unsigned char *at, size_t room, size_t *length,
                       zip_member *m, arena *a)
{
    if (room < ENTRY_BYTES || memcmp(at, "PK\1\2", 4) != 0)
        return damaged(z, "an entry is missing");
    /* 16 bits each: their sum cannot overflow. */
    size_t name = number(at + 28, 2), extra = number(at + 30, 2), comment = number(at + 32, 2);
    *length = ENTRY_BYTES + name + extra + comment;
    if (*length > room) return damaged(z, "an entry is cut off");
    char *text = arena_strndup(a, (const char *)at + ENTRY_BYTES, name);
    int method = (int)number(at + 10, 2);
    *m = (zip_member){.bytes = (int64_t)number(at + 24, 4),
                      .packed_bytes = (int64_t)number(at + 20, 4),
                      .offset = (int64_t)number(at + 42, 4),
                      .crc = (uint32_t)number(at + 16, 4),
                      .deflated = method == 8};
    if (!read_zip64(m, at + ENTRY_BYTES + name, extra)) return damaged(z, "a size is missing");
    /* Folders are made as files need them. __MACOSX holds what a Mac notes about files, one per
     * file. */
    if (name == 0 || text[name - 1] == '/' || strncmp(text, "__MACOSX/", 9) == 0) return true;
    m->name = text;
    /* A zero byte in a name would be checked as one name and written as another. */
    if (strlen(text) != name || !name_is_safe(text)) return refused(z, text, "is no safe name");
    if (number(at + 8, 2) & 1) return refused(z, text, "is encrypted");
    if (method != 0 && method != 8) return refused(z, text, "is packed in a way that is not read");
    return true;
}

static int by_offset(const void *x, const void *y)
{
    const zip_member *a = x, *b = y;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Files that share their packed bytes multiply what an archive unpacks to by their number: from
 * some kilobytes to terabytes. Apart from each other they unpack to a thousand times the archive at
 * most, as deflate does. */
static bool are_apart(const archive *z, const zip_member *list, int64_t count, arena *a)
{
    arena_mark mark = arena_now(a);
    zip_member *sorted = ARENA_NEW(a, zip_member, count + 1);
    memcpy(sorted, list, (size_t)count * sizeof *list);
    qsort(sorted, (size_t)count, sizeof *sorted, by_offset);
    bool ok = true;
    for (int64_t i = 0, end = 0; ok && i < count; i++) {
        const zip_member *m = &sorted[i];
        bool inside = m->offset >= 0 && m->packed_bytes >= 0 && (uint64_t)m->offset <= z->bytes &&
                      (uint64_t)m->packed_bytes <= z->bytes;
        ok = inside ? m->offset >= end || damaged(z, "its files share their bytes")
                    : damaged(z, m->name);
        if (ok) end = m->offset + LOCAL_BYTES + m->packed_bytes;
    }
    arena_rewind(a, mark);
    return ok;
}

bool zip_list(zip_member **list, int64_t *count, const unsigned char *data, size_t bytes,
              const char *name, arena *a, err *e)
{
    const archive z = {data, bytes, name, e};
    directory d = {0};
    if (!find_directory(&z, &d)) return false;
    /* The count is compared with the bytes there are before a list of that length is made. */
    if (d.offset > bytes || d.bytes > bytes - d.offset || d.count > d.bytes / ENTRY_BYTES) {
        return damaged(&z, "its directory reaches over the end");
    }
    *list = ARENA_NEW(a, zip_member, (int64_t)d.count + 1);
    *count = 0;
    for (uint64_t i = 0, at = d.offset, end = d.offset + d.bytes; i < d.count; i++) {
        zip_member m = {0};
        size_t length = 0;
        if (!read_entry(&z, data + at, end - at, &length, &m, a)) return false;
        if (m.name) (*list)[(*count)++] = m;
        at += length;
    }
    return are_apart(&z, *list, *count, a);
}

/* ---- one file ---- */

/* Where its bytes lie: behind the local header. NULL: outside of the archive.
 * Its name and extra field may be longer than those in the directory, so its own lengths count. */
static const unsigned char *packed_bytes(const archive *z, const zip_member *m)
{
    if (m->offset < 0 || m->packed_bytes < 0 || (uint64_t)m->offset > z->bytes ||
        z->bytes - (uint64_t)m->offset < LOCAL_BYTES ||
        memcmp(z->data + m->offset, "PK\3\4", 4) != 0) {
        return NULL;
    }
    uint64_t begin = (uint64_t)m->offset + LOCAL_BYTES + number(z->data + m->offset + 26, 2) +
                     number(z->data + m->offset + 28, 2);
    if (begin > z->bytes || (uint64_t)m->packed_bytes > z->bytes - begin) return NULL;
    return z->data + begin;
}

typedef struct unpacking {
    file_out *out;
    uLong crc;
    int64_t bytes;
} unpacking;

static bool put(unpacking *u, const unsigned char *chunk, size_t n, err *e)
{
    u->crc = crc32_z(u->crc, chunk, n);
    u->bytes += (int64_t)n;
    return file_out_write(u->out, chunk, n, e);
}

static bool inflate_all(unpacking *u, const archive *z, const zip_member *m,
                        const unsigned char *from)
{
    unsigned char chunk[CHUNK_BYTES];
    z_stream s = {0};
    /* Negative: deflate without zlib's header, as zip has it. */
    CHECK(inflateInit2(&s, -MAX_WBITS) == Z_OK, "out of memory");
    uint64_t left = (uint64_t)m->packed_bytes;
    const unsigned char *at = from;
    int state = Z_OK;
    bool ok = true;
    while (ok && state == Z_OK) {
        /* zlib counts in 32 bits. */
        uInt now = (uInt)MIN(left - (uint64_t)(at - from), (uint64_t)CHUNK_BYTES);
        s.next_in = (z_const Bytef *)(uintptr_t)at;
        s.avail_in = now;
        s.next_out = chunk;
        s.avail_out = CHUNK_BYTES;
        state = inflate(&s, Z_NO_FLUSH);
        at += now - s.avail_in;
        size_t got = CHUNK_BYTES - s.avail_out;
        if (state == Z_OK && got == 0 && now == 0) state = Z_BUF_ERROR; /* cut off */
        /* A bomb ends where its declared size does. */
        ok = u->bytes + (int64_t)got <= m->bytes && put(u, chunk, got, z->e);
    }
    inflateEnd(&s);
    return ok && state == Z_STREAM_END;
}

bool zip_extract(const zip_member *m, const unsigned char *data, size_t bytes, const char *name,
                 const char *out, err *e)
{
    const archive z = {data, bytes, name, e};
    file_out file;
    const unsigned char *from = packed_bytes(&z, m);
    /* Nothing has been written yet; from here on a file that is not whole is never renamed into
     * place. */
    if (!from) return damaged(&z, m->name);
    if (!file_out_open(&file, out, e)) return false;
    unpacking u = {.out = &file, .crc = crc32(0, NULL, 0)};
    /* To tell afterwards whether writing failed, which has its own words, or the data. */
    if (e) e->text[0] = 0;
    bool ok =
        m->deflated ? inflate_all(&u, &z, m, from) : put(&u, from, (size_t)m->packed_bytes, e);
    /* Size and checksum of the directory: a file that passes is the one that was packed. */
    ok = ok && u.bytes == m->bytes && (uint32_t)u.crc == m->crc;
    if (!ok && (!e || !e->text[0])) damaged(&z, m->name);
    ok = ok && file_out_commit(&file, e);
    file_out_cancel(&file);
    return ok;
}
