/* How far a run is, what is left of a sweep that was continued, and the bars that show it. */
#include <math.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/terminal.h"
#include "harness/supervise/progress.h"
#include "tests/support/pty.h"
#include "tests/test.h"

static void parts_of_runs(void)
{
    const run_status half = {.step = 50, .steps = 100, .train_seconds = 10};
    const run_status trained = {.step = 100, .steps = 100, .train_seconds = 20};
    const run_status evaluating = {
        .step = 100, .steps = 100, .train_seconds = 20, .eval_share = 0.25, .eval_seconds = 20};
    EXPECT(progress_fraction(&(run_status){0}) == 0, "planned");
    EXPECT(progress_fraction(&half) == 0.5, "%g", progress_fraction(&half));
    /* It has not ended: its evaluation comes. */
    EXPECT(progress_fraction(&trained) < 1, "%g", progress_fraction(&trained));
    /* 20 s of training and 20 of the 80 s that evaluating takes. */
    EXPECT(fabs(progress_fraction(&evaluating) - 0.4) < 1e-12, "%g",
           progress_fraction(&evaluating));
}

/* Only what this sitting did tells how fast it goes. */
static void time_left(void)
{
    const progress_sweep fresh = {.runs = 10, .work = 2};
    const progress_sweep resumed = {.runs = 10, .work = 9, .before = 8};
    EXPECT(progress_left(60, &fresh) == 240, "%g", progress_left(60, &fresh));
    EXPECT(progress_left(60, &resumed) == 60, "%g", progress_left(60, &resumed));
    EXPECT(isnan(progress_left(60, &(progress_sweep){.runs = 10, .work = 8, .before = 8})),
           "nothing was done yet");
}

/* ---- bars ---- */

static const char *const LABELS[] = {
    "short", "\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e",
    "a label that is longer than anybody would like it to be, with an end", "line\nbreak"};

/* What stands on a screen of so many columns and rows after what was written: letters, line ends,
 * cursor up, and erasing to the end are all that bars use. */
typedef struct screen {
    int columns, rows, row, column, scrolled;
    bool wrapped; /* a line was longer than the screen */
    char line[64][512];
} screen;

static void screen_newline(screen *s)
{
    if (++s->row < s->rows) return;
    s->row = s->rows - 1;
    s->scrolled++;
    memmove(s->line[0], s->line[1], sizeof s->line[0] * (size_t)(s->rows - 1));
    s->line[s->row][0] = 0;
}

static const char *screen_escape(screen *s, const char *at)
{
    int n = (int)strtol(at + 2, NULL, 10);
    size_t length = 2 + strspn(at + 2, "0123456789;");
    if (at[length] == 'A') s->row = MAX(s->row - n, 0);
    if (at[length] == 'J') {
        for (int r = s->row; r < s->rows; r++) {
            s->line[r][0] = 0;
        }
    }
    return at + length + 1;
}

static void screen_write(screen *s, const char *text)
{
    while (*text) {
        unsigned letter;
        int n = terminal_letter(text, &letter);
        if (*text == '\033') {
            text = screen_escape(s, text);
            continue;
        }
        if (*text == '\n') {
            screen_newline(s);
        } else if (*text != '\r') {
            strncat(s->line[s->row], text, (size_t)n);
            s->wrapped |= terminal_cells(s->line[s->row]) > s->columns;
        }
        text += n;
    }
}

/* What is too short to be shown, and what is longer. */
enum { OWN_SHORT = -1, OWN = 0 };
static void write_own(progress *p, int kind)
{
    progress_tell(p, "too soon", 100, 1000, 0.1);
    if (kind == OWN_SHORT) return;
    usleep(1100 * 1000);
    progress_tell(p, "keys, seed 1", 250, 1000, 10);
}

static void write_jobs(progress *p, const progress_job *jobs, int count)
{
    const progress_sweep all = {.runs = 100, .finished = 7, .failed = 2, .work = 9, .before = 1};
    progress_update(p, jobs, count, &all);
    progress_say(p, "[8/100] first of them, seed 1: done");
    progress_update(p, jobs, count, &all);
}

/* count OWN, OWN_SHORT: of something that the process does itself. */
static void write_bars(int terminal, const progress_job *jobs, int count)
{
    err e = {0};
    FILE *out = fdopen(terminal, "w");
    progress *p = out ? progress_new(out, &e) : NULL;
    EXPECT(p, "%s", e.text);
    if (!p) return;
    if (count > 0) write_jobs(p, jobs, count);
    if (count <= 0) write_own(p, count);
    fflush(out);
    /* Closed without progress_free, which would take the bars away. */
    fclose(out);
}

/* What they leave on a screen. */
static void draw_bars(screen *s, const progress_job *jobs, int count)
{
    struct winsize size = {.ws_col = (unsigned short)s->columns, .ws_row = (unsigned short)s->rows};
    int file;
    fflush(NULL);
    pid_t child = forkpty(&file, NULL, NULL, &size);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        unsetenv("NO_COLOR");
        write_bars(dup(STDOUT_FILENO), jobs, count);
        _exit(0);
    }
    char *text = pty_text(file, child);
    if (text) screen_write(s, text);
    free(text);
}

/* Drawn twice with a line in between, on a screen with more jobs than rows and with fewer: nothing
 * scrolls away, nothing stands there twice, no line is too long. */
static void bars(void)
{
    static const int sizes[][2] = {{80, 24}, {200, 50}, {44, 10}};
    enum { JOBS = 60 };
    progress_job jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (progress_job){LABELS[i % 4], i, {.step = i, .steps = JOBS}};
        jobs[i].status.train_seconds = 10;
        jobs[i].status.tokens_per_second = 12345;
        jobs[i].status.loss = 2;
        jobs[i].status.bytes_per_token = i % 2;
        if (i % 3 == 0) jobs[i].status.eval_share = 0.25;
    }
    for (int i = 0; i < 6; i++) {
        int count = i % 2 ? JOBS : 4;
        screen *s = calloc(1, sizeof *s);
        *s = (screen){.columns = sizes[i / 2][0], .rows = sizes[i / 2][1]};
        draw_bars(s, jobs, count);
        EXPECT(!s->wrapped, "%d x %d: a line is too long", s->columns, s->rows);
        EXPECT(s->scrolled <= 2, "%d lines scrolled away", s->scrolled);
        int totals = 0, bars_drawn = 0;
        char whole[1 << 15] = "";
        for (int r = 0; r < s->rows; r++) {
            totals += strncmp(s->line[r], "all runs", 8) == 0;
            /* No figure is cut, and no bar is drawn that has no room. */
            EXPECT(strncmp(s->line[r], "all runs", 8) != 0 ||
                       strstr(s->line[r], "  7 of 100 done, 2 failed"),
                   "%s", s->line[r]);
            EXPECT(!strstr(s->line[r], "[]"), "%s", s->line[r]);
            bars_drawn += strstr(s->line[r], "#") != NULL;
            strcat(strcat(whole, s->line[r]), "\n");
        }
        EXPECT(totals == 1, "%d totals on the screen:\n%s", totals, whole);
        EXPECT(count == 4 ? bars_drawn >= 4 : strstr(whole, "jobs more") != NULL, "%s", whole);
        if (s->columns >= 80) {
            EXPECT(strstr(whole, "bits/byte") && strstr(whole, "nats/token"), "%s", whole);
            EXPECT(strstr(whole, "7 of 100 done, 2 failed"), "%s", whole);
        }
        free(s);
    }
}

/* An evaluation that somebody waits for. */
static void of_this_process(void)
{
    screen *s = calloc(1, sizeof *s);
    *s = (screen){.columns = 80, .rows = 24};
    draw_bars(s, NULL, OWN_SHORT);
    EXPECT(!*s->line[0], "%s", s->line[0]);
    draw_bars(s, NULL, OWN);
    EXPECT(strncmp(s->line[0], "keys, seed 1", 12) == 0 && strstr(s->line[0], "#####") &&
               strstr(s->line[0], "  25%  25 tok/s  0:30 left"),
           "%s", s->line[0]);
    EXPECT(!*s->line[1] && !s->wrapped, "%s", s->line[1]);
    free(s);
}

/* In a file a line of how far all is comes after a while, the first one too. */
static void lines_wait(void)
{
    FILE *out = tmpfile();
    err e = {0};
    progress *p = out ? progress_new(out, &e) : NULL;
    EXPECT(p, "%s", e.text);
    if (!p) return;
    const progress_job job = {LABELS[0], 1, {.step = 1, .steps = 9}};
    char text[256] = "";
    write_jobs(p, &job, 1);
    fflush(out);
    rewind(out);
    text[fread(text, 1, sizeof text - 1, out)] = 0;
    EXPECT(strcmp(text, "[8/100] first of them, seed 1: done\n") == 0, "%s", text);
    progress_free(p);
    fclose(out);
}

const test_suite test_progress = {"harness/progress",
                                  {{"parts_of_runs", parts_of_runs},
                                   {"time_left", time_left},
                                   {"bars", bars},
                                   {"of_this_process", of_this_process},
                                   {"lines_wait", lines_wait},
                                   {0}}};
