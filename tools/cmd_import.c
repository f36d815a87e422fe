/* loci import: other programs' models, and loci's own after other programs changed them.
 *
 * Weights of another program become what loci has anyway: a spec and a checkpoint folder. Nothing
 * else in the program knows that they were not trained here. FORMAT decides which options count. */
#include "harness/train/import.h"
#include "harness/train/import_checkpoint.h"
#include "harness/train/imported.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <string.h>

typedef struct import_call {
    const char *corpus, *to, *like, *out, *data;
    const node *read;
    int64_t block;
} import_call;

static const option OPTIONS[] = {
    CLI_INT(import_call, block, "block", "512", 1, 1e8, "brt-pytorch: the port's block_width"),
    CLI_LIST(import_call, read, "read",
             "brt-pytorch: layer that reads a recurrent layer's state, from 1, once for each "
             "recurrent layer in order; default: each reads its own"),
    CLI_TEXT(import_call, corpus, "corpus",
             "text that it was trained on: a corpus, or a data section; default enwik8, of a "
             "checkpoint its own"),
    CLI_TEXT(import_call, like, "like",
             "checkpoint: run whose spec it is, where FILE has lost its metadata"),
    CLI_TEXT(import_call, to, "to", "folder to make; default: the file's name without ending"),
    CLI_OUT(import_call),
    CLI_DATA(import_call),
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

/* The file's name without folder and ending; it may be no name of a folder. */
static const char *stem_of(arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = arena_strdup(a, slash ? slash + 1 : path);
    /* A name that begins with its only dot has no ending. */
    char *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
    return name;
}

/* A file of a stranger's may be called "...safetensors", which without its ending is "..". */
static bool find_target(const char **to, const cli_call *c, err *e)
{
    const import_call *o = c->options;
    *to = o->to ? o->to : stem_of(c->memory, c->words[1]);
    if (!o->to && !file_name_is_plain(*to)) {
        return err_set(e, "%s: without its ending it is no name for a folder; give one with --to",
                       c->words[1]);
    }
    return imported_may_be_in(*to, e);
}

/* A file is taken as it is; anything else is what people call a run. */
static bool find_source(char path[FILE_PATH_BYTES], const char *name, const cli_call *c, err *e)
{
    const import_call *o = c->options;
    if (!file_exists(name) || file_is_folder(name)) return find_run(path, name, cli_out(o->out), e);
    snprintf(path, FILE_PATH_BYTES, "%s", name);
    return true;
}

static bool import_edited(const cli_call *c, const char *to, const node *data, err *e)
{
    const import_call *o = c->options;
    char from[FILE_PATH_BYTES], like[FILE_PATH_BYTES], runs[FILE_PATH_BYTES];
    const corpus_places places = cli_places_heard(c->memory, o->data);
    const checkpoint_import how = {from, o->like ? like : NULL, runs, data};
    return file_join(runs, cli_out(o->out), "runs", e) && find_source(from, c->words[1], c, e) &&
           (!o->like || find_run(like, o->like, cli_out(o->out), e)) &&
           import_checkpoint(to, &how, &places, e);
}

static int import_model(const cli_call *c)
{
    const import_call *o = c->options;
    err e = {0};
    bool port = strcmp(c->words[0], "brt-pytorch") == 0;
    if (!port && strcmp(c->words[0], "checkpoint") != 0) {
        return cli_fail(EXIT_USAGE, "unknown format '%s'; brt-pytorch and checkpoint are known",
                        c->words[0]);
    }
    /* Options are of one format or of the other; one that is given beside the wrong one is
     * refused. */
    static const char *const of_port[] = {"block", "read", "corpus", "to", NULL};
    static const char *const of_own[] = {"corpus", "to", "like", "out", "data", NULL};
    const char *other = cli_given_beside(c, port ? of_port : of_own);
    if (other) return cli_fail(EXIT_USAGE, "import: %s does not look at --%s", c->words[0], other);
    brt_import how = {.block_width = o->block};
    /* The port's own training script is about enwik8; a checkpoint of ours says itself what it was
     * trained on. */
    const char *text = o->corpus || !port ? o->corpus : "enwik8";
    node *data = text ? cli_data_section(c->memory, text, &e) : NULL;
    if ((text && !data) || !read_layers(&how, c, &e)) return cli_tell(EXIT_USAGE, &e);
    const char *to;
    if (!find_target(&to, c, &e)) return cli_tell(EXIT_USAGE, &e);
    if (!(port ? import_brt(to, c->words[1], &how, data, &e) : import_edited(c, to, data, &e))) {
        return cli_tell(EXIT_FAILED, &e);
    }
    /* What was made, for scripts: words that `loci eval` and others take. */
    one_line_print(stdout, "%s/spec.yaml", to);
    one_line_print(stdout, "%s/checkpoint", to);
    return EXIT_DONE;
}

const verb VERB_IMPORT = {
    .name = "import",
    .words = "FORMAT FILE",
    .min_words = 2,
    .max_words = 2,
    .help = "Makes a spec and a checkpoint from weights that come from elsewhere.\n\n"
            "FORMAT brt-pytorch: FILE is a state dict, as safetensors, of\n"
            "lucidrains/block-recurrent-transformer-pytorch.\n"
            "FORMAT checkpoint: FILE is a model file of loci that another program has changed, or\n"
            "the folder of a run in whose checkpoint it was changed. A run's own figures stay\n"
            "those of its own weights.\n\n"
            "The folder that is made can be evaluated, generated from and started from like a\n"
            "run's.",
    .examples = {"import brt-pytorch two.safetensors --block 8 --read 1 --read 4 --to two",
                 "import checkpoint edited.safetensors"},
    OPTIONS_OF(import_call, OPTIONS),
    .run = import_model,
};
