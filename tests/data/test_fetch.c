/* data/fetch.sh against folders instead of servers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

/* Runs the script; returns its exit status, its talk goes to test_folder()/log. */
static int fetch(const char *what, const char *environment)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command,
             "LOCI_FETCH_BASE='file://%s/server' %s data/fetch.sh %s --out '%s/out' >'%s/log' 2>&1",
             test_folder(), environment, what, test_folder(), test_folder());
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *talk(void)
{
    static char text[4096];
    char *log = file_read(test_inside("log"), NULL, NULL);
    snprintf(text, sizeof text, "%s", log ? log : "(no log)");
    free(log);
    return text;
}

static bool ready(void)
{
    return corpora_program("curl") && corpora_program("unzip") && corpora_program("bash");
}

/* A zip file with "hello enwik8\n" stored in a file called enwik8. */
static const unsigned char ZIP[] =
    "PK\3\4\12\0\0\0\0\0\0\0\0\0\221\140\250\125\15\0\0\0\15\0\0\0\6\0\0\0enwik8hello enwik8\n"
    "PK\1\2\12\0\12\0\0\0\0\0\0\0\0\0\221\140\250\125\15\0\0\0\15\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\0\0\0\0enwik8PK\5\6\0\0\0\0\1\0\1\0\64\0\0\0\61\0\0\0\0\0";

#define ENWIK8_MD5 "LOCI_FETCH_MD5=d4494d9b9f7b96499793c23dbe4736ca"

static void enwik8_with_checksum_and_resume(void)
{
    if (!ready()) return;
    corpora_write("server/enwik8.zip", ZIP, sizeof ZIP - 1);
    EXPECT(fetch("enwik8", "") == 1 && strstr(talk(), "checksum"), "%s", talk());
    EXPECT(!file_exists(test_inside("out/enwik8/enwik8")), "kept in spite of its checksum");
    EXPECT(file_remove(test_inside("out/enwik8/enwik8.zip"), NULL), "remove");
    corpora_write("out/enwik8/enwik8.zip.part", ZIP, 40); /* an interrupted fetch */
    EXPECT(fetch("enwik8", ENWIK8_MD5) == 0, "%s", talk());
    char *text = file_read(test_inside("out/enwik8/enwik8"), NULL, NULL);
    EXPECT(text && strcmp(text, "hello enwik8\n") == 0, "%s", text ? text : "nothing");
    free(text);
    EXPECT(file_remove(test_inside("server/enwik8.zip"), NULL), "remove");
    EXPECT(fetch("enwik8", "") == 0 && strstr(talk(), "already"), "fetched again: %s", talk());
}

static void missing_files(void)
{
    if (!ready()) return;
    EXPECT(fetch("text8", "") == 1 && strstr(talk(), "text8.zip cannot be fetched"), "%s", talk());
    EXPECT(fetch("text9", "") == 2 && strstr(talk(), "unknown corpus text9"), "%s", talk());
}

static void write_books(const char *const *names)
{
    for (; *names; names++) {
        char name[64];
        snprintf(name, sizeof name, "server/%s", *names);
        corpora_write(name, *names, -1);
    }
}

static void pg19_and_again(void)
{
    if (!ready()) return;
    static const char *const BOOKS[] = {"train/1.txt", "train/22.txt", "validation/3.txt",
                                        "test/4.txt",  "metadata.csv", NULL};
    write_books(BOOKS);
    corpora_write("out/pg19/train/1.txt", "was there", -1);
    EXPECT(fetch("pg19", "") == 0, "%s", talk());
    for (int i = 0; BOOKS[i]; i++) {
        char name[64];
        snprintf(name, sizeof name, "out/pg19/%s", BOOKS[i]);
        char *text = file_read(test_inside(name), NULL, NULL);
        EXPECT(text && strcmp(text, i == 0 ? "was there" : BOOKS[i]) == 0, "%s: %s", BOOKS[i],
               text ? text : "missing");
        free(text);
    }
}

/* The 48 books may lie in any of the published splits. */
static void pg19_mini_by_its_list(void)
{
    if (!ready()) return;
    char *list = file_read("data/pg19-mini.txt", NULL, NULL);
    static const char *const FROM[] = {"train", "validation", "test"};
    char metadata[8192] = "1,not wanted,1800,http://x\n";
    int books = 0;
    for (char *line = list ? strtok(list, "\n") : NULL; line; line = strtok(NULL, "\n")) {
        char split[16], name[64];
        int book;
        if (*line == '#' || sscanf(line, "%15s %d", split, &book) != 2) continue;
        snprintf(name, sizeof name, "server/%s/%d.txt", FROM[books++ % 3], book);
        corpora_write(name, name, -1);
        sprintf(metadata + strlen(metadata), "%d,\"Title, quoted\",1850,http://x\n", book);
    }
    free(list);
    EXPECT(books == 48, "%d books are listed", books);
    corpora_write("server/metadata.csv", metadata, -1);
    EXPECT(fetch("pg19-mini", "") == 0, "%s", talk());
    corpus *c = corpora_need("{corpus: pg19, path: out/pg19-mini}");
    if (!c) return;
    EXPECT(split_documents(corpus_get(c, SPLIT_TRAIN)) == 36 &&
               split_documents(corpus_get(c, SPLIT_VALIDATION)) == 6 &&
               split_documents(corpus_get(c, SPLIT_TEST)) == 6,
           "books per split");
    EXPECT(split_document(corpus_get(c, SPLIT_TEST), 0).title, "no titles");
    corpus_close(c);
    char *kept = file_read(test_inside("out/pg19-mini/metadata.csv"), NULL, NULL);
    EXPECT(kept && !strstr(kept, "not wanted"), "foreign rows");
    free(kept);
}

const test_suite test_fetch = {
    "data/fetch",
    {{"enwik8 with checksum and resume", enwik8_with_checksum_and_resume},
     {"missing files", missing_files},
     {"pg19 and again", pg19_and_again},
     {"pg19-mini by its list", pg19_mini_by_its_list},
     {0}}};
