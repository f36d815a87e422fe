/* The power is cut at any moment of a run and of collecting it: the same command afterwards ends
 * with what an undisturbed one ends with.
 *
 * In the suite some of the moments, `make torture` tries each (LOCI_TORTURE=N: every N-th). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/faults.h"
#include "tests/support/power_cut.h"
#include "tests/support/same_results.h"
#include "tests/test.h"

static const char *const CUTS[CUT_KINDS] = {"lost", "kept", "a part", "any", "zeros"};

/* A run and its collecting, logged; the results are put aside as `calm`. */
static bool log_a_life(fault_plan *p, const char *spec, const char *out, const char *calm)
{
    err e = {0};
    snprintf(p->log, sizeof p->log, "%s/log", test_folder());
    EXPECT(file_write(spec, FAULTS_SPEC, strlen(FAULTS_SPEC), &e) && file_make_folders(out, &e),
           "%s", e.text);
    program_result r = FAULTY(p, "run", spec, "--quiet");
    EXPECT(r.status == EXIT_DONE, "%d: %s", r.status, r.err);
    if (r.status == EXIT_DONE) r = FAULTY(p, "collect");
    EXPECT(r.status == EXIT_DONE, "%d: %s", r.status, r.err);
    p->log[0] = 0;
    EXPECT(rename(out, calm) == 0, "%s", calm);
    return r.status == EXIT_DONE && p->loaded > 0;
}

static void power_is_cut(void)
{
    char spec[FILE_PATH_BYTES], out[FILE_PATH_BYTES], calm[FILE_PATH_BYTES], cache[FILE_PATH_BYTES],
        log[FILE_PATH_BYTES];
    fault_plan *plan = faults_new();
    if (!plan) return;
    file_join(spec, test_folder(), "cut.yaml", NULL);
    file_join(out, test_folder(), "out", NULL);
    file_join(calm, test_folder(), "calm", NULL);
    file_join(cache, test_folder(), "cache", NULL);
    file_join(log, test_folder(), "log", NULL);
    if (!log_a_life(plan, spec, out, calm)) return;
    const char *const roots[] = {out, cache, NULL};
    power_cut *p = power_cut_open(log, roots);
    int moments = power_cut_entries(p), tried = 0, step = faults_stride();
    for (int at = 1; at <= moments; at += step) {
        for (int kind = step > 1 ? at % CUT_KINDS : 0;
             kind<CUT_KINDS; kind += step> 1 ? CUT_KINDS : 1) {
            power_cut_happen(p, at, (cut_kind)kind, (uint64_t)at);
            program_result r = FAULTY(plan, "run", spec, "--quiet");
            EXPECT(r.status == EXIT_DONE, "cut after %d of %d, %s: %d: %s", at, moments, CUTS[kind],
                   r.status, r.err);
            if (r.status == EXIT_DONE) same_results(calm, out);
            tried++;
        }
    }
    power_cut_close(p);
    if (getenv("LOCI_TORTURE")) printf("%d cuts, of %d moments\n", tried, moments);
}

const test_suite test_power_cut = {"harness/power_cut", {{"power_is_cut", power_is_cut}, {0}}};
