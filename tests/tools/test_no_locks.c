/* Two machines on a mount that hands no locks on: host names of their own (unshare), and a library
 * that gives every lock to everybody. Whoever notices stops and says why; neither writes into what
 * the other writes. Skipped without root. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char SPEC[] =
    "name: mount\n"
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 600, length: 150}\n"
    "model: {width: 16, context: 16, blocks: [{attention: {heads: 2}, ffn: {}}]}\n"
    "train: {budget: {steps: 100M}, batch: 2, checkpoint_seconds: 1}\n";

static int shell(const char *text)
{
    char own[FILE_PATH_BYTES], command[3 * FILE_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[MAX(n, (ssize_t)0)] = 0;
    /* on HOST COMMAND...: as that machine would, without locks. What is trained until a beat comes
     * is for nothing: it leaves the processors to others (nice). */
    snprintf(
        command, sizeof command,
        "cd '%s' && L=$(dirname '%s')/no_locks.so P='%s' && on() { h=$1; shift; exec unshare --uts "
        "nice sh -c 'hostname '$h'; exec \"$@\"' - env LD_PRELOAD=$L "
        "ASAN_OPTIONS=verify_asan_link_order=0 \"$@\"; } && %s",
        test_folder(), own, test_program(), text);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool begin(void)
{
    char path[FILE_PATH_BYTES];
    if (!test_program()) return false;
    if (geteuid() != 0 || shell("(on one test -e /proc) 2>log") != 0)
        return test_skip("host names of one's own need root"), false;
    file_join(path, test_folder(), "mount.yaml", NULL);
    FILE *f = fopen(path, "w");
    EXPECT(f && fputs(SPEC, f) >= 0 && fclose(f) == 0, "%s", path);
    return true;
}

/* The second comes while the first is at work: it trains nothing. The first goes on, and what it
 * logged is one run's. */
static void who_comes_later_stops(void)
{
    if (!begin()) return;
    int status =
        shell("{ on one $P run mount.yaml --quiet --out out >one 2>&1 & p=$!; "
              "until grep -qs '\"step\": [1-9]' out/runs/*/status.json; do sleep 0.05; done; "
              "(on two $P run mount.yaml --quiet --out out) >two 2>&1; s=$?; "
              "kill $p; wait $p; echo $? >one-status; exit $s; }");
    EXPECT(status == EXIT_FAILED, "status %d", status);
    EXPECT(shell("grep -q 'on one.*does not lock across machines' two || { cat two; false; }") == 0,
           "it says why");
    EXPECT(shell("[ $(cat one-status) = 75 ] || { cat one one-status; false; }") == 0,
           "the first was left in peace");
    EXPECT(shell("sed 's/,.*//' out/runs/*/metrics.jsonl | sort -uc -t: -k2n") == 0,
           "a step was logged twice, or too late");
}

/* Both begin the same run at once: one line stands in the lock file, and at its next beat the other
 * sees that it is not its own. */
static void who_came_at_once_stops(void)
{
    if (!begin()) return;
    int status =
        shell("{ on one $P run mount.yaml --quiet --out out >one 2>&1 & p=$!; "
              "on two $P run mount.yaml --quiet --out out >two 2>&1 & q=$!; "
              "for i in $(seq 400); do kill -0 $p 2>/dev/null && kill -0 $q 2>/dev/null || break; "
              "sleep 0.1; done; kill $p $q 2>/dev/null; wait $p; a=$?; wait $q; b=$?; "
              "echo $a $b; cat one two; [ $a = 75 ] || [ $b = 75 ]; } >log 2>&1");
    EXPECT(status == 0, "neither was left in peace");
    EXPECT(shell("grep -q 'does not lock across machines' log || { cat log; false; }") == 0,
           "nobody says why");
    EXPECT(shell("sed 's/,.*//' out/runs/*/metrics.jsonl | sort -uc -t: -k2n") == 0,
           "a step was logged twice, or too late");
}

/* Its files are not taken from under a worker: who removes sees the beat. */
static void a_run_at_work_stays(void)
{
    if (!begin()) return;
    int status =
        shell("{ on one $P run mount.yaml --quiet --out out >one 2>&1 & p=$!; "
              "until grep -qs '\"step\": [1-9]' out/runs/*/status.json; do sleep 0.05; done; "
              "(on two $P rm mount --out out) >two 2>&1; echo $? >two-status; "
              "kill -0 $p && ls out/runs/*/plan.json out/experiments/mount.json >/dev/null; s=$?; "
              "kill $p; wait $p; echo $? >one-status; exit $s; }");
    EXPECT(status == 0, "it was removed");
    EXPECT(shell("[ $(cat two-status) = 1 ] && grep -q 'on one.*does not lock across machines' two "
                 "|| { cat two two-status; false; }") == 0,
           "it says why");
    EXPECT(shell("[ $(cat one-status) = 75 ] || { cat one one-status; false; }") == 0,
           "the worker was left in peace");
}

const test_suite test_no_locks = {"tools/no_locks",
                                  {{"who_comes_later_stops", who_comes_later_stops},
                                   {"who_came_at_once_stops", who_came_at_once_stops},
                                   {"a_run_at_work_stays", a_run_at_work_stays},
                                   SUITE_WAITS}};
