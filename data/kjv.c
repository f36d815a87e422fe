/* The King James Bible, printed by the program `bible` (Debian's packages bible-kjv and
 * bible-kjv-text): 66 books, a verse per line, "1:1 In the beginning God created...".
 *
 * The split is by whole book and fixed: validation and test each hold several books of different
 * kinds and about 5 % of the bytes. Books that tell the same story stay on one side (Kings and
 * Chronicles, the Gospels, Jude and 2 Peter train; Ezra and Nehemiah are both held out). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "data/corpus_class.h"
#include "data/process.h"

enum { BOOKS = 66 };

/* In canonical order, which is the order of the program's output; names go into file names and
 * results. */
static const struct {
    const char *name;
    split_kind split;
} BOOK[BOOKS] = {
    {"Genesis", SPLIT_TRAIN},
    {"Exodus", SPLIT_TRAIN},
    {"Leviticus", SPLIT_TRAIN},
    {"Numbers", SPLIT_TRAIN},
    {"Deuteronomy", SPLIT_TRAIN},
    {"Joshua", SPLIT_TRAIN},
    {"Judges", SPLIT_TRAIN},
    {"Ruth", SPLIT_VALIDATION},
    {"1 Samuel", SPLIT_TRAIN},
    {"2 Samuel", SPLIT_TRAIN},
    {"1 Kings", SPLIT_TRAIN},
    {"2 Kings", SPLIT_TRAIN},
    {"1 Chronicles", SPLIT_TRAIN},
    {"2 Chronicles", SPLIT_TRAIN},
    {"Ezra", SPLIT_VALIDATION},
    {"Nehemiah", SPLIT_TEST},
    {"Esther", SPLIT_TRAIN},
    {"Job", SPLIT_TRAIN},
    {"Psalms", SPLIT_TRAIN},
    {"Proverbs", SPLIT_TRAIN},
    {"Ecclesiastes", SPLIT_TEST},
    {"Song of Solomon", SPLIT_TRAIN},
    {"Isaiah", SPLIT_TRAIN},
    {"Jeremiah", SPLIT_TRAIN},
    {"Lamentations", SPLIT_TRAIN},
    {"Ezekiel", SPLIT_TRAIN},
    {"Daniel", SPLIT_VALIDATION},
    {"Hosea", SPLIT_VALIDATION},
    {"Joel", SPLIT_TRAIN},
    {"Amos", SPLIT_TEST},
    {"Obadiah", SPLIT_TRAIN},
    {"Jonah", SPLIT_TEST},
    {"Micah", SPLIT_TRAIN},
    {"Nahum", SPLIT_TRAIN},
    {"Habakkuk", SPLIT_TRAIN},
    {"Zephaniah", SPLIT_TRAIN},
    {"Haggai", SPLIT_TRAIN},
    {"Zechariah", SPLIT_TEST},
    {"Malachi", SPLIT_TRAIN},
    {"Matthew", SPLIT_TRAIN},
    {"Mark", SPLIT_TRAIN},
    {"Luke", SPLIT_TRAIN},
    {"John", SPLIT_TRAIN},
    {"Acts", SPLIT_TRAIN},
    {"Romans", SPLIT_VALIDATION},
    {"1 Corinthians", SPLIT_TRAIN},
    {"2 Corinthians", SPLIT_TRAIN},
    {"Galatians", SPLIT_TRAIN},
    {"Ephesians", SPLIT_TRAIN},
    {"Philippians", SPLIT_TRAIN},
    {"Colossians", SPLIT_TRAIN},
    {"1 Thessalonians", SPLIT_TRAIN},
    {"2 Thessalonians", SPLIT_TRAIN},
    {"1 Timothy", SPLIT_TRAIN},
    {"2 Timothy", SPLIT_TRAIN},
    {"Titus", SPLIT_TRAIN},
    {"Philemon", SPLIT_TRAIN},
    {"Hebrews", SPLIT_TEST},
    {"James", SPLIT_VALIDATION},
    {"1 Peter", SPLIT_TRAIN},
    {"2 Peter", SPLIT_TRAIN},
    {"1 John", SPLIT_TEST},
    {"2 John", SPLIT_TRAIN},
    {"3 John", SPLIT_TRAIN},
    {"Jude", SPLIT_TRAIN},
    {"Revelation", SPLIT_TRAIN},
};

/* "01 Genesis.txt" */
static bool book_path(char path[FILE_PATH_BYTES], const char *folder, int book, err *e)
{
    char name[64];
    /* Numbered, so that a folder lists books in their order. */
    snprintf(name, sizeof name, "%02d %s.txt", book + 1, BOOK[book].name);
    return file_join(path, folder, name, e);
}

/* ---- printing the books into the cache ---- */

typedef struct printing {
    const char *folder;
    char *text; /* what the program printed */
    size_t bytes, capacity;
} printing;

/* Doubled, so that 4 MB in pieces of a pipe are copied a few times only. */
static bool take_text(void *user, const char *data, int64_t bytes, err *e)
{
    printing *p = user;
    if (p->bytes + (size_t)bytes + 1 > p->capacity) {
        p->capacity = 2 * (p->bytes + (size_t)bytes) + 1;
        char *grown = realloc(p->text, p->capacity);
        if (!grown) return err_set(e, "out of memory");
        p->text = grown;
    }
    memcpy(p->text + p->bytes, data, (size_t)bytes);
    p->bytes += (size_t)bytes;
    p->text[p->bytes] = 0;
    return true;
}

/* The length of the book's abbreviation in "1Sm12:3 text": all before the chapter; 0 if the line
 * does not look so.
 * A book may begin with a digit ("1Sm"): only digits right before the colon are the chapter. */
static int book_letters(const char *line)
{
    const char *colon = line + strcspn(line, ": \n");
    if (*colon != ':') return 0;
    while (colon > line && colon[-1] >= '0' && colon[-1] <= '9') {
        colon--;
    }
    return (int)(colon - line);
}

/* Cuts the text where the abbreviation changes and writes each book without it. */
static bool write_books(printing *p, err *e)
{
    char *at = p->text;
    int book = 0;
    for (; at && *at; book++) {
        char path[FILE_PATH_BYTES], *kept = at;
        char letters[16];
        int n = book_letters(at);
        /* Output of another edition, or a message: told below with what it was. */
        if (book == BOOKS || n == 0 || n >= (int)sizeof letters) break;
        snprintf(letters, sizeof letters, "%.*s", n, at);
        char *from = at; /* the kept text overwrites what was read: it is shorter */
        while (book_letters(from) == n && strncmp(from, letters, (size_t)n) == 0) {
            /* A program that was killed while it printed. */
            char *end = strchr(from, '\n');
            if (!end) return err_set(e, "bible: its output ends within a line");
            /* Without the abbreviation, which a model would learn to copy from line to line. */
            memmove(kept, from + n, (size_t)(end + 1 - from - n));
            kept += end + 1 - from - n;
            from = end + 1;
        }
        if (!book_path(path, p->folder, book, e) || !file_write(path, at, (size_t)(kept - at), e)) {
            return false;
        }
        at = from;
    }
    if (book == BOOKS && !*at) return true;
    return err_set(e,
                   "bible: printed %d books and then \"%.40s\", not 66 books; reinstall bible-kjv "
                   "and bible-kjv-text",
                   book, at ? at : "");
}

static bool print_books(const char *folder, err *e)
{
    /* -f: one line per verse; -l: longer than any, whatever the terminal's width. */
    static const char *const ARGV[] = {"bible", "-f", "-l100000", "Gen1:1-Rev22:21", NULL};
    printing p = {.folder = folder};
    process run = {
        .argv = ARGV, .package = "bible-kjv bible-kjv-text", .take = take_text, .user = &p};
    bool ok = file_make_folders(folder, e) && process_run(&run, e) && write_books(&p, e);
    free(p.text);
    return ok;
}

/* Makes <cache>/kjv if it is missing: printed beside it and renamed when complete. */
static bool cache_books(char folder[FILE_PATH_BYTES], const char *cache, err *e)
{
    char unfinished[FILE_PATH_BYTES];
    if (!file_join(folder, cache, "kjv", e) || !file_join(unfinished, cache, "kjv.part", e)) {
        return false;
    }
    /* A folder of that name is whole: it came by a rename. */
    if (file_is_folder(folder)) return true;
    /* A sweep's workers open the corpus at the same moment, all with the same empty cache. */
    int lock = corpus_cache_lock(cache, e);
    if (lock < 0) return false;
    bool ok = file_is_folder(folder); /* another process may have made it meanwhile */
    if (!ok) {
        /* What a killed process left is removed first: a book of another edition in it would
         * stay. */
        ok = file_remove_tree(unfinished, e) && print_books(unfinished, e) &&
             file_rename(unfinished, folder, e);
    }
    corpus_cache_unlock(lock);
    return ok;
}

/* ---- the corpus ---- */

static const char *const CANDIDATES[] = {"kjv", NULL};

static bool open_kjv(corpus *c, err *e)
{
    char folder[FILE_PATH_BYTES], *full;
    const char *path = corpus_data_options(c)->path;
    /* A folder that the user names must be there; the usual one may be missing and is then made. e
     * only where a path was given: a miss in the usual places is no error yet. */
    const char *found = corpus_find(c->cls, path, c->spec, c->roots, c->memory, path ? e : NULL);
    if (!found && path) return false;
    if (!found) {
        /* The text is no file yet: it has to be printed somewhere. */
        if (!c->cache) return node_err(e, c->spec, "corpus 'kjv' needs a cache folder");
        if (!cache_books(folder, c->cache, e)) return err_prefix(e, "corpus 'kjv'");
        full = realpath(folder, NULL);
        if (!full) return err_set(e, "%s: cannot be found again", folder);
        found = arena_strdup(c->memory, full);
        free(full);
    }
    c->where = found;
    for (int book = 0; book < BOOKS; book++) {
        char file[FILE_PATH_BYTES];
        if (!book_path(file, c->where, book, e) ||
            !corpus_add_text(c, BOOK[book].split, BOOK[book].name, file, e)) {
            return false;
        }
    }
    return true;
}

static const option OPTIONS[] = {DATA_OPTIONS("16384"), {0}};

const corpus_class CORPUS_KJV = {
    .name = "kjv",
    .help = "the King James Bible, 66 books, 4.3 MB, split 90/5/5 by book",
    .get = "apt-get install bible-kjv bible-kjv-text",
    OPTIONS_OF(data_options, OPTIONS),
    .candidates = CANDIDATES,
    .text = true,
    .open = open_kjv,
};
