/* A stranger's journal beside the database names a file elsewhere, which SQLite would remove. */
#include <string.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "results/store/collect.h"
#include "results/store/query.h"
#include "tests/support/collected.h"
#include "tests/test.h"

static size_t put_int(unsigned char *at, uint64_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (24 - 8 * i));
    }
    return 4;
}

/* The journal of a transaction over several databases in which no page was changed: a header of a
 * sector, and behind it the super-journal's name (SQLite's "Database File Format", 3). */
static void put_journal(const char *out, const char *names)
{
    enum { SECTOR = 512, PENDING = 0x40000000 };
    static const unsigned char MAGIC[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    unsigned char text[SECTOR + FILE_PATH_BYTES + 64] = {0};
    char path[FILE_PATH_BYTES];
    size_t bytes, n = SECTOR, length = strlen(names);
    err e = {0};
    snprintf(path, sizeof path, "%s/loci.db", out);
    text_auto *db = file_read(path, &bytes, &e);
    EXPECT(db && bytes > 100, "%s", e.text);
    if (!db) return;
    uint64_t page = (uint64_t)(unsigned char)db[16] << 8 | (unsigned char)db[17], sum = 0;
    memcpy(text, MAGIC, 8);
    put_int(text + 16, bytes / page);
    put_int(text + 20, SECTOR);
    put_int(text + 24, page);
    n += put_int(text + n, PENDING / page + 1);
    memcpy(text + n, names, length);
    for (size_t i = 0; i < length; i++) {
        sum += (uint64_t)(signed char)names[i];
    }
    n += length;
    n += put_int(text + n, length);
    n += put_int(text + n, sum);
    memcpy(text + n, MAGIC, 8);
    snprintf(path, sizeof path, "%s/loci.db-journal", out);
    EXPECT(file_write(path, text, n + 8, &e), "%s", e.text);
}

static void files_elsewhere(void)
{
    fake_experiment x = collected_sample(2);
    char mine[FILE_PATH_BYTES];
    err e = {0}, note = {0};
    collect_report r;
    fake_write(&x);
    collected_now(x.out, false, 6);
    snprintf(mine, sizeof mine, "%s", test_inside("mine"));
    EXPECT(file_write(mine, "mine", 4, &e), "%s", e.text);
    put_journal(x.out, mine);
    bool collected = collect(&r, x.out, false, &e);
    EXPECT(file_exists(mine), "a file elsewhere was removed");
    EXPECT(!collected && strstr(e.text, "loci.db: ") && strstr(e.text, "--rebuild"), "%s", e.text);
    put_journal(x.out, mine);
    store_auto *s = collect_and_open(x.out, &note, &e);
    query q = QUERY(s, &e, "SELECT count(*) AS n FROM run", NULL);
    EXPECT(s && query_next(&q) && query_int(&q, "n", 0) == 6, "%s%s", e.text, note.text);
    query_close(&q);
    put_journal(x.out, mine);
    collected_now(x.out, true, 6);
    EXPECT(file_exists(mine), "a file elsewhere was removed");
}

/* Pipes in the place of its files: the figures are those of the folders, and nothing is waited
 * for. */
static void pipes(void)
{
    static const char *const names[] = {"loci.db", "loci.db-journal"};
    fake_experiment x = collected_sample(2);
    char path[FILE_PATH_BYTES];
    fake_write(&x);
    for (int i = 0; i < 2; i++) {
        err e = {0}, note = {0};
        collected_now(x.out, true, 6);
        snprintf(path, sizeof path, "%s/%s", x.out, names[i]);
        EXPECT(file_remove(path, &e) && mkfifo(path, 0600) == 0, "%s", path);
        store_auto *s = collect_and_open(x.out, &note, &e);
        query q = QUERY(s, &e, "SELECT count(*) AS n FROM run", NULL);
        EXPECT(s && query_next(&q) && query_int(&q, "n", 0) == 6, "%s: %s%s", names[i], e.text,
               note.text);
        query_close(&q);
        collected_now(x.out, true, 6);
    }
}

const test_suite test_store_vfs = {"results/store_vfs",
                                   {{"files_elsewhere", files_elsewhere}, {"pipes", pipes}, {0}}};
