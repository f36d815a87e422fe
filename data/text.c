/* Anybody's own text: a file, split by position, or a folder of files.
 *
 * The usual case of a user's own file. Shares are of bytes and not of documents, since a file has
 * no documents; a cut may fall inside a word, or inside a character, whose bytes are then tokens of
 * either side. */
#include "data/text.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/base/file.h"

typedef struct text_options {
    data_options data;
    double validation, test;
} text_options;

/* In the order train, validation, test, as enwik8 and text8 are split: what is held out comes later
 * in the text than all that was learnt from. */
bool text_split_by_position(corpus *c, const char *path, double validation, double test, err *e)
{
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e)) return false;
    int64_t held = llround((double)bytes * validation), tested = llround((double)bytes * test);
    int64_t trained = bytes - held - tested;
    /* Test text may be empty, if no share was asked for. */
    if (trained < 1 || held < 1) {
        return err_set(e, "%s: %lld bytes are too few to be split; give a longer text", path,
                       (long long)bytes);
    }
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    return corpus_add_plain(c, SPLIT_TRAIN, name, path, 0, trained, e) &&
           corpus_add_plain(c, SPLIT_VALIDATION, name, path, trained, held, e) &&
           corpus_add_plain(c, SPLIT_TEST, name, path, trained + held, tested, e);
}

static bool open_text(corpus *c, err *e)
{
    const text_options *o = c->options;
    if (!corpus_locate(c, e)) return false;
    /* Each is in range by its table; their sum is nobody's but ours to check. */
    if (o->validation + o->test >= 1) {
        return node_err(e, c->spec,
                        "validation %g and test %g leave nothing to train on; their sum "
                        "must be below 1",
                        o->validation, o->test);
    }
    if (file_is_folder(c->root)) return text_folder_open(c, o->validation, o->test, e);
    return text_split_by_position(c, c->root, o->validation, o->test, e);
}

static const option TEXT_OPTIONS[] = {
    DATA_OPTIONS("16384"),
    {"validation", OPTION_REAL, offsetof(text_options, validation), .initial = "0.05", .min = 1e-6,
     .max = 1, .help = "share of the bytes, of what is not split by names in the folder"},
    {"test", OPTION_REAL, offsetof(text_options, test), .initial = "0.05", .min = 0, .max = 1,
     .help = "share of the bytes, of what is not split by names in the folder"},
    {0},
};

const corpus_class CORPUS_TEXT = {
    .name = "text",
    .help = "a file, split by position; or a folder of files, each a document, split by file",
    .get = "",
    OPTIONS_OF(text_options, TEXT_OPTIONS),
    .path_required = true,
    .text = true,
    .pages = true,
    .open = open_text,
};
