/* What the verbs of `loci` share: long options read from a table, --help, messages, exit statuses.
 *
 * A verb is one file tools/cmd_<verb>.c that exports a `verb`, and one line in tools/main.c. Its
 * options are a table of core/option.h whose names are the long options: an OPTION_BOOL that starts
 * as false is a switch, an OPTION_NODE may be given several times and becomes a list of texts.
 * Results go to stdout, everything else to stderr. */
#ifndef LOCI_TOOLS_CLI_H
#define LOCI_TOOLS_CLI_H

#include "core/option.h"
#include "data/corpus.h"

typedef enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,  /* the command line or a spec is wrong */
    EXIT_PARTLY = 3, /* the rest was done, but some runs failed or diverged */
    EXIT_RESUMABLE = 75
} exit_status;

/* One call of a verb: its options struct, filled, and the words beside the options. */
typedef struct cli_call {
    const void *options;
    int count;
    char *const *words; /* NULL-terminated */
    arena *memory;      /* lives as long as the call */
} cli_call;

typedef struct verb {
    const char *name;
    const char *words; /* "SPEC..." as usage shows them; "" for none */
    int min_words, max_words;
    const char *help;        /* first line: a sentence for the list of verbs; then more */
    const char *examples[2]; /* what follows "loci " */
    const option *options;   /* NULL: none but --help */
    size_t options_bytes;    /* sizeof the options struct */
    bool hidden;             /* not in the list: for loci's own use */
    exit_status (*run)(const cli_call *c);
} verb;

/* Parses the command line behind the verb (argv[0] is the verb) and runs it. */
exit_status cli_run(const verb *v, int argc, char **argv);

/* "Usage: ..." to stdout, with options, defaults and examples. */
void cli_help(const verb *v);

/* Prints "loci: ..." to stderr and returns the status, for `return cli_fail(...)`. */
exit_status cli_fail(exit_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A list option as texts, NULL-terminated. */
const char *const *cli_texts(arena *a, const node *list);

/* Where corpora are looked for: --data DIR (may be NULL), LOCI_DATA, data/corpora. */
corpus_places cli_places(arena *a, const char *data);

/* The root of all results: --out DIR (may be NULL), LOCI_OUT, results/out. */
const char *cli_out(const char *out);

/* The options that many verbs take, to be spelt alike everywhere. */
#define CLI_OUT(type)                                                                              \
    {                                                                                              \
        .name = "out", .type = OPTION_TEXT, .offset = offsetof(type, out), .initial = "null",      \
        .nullable = true, .help = "folder of all results; default LOCI_OUT, else results/out"      \
    }
#define CLI_DATA(type)                                                                             \
    {                                                                                              \
        .name = "data", .type = OPTION_TEXT, .offset = offsetof(type, data), .initial = "null",    \
        .nullable = true, .help = "folder with corpora; default LOCI_DATA, else data/corpora"      \
    }
#define CLI_SET(type)                                                                              \
    {                                                                                              \
        .name = "set", .type = OPTION_NODE, .offset = offsetof(type, set),                         \
        .help = "PATH=VALUE instead of what the spec says; may be repeated"                        \
    }

#endif
