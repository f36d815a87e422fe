/* The command line as its users meet it: what is printed where, and the exit statuses. */
#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static void help(void)
{
    program_expect(LOCI("help"), 0, "experiment", NULL);
    program_expect(LOCI("--help"), 0, "compare", NULL);
    EXPECT(!strstr(LOCI("help").out, "worker"), "the worker is not for people");
    program_expect(LOCI("help", "spec"), 0, "optimizer", NULL);
    program_expect(LOCI("run", "--help"), 0, "--threads N", NULL);
    program_expect(LOCI("generate", "--help"), 0, "(default 0.8)", NULL);
}

static void usage_errors(void)
{
    program_expect(program_run((const char *const[]){NULL}), 2, "Usage", NULL);
    program_expect(LOCI("rum"), 2, NULL, "did you mean 'run'?");
    program_expect(LOCI("run"), 2, NULL, "SPEC is missing");
    program_expect(LOCI("run", "a", "b"), 2, NULL, "'b' is one word too many");
    program_expect(LOCI("run", "x.yaml", "--theads", "2"), 2, NULL, "did you mean '--threads'?");
    program_expect(LOCI("run", "x.yaml", "--threads", "many"), 2, NULL, "--threads");
    program_expect(LOCI("run", "x.yaml", "--threads", "0"), 2, NULL, "--threads");
    program_expect(LOCI("run", "x.yaml", "--threads"), 2, NULL, "needs a value");
    program_expect(LOCI("layers", "atention"), 2, NULL, "did you mean 'attention'?");
    program_expect(LOCI("run", "no/such.yaml"), 2, NULL, "no/such.yaml");
    program_expect(LOCI("data", "prepair"), 2, NULL, "data --help");
}

/* Every option with " TEXT" behind it in the verb's help, given as ''. */
static void expect_no_empty_option(const char *const words[3])
{
    char text[16384], said[160];
    snprintf(text, sizeof text, "%s", LOCI(words[0], "--help").out);
    for (const char *at = text; (at = strstr(at, "\n  --")); at++) {
        char name[64];
        int n = (int)strcspn(at + 3, " \n");
        if (strncmp(at + 3 + n, " TEXT", 5) != 0 || strncmp(at, "\n  --prompt ", 12) == 0) continue;
        snprintf(name, sizeof name, "%.*s", n, at + 3);
        snprintf(said, sizeof said, "loci: %s: %s is given an empty text: ", words[0], name);
        program_result r = LOCI(words[0], name, "", words[1], words[1] ? words[2] : NULL);
        program_expect(r, 2, NULL, said);
        const char *end = strchr(r.err, '\n');
        EXPECT(!*r.out && end && !end[1], "%s %s: not one line: %s%s", words[0], name, r.out,
               r.err);
    }
}

/* As an empty variable of a script gives it: whichever option or word it is, nothing is done. The
 * options are those that the help of the verb lists. */
static void empty_texts(void)
{
    static const char *const calls[][3] = {{"run", "a"},           {"check", "a"},
                                           {"status", NULL},       {"stop", "a"},
                                           {"compare", NULL},      {"claims", NULL},
                                           {"ls", NULL},           {"show", "a"},
                                           {"note", "a"},          {"diff", "a", "b"},
                                           {"export", NULL},       {"rm", "a"},
                                           {"mv", "a", "b"},       {"gc", NULL},
                                           {"merge", "a"},         {"report", NULL},
                                           {"plot", NULL},         {"eval", "a"},
                                           {"generate", "a"},      {"import", "brt-pytorch", "a"},
                                           {"recall", "a"},        {"inspect", "a"},
                                           {"layers", NULL},       {"data", "list"},
                                           {"collect", NULL},      {"bench", "a"},
                                           {"completion", "bash"}, {"help", NULL}};
    if (!test_program()) return;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const char *const *words = calls[i];
        char said[64];
        snprintf(said, sizeof said, "loci: %s: word 1 is empty; say ", words[0]);
        bool takes_words = strcmp(words[0], "gc") != 0 && strcmp(words[0], "collect") != 0;
        if (takes_words) program_expect(LOCI(words[0], "", words[2]), 2, NULL, said);
        if (words[2]) program_expect(LOCI(words[0], words[1], ""), 2, NULL, "word 2 is empty");
        expect_no_empty_option(words);
    }
}

/* A table of which half was written is a failure, and says why in one line, however early or late
 * the verb looks at what became of it. */
static void full_output(void)
{
    static const char *const calls[] = {"layers",
                                        "help",
                                        "help spec",
                                        "version",
                                        "status",
                                        "status full",
                                        "status full --json",
                                        "status full --watch --every 0.1",
                                        "ls",
                                        "compare full",
                                        "compare full --format json",
                                        "compare full --by position",
                                        "export full --what metrics",
                                        "show full/long/1",
                                        "completion bash",
                                        "data list"};
    static const fake_variant two[] = {{"short", 0, 0.001, 1000, 100, NULL, false},
                                       {"long", 0.04, 0.002, 1000, 100, NULL, false}};
    if (!test_program() || !file_exists("/dev/full")) {
        test_skip("no program, or no /dev/full");
        return;
    }
    fake_write_sliced(&(fake_experiment){test_inside("out"), "full", 2, 2, 5, two});
    program_expect(LOCI("collect"), 0, NULL, NULL);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char command[3 * FILE_PATH_BYTES];
        snprintf(command, sizeof command,
                 "cd '%s' && LOCI_OUT=out timeout 60 '%s' %s >/dev/full 2>said", test_folder(),
                 test_program(), calls[i]);
        EXPECT(WEXITSTATUS(system(command)) == 1, "%s", calls[i]);
        text_auto *words = file_read(test_inside("said"), NULL, NULL);
        const char *end = words ? strchr(words, '\n') : NULL;
        EXPECT(end && !end[1] &&
                   strncmp(words, "loci: standard output: cannot be written: No space left", 55) ==
                       0,
               "%s: %s", calls[i], words ? words : "nothing");
    }
}

static void versions(void)
{
    program_expect(LOCI("version"), 0, "loci " LOCI_VERSION, NULL);
    program_expect(LOCI("--version"), 0, "compiler", NULL);
}

static void parts(void)
{
    program_expect(LOCI("layers"), 0, "attention", NULL);
    program_expect(LOCI("layers", "attention"), 0, "memory", NULL);
    program_expect(LOCI("layers", "linear"), 0, "bias", NULL);
    program_expect(LOCI("data", "list"), 0, "enwik8", NULL);
    program_expect(LOCI("data", "list", "--format", "llmc"), 2, NULL, "does not look at --format");
}

/* A line for each candidate, labels with spaces among them. */
static void completions(void)
{
    const char *file = tiny_sweep();
    program_expect(LOCI("complete", "comp"), 0, "compare\ncompletion\n", NULL);
    program_expect(LOCI("complete", "run", "--re"), 0, "--retry\n", NULL);
    program_expect(LOCI("complete", "run", "x.yaml", "--retry", "d"), 0, "diverged\n", NULL);
    program_result r = LOCI("complete", "run", "--jobs", "");
    EXPECT(r.status < 0 || !*r.out, "%s", r.out);
    program_expect(LOCI("run", file, "--set", "sweep.seeds=1", "--set",
                        "sweep.grid={memory: {a b: {}, c: {schedule.warmup: 3}}}", "--set",
                        "sweep.baseline=c", "--quiet"),
                   0, NULL, NULL);
    program_expect(LOCI("complete", "compare", "ti"), 0, "tiny\n", NULL);
    program_expect(LOCI("complete", "eval", "tiny/"), 0, "tiny/a b\ntiny/c\n", NULL);
    program_expect(LOCI("complete", "\"comp"), 0, "compare\ncompletion\n", NULL);
    program_expect(LOCI("complete", "compare", "--form\\at"), 0, "--format\n", NULL);
    program_expect(LOCI("completion", "bash"), 0, "complete -F _loci loci", NULL);
    program_expect(LOCI("completion", "tcsh"), 2, NULL, "bash, zsh and fish");
}

/* Every option and verb of the help is in the manual pages, which say nothing that roff takes for a
 * command of its own. */
static void manual_pages(void)
{
    static const char *const options[] = {"\\-\\-pivot TEXT", "\\-\\-format text|", "\\-\\-out"};
    program_result r = LOCI("help", "--man", "compare");
    for (int i = 0; i < 3; i++) {
        EXPECT(strstr(r.out, options[i]), "no %s: %s", options[i], r.out);
    }
    EXPECT(r.status == 0 && strncmp(r.out, ".TH loci\\-compare 1", 19) == 0 &&
               strstr(r.out, ".SH EXIT STATUS\n0 done"),
           "%s", r.out);
    r = LOCI("help", "--man");
    EXPECT(r.status == 0 && strstr(r.out, ".BR loci\\-compare (1)\nCompares") &&
               !strstr(r.out, "worker"),
           "%s", r.out);
    program_expect(LOCI("help", "--man", "compar"), 2, NULL, "did you mean 'compare'");
}

static void spec_errors(void)
{
    const char *spec = tiny_sweep();
    program_expect(LOCI("check", spec, "--set", "model.widht=8"), 2, NULL, "did you mean 'width'?");
    program_expect(LOCI("check", spec, "--set", "data.path=/no/such/text"), 2, NULL,
                   "/no/such/text");
    corpora_write("typo.yaml",
                  "data: {corpus: markov}\ntrain: {budget: {steps: 1}}\nmodel:\n  width: 8\n"
                  "  context: 8\n  blocks: [{attention: {haeds: 2}}]\n",
                  -1);
    program_result r = LOCI("check", test_inside("typo.yaml"));
    program_expect(r, 2, NULL, "typo.yaml:6:25: model.blocks[0].attention");
    program_expect(r, 2, NULL, "(did you mean 'heads'?)");
}

const test_suite test_cli = {"tools/cli",
                             {{"help", help},
                              {"usage_errors", usage_errors},
                              {"empty_texts", empty_texts},
                              {"full_output", full_output},
                              {"versions", versions},
                              {"parts", parts},
                              {"completions", completions},
                              {"manual_pages", manual_pages},
                              {"spec_errors", spec_errors},
                              {0}}};
