/* The two texts of Wikipedia that compression and language models are measured on: enwik8 and
 * text8, one file of 100,000,000 bytes or a prefix of it. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "data/text.h"

/* The split is by position, of whatever length there is: of all 100,000,000 bytes it is the usual
 * 90, 5 and 5 million. A prefix is split in the same shares, so its figures are not comparable with
 * published ones, nor with those of another prefix. */
static const int64_t WHOLE_BYTES = 100000000;

/* How enwik8 begins. */
static const char ENWIK8_START[] = "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.3/\" "
                                   "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/* In a folder, the file of that name, perhaps packed. Plain first: it need not be unpacked. */
static bool find_in_folder(corpus *c, err *e)
{
    static const char *const ENDS[] = {"", ".zip", ".gz"};
    for (int i = 0; i < 3; i++) {
        char path[FILE_PATH_BYTES], name[32];
        snprintf(name, sizeof name, "%s%s", c->cls->name, ENDS[i]);
        if (!file_join(path, c->root, name, e)) return false;
        if (!file_exists(path) || file_is_folder(path)) continue;
        /* What the user has is named in messages; what is read may be the unpacked file in the
         * cache. */
        c->where = arena_strdup(c->memory, path);
        c->root = corpus_unpacked(c, c->where, e);
        if (c->root && !file_is_folder(c->root)) return true;
        return c->root ? node_err(e, c->spec, "%s: holds several files; unpack it", path) : false;
    }
    return node_err(e, c->spec, "%s holds no file '%s'; get it with %s", c->where, c->cls->name,
                    c->cls->get);
}

/* Published figures are of these bytes and no others; a prefix is for trying things. */
static bool check_bytes(const corpus *c, err *e)
{
    int64_t bytes;
    char start[sizeof ENWIK8_START] = "";
    if (!file_stat(c->root, &bytes, NULL, e)) return false;
    if (bytes > WHOLE_BYTES) {
        return node_err(e, c->spec,
                        "%s: %lld bytes are more than the 100,000,000 of %s; get it with %s, or "
                        "read the file with {corpus: text}",
                        c->where, (long long)bytes, c->cls->name, c->cls->get);
    }
    /* Every byte has to be of the alphabet, which is stricter than any beginning. */
    if (c->cls->alphabet) return true; /* looked at when words are counted */
    size_t n = (size_t)MIN(bytes, (int64_t)sizeof ENWIK8_START - 1);
    /* For a few bytes; the corpus gets a reader of its own. */
    reader *r = reader_new(c->memory, 1, 256);
    bool ok = reader_bytes(r, reader_add(r, c->root), 0, (int64_t)n, start, e);
    reader_free(r);
    if (!ok || memcmp(start, ENWIK8_START, n) == 0) return ok;
    return node_err(e, c->spec,
                    "%s: does not begin as enwik8 does; get it with %s, or read the file with "
                    "{corpus: text}",
                    c->where, c->cls->get);
}

/* The path may name the file or its folder. */
static bool open_wikipedia(corpus *c, err *e)
{
    if (!corpus_locate(c, e)) return false;
    if (file_is_folder(c->root) && !find_in_folder(c, e)) return false;
    return check_bytes(c, e) && text_split_by_position(c, c->root, 0.05, 0.05, e);
}

static const option WIKIPEDIA_OPTIONS[] = {DATA_OPTIONS("16384"), {0}};
static const char *const ENWIK8_CANDIDATES[] = {"enwik8/enwik8", "enwik8",           "enwik8.zip",
                                                "enwik8.gz",     "enwik8-4m/enwik8", NULL};
static const char *const TEXT8_CANDIDATES[] = {"text8/text8", "text8", "text8.zip", "text8.gz",
                                               NULL};

const corpus_class CORPUS_ENWIK8 = {
    .name = "enwik8",
    .help = "the first 100,000,000 bytes of English Wikipedia (or a prefix), split 90/5/5 by "
            "position",
    .get = "data/fetch.sh enwik8",
    OPTIONS_OF(data_options, WIKIPEDIA_OPTIONS),
    .candidates = ENWIK8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};

const corpus_class CORPUS_TEXT8 = {
    .name = "text8",
    .alphabet = " abcdefghijklmnopqrstuvwxyz",
    .help = "Wikipedia reduced to a-z and spaces, 100,000,000 bytes, split 90/5/5 by position",
    .get = "data/fetch.sh text8",
    OPTIONS_OF(data_options, WIKIPEDIA_OPTIONS),
    .candidates = TEXT8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};
