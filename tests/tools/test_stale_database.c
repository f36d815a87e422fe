/* rm, mv, gc and merge whose database could not be made again, since the disk was full, a call
 * failed or the command was killed: the next command that reads results shows what the folders
 * hold. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "results/store/collect.h"
#include "results/store/stale_mark.h"
#include "tests/support/draw.h"
#include "tests/support/fake_results.h"
#include "tests/support/faults.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short", 0, 0.001, 1000, 100, NULL, false},
                                        {"long", 0.04, 0.002, 1000, 100, NULL, false}};

/* Two experiments in the database, runs that none names, and another folder's. */
static void begin_again(void)
{
    static const char *const NAMES[] = {"one", "two", "unnamed"};
    char out[FILE_PATH_BYTES];
    collect_report r;
    err e = {0};
    snprintf(out, sizeof out, "%s", test_inside("out"));
    EXPECT(file_remove_tree(out, &e), "%s", e.text);
    for (int i = 0; i < 3; i++) {
        fake_experiment x = {out, NAMES[i], 2, 1, 5, VARIANTS};
        fake_write(&x);
        for (int v = 0; v < 2; v++)
            fake_append(&x, v, 1, "lock", "\n"); /* as a run leaves it */
    }
    EXPECT(file_remove(test_inside("out/experiments/unnamed.json"), &e), "%s", e.text);
    EXPECT(collect(&r, out, false, &e), "%s", e.text);
}

/* In a folder of which all can be read. A folder without a plan is no run. */
static bool says_what_is_there(const char *out)
{
    int64_t runs = 0, records = 0;
    char plan[FILE_PATH_BYTES];
    err e = {0};
    file_walk w = file_walk_begin(test_inside("out/runs"), &e);
    while (file_walk_next(&w))
        runs += file_join(plan, w.path, "plan.json", &e) && file_exists(plan);
    EXPECT(file_walk_end(&w), "%s", e.text);
    w = file_walk_begin(test_inside("out/experiments"), &e);
    while (file_walk_next(&w)) {
        const char *end = strrchr(w.name, '.');
        records += end && strcmp(end, ".json") == 0;
    }
    EXPECT(file_walk_end(&w), "%s", e.text);
    return fake_ask(out, "SELECT count(*) FROM run") == (double)runs &&
           fake_ask(out, "SELECT count(*) FROM experiment") == (double)records;
}

/* What the command said, the next one reads the folders; where even the mark could not be made it
 * has said what does. */
static void expect_mended(const char *verb, const char *what, program_result r)
{
    char out[FILE_PATH_BYTES], said[1024];
    bool told = strstr(r.err, "loci collect --rebuild");
    snprintf(out, sizeof out, "%s", test_inside("out"));
    snprintf(said, sizeof said, "%d: %.900s", r.status, r.err);
    r = told ? LOCI("collect", "--rebuild") : LOCI("status");
    EXPECT(r.status == 0, "%s, %s: %s", verb, what, r.err);
    EXPECT(says_what_is_there(out), "%s, %s: the database is not what is there; it said %s", verb,
           what, said);
    EXPECT(!file_exists(test_inside("out/loci.db.stale")), "%s, %s: the mark stays", verb, what);
}

typedef struct fault_way {
    fault_kind kind;
    int error;
    bool stays;
} fault_way;

/* Each call of the command in turn, or each so-many-th. */
static void fail_calls(fault_plan *p, const char *const *words, fault_way way, int stride)
{
    for (p->at = 1;; p->at += stride) {
        char what[sizeof p->failed];
        begin_again();
        p->kind = way.kind;
        p->error = way.error;
        p->stays = way.stays;
        program_result r = faults_run(p, words);
        p->kind = FAULT_NONE;
        memcpy(what, p->failed, sizeof what);
        if (!what[0]) break;
        bool killed = r.status == 128 + SIGKILL;
        EXPECT(r.status <= 1 || killed, "%s, %s: %d: %s", words[0], what, r.status, r.err);
        expect_mended(words[0], what, r);
    }
}

static void the_next_command_mends_it(void)
{
    static const fault_way WAYS[] = {{FAULT_WRITE, ENOSPC, true},
                                     {FAULT_WRITE, EIO, false},
                                     {FAULT_READ, EIO, false},
                                     {FAULT_READ, EIO, true},
                                     {FAULT_KILL, 0, false}};
    char other[FILE_PATH_BYTES];
    snprintf(other, sizeof other, "%s", test_inside("other"));
    fake_experiment x = {other, "three", 2, 1, 5, VARIANTS};
    const char *const calls[][4] = {
        {"rm", "one", NULL}, {"mv", "one", "four", NULL}, {"gc", NULL}, {"merge", other, NULL}};
    fault_plan *p = faults_new();
    if (!p) return;
    fake_write(&x);
    for (int i = 0; i < 4; i++) {
        /* merge has several times as many as the others. */
        int stride = i == 3 ? faults_stride() : (faults_stride() + 1) / 2;
        for (size_t k = 0; k < sizeof WAYS / sizeof *WAYS; k++) {
            char of[32];
            snprintf(of, sizeof of, "%s %zu", calls[i][0], k);
            if (drawn_if_slow("the_next_command_mends_it", of))
                fail_calls(p, calls[i], WAYS[k], stride);
        }
    }
}

/* The last step, the new database's taking its place, fails: what is said, and to whom. */
static void what_is_said(void)
{
    fault_plan *p = faults_new();
    if (!p) return;
    begin_again();
    /* Counted first: the writes behind the rename are the mark's. */
    p->kind = FAULT_WRITE;
    p->at = 0;
    faults_run(p, (const char *const[]){"rm", "one", NULL});
    bool said = false;
    for (p->at = p->seen; p->at > 0 && !said; p->at--) {
        begin_again();
        p->kind = FAULT_WRITE;
        p->error = ENOSPC;
        p->stays = true;
        program_result r = FAULTY(p, "rm", "one");
        p->kind = FAULT_NONE;
        said = r.status == 1;
        if (!said) continue;
        program_expect(r, 1, NULL, "what was asked for is done, but not in the database: ");
        program_expect(r, 1, NULL, "; the next command that reads results brings it in\n");
        r = LOCI("ls", "--format", "csv");
        EXPECT(!strstr(r.out, ",one,"), "%s", r.out);
        expect_mended("rm", p->failed, r);
    }
    EXPECT(said, "no write was needed");
}

/* Whether a name is taken cannot be found out: that is no answer, and no matter of usage. */
static void a_name_that_cannot_be_looked_for(void)
{
    fault_plan *p = faults_new();
    if (!p) return;
    bool looked = false, done = true;
    for (p->at = 1; !looked && (p->at == 1 || p->failed[0]); p->at++) {
        if (done) begin_again();
        p->kind = FAULT_READ;
        p->error = EIO;
        program_result r = FAULTY(p, "mv", "one", "four");
        p->kind = FAULT_NONE;
        done = r.status == 0;
        looked = strstr(p->failed, "four.json");
        if (looked) {
            program_expect(r, 1, NULL, "four.json: cannot be looked for: Input/output error");
        }
    }
    EXPECT(looked, "nobody looked for the name");
}

/* Where the mark cannot be made the change is none the less, and what is left to do is said. */
static void without_the_mark(void)
{
    err e = {0};
    begin_again();
    EXPECT(file_make_folders(test_inside("out/loci.db.stale/in the way"), &e) &&
               file_make_folders(test_inside("out/loci.db.new/in the way"), &e),
           "%s", e.text);
    program_result r = LOCI("gc");
    program_expect(r, 1, NULL, "loci.db.new: cannot be removed: ");
    program_expect(r, 1, NULL, "; then loci collect --rebuild\n");
    EXPECT(file_remove_tree(test_inside("out/loci.db.stale"), &e) &&
               file_remove_tree(test_inside("out/loci.db.new"), &e),
           "%s", e.text);
    expect_mended("gc", "no mark", r);
}

/* Whatever verb asks: what cannot be read is no matter of usage. */
static void unreadable_is_no_usage(void)
{
    const char *const calls[][4] = {{"status", "one", NULL},
                                    {"compare", "one", NULL},
                                    {"ls", "one", NULL},
                                    {"show", "one/long/1", NULL},
                                    {"export", "one", NULL},
                                    {"claims", "one", NULL},
                                    {"diff", "one/long", "two/long", NULL},
                                    {"note", "one", NULL},
                                    {"plot", "one", "--svg", NULL},
                                    {"report", "one", "--no-plots", NULL}};
    fault_plan *p = faults_new();
    if (!p) return;
    begin_again();
    for (int i = 0; i < 20; i++) {
        p->stays = i >= 10;
        for (p->at = 1 + i % faults_stride();; p->at += faults_stride()) {
            p->kind = FAULT_READ;
            p->error = EIO;
            program_result r = faults_run(p, calls[i % 10]);
            if (!p->failed[0]) break;
            EXPECT(r.status == 0 || r.status == 1, "%s, %s: %d: %s", calls[i % 10][0], p->failed,
                   r.status, r.err);
        }
    }
    p->kind = FAULT_NONE;
}

/* A change that goes on: others collect as ever, and its mark stays. */
static void a_change_goes_on(void)
{
    begin_again();
    char out[FILE_PATH_BYTES];
    collect_report r;
    err e = {0};
    snprintf(out, sizeof out, "%s", test_inside("out"));
    int mark = stale_mark_set(out, &e), second = stale_mark_set(out, &e);
    EXPECT(mark >= 0 && second >= 0, "%s", e.text);
    close(mark);
    EXPECT(collect(&r, out, true, &e) && stale_mark_stands(out), "%s", e.text);
    EXPECT(collect(&r, out, false, &e) && r.runs == 0, "%d runs: %s", r.runs, e.text);
    close(second);
    EXPECT(collect(&r, out, false, &e) && r.runs == 6 && !stale_mark_stands(out), "%d runs: %s",
           r.runs, e.text);
    EXPECT(collect(&r, out, false, &e) && r.runs == 0, "%d runs: %s", r.runs, e.text);
}

const test_suite test_stale_database = {
    "tools/stale_database",
    {{"the_next_command_mends_it", the_next_command_mends_it},
     {"what_is_said", what_is_said},
     {"a_name_that_cannot_be_looked_for", a_name_that_cannot_be_looked_for},
     {"without_the_mark", without_the_mark},
     {"unreadable_is_no_usage", unreadable_is_no_usage},
     {"a_change_goes_on", a_change_goes_on},
     {0}}};
