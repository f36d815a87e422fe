/* Every verb's help, and what it says and returns for words and options that it cannot take. The
 * verbs come from `loci help`, their options from their `--help`: a new one is tested as it is. */
#include "core/base/file.h"
#include "tests/support/draw.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VERBS = 64, MAX_OPTIONS = 64, NAME = 32 };

typedef struct name_list {
    int count;
    char names[MAX_VERBS][NAME];
} name_list;

/* The first word of every line that is indented by two blanks and begins with a letter. */
static void read_verbs(name_list *l)
{
    program_result r = LOCI("help");
    l->count = 0;
    for (const char *at = r.out; (at = strstr(at, "\n  ")) && l->count < MAX_VERBS; at++) {
        size_t n = strspn(at + 3, "abcdefghijklmnopqrstuvwxyz");
        if (n == 0 || n >= NAME || at[3 + n] != ' ') continue;
        snprintf(l->names[l->count++], NAME, "%.*s", (int)n, at + 3);
    }
    EXPECT(r.status < 0 || l->count > 20, "%d verbs in: %s", l->count, r.out);
}

/* A usage error: status 2, nothing on stdout, one message that names the verb and says `part`. */
static void expect_refused(program_result r, const char *name, const char *part)
{
    if (r.status < 0) return;
    char begin[64];
    snprintf(begin, sizeof begin, "loci: %s: ", name);
    EXPECT(r.status == 2, "%s: status %d, not 2, for %s: %s", name, r.status, part, r.err);
    EXPECT(!*r.out, "%s: stdout: %s", name, r.out);
    EXPECT(strncmp(r.err, begin, strlen(begin)) == 0 && strstr(r.err, part), "%s, not %s...%s",
           r.err, begin, part);
}

static void every_help(void)
{
    static name_list verbs;
    char part[128];
    read_verbs(&verbs);
    for (int i = 0; i < verbs.count; i++) {
        const char *name = verbs.names[i];
        if (!drawn_if_slow("help", name)) continue;
        program_result r = LOCI(name, "--help");
        EXPECT(r.status == 0 && !*r.err, "%s --help: status %d, stderr: %s", name, r.status, r.err);
        snprintf(part, sizeof part, "Usage: loci %s", name);
        EXPECT(strncmp(r.out, part, strlen(part)) == 0, "%s: %s", name, r.out);
        snprintf(part, sizeof part, "\nExamples:\n  loci %s", name);
        EXPECT(strstr(r.out, part), "%s: no examples: %s", name, r.out);
        EXPECT(strstr(r.out, "\nExit status: 0 done"), "%s: no statuses: %s", name, r.out);
        EXPECT(!strchr(r.out, '\033'), "%s --help is coloured in a file", name);
        expect_refused(LOCI(name, "--nonsense"), name, "unknown option '--nonsense'");
        expect_refused(LOCI(name, "-xf"), name, "unknown option '-x'");
        expect_refused(LOCI(name, "word", "-xf"), name, "unknown option '-x'");
        expect_refused(LOCI(name, "--help=x"), name, "unknown option '--help=x'");
    }
}

/* An option as its line in the help shows it: "--jobs N", "--format text|csv", "--json". */
typedef struct shown_option {
    char name[NAME];
    char value; /* N, X, T(EXT), | for a choice; 0: a switch */
} shown_option;

static int read_options(shown_option *options, const char *help)
{
    int count = 0;
    for (const char *at = help; (at = strstr(at, "\n  --")) && count < MAX_OPTIONS; at++) {
        const char *name = at + 5;
        size_t n = strcspn(name, " \n");
        if (n >= NAME - 1 || strncmp(name, "help", 4) == 0) continue;
        shown_option *o = &options[count++];
        snprintf(o->name, NAME, "--%.*s", (int)MIN(n, (size_t)NAME - 3), name);
        const char *value = name + n + strspn(name + n, " ");
        size_t m = strcspn(value, " \n");
        o->value = 0;
        if (value > name + n + 1) continue; /* the help's own words */
        if (memchr(value, '|', m)) o->value = '|';
        if (m == 1 && (*value == 'N' || *value == 'X')) o->value = *value;
        if (m == 4 && strncmp(value, "TEXT", 4) == 0) o->value = 'T';
    }
    return count;
}

static void every_option(void)
{
    static name_list verbs;
    shown_option options[MAX_OPTIONS];
    read_verbs(&verbs);
    int tried = 0;
    for (int i = 0; i < verbs.count; i++) {
        const char *name = verbs.names[i];
        int n = read_options(options, LOCI(name, "--help").out);
        bool told = false;
        for (int k = 0; k < n; k++) {
            const shown_option *o = &options[k];
            if (o->value == 'T' && !told) {
                expect_refused(LOCI(name, o->name), name, "needs a value");
                told = true; /* the others are read by the same lines */
            } else if (o->value && o->value != 'T') {
                expect_refused(LOCI(name, o->name, "many-of-them"), name, o->name);
                tried++;
            }
        }
    }
    EXPECT(verbs.count == 0 || tried > 40, "%d options", tried);
}

/* Words that a verb cannot take. No results are there; 1: they are missing, 2: the call is wrong.
 */
static void words(void)
{
    static const struct {
        const char *words[6];
        int status;
        const char *says;
    } calls[] = {
        {{"run", "a", "b"}, 2, "run: 'b' is one word too many"},
        {{"run"}, 2, "run: SPEC is missing"},
        {{"run", "no.yaml"}, 2, "no.yaml: cannot be opened"},
        {{"run", "no.yaml", "--set", "a"}, 2, "no.yaml"},
        {{"check"}, 2, "check: SPEC"},
        {{"check", "no.yaml"}, 2, "no.yaml: cannot be opened"},
        {{"status", "x"}, 1, "there are no results"},
        {{"status", "--watch"}, 2, "--watch needs an EXPERIMENT"},
        {{"ls", "x"}, 1, "there are no results"},
        {{"show"}, 2, "show: RUN is missing"},
        {{"show", "x"}, 1, "there are no results"},
        {{"diff", "x"}, 2, "diff: RUN RUN is missing"},
        {{"diff", "x", "y"}, 1, "there are no results"},
        {{"compare", "x"}, 1, "there are no results"},
        {{"plot", "x"}, 1, "there are no results"},
        {{"report", "x"}, 1, "there are no results"},
        {{"export", "x"}, 1, "there are no results"},
        {{"rm"}, 2, "rm: EXPERIMENT is missing"},
        {{"rm", "x"}, 1, "there are no results"},
        {{"mv", "x"}, 2, "mv: EXPERIMENT NAME is missing"},
        {{"mv", "x", "y"}, 1, "there are no results"},
        {{"gc"}, 1, "there are no results"},
        {{"gc", "--dry-run"}, 1, "there are no results"},
        {{"gc", "x"}, 2, "gc: 'x' is one word too many"},
        {{"merge", "/no/such/folder"}, 2, "is no folder of results"},
        {{"collect", "x"}, 2, "one word too many"},
        {{"collect"}, 1, "there are no results"},
        {{"eval", "x"}, 2, "x: no such run"},
        {{"generate", "x"}, 2, "x: no such run"},
        {{"inspect", "x"}, 2, "x: no such run"},
        {{"recall", "x"}, 2, "x: no such run"},
        {{"import", "x"}, 2, "import: FORMAT FILE is missing"},
        {{"layers", "x"}, 2, "no layer 'x'"},
        {{"data", "x"}, 2, "data --help"},
        {{"bench", "no.yaml"}, 2, "no.yaml: cannot be opened"},
        {{"version", "x"}, 2, "one word too many"},
        {{"help", "x"}, 2, "x"},
        {{"nothing"}, 2, "nothing"},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        program_result r = program_run(calls[i].words);
        if (r.status < 0) return;
        EXPECT(r.status == calls[i].status && strstr(r.err, calls[i].says),
               "loci %s %s: status %d, not %d: %s", calls[i].words[0],
               calls[i].words[1] ? calls[i].words[1] : "", r.status, calls[i].status, r.err);
        EXPECT(strncmp(r.err, "loci: ", 6) == 0, "%s", r.err);
    }
}

const test_suite test_verbs = {
    "tools/verbs",
    {{"every_help", every_help}, {"every_option", every_option}, {"words", words}, {0}}};
