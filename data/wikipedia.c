/* The two texts of Wikipedia that compression and language models are measured on: enwik8 and
 * text8, one file of 100,000,000 bytes or a prefix of it. */
#include <stdio.h>

#include "core/base/file.h"
#include "data/text.h"

/* The path may name the file or its folder. */
static bool open_wikipedia(corpus *c, err *e)
{
    const char *found =
        corpus_find(c->cls, corpus_data_options(c)->path, c->spec, c->roots, c->memory, e);
    if (!found) return false;
    if (file_is_folder(found)) {
        char path[FILE_PATH_BYTES];
        if (!file_join(path, found, c->cls->name, e)) return false;
        if (!file_exists(path)) {
            return node_err(e, c->spec, "%s holds no file '%s'; get it with %s", found,
                            c->cls->name, c->cls->get);
        }
        found = arena_strdup(c->memory, path);
    }
    c->where = found;
    return text_split_by_position(c, found, 0.05, 0.05, e);
}

static const option WIKIPEDIA_OPTIONS[] = {DATA_OPTIONS("16384"), {0}};
static const char *const ENWIK8_CANDIDATES[] = {"enwik8/enwik8", "enwik8", "enwik8-4m/enwik8",
                                                NULL};
static const char *const TEXT8_CANDIDATES[] = {"text8/text8", "text8", NULL};

const corpus_class CORPUS_ENWIK8 = {
    .name = "enwik8",
    .help = "the first 100,000,000 bytes of English Wikipedia (or a prefix), split 90/5/5 by "
            "position",
    .get = "data/fetch.sh enwik8",
    .options = WIKIPEDIA_OPTIONS,
    .options_bytes = sizeof(data_options),
    .candidates = ENWIK8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};

const corpus_class CORPUS_TEXT8 = {
    .name = "text8",
    .help = "Wikipedia reduced to a-z and spaces, 100,000,000 bytes, split 90/5/5 by position",
    .get = "data/fetch.sh text8",
    .options = WIKIPEDIA_OPTIONS,
    .options_bytes = sizeof(data_options),
    .candidates = TEXT8_CANDIDATES,
    .text = true,
    .open = open_wikipedia,
};
