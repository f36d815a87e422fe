/* What the verbs of `loci` share: long options read from a table, --help, messages, exit statuses.
 *
 * A verb is one file tools/cmd_<verb>.c that exports a `verb`, and one line in tools/main.c. Its
 * options are a table of core/options/option.h whose names are the long options: an OPTION_BOOL
 * that starts as false is a switch, an OPTION_NODE may be given several times and becomes a list of
 * texts. Results go to stdout, everything else to stderr. */
#pragma once

#include "core/base/one_line.h"
#include "core/options/option.h"
#include "data/corpus.h"
#include "harness/run/exit_status.h"

/* One call of a verb: its options struct, filled, and the words beside the options. */
typedef struct cli_call {
    const void *options;
    int count;
    char *const *words;       /* NULL-terminated */
    const char *const *given; /* names of the options on the command line, NULL-terminated */
    arena *memory;            /* lives as long as the call */
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
    int (*run)(const cli_call *c);
} verb;

/* Parses the command line behind the verb (argv[0] is the verb) and runs it. */
int cli_run(const verb *v, int argc, char **argv);

/* "Usage: ..." to stdout, with options, defaults and examples. */
void cli_help(const verb *v);
/* Columns of a help text's lines: as wide as the terminal is, not wider than can be read. */
int cli_help_width(void);
/* Parts of it, for manual pages: what stands behind an option's name, whether its default is told,
 * and what exit statuses mean. */
const char *cli_value_name(const option *o);
bool cli_shows_default(const option *o);
#define CLI_EXIT_STATUS                                                                            \
    "0 done, 1 failed, 2 usage or spec, 3 some runs failed, 75 interrupted and resumable by the "  \
    "same command."

/* Prints "loci: ..." to stderr and returns the status, for `return cli_fail(...)`. */
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same of what e says. What was the machine's fault is no matter of usage: EXIT_FAILED. */
int cli_tell(int status, const err *e);

/* For a verb that looks at few of its options now: the first one on the command line that is not
 * among `read` (NULL-terminated), or NULL. */
const char *cli_given_beside(const cli_call *c, const char *const *read);

/* A list option as texts, NULL-terminated. */
const char *const *cli_texts(arena *a, const node *list);

/* A `data:` section from the command line: a corpus by name, or a whole section as YAML,
 * "{corpus: text, path: book.txt}". */
node *cli_data_section(arena *a, const char *text, err *e);

/* Where corpora are looked for: --data DIR (may be NULL), LOCI_DATA, data/corpora. */
corpus_places cli_places(arena *a, const char *data);
/* The same; what is worth knowing of a corpus goes to stderr, each line once. */
corpus_places cli_places_heard(arena *a, const char *data);

/* Whether to colour what goes to that stream: a terminal, and neither NO_COLOR nor TERM=dumb. */
bool cli_colour(FILE *out);

/* Between two looks of --watch; a signal ends it earlier. */
void cli_pause(double seconds);

/* True if the word is the name of a YAML file. */
bool cli_is_yaml(const char *word);

/* This process's command line, words separated by spaces. */
const char *cli_command(arena *a);

/* The root of all results: --out DIR (may be NULL), LOCI_OUT, results/out. */
const char *cli_out(const char *out);

/* Lines of a verb's table: struct S, field F, option name N, default D, help H. */
#define CLI_INT(S, F, N, D, LOW, HIGH, H)                                                          \
    {                                                                                              \
        .name = N, .type = OPTION_INT, .offset = offsetof(S, F), .initial = D, .min = LOW,         \
        .max = HIGH, .help = H                                                                     \
    }
#define CLI_REAL(S, F, N, D, LOW, HIGH, H)                                                         \
    {                                                                                              \
        .name = N, .type = OPTION_REAL, .offset = offsetof(S, F), .initial = D, .min = LOW,        \
        .max = HIGH, .help = H                                                                     \
    }
#define CLI_CHOICE(S, F, N, D, CHOICES, H)                                                         \
    {                                                                                              \
        .name = N, .type = OPTION_CHOICE, .offset = offsetof(S, F), .initial = D,                  \
        .choices = CHOICES, .help = H                                                              \
    }
/* NULL if not given. */
#define CLI_TEXT(S, F, N, H)                                                                       \
    {                                                                                              \
        .name = N, .type = OPTION_TEXT, .offset = offsetof(S, F), .initial = "null",               \
        .nullable = true, .help = H                                                                \
    }
#define CLI_SWITCH(S, F, N, H)                                                                     \
    {                                                                                              \
        .name = N, .type = OPTION_BOOL, .offset = offsetof(S, F), .initial = "false", .help = H    \
    }
#define CLI_LIST(S, F, N, H)                                                                       \
    {                                                                                              \
        .name = N, .type = OPTION_NODE, .offset = offsetof(S, F), .help = H                        \
    }

/* The options that many verbs take, spelt alike everywhere. */
#define CLI_OUT(S)                                                                                 \
    CLI_TEXT(S, out, "out", "folder of all results; default LOCI_OUT, else results/out")
#define CLI_DATA(S)                                                                                \
    CLI_TEXT(S, data, "data", "folder with corpora; default LOCI_DATA, else data/corpora")
#define CLI_SET(S)                                                                                 \
    CLI_LIST(S, set, "set", "PATH=VALUE instead of what the spec says; may be repeated")
