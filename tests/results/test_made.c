/* Runs of several builds and machines in one comparison: it is said, once, and nothing is concluded
 * from times. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/claims/claims.h"
#include "results/store/collect.h"
#include "tests/support/compared.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"plain", 0, 0.001, 1000, 1, NULL, false},
                                        {"large", 0.03, 0.001, 1000, 1, NULL, false},
                                        {"lost", 0, 0.001, 1000, 1, "failed", false}};

/* Takes the place of "host". */
#define CLANG_FIRST                                                                                \
    "\"sittings\": [{\"from_step\": 0, \"real\": \"f32\", \"numerics\": 3, \"compiler\": \"clang " \
    "14\", \"flags\": \"-O3\"}], \"host\""

/* A change of sed's to the run's record. */
static void edit(const fake_experiment *x, int variant, int seed, const char *script)
{
    char id[17], command[3 * FILE_PATH_BYTES];
    fake_run_id(id, x->name, x->variant[variant].label, seed);
    snprintf(command, sizeof command, "sed -i '%s' '%s'/runs/%s/run.json", script, x->out, id);
    EXPECT(system(command) == 0, "%s", command);
}

static fake_experiment written(void)
{
    fake_experiment x = compared_of(VARIANTS, 3, 3);
    fake_write(&x);
    for (int v = 0; v < 3; v++) {
        for (int seed = 1; seed <= 3; seed++) {
            edit(&x, v, seed,
                 "s/\"host\"/\"real\": \"f32\", \"numerics\": 3, \"compiler\": \"gcc 12\", "
                 "\"flags\": \"-Wall -O3\", \"host\"/");
        }
    }
    return x;
}

static void expect_said(arena *a, const fake_experiment *x, const char *text)
{
    comparison *c = compared_load(a, x, &(compare_options){0});
    char *said = c ? compared_print(c, TABLE_TEXT) : strdup("");
    EXPECT(strstr(said, text), "'%s' is not said: %s", text, said);
    free(said);
}

static void nothing_is_said_of_one_build(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    edit(&x, 1, 2, "s/-Wall/-Wextra -g1/");        /* changes no sum */
    edit(&x, 2, 2, "s/gcc 12/gcc 13/");            /* has no figures */
    edit(&x, 2, 2, "s/\"host\"/" CLANG_FIRST "/"); /* nor would they be of one build */
    comparison *c = compared_load(a, &x, &(compare_options){0});
    char *said = c ? compared_print(c, TABLE_TEXT) : strdup("");
    EXPECT(c && !strstr(said, "builds") && !strstr(said, "machines") && !strstr(said, "steps"),
           "%s", said);
    free(said);
}

static void builds_are_told(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    edit(&x, 1, 2, "s/-O3/-O3 -march=native/");
    expect_said(a, &x, "several builds (f32, gcc 12; f32, gcc 12 with other flags or numerics)");
    edit(&x, 1, 2, "s/gcc 12/clang 14/");
    expect_said(a, &x, "several builds (f32, gcc 12; f32, clang 14)");
    edit(&x, 0, 1, "s/\"f32\"/\"f64\"/");
    expect_said(a, &x, "several builds (f64, gcc 12; f32, gcc 12)");
}

static void a_run_of_several_builds_is_told(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    edit(&x, 1, 2, "s/\"host\"/" CLANG_FIRST "/");
    expect_said(a, &x,
                "'large', seed 2 was computed by several builds in turn (f32, clang 14; f32, gcc "
                "12): another time");
    edit(&x, 1, 3, "s/\"host\"/" CLANG_FIRST "/");
    expect_said(a, &x, "gcc 12), and so were 1 more: another time");
}

/* Of a claim about times, and one about losses. */
static void expect_verdicts(arena *a, const fake_experiment *x, verdict on_times, const char *why)
{
    err e = {0}, note = {0};
    store *s = collect_and_open(x->out, &note, &e);
    const claims *c = s ? claims_load(a, s, x->name, &e) : NULL;
    EXPECT(c && c->count == 2, "%s", e.text);
    if (c && c->count == 2) {
        const claim_verdict *slower = c->list[0].verdict, *better = c->list[1].verdict;
        EXPECT(slower->verdict == on_times && strstr(slower->why, why), "%s", slower->why);
        EXPECT(better->verdict == VERDICT_HOLDS, "%s", better->why);
    }
    store_close(s);
}

static void times_of_several_machines_decide_nothing(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    fake_claim(&x,
               "[{\"name\": \"slower\", \"variant\": \"large\", \"at most\": 1.1, \"of\": "
               "\"plain\", \"on\": \"train_seconds\"}, {\"name\": \"better\", \"better\": "
               "\"large\", \"than\": \"plain\"}]",
               NULL, 0);
    /* Nobody knows where, as of an earlier version: it is no other machine. */
    edit(&x, 1, 3, "s/\"threads\"/\"was\"/");
    expect_verdicts(a, &x, VERDICT_HOLDS, "");
    edit(&x, 1, 2, "s/\"somewhere\"/\"elsewhere\"/");
    expect_said(a, &x,
                "different machines or threads (somewhere (a processor), 1 thread; elsewhere (a "
                "processor), 1 thread)");
    expect_verdicts(a, &x, VERDICT_UNDECIDED,
                    "'large', seed 2: had elsewhere (a processor), 1 thread, not somewhere");
}

/* Threads are each rank's. */
static void ranks_are_of_the_machine(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    edit(&x, 1, 2, "s/\"threads\"/\"ranks\": 3, \"threads\"/");
    expect_said(a, &x,
                "different machines or threads (somewhere (a processor), 1 thread; somewhere (a "
                "processor), 1 thread of each of 3 ranks)");
}

/* Where the variant's seeds were measured alone. */
static void measure(const fake_experiment *x, int variant, int threads, const char *host)
{
    err e = {0};
    char id[17], path[FILE_PATH_BYTES], text[256];
    int n = snprintf(text, sizeof text,
                     "{\"alone_tokens_per_second\": 1000, \"alone_threads\": %d, \"host\": "
                     "\"%s\", \"cpu\": \"one\"}",
                     threads, host);
    for (int seed = 1; seed <= 3; seed++) {
        fake_run_id(id, x->name, x->variant[variant].label, seed);
        snprintf(path, sizeof path, "%s/runs/%s/speed.json", x->out, id);
        EXPECT(file_write(path, text, (size_t)n, &e), "%s", e.text);
    }
}

static void speeds_of_several_machines_are_not_shown(void)
{
    arena_auto *a = arena_new(0);
    fake_experiment x = written();
    measure(&x, 0, 2, "here");
    measure(&x, 1, 2, "here");
    measure(&x, 2, 2, "here");
    edit(&x, 1, 2, "s/\"somewhere\"/\"elsewhere\"/");
    comparison *c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && c->alone && fabs(c->variants[1].tokens_per_second - 1000) < 1e-6, "of one machine");
    expect_said(a, &x, "1 thread): times and memory are not the variants' alone");
    measure(&x, 1, 2, "there");
    c = compared_load(a, &x, &(compare_options){0});
    EXPECT(c && !c->alone && fabs(c->variants[1].tokens_per_second - 1000) > 1, "of two machines");
    expect_said(a, &x, "(here (one), 2 threads; there (one), 2 threads), and are not shown");
}

extern const test_suite test_made;
const test_suite test_made = {
    "results/made",
    {{"nothing_is_said_of_one_build", nothing_is_said_of_one_build},
     {"builds_are_told", builds_are_told},
     {"a_run_of_several_builds_is_told", a_run_of_several_builds_is_told},
     {"ranks_are_of_the_machine", ranks_are_of_the_machine},
     {"speeds_of_several_machines_are_not_shown", speeds_of_several_machines_are_not_shown},
     {"times_of_several_machines_decide_nothing", times_of_several_machines_decide_nothing},
     {0}}};
