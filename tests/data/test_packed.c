/* Text as downloads leave it: packed, or something else under its name. */
#include "data/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

static const char ENWIK8_START[] = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.3/\" "
                                   "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/* A gzip file; `keep` bytes of it, 0: all. */
static void write_gzip(const char *name, const char *text, int64_t keep)
{
    corpora_write(name, "", 0); /* makes the folder */
    gzFile f = gzopen(test_inside(name), "wb");
    EXPECT(f && gzwrite(f, text, (unsigned)strlen(text)) == (int)strlen(text), "gzip");
    EXPECT(gzclose(f) == Z_OK, "gzip");
    if (!keep) return;
    char *all = file_read(test_inside(name), NULL, NULL);
    corpora_write(name, all, keep);
    free(all);
}

/* ---- zip files ---- */

typedef struct zip_out {
    unsigned char bytes[1 << 17];
    size_t used;
    unsigned char entries[4096];
    size_t entries_used;
    int count;
} zip_out;

static void put_number(unsigned char *at, uint64_t value, int bytes)
{
    memcpy(at, &value, (size_t)bytes);
}

/* Adds a file, stored or deflated. */
static void zip_add(zip_out *z, const char *name, const char *text, bool deflate_it)
{
    size_t bytes = strlen(text), length = strlen(name), packed = bytes;
    unsigned char *data = malloc(bytes + 1024);
    memcpy(data, text, bytes);
    if (deflate_it) {
        z_stream s = {0};
        EXPECT(deflateInit2(&s, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK, "deflate");
        s.next_in = (z_const Bytef *)(uintptr_t)text;
        s.avail_in = (uInt)bytes;
        s.next_out = data;
        s.avail_out = (uInt)bytes + 1024;
        EXPECT(deflate(&s, Z_FINISH) == Z_STREAM_END, "deflate");
        packed = s.total_out;
        deflateEnd(&s);
    }
    uint64_t crc = crc32(0, (const Bytef *)text, (uInt)bytes), offset = z->used;
    unsigned char *local = z->bytes + z->used, *entry = z->entries + z->entries_used;
    memcpy(local, "PK\3\4\24\0\0\0", 8);
    put_number(local + 8, deflate_it ? 8 : 0, 2);
    put_number(local + 14, crc, 4);
    put_number(local + 18, packed, 4);
    put_number(local + 22, bytes, 4);
    put_number(local + 26, length, 2);
    memcpy(local + 30, name, length);
    memcpy(local + 30 + length, data, packed);
    z->used += 30 + length + packed;
    memcpy(entry, "PK\1\2\24\0\24\0\0\0", 10);
    put_number(entry + 10, deflate_it ? 8 : 0, 2);
    put_number(entry + 16, crc, 4);
    put_number(entry + 20, packed, 4);
    put_number(entry + 24, bytes, 4);
    put_number(entry + 28, length, 2);
    put_number(entry + 42, offset, 4);
    memcpy(entry + 46, name, length);
    z->entries_used += 46 + length;
    z->count++;
    free(data);
}

static void zip_write(zip_out *z, const char *name)
{
    size_t at = z->used;
    memcpy(z->bytes + at, z->entries, z->entries_used);
    z->used += z->entries_used;
    unsigned char *end = z->bytes + z->used;
    memcpy(end, "PK\5\6", 4);
    put_number(end + 8, (uint64_t)z->count, 2);
    put_number(end + 10, (uint64_t)z->count, 2);
    put_number(end + 12, z->entries_used, 4);
    put_number(end + 16, at, 4);
    z->used += 22;
    corpora_write(name, z->bytes, (int64_t)z->used);
}

static zip_out *zip_new(void)
{
    return calloc(1, sizeof(zip_out));
}

/* ---- reading them ---- */

static void expect_same(const char *packed, const char *plain)
{
    corpus *a = corpora_need(packed), *b = corpora_need(plain);
    EXPECT(a && b && strcmp(corpus_hash(a), corpus_hash(b)) == 0, "%s is not %s", packed, plain);
    corpus_close(a);
    corpus_close(b);
}

static void refuses(const char *yaml, const char *says)
{
    err e = {0};
    corpus *c = corpora_open(yaml, &e);
    EXPECT(!c && strstr(e.text, says), "%s: %s", yaml, e.text);
    corpus_close(c);
}

static void gzip_is_read(void)
{
    char *text = corpora_text(1, 40000);
    corpora_write("plain/x.txt", text, -1);
    write_gzip("x.txt.gz", text, 0);
    expect_same("{corpus: text, path: x.txt.gz}", "{corpus: text, path: plain/x.txt}");
    write_gzip("folder/train/x.txt.gz", text, 0);
    write_gzip("folder/valid/y.txt.gz", text + 30000, 0);
    corpora_write("unpacked/train/x.txt", text, -1);
    corpora_write("unpacked/valid/y.txt", text + 30000, -1);
    expect_same("{corpus: text, path: folder}", "{corpus: text, path: unpacked}");
    write_gzip("x.txt.gz", text + 1, 0); /* another content: not the one that was unpacked */
    corpora_write("plain/x.txt", text + 1, -1);
    expect_same("{corpus: text, path: x.txt.gz}", "{corpus: text, path: plain/x.txt}");
    write_gzip("cut.gz", text, 3000);
    refuses("{corpus: text, path: cut.gz}", "cut off");
    corpora_write("damaged.gz", "\x1f\x8b\x08\0\0\0\0\0\0\3 no deflated bytes at all", -1);
    corpora_write("header.gz", "\x1f\x8b\x08", 3);
    refuses("{corpus: text, path: header.gz}", "header.gz: ");
    char tar[600] = "name";
    memcpy(tar + 257, "ustar", 5);
    for (int i = 4; i < 600; i++) {
        if (!tar[i]) tar[i] = 'x';
    }
    tar[599] = 0;
    write_gzip("x.tgz", tar, 0);
    refuses("{corpus: text, path: x.tgz}", "a tar archive; unpack it with tar xf");
    free(text);
}

static void zip_is_read(void)
{
    char *text = corpora_text(2, 40000);
    for (int deflated = 0; deflated < 2; deflated++) {
        zip_out *z = zip_new();
        zip_add(z, "x.txt", text, deflated);
        zip_write(z, "x.zip");
        free(z);
        corpora_write("plain/x.txt", text, -1);
        expect_same("{corpus: text, path: x.zip}", "{corpus: text, path: plain/x.txt}");
    }
    zip_out *z = zip_new();
    zip_add(z, "wikitext/", "", false);
    zip_add(z, "wikitext/wiki.train.tokens", text, true);
    zip_add(z, "wikitext/wiki.valid.tokens", text + 30000, false);
    zip_add(z, "__MACOSX/wikitext/._wiki", "x", false);
    zip_write(z, "wikitext-v1.zip");
    free(z);
    corpora_write("wiki/wiki.train.tokens", text, -1);
    corpora_write("wiki/wiki.valid.tokens", text + 30000, -1);
    expect_same("{corpus: text, path: wikitext-v1.zip}", "{corpus: text, path: wiki}");
    free(text);
}

static void bad_zips(void)
{
    static const struct {
        const char *name, *says;
    } NAMES[] = {{"../x.txt", "no safe name"},
                 {"/x.txt", "no safe name"},
                 {"a/../../x.txt", "no safe name"},
                 {"[Content_Types].xml", "office program"}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        zip_out *z = zip_new();
        zip_add(z, NAMES[i].name, "some text", false);
        zip_write(z, "bad.zip");
        refuses("{corpus: text, path: bad.zip}", NAMES[i].says);
        free(z);
    }
    EXPECT(!file_exists(test_inside("x.txt")), "written outside of the cache");
    char *text = corpora_text(3, 5000);
    zip_out *z = zip_new();
    zip_add(z, "x.txt", text, true);
    zip_write(z, "good.zip");
    unsigned char *bytes = z->bytes;
    corpora_write("bad.zip", bytes, (int64_t)z->used - 30);
    refuses("{corpus: text, path: bad.zip}", "damaged or cut off");
    bytes[100] ^= 0xff;
    corpora_write("bad.zip", bytes, (int64_t)z->used);
    refuses("{corpus: text, path: bad.zip}", "damaged or cut off");
    bytes[100] ^= 0xff;
    bytes[z->used - 22 - z->entries_used + 8] |= 1;
    corpora_write("bad.zip", bytes, (int64_t)z->used);
    refuses("{corpus: text, path: bad.zip}", "x.txt is encrypted");
    free(z);
    free(text);
}

/* Files of one packed text: a thousand of them are a thousand times what deflate made small. */
static void shared_bytes(void)
{
    char *text = corpora_text(3, 5000);
    zip_out *z = zip_new();
    zip_add(z, "train.txt", text, true);
    zip_add(z, "valid.txt", text, true);
    zip_write(z, "apart.zip");
    corpus *apart = corpora_need("{corpus: text, path: apart.zip}");
    if (apart) corpus_close(apart);
    free(z);
    z = zip_new();
    size_t one = 0;
    for (int i = 0; i < 2; i++) {
        zip_add(z, i ? "valid.txt" : "train.txt", text, true);
        if (i == 0) one = z->used;
        put_number(z->entries + z->entries_used - 46 - 9 + 42, 0, 4);
        z->used = one;
    }
    zip_write(z, "bomb.zip");
    refuses("{corpus: text, path: bomb.zip}", "its files share their bytes");
    free(z);
    free(text);
}

/* ---- what is no text ---- */

static const struct {
    const char *start;
    size_t bytes;
    const char *says;
} OTHERS[] = {
    {"\x28\xb5\x2f\xfd....", 8, "zstd -d"},
    {"\xfd"
     "7zXZ\0...",
     9, "xz -d"},
    {"BZh91AY&SY....", 14, "bzip2 -d"},
    {"\x04\x22\x4d\x18...", 7, "lz4"},
    {"\x1f\x9d....", 6, "compress"},
    {"7z\xbc\xaf\x27\x1c..", 8, "7z archive"},
    {"PAR1....", 8, "Parquet"},
    {"%PDF-1.5 ", 9, "PDF"},
    {"\xff\xfeh\0i\0", 6, "UTF-16"},
    {"version https://git-lfs.github.com/spec/v1\noid", 46, "git lfs pull"},
    {"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", 61, "error message"},
};

static void others_are_refused_by_name(void)
{
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        char bytes[4000];
        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, OTHERS[i].start, OTHERS[i].bytes);
        corpora_write("x", bytes, sizeof bytes);
        refuses("{corpus: text, path: x}", OTHERS[i].says);
        corpora_write("t/train/x", bytes, sizeof bytes);
        corpora_write("t/val/y", "text", -1);
        refuses("{corpus: text, path: t}", OTHERS[i].says);
    }
    corpora_write("bzh", "BZh is how a text may begin, and go on for a while", -1);
    corpus *c = corpora_need("{corpus: text, path: bzh}");
    corpus_close(c);
}

/* UTF-16 without its mark, in either order: half of it 0, but for a dash and a few of the like. */
static void unmarked_utf16_is_refused(void)
{
    char little[2000], big[2000], mixed[2000];
    for (int i = 0; i < 2000; i += 2) {
        little[i] = big[i + 1] = (char)('a' + i % 26);
        little[i + 1] = big[i] = i % 50 ? 0 : 0x20;
    }
    memcpy(mixed, little, sizeof mixed);
    mixed[30] = 0; /* no text has the character 0 */
    corpora_write("le", little, sizeof little);
    corpora_write("be", big, sizeof big);
    corpora_write("mixed", mixed, sizeof mixed);
    refuses("{corpus: text, path: le}", "iconv -f utf-16le");
    refuses("{corpus: text, path: be}", "iconv -f utf-16be");
    corpus_close(corpora_need("{corpus: text, path: mixed}"));
}

/* ---- texts that are published, and are known ---- */

static void enwik8_as_people_have_it(void)
{
    char *text = corpora_text(4, 40000);
    memcpy(text, ENWIK8_START, sizeof ENWIK8_START - 1);
    corpora_write("plain/enwik8", text, -1);
    zip_out *z = zip_new();
    zip_add(z, "enwik8", text, true);
    zip_write(z, "enwik8.zip");
    free(z);
    expect_same("{corpus: enwik8}", "{corpus: enwik8, path: plain}");
    write_gzip("packed/enwik8.gz", text, 0);
    expect_same("{corpus: enwik8, path: packed}", "{corpus: enwik8, path: plain}");
    corpora_write("page/enwik8", "<html><head><title>404</title></head><body></body></html>", -1);
    refuses("{corpus: enwik8, path: page}", "a page of HTML");
    corpora_write("other/enwik8", text + 5, -1);
    refuses("{corpus: enwik8, path: other}", "does not begin as enwik8 does");
    free(text);
}

static void text8_is_letters_and_spaces(void)
{
    char *text = corpora_text(5, 40000);
    for (char *at = text; *at; at++) {
        if (*at == '\n') *at = ' ';
    }
    corpora_write("text8", text, -1);
    corpus *c = corpora_need("{corpus: text8}");
    corpus_close(c);
    text[39000] = '\n'; /* in the test split */
    corpora_write("text8", text, -1);
    refuses("{corpus: text8}", "byte 39000 is 0x0a, but text8 has a-z and spaces only");
    text[39000] = 'A';
    corpora_write("text8", text, -1);
    refuses("{corpus: text8}", "0x41");
    free(text);
}

/* Somebody's own text may be HTML. */
static void pages_are_text_where_they_may_be(void)
{
    char page[4000] = "<!DOCTYPE html><p>";
    memset(page + 18, 'x', sizeof page - 19);
    corpora_write("page.html", page, -1);
    corpus *c = corpora_need("{corpus: text, path: page.html}");
    corpus_close(c);
    corpora_write("pg/train/1.txt", page, -1);
    refuses("{corpus: pg19, path: pg}", "a page of HTML");
}

const test_suite test_packed = {
    "data/packed",
    {{"gzip is read", gzip_is_read},
     {"zip is read", zip_is_read},
     {"bad zips", bad_zips},
     {"shared bytes", shared_bytes},
     {"others are refused by name", others_are_refused_by_name},
     {"unmarked UTF-16 is refused", unmarked_utf16_is_refused},
     {"enwik8 as people have it", enwik8_as_people_have_it},
     {"text8 is letters and spaces", text8_is_letters_and_spaces},
     {"pages are text where they may be", pages_are_text_where_they_may_be},
     {0}}};
