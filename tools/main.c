/* The program `loci`: chooses the verb.
 *
 * A verb is known by its line in VERBS and by nothing else: the list of verbs, `help`, manual
 * pages, completion and the nearest name for a typing error all go through it. The order is that in
 * which a person meets them. */
#include "core/base/json.h"
#include "core/base/terminal.h"
#include "core/base/terminal_guard.h"
#include "tools/complete.h"
#include "tools/man_page.h"
#include "tools/start.h"
#include "tools/verbs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Before the constructors of libraries, where the C library can; main calls it again where not. */
__attribute__((section(".preinit_array"),
               used)) static void (*const FIRST)(int, char **,
                                                 char **) = start_with_one_blas_thread;

static const verb *const VERBS[] = {
    &VERB_RUN,      &VERB_CHECK,  &VERB_STATUS,  &VERB_STOP,       &VERB_COMPARE, &VERB_CLAIMS,
    &VERB_LS,       &VERB_SHOW,   &VERB_NOTE,    &VERB_DIFF,       &VERB_EXPORT,  &VERB_RM,
    &VERB_MV,       &VERB_GC,     &VERB_MERGE,   &VERB_REPORT,     &VERB_PLOT,    &VERB_EVAL,
    &VERB_GENERATE, &VERB_IMPORT, &VERB_RECALL,  &VERB_INSPECT,    &VERB_LAYERS,  &VERB_DATA,
    &VERB_COLLECT,  &VERB_BENCH,  &VERB_VERSION, &VERB_COMPLETION, &VERB_HELP,    &VERB_WORKER};
enum { VERB_COUNT = sizeof VERBS / sizeof VERBS[0] };

static const verb *find_verb(const char *name)
{
    for (int i = 0; i < VERB_COUNT; i++) {
        /* No abbreviations: a verb that is added later would change what they mean. */
        if (strcmp(VERBS[i]->name, name) == 0) return VERBS[i];
    }
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *known[VERB_COUNT];
    for (int i = 0; i < VERB_COUNT; i++)
        known[i] = VERBS[i]->name;
    /* A hidden verb is found by its name but hardly by chance; it may be suggested, too. */
    const char *near = option_nearest(name, VERB_COUNT, known);
    if (near) {
        return cli_fail(EXIT_USAGE, "unknown verb '%s' (did you mean '%s'?); see loci help", name,
                        near);
    }
    return cli_fail(EXIT_USAGE, "unknown verb '%s'; see loci help", name);
}

static void print_verbs(void)
{
    int width = cli_help_width();
    terminal_wrap(stdout,
                  "Usage: loci VERB [OPTION...] [WORD...]\n\n"
                  "Trains the variants of one experiment file on the same text and compares "
                  "them.\n\n",
                  0, 0, width);
    for (int i = 0; i < VERB_COUNT; i++) {
        /* What programs call and people need not know. */
        if (VERBS[i]->hidden) continue;
        char name[32], text[256];
        snprintf(name, sizeof name, "  %s", VERBS[i]->name);
        snprintf(text, sizeof text, "%.*s", (int)strcspn(VERBS[i]->help, "\n"), VERBS[i]->help);
        terminal_entry(stdout, name, 14, text, width);
    }
    terminal_wrap(stdout,
                  "\n`loci VERB --help` shows a verb's options and two examples, `loci help spec` "
                  "what an experiment file may say.\n",
                  0, 0, width);
}

/* `help` and `completion` are here and not in files of their own, since they need the list. */
typedef struct help_call {
    bool man;
} help_call;

static const option HELP_OPTIONS[] = {
    CLI_SWITCH(help_call, man, "man", "as a manual page, for man; without a verb: loci(1)"), {0}};

static int print_man(const cli_call *c)
{
    if (c->count == 0) {
        man_page_program(stdout, VERBS, VERB_COUNT);
        return EXIT_DONE;
    }
    const verb *v = find_verb(c->words[0]);
    if (!v) return unknown_verb(c->words[0]);
    man_page_verb(stdout, v);
    return EXIT_DONE;
}

static int print_help(const cli_call *c)
{
    if (((const help_call *)c->options)->man) return print_man(c);
    if (c->count == 0) {
        print_verbs();
        return EXIT_DONE;
    }
    /* No verb is called so: the help of the file's format has the same door. */
    if (strcmp(c->words[0], "spec") == 0) {
        spec_help(stdout);
        return EXIT_DONE;
    }
    const verb *v = find_verb(c->words[0]);
    if (!v) return unknown_verb(c->words[0]);
    cli_help(v);
    return EXIT_DONE;
}

const verb VERB_HELP = {
    .name = "help",
    .words = "[VERB | spec]",
    .max_words = 1,
    .help = "Explains a verb, or what an experiment file may say.",
    .examples = {"help run", "help spec"},
    OPTIONS_OF(help_call, HELP_OPTIONS),
    .run = print_help,
};

static int print_completion(const cli_call *c)
{
    const char *script = complete_script(c->words[0]);
    if (!script) return cli_fail(EXIT_USAGE, "%s: there are bash, zsh and fish", c->words[0]);
    fputs(script, stdout);
    return EXIT_DONE;
}

const verb VERB_COMPLETION = {
    .name = "completion",
    .words = "bash|zsh|fish",
    .min_words = 1,
    .max_words = 1,
    .help =
        "Prints what a shell reads to complete loci's command lines.\n\n"
        "Verbs, options, their choices, experiments and their variants' labels. `make install`\n"
        "puts the scripts where the shells look for them.",
    .examples = {"completion bash >~/.local/share/bash-completion/completions/loci",
                 "completion fish >~/.config/fish/completions/loci.fish"},
    .run = print_completion,
};

int main(int argc, char **argv)
{
    /* Before any thread and before anything is allocated: it may start the program again. */
    start_with_one_blas_thread(argc, argv, environ);
    terminal_guard();
    /* A file that reaches the limit on sizes (ulimit -f) is one that cannot be written, with words,
     * here and in the runs that are started: not the end of the process. */
    signal(SIGXFSZ, SIG_IGN);
    /* From here on a failed allocation inside the JSON library ends the program, instead of leaving
     * a key out of a record. */
    json_need_memory();
    const char *name = argc > 1 ? argv[1] : NULL;
    /* Help was not asked for: a script that forgot its verb should fail. */
    if (!name) {
        print_verbs();
        return EXIT_USAGE;
    }
    if (strcmp(name, "complete") == 0) { /* asked by the shell; its words may be options */
        complete_print(stdout, VERBS, VERB_COUNT, argc - 2, argv + 2);
        return EXIT_DONE;
    }
    /* As people type them before they know the verbs. */
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const verb *v = find_verb(name);
    if (!v) return unknown_verb(name);
    return cli_run(v, argc - 1, argv + 1);
}
