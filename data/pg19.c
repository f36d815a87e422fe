/* PG-19 (Rae et al. 2020, arXiv:1911.05507): books of Project Gutenberg from before 1919.
 *
 *   metadata.csv                        book_id, title, publication date, link; a row of names of
 *                                       columns may come first, as may a byte order mark
 *   train/ID.txt  validation/ID.txt  test/ID.txt
 *
 * Books may be missing from the folders (a subset) and from the metadata (then they have no title).
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "data/corpus_class.h"
#include "data/csv.h"

typedef struct title {
    int64_t book;
    const char *text;
} title;

typedef struct titles {
    title *list; /* sorted by book */
    int64_t count, capacity;
} titles;

static void keep_title(titles *all, int64_t book, const char *text, arena *a)
{
    if (all->count == all->capacity) {
        all->capacity = MAX(256, 2 * all->capacity);
        title *grown = ARENA_NEW(a, title, all->capacity);
        if (all->count) memcpy(grown, all->list, (size_t)all->count * sizeof *grown);
        all->list = grown;
    }
    all->list[all->count++] = (title){book, text};
}

static int by_book(const void *x, const void *y)
{
    const title *a = x, *b = y;
    return (a->book > b->book) - (a->book < b->book);
}

/* Names of columns have no number, a book does.
 * With a number it would be a book that is called so. */
static bool is_heading(const csv *rows)
{
    const char *first = rows->field[0];
    return rows->line == 1 && rows->count == 4 && !strpbrk(first, "0123456789");
}

static bool read_metadata(titles *all, const char *path, arena *a, err *e)
{
    size_t bytes;
    char *text = file_read_arena_named(a, path, &bytes, e); /* titles point into it */
    if (!text) return false;
    csv rows;
    err problem;
    /* A byte order mark, as some spreadsheets write it, is no part of the first field. */
    size_t mark = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    csv_init(&rows, text + mark, (int64_t)(bytes - mark), path);
    /* An error and the end look alike here: problem tells. */
    while (csv_next(&rows, &problem)) {
        if (is_heading(&rows)) continue;
        char *end = rows.field[0];
        long long book = strtoll(rows.field[0], &end, 10);
        /* A row that is not understood is refused: titles that slip by a row would be wrong for all
         * that follow. */
        if (rows.count != 4 || end == rows.field[0] || *end || book < 0) {
            return err_set(e,
                           "%s:%lld: not a row of PG-19's metadata (4 fields, the first a book's "
                           "number)",
                           path, (long long)rows.line);
        }
        keep_title(all, book, rows.field[1], a);
    }
    if (problem.text[0]) return err_copy(e, &problem);
    /* By number, for each book's title is looked for by that; the file's order is not relied on. */
    if (all->count) qsort(all->list, (size_t)all->count, sizeof *all->list, by_book);
    return true;
}

static const char *title_of(const titles *all, const char *file_name)
{
    /* Files are called by their number; what follows the digits does not matter. */
    title key = {.book = strtoll(file_name, NULL, 10)};
    const title *found =
        all->count ? bsearch(&key, all->list, (size_t)all->count, sizeof key, by_book) : NULL;
    return found ? found->text : NULL;
}

/* "84.txt": digits and the ending, perhaps packed. */
static bool is_book(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    name += digits;
    return digits > 0 && (strcmp(name, ".txt") == 0 || strcmp(name, ".txt.gz") == 0);
}

static bool open_split(corpus *c, split_kind kind, const titles *all, err *e)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count;
    if (!file_join(folder, c->root, split_name(kind), e)) return false;
    if (!file_is_folder(folder)) {
        return err_set(e,
                       "%s: the folder is missing; PG-19 has train/, validation/ and test/, get it "
                       "with %s",
                       folder, c->cls->get);
    }
    if (!file_list_named(folder, c->memory, &names, &count, e)) return false;
    for (int64_t i = 0; i < count; i++) {
        /* Notes and hidden files beside the books are passed over. */
        if (!is_book(names[i])) continue;
        int64_t before = c->splits[kind].count;
        /* "train/84.txt": the split stands in a document's name, as the published set has it. */
        if (!file_join(path, folder, names[i], e) ||
            !file_join(name, split_name(kind), names[i], e) ||
            !corpus_add_text(c, kind, name, path, e)) {
            return false;
        }
        corpus_split *s = &c->splits[kind];
        /* An empty book was not added. */
        if (s->count > before) s->entries[before].title = title_of(all, names[i]);
    }
    return true;
}

static bool open_pg19(corpus *c, err *e)
{
    if (!corpus_locate(c, e)) return false;
    titles all = {0};
    char metadata[FILE_PATH_BYTES];
    if (!file_join(metadata, c->root, "metadata.csv", e)) return false;
    /* Titles are for people; a copy without them trains the same model. */
    if (file_exists(metadata) && !read_metadata(&all, metadata, c->memory, e)) return false;
    for (int kind = 0; kind < SPLITS; kind++) {
        if (!open_split(c, (split_kind)kind, &all, e)) return false;
    }
    return true;
}

static const option OPTIONS[] = {DATA_OPTIONS("16384"), {0}};
static const char *const CANDIDATES[] = {"pg19", "pg19-mini", NULL};

const corpus_class CORPUS_PG19 = {
    .name = "pg19",
    .help = "whole books of Project Gutenberg from before 1919, split by book",
    .get = "data/fetch.sh pg19-mini (48 books) or data/fetch.sh pg19 (11 GB)",
    OPTIONS_OF(data_options, OPTIONS),
    .candidates = CANDIDATES,
    .text = true,
    .open = open_pg19,
};
