/* What verbs that read results share: collect, open the database, name the experiment, say how its
 * variants are compared. */
#pragma once

#include "results/compare/compare.h"
#include "results/report/run_view.h"
#include "tools/cli.h"

/* Collects what is new below OUT and opens the database; a note about what could not be collected
 * goes to stderr. NULL and e on failure; store_close it. */
store *reading_open(const char *out, err *e);

/* The experiment that a word names: its name, or its file, which may have changed since: stderr
 * then says in what; NULL: the one recorded last. Lives as long as the arena. NULL and e if there
 * is none. */
const char *reading_experiment(arena *a, store *s, const char *word, err *e);

/* The run that a word names. Where several are called so it is the first, which stderr is told. */
bool reading_one(char id[RUN_ID_CHARS], store *s, const char *word, err *e);

/* What a verb does with results, or with those of an experiment: EXIT_DONE, or another status and
 * e. */
typedef int (*reading_all)(const cli_call *c, store *s, err *e);
typedef int (*reading_use)(const cli_call *c, store *s, const char *experiment, err *e);

/* The status of what ended with `status`: a database that could not be read is no matter of usage,
 * though then nothing was found in it. */
int reading_status(int status, const store *s);

/* Does it, and says what went wrong; the exit status. */
int reading_with(const cli_call *c, const char *out, reading_all use);
/* The same with the experiment that the call's first word names; without a word with the one
 * recorded last. An experiment that is not there is a matter of usage. */
int reading_run(const cli_call *c, const char *out, reading_use use);

/* How variants are compared: what compare, plot and report are asked alike. */
typedef struct reading_choice {
    const char *baseline, *tune, *at, *where, *protocol;
    int64_t split, metric;
} reading_choice;

#define READING_SPLITS "final|train|validation|test"

/* Their options, for a verb whose struct S has `reading_choice choice`. */
#define CLI_CHOICES(S)                                                                             \
    CLI_CHOICE(S, choice.metric, "metric", "auto", COMPARE_METRICS, "that differences are of"),    \
        CLI_TEXT(S, choice.baseline, "baseline", "a variant's label; default: the experiment's"),  \
        CLI_CHOICE(S, choice.split, "split", "final", READING_SPLITS,                              \
                   "that is scored; final: that of the runs' final evaluations"),                  \
        CLI_TEXT(S, choice.protocol, "protocol",                                                   \
                 "which evaluations count: own (as the final ones), or a part of what below the "  \
                 "table one is told by, 'rows 8'"),                                                \
        CLI_TEXT(S, choice.tune, "tune",                                                           \
                 "AXIS[,AXIS]: each variant with its best value on validation, reported on test"), \
        CLI_TEXT(S, choice.where, "where",                                                         \
                 "AXIS=VALUE: only variants that have it, and the baseline"),                      \
        CLI_TEXT(S, choice.at, "at",                                                               \
                 "tokens, flops or seconds, each with =AMOUNT or the least a finished run got: "   \
                 "equal training")

/* Lives as long as the arena. NULL and e: what was asked for is not there. */
comparison *reading_compare(arena *a, store *s, const char *experiment, const reading_choice *how,
                            err *e);
