/* loci data: what text there is to train on, and preparing it ahead of a run.
 *
 * Preparing is what a run does when it opens its corpus, done ahead of it: the caches that this
 * leaves are those that runs look for, known by the same hashes. So a sweep on machines without the
 * text's tokenizer, or with many workers, starts at once. */
#include "core/base/file.h"
#include "core/base/terminal.h"
#include "data/prepare.h"
#include "harness/run/experiment.h"
#include "tools/verbs.h"

#include <string.h>

typedef struct data_call {
    const char *data, *export;
    int64_t format, separator;
    const node *set;
} data_call;

static const option OPTIONS[] = {
    CLI_TEXT(data_call, export, "export", "also write the splits as token shards to this folder"),
    CLI_CHOICE(data_call, format, "format", "llmc", "llmc|nanogpt", "of the exported shards"),
    {"separator", OPTION_INT, offsetof(data_call, separator), .initial = "null", .nullable = true,
     .min = 0, .max = 1 << 30,
     .help = "id that is written with every exported document: before it (llmc), behind it "
             "(nanogpt); default: none"},
    CLI_DATA(data_call),
    CLI_SET(data_call),
    {0}};

static int list_corpora(const cli_call *c, const corpus_places *places)
{
    static const char *const read[] = {"data", NULL};
    const char *other = cli_given_beside(c, read);
    if (other) return cli_fail(EXIT_USAGE, "data: list does not look at --%s", other);
    /* Looking, not opening: a list must not unpack gigabytes. */
    const corpus_info *info;
    int n = prepare_list(&info, places, c->memory);
    int columns = terminal_columns(stdout, TERMINAL_UNBROKEN);
    for (int i = 0; i < n; i++) {
        char text[FILE_PATH_BYTES + 64];
        bool found = info[i].found;
        terminal_entry(stdout, info[i].name, 11, info[i].help, columns);
        if (!found && !(info[i].get && *info[i].get)) continue;
        snprintf(text, sizeof text, "%s: %s", found ? "found" : "not found; to get it",
                 found ? info[i].found : info[i].get);
        one_line(text, sizeof text);
        terminal_entry(stdout, "", 11, text, columns);
    }
    return EXIT_DONE;
}

static void print_splits(const corpus *c, corpus_split *const *splits)
{
    printf("%-12s%12s%16s%16s%14s\n", "split", "documents", "tokens", "bytes", "words");
    for (int k = 0; k < SPLITS; k++) {
        const corpus_split *s = splits[k];
        if (!s) continue;
        printf("%-12s%12lld%16lld%16lld%14lld\n", split_name((split_kind)k),
               (long long)split_documents(s), (long long)split_tokens(s), (long long)split_bytes(s),
               (long long)split_words(s));
    }
    for (int k = 0; k < SPLITS; k++) {
        const corpus_split *s = splits[k];
        /* Beside the counts, for a tokenizer that drops much makes figures that look good. */
        if (!s || split_unknown(s) == 0) continue;
        printf("%s: %lld tokens (%.2f %%) are unknown to the tokenizer, %lld bytes of the text\n",
               split_name((split_kind)k), (long long)split_unknown(s),
               100.0 * (double)split_unknown(s) / (double)split_tokens(s),
               (long long)split_unknown_bytes(s));
    }
    printf("vocabulary %lld, %s; hash %s\n", (long long)corpus_vocab(c),
           corpus_lossless(c) ? "lossless" : "lossy: no bits per byte", corpus_hash(c));
}

/* Prepares one `data:` node. */
static bool prepare_node(const node *section, const cli_call *c, const corpus_places *places,
                         err *e)
{
    const data_call *o = c->options;
    prepare_options how = {.export = o->export != NULL,
                           .format = o->format == 0 ? SHARDS_LLMC : SHARDS_NANOGPT,
                           .separator = o->separator,
                           .out = o->export};
    /* As a run opens it, with all caches; and then the checksums of all bytes. */
    corpus *text = prepare_corpus(section, places, &how, e);
    if (!text) return false;
    /* Which section the figures below are of, where a spec has several. */
    printf("%s\n", node_json(c->memory, section, false));
    corpus_split *splits[SPLITS];
    for (int k = 0; k < SPLITS; k++)
        splits[k] = corpus_get(text, (split_kind)k);
    print_splits(text, splits);
    corpus_close(text);
    return true;
}

/* Every `data:` section that the runs of a spec use, each once; -1: one is wrong. Variants mostly
 * share their text; only different sections are prepared. */
static int sections_of(const node **sections, experiment *x, err *e)
{
    int n = 0;
    for (int i = 0; i < x->run_count; i++) {
        const node *own = experiment_spec(x, i, e);
        if (!own) return -1;
        const node *data = node_get(own, "data");
        if (!data) return err_set(e, "%s: no data section", x->spec->file), -1;
        bool known = false;
        for (int k = 0; k < n && !known; k++)
            known = node_equal(sections[k], data);
        if (known) continue;
        if (!corpus_check(data, e)) return -1;
        sections[n++] = data;
    }
    return n;
}

static int prepare_spec(experiment *x, const cli_call *c, const corpus_places *places)
{
    const node **sections = ARENA_NEW(c->memory, const node *, x->run_count);
    err e = {0};
    int n = sections_of(sections, x, &e);
    if (n < 0) return cli_tell(EXIT_USAGE, &e);
    const data_call *o = c->options;
    /* The second would overwrite the first. */
    if (o->export && n > 1) {
        return cli_fail(
            EXIT_USAGE,
            "%s: its runs have %d data sections, and shards of one fit a folder; choose "
            "one with --set, or give a corpus instead of the spec",
            x->spec->file, n);
    }
    for (int i = 0; i < n; i++) {
        if (!prepare_node(sections[i], c, places, &e)) return cli_tell(EXIT_FAILED, &e);
    }
    return EXIT_DONE;
}

static int prepare_corpora(const cli_call *c, const char *word, const corpus_places *places)
{
    const data_call *o = c->options;
    const char *const *sets = cli_texts(c->memory, o->set);
    err e = {0};
    if (cli_is_yaml(word)) {
        experiment *x = experiment_load(word, sets, &e);
        if (!x) return cli_tell(EXIT_USAGE, &e);
        int status = prepare_spec(x, c, places);
        experiment_free(x);
        return status;
    }
    if (sets[0]) return cli_fail(EXIT_USAGE, "data prepare: --set needs a spec, not a corpus");
    const node *data = cli_data_section(c->memory, word, &e);
    if (!data) return cli_tell(EXIT_USAGE, &e);
    return prepare_node(data, c, places, &e) ? EXIT_DONE : cli_tell(EXIT_FAILED, &e);
}

static int data_action(const cli_call *c)
{
    const data_call *o = c->options;
    corpus_places places = cli_places_heard(c->memory, o->data);
    const char *what = c->words[0];
    if (strcmp(what, "list") == 0 && c->count == 1) return list_corpora(c, &places);
    /* --format and --separator alone would do nothing. */
    static const char *const without_export[] = {"data", "set", NULL};
    const char *other = o->export ? NULL : cli_given_beside(c, without_export);
    if (other) return cli_fail(EXIT_USAGE, "data: --%s is of --export DIR", other);
    if (strcmp(what, "prepare") == 0 && c->count == 2)
        return prepare_corpora(c, c->words[1], &places);
    return cli_fail(EXIT_USAGE,
                    "data: say `data list` or `data prepare SPEC`; see loci data --help");
}

const verb VERB_DATA = {
    .name = "data",
    .words = "list | prepare SPEC",
    .min_words = 1,
    .max_words = 2,
    .help = "Lists corpora, or prepares those of a spec ahead of its runs.\n\n"
            "SPEC is an experiment file, a corpus by name, or a data section such as\n"
            "'{corpus: text, path: book.txt}'. Preparing counts words, checks files and makes\n"
            "token shards; runs do the same when they need it.",
    .examples = {"data list", "data prepare kjv --export shards --format nanogpt"},
    OPTIONS_OF(data_call, OPTIONS),
    .run = data_action,
};
