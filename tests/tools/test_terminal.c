/* What is printed to a terminal fits into it: 80 x 24, 200 x 50 and one that is hardly wide enough,
 * in a pseudo-terminal. */
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/terminal.h"
#include "results/report/status.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/support/pty.h"
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
    char *text = pty_text(file, child), *to = text;
    if (!text) return NULL;
    for (const char *from = text; *from; from++) {
        if (*from != '\r') *to++ = *from;
    }
    *to = 0;
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

/* Every line of it, tables and sentences. What cannot be broken (a path, an identity, an option
 * with its choices) may stand out alone. */
static void expect_within(const char *what, const char *text, int columns)
{
    char line[2048];
    for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        bool one_word = !strchr(line + strspn(line, " -"), ' ');
        EXPECT(one_word || terminal_cells(line) <= columns, "%s: %d columns, not %d: %s", what,
               terminal_cells(line), columns, line);
    }
}

/* However narrow it is, a table has what it is read for, and lists break between words. */
static void what_is_read_for_stays(void)
{
    fake_experiment x = {test_folder(), "memory", 4, 9, 4, VARIANTS};
    fake_write(&x);
    char claimed[256];
    snprintf(claimed, sizeof claimed,
             "[{\"name\": \"long-is-worth-it\", \"source\": \"A paper 2021, table 12\", "
             "\"better\": \"%s\", \"than\": \"short\"}]",
             VARIANTS[2].label);
    fake_claim(&x, claimed, NULL, 0);
    const struct {
        const char *words[6], *has[4];
    } calls[] = {
        {{"compare", "memory", "--out", x.out, NULL}, {"bits/byte"}},
        {{"claims", "memory", "--out", x.out, NULL}, {"claim ", "verdict", "holds"}},
        {{"ls", "memory", "--out", x.out, NULL}, {"variant", "status"}},
        {{"status", "memory", "--out", x.out, NULL}, {"seed", "status", "failed"}},
        {{"status", "--out", x.out, NULL}, {"runs", "done", "failed"}},
        {{"layers", NULL}, {"block_recurrent"}},
        {{"layers", "ffn", NULL}, {"activation"}},
        {{"data", "list", NULL}, {"kjv"}},
    };
    for (int i = 0; i < (int)(sizeof calls / sizeof *calls); i++) {
        for (int columns = 40; columns <= 60; columns += 20) {
            char *text = on_terminal(columns, 200, calls[i].words);
            if (!text) return;
            char *left_out = strstr(text, "not shown here");
            if (left_out) *left_out = 0;
            for (int k = 0; k < 4 && calls[i].has[k]; k++) {
                EXPECT(strstr(text, calls[i].has[k]), "%s at %d: no %s: %s", calls[i].words[0],
                       columns, calls[i].has[k], text);
            }
            expect_within(calls[i].words[0], text, columns);
            free(text);
        }
    }
}

/* How many steps a run has is told behind the step that it has reached, or not at all; which of its
 * variant's rows it is, always. */
static void steps_stand_together(void)
{
    static const fake_variant two[] = {
        {"memory of keys and values", 0, 0.001, 842000, 51234, NULL, false},
        {"memory of values and keys", 0.1, 0.001, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 2, 2, 4, two};
    fake_write(&x);
    const char *const words[] = {"status", "memory", "--out", x.out, NULL};
    int alone = 0, both = 0;
    for (int columns = 20; columns <= 60; columns++) {
        char *text = on_terminal(columns, 200, words);
        if (!text) return;
        char *head = strstr(text, "variant");
        if (head) head[strcspn(head, "\r\n")] = 0;
        bool step = head && strstr(head, " step"), of = head && strstr(head, " of");
        EXPECT(!of || step, "at %d: %s", columns, head);
        EXPECT(head && strstr(head, " seed"), "at %d: %s", columns, head);
        alone += step && !of;
        both += step && of;
        free(text);
    }
    EXPECT(both > 0, "%d widths with the step, %d with both", alone, both);
}

/* What a value was chosen, and what a claim has to be, stand in the usual terminal, uncut. */
static void figures_in_words_are_whole(void)
{
    static const fake_variant tried[] = {
        {"memory-of-keys-and-values 1e-3", 0, 0.001, 842000, 51234, NULL, false},
        {"memory-of-keys-and-values 3e-3", 0.1, 0.001, 842000, 51234, NULL, false},
        {"plain 1e-3", 0.2, 0.001, 842000, 51234, NULL, false},
        {"plain 3e-3", 0.3, 0.001, 842000, 51234, NULL, false}};
    fake_experiment x = {test_folder(), "experiment-of-a-longer-name", 4, 3, 4, tried};
    fake_write(&x);
    fake_axes(&x);
    fake_claim(&x,
               "[{\"name\": \"keys-and-values-help-a-small-model\", \"source\": \"\", "
               "\"better\": \"plain 3e-3\", \"than\": \"plain 1e-3\", \"by\": \"0.02 "
               "bits/byte\"}]",
               NULL, 0);
    const struct {
        const char *words[7], *has[4];
    } calls[] = {
        {{"compare", "--tune", "lr", "--out", x.out, NULL}, {"lr=3e-3 (edge)", "difference"}},
        {{"claims", "--out", x.out, NULL}, {"above 0.02", "help-a-", "bits/byte", "holds"}},
        {{"diff", "experiment-of-a-longer-name/plain 1e-3/1",
          "experiment-of-a-longer-name/memory-of-keys-and-values 3e-3/2", "--out", x.out, NULL},
         {"seed"}}};
    for (int i = 0; i < (int)(sizeof calls / sizeof *calls); i++) {
        char *text = on_terminal(80, 24, calls[i].words);
        if (!text) return;
        char *words = strstr(text, "not shown here");
        if (words) *words = 0;
        EXPECT(!strstr(text, "\u2026"), "%s cuts: %s", calls[i].words[0], text);
        for (int k = 0; k < 4 && calls[i].has[k]; k++) {
            EXPECT(strstr(text, calls[i].has[k]), "%s: no %s: %s", calls[i].words[0],
                   calls[i].has[k], text);
        }
        expect_within(calls[i].words[0], text, 80);
        free(text);
    }
    /* A value of an axis that has no room is told with what it is of. */
    const char *const pivot[] = {"compare", "--pivot", "reach,lr", "--out", x.out, NULL};
    char *text = on_terminal(46, 24, pivot);
    if (!text) return;
    EXPECT(strstr(text, "not shown here: 3e-3 (lr)"), "%s", text);
    free(text);
}

/* An identity is there to be copied: half of one is worth nothing. */
static void identities_are_whole(void)
{
    fake_experiment x = {test_folder(), "memory", 4, 9, 4, VARIANTS};
    const char *const words[] = {"ls", "memory", "--out", x.out, NULL};
    char id[17];
    fake_write(&x);
    fake_run_id(id, x.name, VARIANTS[0].label, 1);
    for (int columns = 30; columns <= 80; columns += 10) {
        char *text = on_terminal(columns, 200, words);
        if (!text) return;
        EXPECT(strstr(text, id), "%d columns: no %s: %s", columns, id, text);
        free(text);
    }
}

/* Verdicts and notes are longer than any line; they break at words. */
static void sentences(void)
{
    static const int sizes[][2] = {{80, 24}, {200, 50}};
    fake_experiment x = {test_folder(), "memory", 4, 9, 4, VARIANTS};
    fake_experiment y = {test_folder(), "other", 4, 2, 4, VARIANTS};
    fake_write(&x);
    fake_write(&y);
    for (int i = 0; i < 2; i++) {
        const char *const calls[][6] = {
            {"compare", "memory", "--out", x.out, NULL},
            {"compare", "memory", "other", "--out", x.out, NULL},
            {"compare", "memory", "--by", "position", "--out", x.out},
            {"status", "memory", "--out", x.out, NULL},
            {"claims", "memory", "--out", x.out, NULL},
        };
        for (int k = 0; k < 5; k++) {
            char *text = on_terminal(sizes[i][0], sizes[i][1], calls[k]);
            if (!text) return;
            EXPECT(strlen(text) > 10, "%s says nothing", calls[k][0]);
            expect_within(calls[k][0], text, sizes[i][0]);
            free(text);
        }
    }
}

/* What the program says of itself: every verb's help and that of specs. NULL behind the last. The
 * verbs are those that the first one lists. */
static const char *help_of(int i)
{
    static char names[64][32];
    static int count;
    if (count == 0) {
        const char *const words[] = {"help", NULL};
        char *text = on_terminal(200, 24, words);
        const char *at = text ? strstr(text, "\n  ") : NULL;
        for (; at && count < 63; at = strstr(at + 1, "\n  "))
            count += sscanf(at, "%31s", names[count]) == 1;
        free(text);
        EXPECT(count > 20, "%d verbs", count);
        snprintf(names[count++], sizeof *names, "spec");
    }
    return i < count ? names[i] : NULL;
}

/* Examples stay whole, to be copied, where they fit into the usual terminal. */
static void expect_help_within(const char *what, const char *text, int columns)
{
    char line[2048];
    for (const char *at = text; at && *at; at += strcspn(at, "\n"), at += *at == '\n') {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        bool one_word = !strchr(line + strspn(line, " -"), ' ');
        int room = strncmp(line, "  loci ", 7) == 0 ? MAX(columns, 80) : columns;
        EXPECT((one_word && columns < 80) || terminal_cells(line) <= room,
               "%s: %d columns, not %d: %s", what, terminal_cells(line), columns, line);
    }
}

static void help(void)
{
    static const int widths[] = {30, 60, 80, 200};
    const char *name;
    for (int i = 0; i < 4; i++) {
        const char *words[] = {"help", NULL, NULL};
        for (int k = -1; k < 0 || (words[1] = name = help_of(k)); k++) {
            char *text = on_terminal(widths[i], 24, words);
            if (!text) return;
            EXPECT(strlen(text) > 100, "%s: %s", words[1], text);
            expect_help_within(words[1] ? words[1] : "help", text, widths[i]);
            free(text);
        }
    }
}

/* In a file or a pipe to a pager they have the usual width. */
static void help_in_a_pipe(void)
{
    const char *name;
    if (!test_program()) return;
    expect_help_within("--help", LOCI("--help").out, 80);
    for (int k = 0; (name = help_of(k)); k++)
        expect_help_within(name, LOCI("help", name).out, 80);
}

/* A corpus whose folder has a long name, on a terminal too narrow for two columns. */
static void corpora(void)
{
    static const int widths[] = {24, 30, 60};
    char folder[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    err e = {0};
    snprintf(folder, sizeof folder, "%s/my texts and what else there is to train on",
             test_folder());
    EXPECT(file_join(file, folder, "enwik8", &e) && file_make_folders(folder, &e) &&
               file_write(file, "x", 1, &e),
           "%s", e.text);
    for (int i = 0; i < 3; i++) {
        const char *const words[] = {"data", "list", "--data", folder, NULL};
        char *text = on_terminal(widths[i], 24, words);
        if (!text) return;
        EXPECT(strstr(text, "    found:") && !strstr(text, "\n\n"), "at %d: %s", widths[i], text);
        expect_within("data list", text, widths[i]);
        free(text);
    }
}

/* A word is as long as it is. */
static void long_words(void)
{
    char word[2001], *text = NULL;
    size_t bytes = 0;
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    FILE *out = open_memstream(&text, &bytes);
    terminal_wrap(out, word, 0, 0, 80);
    fclose(out);
    EXPECT(strcmp(text, word) == 0, "%zu bytes", bytes);
    free(text);
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

/* Labels that differ in their middle alone are cut no further than that, whatever is left out for
 * it; but not where nothing else had room. */
static void labels_differ(void)
{
    static const fake_variant alike[] = {
        {"short", 0, 0.001, 842000, 51234, NULL, false},
        {"memory=long-hashes=one-width=16", 0.02, 0.001, 842000, 51234, NULL, false},
        {"memory=long-hashes=two-width=16", 0.04, 0.001, 842000, 40321, NULL, false}};
    fake_experiment x = {test_folder(), "memory", 3, 3, 4, alike};
    fake_write(&x);
    const char *const words[] = {"compare", "memory", "--out", x.out, NULL};
    for (int columns = 40; columns <= 80; columns += 20) {
        char *text = on_terminal(columns, 200, words);
        if (!text) return;
        char label[2][128] = {"", ""};
        const char *row = strstr(text, "\nmemory");
        for (int i = 0; i < 2 && row; i++, row = strstr(row + 1, "\nmemory")) {
            sscanf(row, " %127s", label[i]);
        }
        EXPECT(*label[1] && strcmp(label[0], label[1]) != 0 && strstr(text, "bits/byte"),
               "at %d: %s", columns, text);
        expect_within("compare", text, columns);
        free(text);
    }
}

const test_suite test_terminal = {"tools/terminal",
                                  {{"tables", tables},
                                   {"what_is_read_for_stays", what_is_read_for_stays},
                                   {"steps_stand_together", steps_stand_together},
                                   {"labels_differ", labels_differ},
                                   {"identities_are_whole", identities_are_whole},
                                   {"figures_in_words_are_whole", figures_in_words_are_whole},
                                   {"sentences", sentences},
                                   {"help", help},
                                   {"help_in_a_pipe", help_in_a_pipe},
                                   {"corpora", corpora},
                                   {"long_words", long_words},
                                   {"letters", letters},
                                   {0}}};
