/* What is printed to a terminal fits into it: 80 x 24, 200 x 50 and one that is hardly wide enough,
 * in a pseudo-terminal. */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/terminal.h"
#include "results/report/status.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0.001, 842000, 51234, NULL, false},
    {"\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e", 0.04, 0.001, 842000, 40321, "failed",
     false},
    {"a label that is longer than anybody would like it to be, with an end", 0.02, 0.002, 1684000,
     30123, NULL, false},
    {"line\nbreak", 0.01, 0.002, 842000, 30123, "diverged", false}};

/* What the program writes to a terminal of that size; the caller frees it. */
static char *on_terminal(int columns, int rows, const char *const *words)
{
    const char *program = test_program();
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    int file;
    if (!program) return NULL;
    pid_t child = forkpty(&file, NULL, NULL, &size);
    if (child == 0) {
        char *argv[8] = {strdup(program)};
        for (int i = 0; words[i] && i < 6; i++) {
            argv[i + 1] = strdup(words[i]);
        }
        setenv("TERM", "xterm", 1);
        setenv("NO_COLOR", "1", 1);
        execv(program, argv);
        _exit(127);
    }
    EXPECT(child > 0, "no pseudo-terminal");
    if (child <= 0) return NULL;
    char *text = NULL, buffer[4096];
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    for (ssize_t n; (n = read(file, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != '\r') fputc(buffer[i], f);
        }
    }
    fclose(f);
    close(file);
    waitpid(child, NULL, 0);
    return text;
}

/* No line of a table (which ends at an empty line) is wider. */
static void expect_fits(const char *what, const char *text, int columns, int rows_at_most)
{
    char line[1024];
    int rows = 0;
    for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        if (!*line && rows > 2) break;
        rows++;
        EXPECT(terminal_cells(line) <= columns, "%s: %d columns, not %d: %s", what,
               terminal_cells(line), columns, line);
    }
    EXPECT(rows > 2 && rows <= rows_at_most, "%s: %d lines: %s", what, rows, text ? text : "");
}

static void tables(void)
{
    static const int sizes[][2] = {{80, 24}, {200, 50}, {44, 10}};
    fake_experiment x = {test_folder(), "memory", 4, 9, 4, VARIANTS};
    fake_write(&x);
    for (int i = 0; i < 3; i++) {
        const int *size = sizes[i];
        const char *const calls[][5] = {{"compare", "memory", "--out", x.out, NULL},
                                        {"status", "memory", "--out", x.out, NULL},
                                        {"status", "--out", x.out, NULL},
                                        {"ls", "memory", "--out", x.out, NULL}};
        for (int k = 0; k < 4; k++) {
            char *text = on_terminal(size[0], size[1], calls[k]);
            if (!text) return;
            /* Only how runs go is folded to what can be seen at once. */
            expect_fits(calls[k][0], text, size[0], k == 1 ? size[1] : 1000);
            if (k == 0) {
                EXPECT((strstr(text, "not shown here: ") != NULL) == (size[0] < 200), "%s", text);
                EXPECT(size[0] < 200 || strstr(text, "tokens/s"), "%s", text);
            }
            if (k == 1) EXPECT(strstr(text, "failed"), "what failed is folded away: %s", text);
            free(text);
        }
    }
    const char *const piped[] = {"status", "memory", "--out", x.out, "--all", NULL};
    char *all = on_terminal(200, 10, piped);
    int lines = 0;
    for (const char *at = all; at && (at = strchr(at, '\n')); at++) {
        lines++;
    }
    EXPECT(lines > 36, "--all: %d lines", lines);
    free(all);
}

static void help(void)
{
    static const char *const verbs[] = {"compare", "run", "plot", "generate", "export"};
    for (int i = 0; i < 5; i++) {
        const char *const words[] = {verbs[i], "--help", NULL};
        char *text = on_terminal(60, 24, words);
        for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
            int n = (int)strcspn(at, "\n");
            bool choices = strncmp(at, "  --", 4) == 0 || strncmp(at, "  loci", 6) == 0 ||
                           strncmp(at, "Usage", 5) == 0;
            const char *word = at + strspn(at, " ");
            bool one_word = (int)strcspn(word, " \n") == n - (int)(word - at);
            EXPECT(n <= 60 || choices || one_word, "%s: %.*s", verbs[i], n, at);
        }
        free(text);
    }
}

static void letters(void)
{
    char out[64];
    EXPECT(terminal_cells("a\u00e9\u65e5e\u0301") == 5, "%d",
           terminal_cells("a\u00e9\u65e5e\u0301"));
    terminal_cut(out, sizeof out, "abcdefghij", 10);
    EXPECT(strcmp(out, "abcdefghij") == 0, "%s", out);
    terminal_cut(out, sizeof out, "abcdefghij", 5);
    EXPECT(strcmp(out, "ab\u2026ij") == 0, "%s", out);
    terminal_cut(out, sizeof out, "\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e", 7);
    EXPECT(terminal_cells(out) <= 7 && strstr(out, "\u2026"), "%s", out);
    terminal_cut(out, sizeof out, "a\nb\tc", 9);
    EXPECT(strcmp(out, "a b c") == 0, "%s", out);
    terminal_cut(out, sizeof out, "broken \xe6\x97", 40);
    EXPECT(strncmp(out, "broken ", 7) == 0, "%s", out);
}

const test_suite test_terminal = {"tools/terminal",
                                  {{"tables", tables}, {"help", help}, {"letters", letters}, {0}}};
