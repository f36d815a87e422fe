/* Completion as shells do it: typed into bash, zsh and fish in a pseudo-terminal, as far as they
 * are there. A wrapper of the program's name prints the words that it was called with. */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/fake_results.h"
#include "tests/support/pty.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"plain one", 0, 0.001, 842000, 51234, NULL, false},
    {"it's (lr) $5 & more", 0.04, 0.001, 842000, 40321, NULL, false},
    {"same start a", 0.02, 0.002, 1684000, 30123, NULL, false},
    {"same start b", 0.02, 0.002, 1684000, 30123, NULL, false}};

enum { BASH, ZSH, FISH, SHELL_KINDS };
static const struct shell {
    const char *name, *plain, *source;
} SHELLS[] = {{"bash", "--norc", ". "},
              {"zsh", "-f", "autoload -U compinit; compinit -u -D; . "},
              {"fish", "--private", "source "}};

/* Writes what is printed to a file of the test's folder. */
static void write_text(const char *name, const char *text, mode_t mode)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, test_folder(), name, &e) && file_write(path, text, strlen(text), &e) &&
               chmod(path, mode) == 0,
           "%s", e.text);
}

static char *output_of(const char *command)
{
    char *text = NULL, part[1024];
    size_t bytes, n;
    FILE *out = open_memstream(&text, &bytes), *f = popen(command, "r");
    while (f && (n = fread(part, 1, sizeof part, f)) > 0) {
        fwrite(part, 1, n, out);
    }
    if (f) pclose(f);
    fclose(out);
    return text;
}

static void run_shell(const struct shell *s, const char *out)
{
    char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s:%s", test_folder(), getenv("PATH"));
    setenv("PATH", path, 1);
    setenv("LOCI_OUT", out, 1);
    setenv("HOME", test_folder(), 1);
    setenv("XDG_CONFIG_HOME", test_folder(), 1);
    setenv("TERM", "dumb", 1);
    if (chdir(test_folder()) == 0) execlp(s->name, s->name, s->plain, "-i", (char *)NULL);
    _exit(127);
}

/* What a shell prints for lines that are typed into it. The caller frees it. */
static char *typed(const struct shell *s, const char *out, const char *lines)
{
    struct winsize size = {.ws_col = 200, .ws_row = 50};
    int file;
    fflush(NULL);
    pid_t child = forkpty(&file, NULL, NULL, &size);
    if (child == 0) run_shell(s, out);
    EXPECT(child > 0 && write(file, lines, strlen(lines)) == (ssize_t)strlen(lines), "no terminal");
    return pty_text(file, child);
}

/* What a shell prints for the lines, completion in place, in a folder of results with such
 * variants. NULL: the shell is not there. The caller frees it. */
static char *completed(const struct shell *s, const char *program, const char *out,
                       const char *lines)
{
    char text[3 * FILE_PATH_BYTES + 4096], command[2 * FILE_PATH_BYTES];
    snprintf(text, sizeof text,
             "#!/bin/sh\n[ \"$1\" != complete ] || exec '%s' \"$@\"\n"
             "for word; do printf '<%%s>' \"$word\"; done\necho\n",
             program);
    write_text("loci", text, 0755);
    snprintf(command, sizeof command, "command -v %s", s->name);
    char *there = output_of(command);
    bool missing = !there || !*there;
    free(there);
    if (missing) return NULL;
    snprintf(command, sizeof command, "'%s' completion %s", program, s->name);
    char *script = output_of(command);
    write_text("script", script, 0644);
    free(script);
    snprintf(text, sizeof text, "%s%s/script\n%sexit\n", s->source, test_folder(), lines);
    return typed(s, out, text);
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) {
        n++;
    }
    return n;
}

static void labels_with_spaces(void)
{
    fake_experiment x = {test_folder(), "two", 4, 2, 4, VARIANTS};
    const char *program = test_program();
    if (!program) return;
    fake_write(&x);
    for (int i = 0; i < SHELL_KINDS; i++) {
        char *said = completed(&SHELLS[i], program, x.out,
                               "loci show two/pl\t\nloci show two/it\t\n"
                               "loci show two/same\\ start\\ b\t\nloci show \"two/pl\t\n");
        static const char *const want[] = {
            "<show><two/plain one>", "<show><two/it's (lr) $5 & more>", "<show><two/same start b>"};
        for (int k = 0; said && k < 3; k++) {
            EXPECT(strstr(said, want[k]), "%s completes to something else than %s: %s",
                   SHELLS[i].name, want[k], said);
        }
        /* Twice: once behind an open quote. */
        EXPECT(!said || count(said, want[0]) == 2, "%s: an open quote: %s", SHELLS[i].name, said);
        free(said);
    }
}

/* Labels are a stranger's, who may write commands there, and ends of quotes. */
static void labels_of_a_stranger(void)
{
    static const char *const LABELS[] = {
        "1 $(touch ran)",    "2 `touch ran`", "3'; touch ran; '", "4\"; touch ran; \"",    "5*",
        "6\\\"$(touch ran)", "7!!",           "8\t$(touch ran)",  "9 \xc3\xa4$(touch ran)"};
    static const char *const OPENED[] = {"", "\"", "'"};
    enum { COUNT = sizeof LABELS / sizeof *LABELS };
    fake_variant variants[COUNT];
    const char *program = test_program();
    if (!program) return;
    for (int i = 0; i < COUNT; i++) {
        variants[i] = VARIANTS[0];
        variants[i].label = LABELS[i];
    }
    fake_experiment x = {test_folder(), "two", COUNT, 1, 4, variants};
    fake_write(&x);
    EXPECT(file_make_folders(test_inside("two"), NULL), "a folder");
    write_text("two/5x", "a file that the label would stand for\n", 0644);
    for (int s = 0; s < SHELL_KINDS; s++) {
        char lines[4096] = "", want[128];
        size_t n = 0;
        for (int i = 0; i < COUNT; i++) {
            for (int q = 0; q < 3; q++) {
                n += (size_t)snprintf(lines + n, sizeof lines - n, "loci show %stwo/%c\t\n",
                                      OPENED[q], LABELS[i][0]);
                /* fish leaves it open where a file begins alike; else this is a comment. */
                if (s == FISH && q > 0) {
                    n += (size_t)snprintf(lines + n, sizeof lines - n, "#%s\n", OPENED[q]);
                }
            }
            n += (size_t)snprintf(lines + n, sizeof lines - n, "loci show \"two\"/%c\t\n",
                                  LABELS[i][0]);
            /* Amid the word: nothing is offered, and the quote is closed by hand. Others close it.
             */
            if (s != BASH) continue;
            n += (size_t)snprintf(lines + n, sizeof lines - n, "loci show two/\"%c\t\"\n",
                                  LABELS[i][0]);
        }
        char *said = completed(&SHELLS[s], program, x.out, lines);
        EXPECT(!file_exists(test_inside("ran")), "%s ran a label: %s", SHELLS[s].name, said);
        /* Others have their own ways with quotes that end within a word. */
        for (int i = 0; said && s == BASH && i < COUNT; i++) {
            snprintf(want, sizeof want, "<show><two/%s>", LABELS[i]);
            if (strchr(want, '\t')) continue; /* the terminal shows spaces */
            EXPECT(count(said, want) == 4, "%s: %d times %s: %s", SHELLS[s].name, count(said, want),
                   want, said);
        }
        free(said);
    }
}

const test_suite test_shells = {"tools/shells",
                                {{"labels_with_spaces", labels_with_spaces},
                                 {"labels_of_a_stranger", labels_of_a_stranger},
                                 {0}}};
