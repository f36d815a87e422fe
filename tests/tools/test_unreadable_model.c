/* A disk that fails to be read, once or from a moment on, under the verbs that look at a trained
 * model: each ends, with a line that says why or with what it was asked for, and the same command
 * afterwards does what it does in peace. */
#include <errno.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/draw.h"
#include "tests/support/faults.h"
#include "tests/test.h"

/* Which call fails depends on what was there before: nothing is kept between two. */
static program_result run_under(fault_plan *p, const char *const *words)
{
    err e = {0};
    EXPECT(file_remove_tree(test_inside("copy"), &e) && file_remove_tree(test_inside("cache"), &e),
           "%s", e.text);
    return faults_run(p, words);
}

static void check_end(const fault_plan *p, const char *verb, program_result r)
{
    const char *line = strchr(r.err, '\n');
    EXPECT(r.status == 0 || r.status == 1, "%s, %s: %d: %s", verb, p->failed, r.status, r.err);
    EXPECT(r.status == 0 || (line && !line[1]), "%s, %s: not one line: %s", verb, p->failed, r.err);
}

static void fail_reads(fault_plan *p, const char *const *words, bool stays)
{
    for (p->at = 1;; p->at += faults_stride()) {
        p->kind = FAULT_READ;
        p->error = EIO;
        p->stays = stays;
        program_result r = run_under(p, words);
        p->kind = FAULT_NONE;
        if (!p->failed[0]) break;
        check_end(p, words[0], r);
    }
    program_result r = run_under(p, words);
    EXPECT(r.status == 0, "%s, in peace again: %d: %s", words[0], r.status, r.err);
}

static void a_model_is_looked_at(void)
{
    fault_plan *p = faults_new();
    if (!p) return;
    err e = {0};
    char spec[FILE_PATH_BYTES], copy[FILE_PATH_BYTES];
    file_join(spec, test_folder(), "faults.yaml", NULL);
    file_join(copy, test_folder(), "copy", NULL);
    EXPECT(file_write(spec, FAULTS_SPEC, strlen(FAULTS_SPEC), &e), "%s", e.text);
    program_expect(FAULTY(p, "run", spec, "--quiet"), 0, NULL, NULL);
    const char *const calls[][8] = {
        {"eval", "faults", "--split", "test", "--json", NULL},
        {"eval", "faults", "--corpus", "{corpus: markov, symbols: 8, order: 1, tokens: 900}", NULL},
        {"generate", "faults", "--tokens", "20", NULL},
        {"inspect", "faults", NULL},
        {"import", "checkpoint", "faults", "--to", copy, NULL},
        {"export", "faults", "--format", "csv", NULL},
        {"report", "faults", NULL},
        {"plot", "faults", NULL},
        {"bench", spec, "--seconds", "0.1", NULL},
        {"data", "prepare", spec, NULL}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (int stays = 0; stays < 2; stays++) {
            if (drawn_if_slow(calls[i][0], stays ? "stays" : "once"))
                fail_reads(p, calls[i], stays);
        }
    }
}

const test_suite test_unreadable_model = {"tools/unreadable_model",
                                          {{"a_model_is_looked_at", a_model_is_looked_at}, {0}}};
