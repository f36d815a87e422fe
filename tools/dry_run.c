/* A dry run answers what a person wants to know before starting: is the spec what I meant, does it
 * fit into memory, is it done by tomorrow. Runs are planned by the very code that will run them, so
 * the ids are those that folders will have; only then is time estimated, from what runs of the same
 * cost took here. */
#include "tools/dry_run.h"

#include "core/base/host.h"
#include "core/base/terminal.h"
#include "harness/run/evaluate_again.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/speed/sweep_time.h"
#include "harness/supervise/idle_cores.h"
#include "harness/supervise/job_memory.h"
#include "harness/supervise/progress.h"
#include "results/table/table.h"
#include "tools/cli.h"

enum { CALIBRATE_SECONDS = 2 };

/* How the runs stand, and which of them `loci run` would work on.
 * It has to agree with the supervisor about what is left, or the time would be that of another
 * sweep: a finished run that lacks an evaluation counts, a failed one only if --retry asks for it.
 */
static bool look(const char **states, bool *left, supervisor_result *gaps, const experiment *x,
                 const supervisor_options *how, err *e)
{
    for (int i = 0; i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES];
        run_status now;
        err damaged;
        if (!run_folder_path(folder, how->out, x->runs[i].id, e)) return false;
        /* What is damaged is taken up by the next run, so it is left to do. */
        bool known = run_status_read(&now, folder, &damaged);
        if (known) supervision_gap(gaps, &x->runs[i], &now);
        bool failed = known && (now.state == RUN_FAILED || now.state == RUN_DIVERGED);
        bool ended = failed ? !supervision_retries(how, now.state) : now.state == RUN_DONE;
        bool judged = known && (now.state == RUN_DONE || now.state == RUN_DIVERGED);
        bool again = judged && evaluate_again_wanted(folder, &x->runs[i]);
        left[i] = !known || !ended || again;
        states[i] = !known           ? "damaged"
                    : now.ended      ? "to be mended" /* nothing is trained */
                    : again && ended ? "to be evaluated"
                                     : run_status_state_name(now.state);
    }
    return true;
}

static void put_time(table *t, int column, const run_time *r)
{
    char text[16];
    /* An empty cell rather than a guess. */
    if (r->source == TIME_UNKNOWN || r->source == TIME_NONE) return;
    progress_time(text, r->train + r->eval);
    table_text(t, column, "%s", text);
}

static void print_table(arena *a, const experiment *x, const char *const *states,
                        const run_time *times, int threads, int format)
{
    table *t = table_new(a);
    /* First names are for programs (CSV, JSON) and stay as they are; titles are for people. */
    int shown = table_column(t, "", "variant", "", TABLE_LEFT | TABLE_WHOLE | TABLE_PEOPLE);
    int label = table_column(t, "variant", "", "", TABLE_LEFT | TABLE_PROGRAMS);
    int seed = table_column(t, "seed", "seed", "", 0);
    int size = table_column(t, "params", "params", "", 0);
    int active = table_column(t, "active_params", "active", "params", TABLE_SPARE);
    int flops = table_column(t, "flops_per_token", "FLOPs", "/ token", 0);
    int memory = table_column(t, "memory_bytes", "memory", "bytes", TABLE_KEPT);
    int time = table_column(t, "time_left", "time", "left", TABLE_KEPT);
    int status = table_column(t, "status", "status", "", TABLE_LEFT | TABLE_KEPT);
    int baseline = table_column(t, "baseline", "baseline", "", TABLE_PROGRAMS);
    int run = table_column(t, "run", "run", "", TABLE_LEFT | TABLE_SPARE | TABLE_WHOLE);
    for (int i = 0; i < x->run_count; i++) {
        const run_plan *p = &x->runs[i];
        table_row(t);
        table_text(t, shown, "%s%s", p->label, p->is_baseline ? " (baseline)" : "");
        table_text(t, label, "%s", p->label);
        table_int(t, baseline, p->is_baseline);
        table_int(t, seed, p->seed);
        table_scaled(t, size, (double)p->cost.params);
        table_scaled(t, active, (double)p->cost.active_params);
        table_scaled(t, flops, p->cost.forward_flops);
        /* The estimate by the spec: what was measured of the variant is known to the supervisor
         * only once one of its runs has ended. */
        table_scaled(t, memory, job_memory_estimate(p, threads));
        put_time(t, time, &times[i]);
        table_text(t, status, "%s", states[i]);
        table_text(t, run, "%s", p->id);
    }
    table_print(stdout, t, (table_format)format, cli_colour(stdout));
}

static void print_total(FILE *out, const run_time *times, int count, int jobs, bool calibrated)
{
    int known, left = 0, scaled = 0;
    /* The total is of the sweep with so many runs at a time, not the sum of its runs. */
    double eval = 0, train = 0, total = sweep_time_total(times, count, jobs, &known);
    char text[16];
    for (int i = 0; i < count; i++) {
        left += times[i].source != TIME_NONE;
        scaled += times[i].source == TIME_SCALED;
        /* The share of evaluation is that of runs of which both parts are known. */
        if (times[i].source == TIME_SCALED || times[i].source == TIME_RECORDED) {
            train += times[i].train;
            eval += times[i].eval;
        }
    }
    if (left == 0) return;
    terminal_prose prose;
    out = terminal_prose_begin(&prose, out);
    if (known > 0) {
        progress_time(text, total);
        fprintf(out, "\nAbout %s with %d at a time, %.0f %% of it evaluation", text, jobs,
                train + eval > 0 ? 100 * eval / (train + eval) : 0);
        if (scaled) fprintf(out, "; %d of %d by the FLOPs of other runs", scaled, left);
        fprintf(out, ".\n");
    }
    if (known < left) {
        fprintf(out, "%sHow long %d of %d runs take is not known here%s.\n", known ? "" : "\n",
                left - known, left, calibrated ? "" : "; --calibrate measures it");
    }
    terminal_prose_end(&prose);
}

bool dry_run_print(experiment *x, const supervisor_options *how, bool calibrate, int format, err *e)
{
    arena_auto *a = arena_new(1 << 16);
    const char **states = ARENA_NEW(a, const char *, x->run_count);
    bool *left = arena_push_zero(a, x->run_count, sizeof *left);
    run_time *times = arena_push_zero(a, x->run_count, sizeof *times);
    const sweep_time_options o = {.out = how->out,
                                  .places = how->places,
                                  .threads = how->threads,
                                  .calibrate = calibrate ? CALIBRATE_SECONDS : 0};
    /* Calibration trains: only what is left, and only where no run tells how long it takes. */
    supervisor_result gaps = {0};
    bool ok = look(states, left, &gaps, x, how, e) && sweep_time_estimate(times, left, x, &o, e);
    if (ok) {
        int count = 0;
        for (int i = 0; i < x->run_count; i++) {
            count += left[i];
        }
        /* A program gets the table alone on stdout. */
        bool programs = table_for_programs((table_format)format);
        print_table(a, x, states, times, how->threads, format);
        FILE *out = programs ? stderr : stdout;
        print_total(out, times, x->run_count, supervision_jobs(how, count), calibrate);
        idle_cores_say(out, x, left, how, host_cores());
        fflush(stdout);
        supervision_gaps_say(stderr, &gaps);
    }
    return ok;
}
