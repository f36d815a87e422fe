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

static void labels_with_spaces(void)
{
    fake_experiment x = {test_folder(), "two", 4, 2, 4, VARIANTS};
    const char *program = test_program();
    char text[3 * FILE_PATH_BYTES], command[2 * FILE_PATH_BYTES];
    if (!program) return;
    fake_write(&x);
    snprintf(text, sizeof text,
             "#!/bin/sh\n[ \"$1\" != complete ] || exec '%s' \"$@\"\n"
             "for word; do printf '<%%s>' \"$word\"; done\necho\n",
             program);
    write_text("loci", text, 0755);
    for (int i = 0; i < 3; i++) {
        const struct shell *s = &SHELLS[i];
        snprintf(command, sizeof command, "command -v %s", s->name);
        char *there = output_of(command);
        bool missing = !there || !*there;
        free(there);
        if (missing) continue;
        snprintf(command, sizeof command, "'%s' completion %s", program, s->name);
        char *script = output_of(command);
        write_text("script", script, 0644);
        free(script);
        snprintf(text, sizeof text,
                 "%s%s/script\nloci show two/pl\t\nloci show two/it\t\n"
                 "loci show two/same\\ start\\ b\t\nloci show \"two/pl\t\nexit\n",
                 s->source, test_folder());
        char *said = typed(s, x.out, text);
        static const char *const want[] = {
            "<show><two/plain one>", "<show><two/it's (lr) $5 & more>", "<show><two/same start b>"};
        for (int k = 0; k < 3; k++) {
            EXPECT(strstr(said, want[k]), "%s completes to something else than %s: %s", s->name,
                   want[k], said);
        }
        int plain = 0; /* twice: once behind an open quote */
        for (const char *at = said; (at = strstr(at, want[0])); at++) {
            plain++;
        }
        EXPECT(plain == 2, "%s: an open quote: %s", s->name, said);
        free(said);
    }
}

const test_suite test_shells = {"tools/shells", {{"labels_with_spaces", labels_with_spaces}, {0}}};
