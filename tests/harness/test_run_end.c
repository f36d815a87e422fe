/* What is told of runs and evaluations that have ended. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/cgroup.h"
#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/run_end.h"
#include "tests/test.h"

/* What a process that could not speak for itself died of. */
static void ends(void)
{
    err e = {0};
    int64_t kills = cgroup_oom_kills("");
    static const struct {
        int wait_status;
        run_state state;
        run_kind kind;
        const char *words;
    } cases[] = {{SIGKILL, RUN_INTERRUPTED, KIND_SIGNAL, "signal 9"},
                 {SIGSEGV, RUN_FAILED, KIND_SIGNAL, "signal 11"},
                 {SIGABRT, RUN_FAILED, KIND_MEMORY, "out of memory"},
                 {3 << 8, RUN_FAILED, KIND_OTHER, "status 3"}};
    char log[FILE_PATH_BYTES];
    file_join(log, test_folder(), "log.txt", &e);
    for (int i = 0; i < 4; i++) {
        const char *words =
            i == 2 ? "loci: bug: arena.c:1: out of memory for 9 bytes\n" : "words\n";
        EXPECT(file_write(log, words, strlen(words), &e), "%s", e.text);
        run_status s = run_end(test_folder(), cases[i].wait_status, false, &kills);
        EXPECT(s.state == cases[i].state && s.kind == cases[i].kind &&
                   strstr(s.reason, cases[i].words),
               "%d: %s, %s: %s", i, run_status_state_name(s.state), run_status_kind_name(s.kind),
               s.reason);
    }
    bool known = kills != CGROUP_KILLS_UNKNOWN;
    kills--; /* one of the group was killed since */
    run_status s = run_end(test_folder(), SIGKILL, false, &kills);
    EXPECT(!known || (s.state == RUN_FAILED && s.kind == KIND_MEMORY), "%s", s.reason);
    kills = CGROUP_KILLS_UNKNOWN; /* not known: nothing is said of memory */
    s = run_end(test_folder(), SIGKILL, false, &kills);
    EXPECT(s.state == RUN_INTERRUPTED && s.kind == KIND_SIGNAL && !strstr(s.reason, "memory"), "%s",
           s.reason);
}

static void put(const char *name, const char *text)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, test_folder(), name, &e) && file_write(path, text, strlen(text), &e),
           "%s", e.text);
}

/* The same of one that only
 evaluated: what is finished stays so. */
static void ends_of_evaluations(void)
{
    err e = {0};
    int64_t kills = cgroup_oom_kills("");
    static const struct {
        int wait_status;
        bool timed_out;
        run_state state;
        run_kind kind;
        const char *words;
    } cases[] = {{EXIT_DONE << 8, false, RUN_DONE, KIND_NONE, ""},
                 {EXIT_BUSY << 8, false, RUN_RUNNING, KIND_NONE, ""},
                 {EXIT_FAILED << 8, false, RUN_FAILED, KIND_OTHER, "loci: no such text"},
                 {EXIT_INTERRUPTED << 8, false, RUN_INTERRUPTED, KIND_SIGNAL, "was stopped"},
                 {EXIT_INTERRUPTED << 8, true, RUN_FAILED, KIND_TIMEOUT, "--timeout"},
                 {SIGKILL, false, RUN_INTERRUPTED, KIND_SIGNAL, "signal 9"},
                 {SIGSEGV, false, RUN_FAILED, KIND_SIGNAL, "signal 11"}};
    static const char words[] = "loci: no such text\n";
    const run_status done = {.state = RUN_DONE, .step = 7};
    char log[FILE_PATH_BYTES];
    file_join(log, test_folder(), "log.txt", &e);
    EXPECT(file_write(log, words, strlen(words), &e) &&
               run_status_write(&done, test_folder(), true, &e),
           "%s", e.text);
    put("plan.json", "{\"spec\": {}}");
    put("run.json", "{\"run\": \"0\"}");
    put("metrics.jsonl", "{\"step\": 7}\n");
    put("evals.jsonl", "{\"step\": 7, \"final\": true}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_status s =
            run_end_evaluation(test_folder(), cases[i].wait_status, cases[i].timed_out, &kills);
        EXPECT(s.state == cases[i].state && s.kind == cases[i].kind && s.step == 7 &&
                   strstr(s.reason, cases[i].words),
               "%zu: %s, %s: %s", i, run_status_state_name(s.state), run_status_kind_name(s.kind),
               s.reason);
        EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_DONE, "%zu: %s", i,
               run_status_state_name(s.state));
    }
}

/* Who comes late with the word of a worker's death does not write over another worker's. */
static void last_words_come_too_late(void)
{
    err e = {0};
    const run_status failed = {.state = RUN_FAILED, .kind = KIND_OTHER, .reason = "late"};
    const run_status done = {.state = RUN_DONE, .step = 7};
    run_status s;
    put("plan.json", "{\"spec\": {}}");
    put("run.json", "{\"run\": \"0\"}");
    put("metrics.jsonl", "{\"step\": 7}\n");
    put("evals.jsonl", "{\"step\": 7, \"final\": true}\n");
    EXPECT(run_status_write(&done, test_folder(), true, &e), "%s", e.text);
    EXPECT(!run_status_write_free(&failed, test_folder()), "it is done");
    EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_DONE, "%s",
           run_status_state_name(s.state));
    put("evals.jsonl", "");
    EXPECT(run_status_write_free(&failed, test_folder()), "it is damaged");
    EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_FAILED, "%s",
           run_status_state_name(s.state));
    EXPECT(run_status_write(&done, test_folder(), true, &e), "%s", e.text);
    int lock = run_folder_lock(test_folder(), &e);
    EXPECT(lock >= 0 && !run_status_write_free(&failed, test_folder()), "somebody works on it");
    close(lock);
}

extern const test_suite test_run_end;
const test_suite test_run_end = {"harness/run_end",
                                 {{"ends", ends},
                                  {"ends_of_evaluations", ends_of_evaluations},
                                  {"last_words_come_too_late", last_words_come_too_late},
                                  {0}}};
