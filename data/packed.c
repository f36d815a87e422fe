/* Read as text, a packed file trains a model on noise, and nothing would say so: losses look like
 * those of hard text. So every file's first bytes are compared with the marks of what is often
 * mistaken for text. */
#include "data/packed.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/file.h"

/* Only beginnings are looked at, so the check costs one read per file. A mark is taken that no text
 * begins with, or one that is long enough; where letters alone would do (bzip2's three) what must
 * follow them is looked at as well. A kind that is unpacked here (gzip, zip) is told from one that
 * is only named: for that the words say which program does it.
 *
 * UTF-16 is text, but not of bytes: a model of bytes would learn that every second one is 0. It has
 * a mark, or is told by just that. */

static const char UTF16[] = "text in UTF-16; turn it into UTF-8 with iconv -f utf-16";

static const struct {
    const char *magic;
    size_t at, bytes;
    packed_kind kind;
    const char *what;
} KNOWN[] = {
    {"\x1f\x8b\x08", 0, 3, PACKED_GZIP, NULL},
    {"PK\x03\x04", 0, 4, PACKED_ZIP, NULL},
    {"PK\x05\x06", 0, 4, PACKED_ZIP, NULL}, /* with nothing in it */
    {"\x28\xb5\x2f\xfd", 0, 4, PACKED_OTHER, "a zstd file; unpack it with zstd -d"},
    {"\xfd"
     "7zXZ\0",
     0, 6, PACKED_OTHER, "an xz file; unpack it with xz -d"},
    {"BZh", 0, 3, PACKED_OTHER, "a bzip2 file; unpack it with bzip2 -d"},
    {"\x04\x22\x4d\x18", 0, 4, PACKED_OTHER, "an lz4 file; unpack it with lz4 -d"},
    {"\x5d\x00\x00", 0, 3, PACKED_OTHER, "an lzma file; unpack it with xz -d"},
    {"\x1f\x9d", 0, 2, PACKED_OTHER, "a file of compress (.Z); unpack it with gunzip"},
    {"7z\xbc\xaf\x27\x1c", 0, 6, PACKED_OTHER, "a 7z archive; unpack it with 7z x"},
    {"Rar!\x1a\x07", 0, 6, PACKED_OTHER, "a rar archive; unpack it"},
    {"ustar", 257, 5, PACKED_OTHER, "a tar archive; unpack it with tar xf"},
    {"PAR1", 0, 4, PACKED_OTHER, "a Parquet file; write its column of text to files"},
    {"ARROW1", 0, 6, PACKED_OTHER, "an Arrow file; write its column of text to files"},
    {"%PDF-", 0, 5, PACKED_OTHER, "a PDF file; take its text with pdftotext"},
    {"SQLite format 3", 0, 15, PACKED_OTHER, "an SQLite database"},
    {"\x89HDF\r\n", 0, 6, PACKED_OTHER, "an HDF5 file"},
    {"\x89PNG\r\n", 0, 6, PACKED_OTHER, "a picture"},
    {"\x93NUMPY", 0, 6, PACKED_OTHER,
     "a NumPy array; token ids are read by {corpus: shards, path: FOLDER}"},
    {"\xff\xfe", 0, 2, PACKED_OTHER, UTF16},
    {"\xfe\xff", 0, 2, PACKED_OTHER, UTF16},
    {"version https://git-lfs", 0, 23, PACKED_OTHER,
     "a pointer of Git LFS, not the file; get it with git lfs pull"},
};

/* bzip2's three letters might begin a text: the level and the first block's mark follow. */
static bool is_bzip2(const unsigned char *start, size_t bytes)
{
    return bytes >= 10 && start[3] >= '1' && start[3] <= '9' &&
           (memcmp(start + 4, "1AY&SY", 6) == 0 || memcmp(start + 4, "\x17rE8P\x90", 6) == 0);
}

/* HTML's names have no case. */
static bool begins(const char *text, size_t bytes, const char *with)
{
    return bytes >= strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

/* Pages: of a server that had no file to give, and the same of storage services as XML. */
static packed_kind find_page(const char *text, size_t bytes, const char **what)
{
    /* A byte order mark of UTF-8, which some programs write before everything. */
    if (begins(text, bytes, "\xef\xbb\xbf")) {
        text += 3;
        bytes -= 3;
    }
    while (bytes && (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t')) {
        text++;
        bytes--;
    }
    if (begins(text, bytes, "<!doctype html") || begins(text, bytes, "<html")) {
        *what = "a page of HTML, such as a server sends in place of a file";
        return PACKED_HTML;
    }
    /* XML alone is no reason: enwik8 is some. */
    if (begins(text, bytes, "<?xml") && memmem(text, bytes, "<Error>", 7)) {
        *what = "an error message of a server; get the file again";
        return PACKED_OTHER;
    }
    return PACKED_NOT;
}

/* Without a mark, as Windows keeps text: of one half of the bytes most are 0, of the other none. Of
 * few bytes nothing is said; nor of scripts whose letters have no 0, which are not told from other
 * bytes. */
static const char *find_unmarked_utf16(const unsigned char *start, size_t bytes)
{
    enum { LEAST = 32 };
    size_t zeros[2] = {0, 0}, pairs = bytes / 2;
    for (size_t i = 0; i < 2 * pairs; i++)
        zeros[i % 2] += start[i] == 0;
    if (bytes < LEAST || MIN(zeros[0], zeros[1]) > 0) return NULL;
    if (MAX(zeros[0], zeros[1]) < pairs - pairs / 8) return NULL;
    return zeros[1] ? "text in UTF-16; turn it into UTF-8 with iconv -f utf-16le"
                    : "text in UTF-16; turn it into UTF-8 with iconv -f utf-16be";
}

packed_kind packed_find(const unsigned char *start, size_t bytes, const char **what)
{
    *what = NULL;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        size_t end = KNOWN[i].at + KNOWN[i].bytes;
        if (bytes < end || memcmp(start + KNOWN[i].at, KNOWN[i].magic, KNOWN[i].bytes) != 0) {
            continue;
        }
        /* A text that begins "BZh" is possible, if only just. */
        if (start[0] == 'B' && !is_bzip2(start, bytes)) continue;
        *what = KNOWN[i].what;
        return KNOWN[i].kind;
    }
    *what = find_unmarked_utf16(start, bytes);
    return *what ? PACKED_OTHER : find_page((const char *)start, bytes, what);
}

bool packed_find_file(packed_kind *kind, const char **what, const char *path, err *e)
{
    unsigned char start[PACKED_START_BYTES];
    int fd = file_open_named(path, NULL, e);
    if (fd < 0) return false;
    /* Fewer bytes than asked for are the whole of a short file. */
    ssize_t got = pread(fd, start, sizeof start, 0);
    if (got < 0) file_failed(e, path, "cannot be read");
    close(fd);
    if (got < 0) return false;
    *kind = packed_find(start, (size_t)got, what);
    return true;
}
