/* loci import: other programs' models. */
#include "harness/train/import.h"
#include "tools/verbs.h"

#include <string.h>

typedef struct import_call {
    const char *corpus, *to;
    const node *read;
    int64_t block;
} import_call;

static const option OPTIONS[] = {
    CLI_INT(import_call, block, "block", "512", 1, 1e8, "the port's block_width"),
    CLI_LIST(import_call, read, "read",
             "layer that reads a recurrent layer's state, from 1, once for each recurrent layer in "
             "order; default: each reads its own"),
    CLI_TEXT(import_call, corpus, "corpus",
             "text that it was trained on: a corpus, or a data section; default enwik8"),
    CLI_TEXT(import_call, to, "to", "folder to make; default: the file's name without ending"),
    {0}};

static bool read_layers(brt_import *how, const cli_call *c, err *e)
{
    const import_call *o = c->options;
    const char *const *texts = cli_texts(c->memory, o->read);
    for (; texts && *texts; texts++) {
        if (how->reads == BRT_LAYERS) return err_set(e, "--read: more than %d", BRT_LAYERS);
        if (!option_text_to_int(*texts, &how->read[how->reads]) || how->read[how->reads] < 1) {
            return err_set(e, "--read %s: expected the number of a layer, from 1", *texts);
        }
        how->reads++;
    }
    return true;
}

/* The file's name without folder and ending. */
static const char *stem_of(arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = arena_strdup(a, slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
    return name;
}

static int import_model(const cli_call *c)
{
    const import_call *o = c->options;
    err e = {0};
    if (strcmp(c->words[0], "brt-pytorch") != 0) {
        return cli_fail(EXIT_USAGE, "unknown format '%s'; brt-pytorch is known", c->words[0]);
    }
    brt_import how = {.block_width = o->block};
    node *data = cli_data_section(c->memory, o->corpus ? o->corpus : "enwik8", &e);
    if (!data || !read_layers(&how, c, &e)) return cli_fail(EXIT_USAGE, "%s", e.text);
    const char *to = o->to ? o->to : stem_of(c->memory, c->words[1]);
    if (!import_brt(to, c->words[1], &how, data, &e)) return cli_fail(EXIT_FAILED, "%s", e.text);
    printf("%s/spec.yaml\n%s/checkpoint\n", to, to);
    return EXIT_DONE;
}

const verb VERB_IMPORT = {
    .name = "import",
    .words = "FORMAT FILE",
    .min_words = 2,
    .max_words = 2,
    .help = "Makes a spec and a checkpoint from another program's model.\n\n"
            "FORMAT brt-pytorch: FILE is a state dict, as safetensors, of\n"
            "lucidrains/block-recurrent-transformer-pytorch. The folder that is made can be\n"
            "evaluated and generated from like a run's.",
    .examples = {"import brt-pytorch state.safetensors --block 512",
                 "import brt-pytorch two.safetensors --block 8 --read 1 --read 4 --to two"},
    .options = OPTIONS,
    .options_bytes = sizeof(import_call),
    .run = import_model,
};
