#include "harness/supervise/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/host.h"
#include "core/base/one_line.h"
#include "core/base/terminal.h"
#include "core/base/terminal_guard.h"
#include "harness/run/run_status.h"
#define MOST_OF_A_RUN 0.99 /* of one that has not ended */

enum { NAME_CELLS = 24, BAR_CELLS = 24 };

/* Two ways of showing the same. On a terminal the bars are the last lines: each update goes up by
 * as many lines as were drawn, erases to the end of the screen, and draws anew; a line that stays
 * is written in their place, and they come back below it. That works only if no bar wraps and all
 * of them fit on the screen, hence the cutting to its width and height, asked each time, for
 * windows change. Elsewhere (a file, a batch system's log) there are no such lines: every ten
 * seconds plain ones.
 *
 * The estimate of what is left counts work in runs, of this sitting alone: what was done before
 * took another time, perhaps on another machine. */

struct progress {
    FILE *out;
    bool terminal, colour;
    int drawn; /* lines of bars on the screen */
    double began, shown_at;
};
progress *progress_new(FILE *out, err *e)
{
    progress *p = calloc(1, sizeof *p);
    if (!p) return err_set(e, "out of memory for the display of progress"), NULL;
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    p->out = out;
    /* A dumb terminal (an editor's) has no way up. */
    p->terminal = isatty(terminal_file(out)) && term && strcmp(term, "dumb") != 0;
    p->colour = p->terminal && !(no_color && *no_color);
    p->began = host_monotonic_s();
    return p;
}

void progress_time(char text[16], double seconds)
{
    /* NaN, too: not known. */
    if (!(seconds >= 0 && seconds < 3600.0 * 9999)) {
        snprintf(text, 16, "-:--");
        return;
    }
    int s = (int)(seconds + 0.5), hours = s / 3600;
    if (hours) {
        snprintf(text, 16, "%d:%02d:%02d", hours, s / 60 % 60, s % 60);
    } else {
        snprintf(text, 16, "%d:%02d", s / 60, s % 60);
    }
}

void progress_amount(char text[16], double amount)
{
    static const char *const suffix[] = {"", "k", "M", "G", "T"};
    int i = 0;
    if (!isfinite(amount)) {
        snprintf(text, 16, "-");
        return;
    }
    /* 999.5, not 1000: what would be rounded to "1000k" is "1.0M". */
    for (; i < 4 && fabs(amount) >= 999.5; i++) {
        amount /= 1000;
    }
    snprintf(text, 16, "%.*f%s", i == 0 || fabs(amount) >= 99.95 ? 0 : 1, amount, suffix[i]);
}

/* Removes the bars, so that a line can be written where they stood. The cursor stands below the
 * last of them, at the beginning of a line; nothing else may be printed in between, so workers'
 * words go to their logs. */
static void erase_bars(progress *p)
{
    char up[32];
    snprintf(up, sizeof up, "\033[%dA\r\033[J", p->drawn);
    if (p->drawn) terminal_control(p->out, up);
    p->drawn = 0;
}

void progress_free(progress *p)
{
    if (!p) return;
    erase_bars(p);
    fflush(p->out);
    free(p);
}

void progress_say(progress *p, const char *format, ...)
{
    va_list args;
    terminal_prose prose;
    char text[4 * ERR_TEXT_BYTES];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    one_line(text, sizeof text); /* one call, one line, whatever a label or a reason holds */
    erase_bars(p);
    FILE *out = terminal_prose_begin(&prose, p->out);
    fprintf(out, "%s\n", text);
    terminal_prose_end(&prose);
    fflush(p->out);
    p->shown_at = 0; /* the bars come back with the next update */
}

double progress_fraction(const run_status *s)
{
    if (s->steps <= 0) return 0;
    /* The evaluation's whole time follows from its share; before it has one, a run that is trained
     * counts as 99 %. */
    if (s->step >= s->steps && s->eval_share > 0) {
        double whole = s->train_seconds + s->eval_seconds / s->eval_share;
        return fmin(MOST_OF_A_RUN, (s->train_seconds + s->eval_seconds) / whole);
    }
    return fmin(MOST_OF_A_RUN, (double)s->step / (double)s->steps);
}

double progress_left(double elapsed, const progress_sweep *all)
{
    double done = all->work - all->before;
    /* Time per run of this sitting, by the runs that are left; parts of runs count as parts. */
    return done > 0 ? elapsed * (all->runs - all->work) / done : (double)NAN;
}

/* To the end of its training, or of the evaluation that goes on. */
static double seconds_left(const run_status *s)
{
    if (s->eval_share > 0) return s->eval_seconds * (1 / s->eval_share - 1);
    /* Nothing is known before the first step. */
    if (s->step <= 0 || s->steps <= 0) return (double)NAN;
    return s->train_seconds / (double)s->step * (double)(s->steps - MIN(s->step, s->steps));
}

void progress_loss(char text[32], const run_status *s)
{
    if (!isfinite(s->loss)) {
        snprintf(text, 32, "loss -");
    } else if (s->bytes_per_token > 0) {
        snprintf(text, 32, "%.4f bits/byte", s->loss / log(2) / s->bytes_per_token);
    } else {
        snprintf(text, 32, "%.4f nats/token", s->loss);
    }
}

static void job_figures(char *text, size_t size, const progress_job *job)
{
    char rate[16], left[16], loss[32];
    const run_status *s = &job->status;
    progress_amount(rate, s->tokens_per_second);
    progress_time(left, seconds_left(s));
    progress_loss(loss, s);
    if (s->eval_share > 0) {
        snprintf(text, size, "%s  evaluating: %.0f %%  %s left", loss, 100 * s->eval_share, left);
        /* Trained, and the evaluation has not told its share yet. */
    } else if (s->steps > 0 && s->step >= s->steps) {
        snprintf(text, size, "%s  evaluating", loss);
    } else {
        snprintf(text, size, "%s  %s tok/s  %s left", loss, rate, left);
    }
}

/* ---- on a terminal ---- */

/* Columns of all lines, so that bars and figures stand below each other. */
typedef struct layout {
    int width, name, bar, rest; /* bar 0: there is no room for any */
} layout;

/* What is written counts for more than the bar, a narrow terminal shortens that first; then the
 * names. `longest`: of the figures. */
static layout lay_out(int width, int longest)
{
    enum { LEAST_BAR = 4, LEAST_NAME = 12, AROUND = 7, BRACKETS = 3 };
    layout l = {.width = width - 1, .name = NAME_CELLS};
    l.bar = MIN(BAR_CELLS, l.width - l.name - AROUND - BRACKETS - longest);
    if (l.bar < LEAST_BAR) {
        l.bar = 0;
        l.name = MIN(NAME_CELLS, MAX(LEAST_NAME, l.width - AROUND - longest));
    }
    l.rest = l.width - l.name - AROUND - (l.bar ? l.bar + BRACKETS : 0);
    return l;
}

/* Whole figures, which two blanks separate: half of one is another. */
static void keep_whole(char *figures, int cells)
{
    while ((int)strlen(figures) > cells) {
        char *last = NULL;
        for (char *x = figures; (x = strstr(x, "  ")); x += 2) {
            last = x;
        }
        *(last ? last : figures) = 0;
    }
}

/* Writes a line of at most the terminal's width: a longer one would wrap and break the counting of
 * lines. The bar's colour takes no room. */
static void draw_bar(progress *p, const layout *l, const char *name, double fraction, char *rest)
{
    char bar[BAR_CELLS + 1], own[128];
    int full = (int)(fraction * l->bar + 0.5);
    /* Letters of ASCII: a bar that every terminal and font shows. */
    for (int i = 0; i < l->bar; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[l->bar] = 0;
    p->drawn++;
    /* Where not even a share fits, the name is what remains. */
    terminal_cut(own, sizeof own, name, l->rest < 0 ? l->width : l->name);
    fputs(own, p->out);
    if (l->rest < 0) {
        fputc('\n', p->out);
        return;
    }
    keep_whole(rest, l->rest);
    fprintf(p->out, "%*s", l->name - terminal_cells(own), "");
    if (l->bar) {
        fputs(" [", p->out);
        if (p->colour) terminal_control(p->out, "\033[32m");
        fputs(bar, p->out);
        if (p->colour) terminal_control(p->out, "\033[0m");
        fputc(']', p->out);
    }
    fprintf(p->out, " %3.0f%%%s%s\n", 100 * fraction, *rest ? "  " : "", rest);
}

/* The seed stays whole where a label is long: it tells two bars of a variant apart. */
static void job_name(char name[128], const progress_job *job, int cells)
{
    char seed[32];
    snprintf(seed, sizeof seed, " #%lld", (long long)job->seed);
    terminal_cut(name, 128 - sizeof seed, job->label, cells - (int)strlen(seed));
    snprintf(name + strlen(name), sizeof seed, "%s", seed);
}

static void draw_all(progress *p, const progress_job *jobs, int count, char *total, double fraction)
{
    int width = 80, rows = 24, shown, longest = (int)strlen(total);
    char name[128], rest[128];
    terminal_size(p->out, &width, &rows);
    /* What does not fit would scroll away and could not be drawn over. */
    shown = count + 2 > rows ? MAX(rows - 3, 0) : count;
    erase_bars(p);
    for (int i = 0; i < shown; i++) {
        job_figures(rest, sizeof rest, &jobs[i]);
        longest = MAX(longest, (int)strlen(rest));
    }
    const layout l = lay_out(width, longest);
    for (int i = 0; i < shown; i++) {
        job_name(name, &jobs[i], l.name);
        job_figures(rest, sizeof rest, &jobs[i]);
        draw_bar(p, &l, name, progress_fraction(&jobs[i].status), rest);
    }
    if (shown < count) {
        fprintf(p->out, "and %d jobs more\n", count - shown);
        p->drawn++;
    }
    draw_bar(p, &l, "all runs", fraction, total);
    fflush(p->out);
}

/* ---- both ---- */

/* Whether it is time to show something, which it then is. */
static bool is_due(progress *p)
{
    double now = host_monotonic_s();
    if (now - p->shown_at < (p->terminal ? 0.2 : 10)) return false;
    /* progress_say puts it back to 0, which on a terminal is at once. */
    bool waits = !p->terminal && p->shown_at <= 0; /* the first plain line waits, too */
    p->shown_at = now;
    return !waits;
}

void progress_tell(progress *p, const char *name, int64_t tokens, int64_t of, double seconds)
{
    double now = host_monotonic_s(), part = of > 0 ? fmin(1, (double)tokens / (double)of) : 0;
    if (now - p->began < 1 || !is_due(p)) return;
    char rest[64], speed[16], left[16];
    progress_amount(speed, (double)tokens / seconds);
    progress_time(left, part > 0 ? seconds * (1 / part - 1) : (double)NAN);
    snprintf(rest, sizeof rest, "%s tok/s  %s left", speed, left);
    if (!p->terminal) {
        one_line_print(p->out, "  %s: %.0f%%  %s", name, 100 * part, rest);
        return;
    }
    int width = 80, rows = 24;
    terminal_size(p->out, &width, &rows);
    const layout l = lay_out(width, (int)strlen(rest));
    erase_bars(p);
    draw_bar(p, &l, name, part, rest);
    fflush(p->out);
}

void progress_update(progress *p, const progress_job *jobs, int count, const progress_sweep *all)
{
    double now = host_monotonic_s(), rate = 0;
    if (!is_due(p)) return;
    for (int i = 0; i < count; i++) {
        /* Of this machine's jobs: what others do is not in the sum. */
        if (isfinite(jobs[i].status.tokens_per_second)) rate += jobs[i].status.tokens_per_second;
    }
    char total[160], speed[16], left[16], bad[32] = "";
    double fraction = all->runs ? fmin(1, all->work / all->runs) : 1;
    progress_amount(speed, rate);
    progress_time(left, progress_left(now - p->began, all));
    if (all->failed) snprintf(bad, sizeof bad, ", %d failed", all->failed);
    snprintf(total, sizeof total, "%d of %d done%s  %s tok/s  %s left", all->finished, all->runs,
             bad, speed, left);
    if (p->terminal) {
        draw_all(p, jobs, count, total, fraction);
        return;
    }
    for (int i = 0; i < count; i++) {
        char rest[128];
        job_figures(rest, sizeof rest, &jobs[i]);
        one_line_print(p->out, "  %s, seed %lld: %.0f%%  %s", jobs[i].label,
                       (long long)jobs[i].seed, 100 * progress_fraction(&jobs[i].status), rest);
    }
    fprintf(p->out, "%s\n", total);
    fflush(p->out);
}
