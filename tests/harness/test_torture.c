/* A sweep whose workers and supervisors are killed at random ends complete, and its database says
 * what an undisturbed sweep's says, times aside.
 *
 * Ten runs in the suite; `make torture` does it with 200. LOCI_TORTURE_RUNS and LOCI_TORTURE_SEED
 * choose how many and which moments. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "harness/run/exit_status.h"
#include "harness/run/run_status.h"
#include "tests/support/faults.h"
#include "tests/support/same_results.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

/* Five variants, one of which starts from another; one fails whatever is done. */
static const char SWEEP[] =
    "sweep:\n"
    "  seeds: %d\n"
    "  list:\n"
    "    - {label: plain}\n"
    "    - {label: later, init_from: {variant: plain}, train.budget: {steps: 6}}\n"
    "    - {label: slow, optimizer.lr: 1e-4}\n"
    "    - {label: short, train.budget: {tokens: 900}}\n"
    "    - {label: wild, optimizer.kind: sgd, optimizer.lr: 1e6, optimizer.clip: 0,\n"
    "       optimizer.groups: [{match: \"*\", lr: 1e6}]}\n";
enum { VARIANTS = 5 };

static int from_environment(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text && atoi(text) > 0 ? atoi(text) : otherwise;
}

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static _Noreturn void exec_supervisor(const char *file, const char *out)
{
    setenv("LOCI_OUT", out, 1);
    setenv("LOCI_CACHE", test_folder(), 1);
    execl(test_program(), "loci", "run", file, "--jobs", "2", "--quiet", (char *)NULL);
    _exit(99);
}

/* `loci run` on the spec; results go to OUT by the environment, so that equal commands are kept.
 * failpoint: where its workers are to die; NULL: nowhere. */
static pid_t start_supervisor(const char *file, const char *out, const char *failpoint)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) return pid;
    if (!freopen("/dev/null", "w", stderr)) _exit(99);
    if (failpoint) setenv("LOCI_FAILPOINT", failpoint, 1);
    exec_supervisor(file, out);
}

static int exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

typedef struct torturer {
    const char *spec, *out;
    uint64_t seed, draws;
    int kills; /* left */
    int workers, supervisors;
    pid_t second; /* a second supervisor on the same sweep; 0: none */
} torturer;

static uint32_t draw(torturer *t, uint32_t below)
{
    const rng_key key = {.seed = t->seed, .place = rng_place("torture")};
    return (uint32_t)rng_below(key, t->draws++, below);
}

/* The process is what it is taken for: a worker in that folder. */
static bool is_worker(int64_t pid, const char *folder)
{
    char path[64], words[FILE_PATH_BYTES] = "";
    snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(words, 1, sizeof words - 1, f) : 0;
    if (f) fclose(f);
    for (size_t i = 0; i + 1 < n; i++) {
        if (!words[i]) words[i] = ' ';
    }
    return strstr(words, " worker ") && strstr(words, folder);
}

/* Kills one of the runs that are going on; false if there is none. */
static bool kill_worker(torturer *t)
{
    char runs[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count = 0;
    arena *a = arena_new(1 << 16);
    file_join(runs, t->out, "runs", NULL);
    if (!file_is_folder(runs) || !file_list(runs, a, &names, &count, NULL)) count = 0;
    bool killed = false;
    int64_t first = count ? draw(t, (uint32_t)count) : 0;
    for (int64_t i = 0; i < count && !killed; i++) {
        run_status s;
        err ignored;
        file_join(folder, runs, names[(first + i) % count], NULL);
        if (!run_status_read(&s, folder, &ignored) || s.state != RUN_RUNNING) continue;
        if (!is_worker(s.pid, folder)) continue;
        killed = kill((pid_t)s.pid, SIGKILL) == 0;
    }
    arena_free(a);
    t->workers += killed;
    return killed;
}

static void end_second(torturer *t, bool by_force)
{
    if (t->second == 0) return;
    if (by_force) kill(t->second, SIGKILL);
    waitpid(t->second, NULL, 0);
    t->second = 0;
}

/* One supervisor from its start to its end, with a few kills on the way. Its exit status. */
static int disturb(torturer *t)
{
    int wait_status;
    pid_t pid = start_supervisor(t->spec, t->out, NULL);
    while (waitpid(pid, &wait_status, WNOHANG) == 0) {
        sleep_ms(1 + (int)draw(t, 60));
        if (t->kills <= 0) continue;
        uint32_t what = draw(t, 8);
        if (what >= 3 || (what == 2 && !t->second) || (what == 1 && t->second)) {
            t->kills -= kill_worker(t);
            continue;
        }
        t->kills--;
        if (what == 0) {
            kill(pid, SIGKILL);
            t->supervisors++;
        } else if (what == 1) {
            t->second = start_supervisor(t->spec, t->out, NULL);
        } else {
            end_second(t, true);
            t->supervisors++;
        }
    }
    return exit_status(wait_status);
}

static void killed_at_random(void)
{
    char file[FILE_PATH_BYTES], calm[FILE_PATH_BYTES], wild[FILE_PATH_BYTES], text[4096];
    int runs = from_environment("LOCI_TORTURE_RUNS", 10);
    torturer t = {.spec = file, .out = wild};
    t.seed = (uint64_t)from_environment("LOCI_TORTURE_SEED", 1);
    t.kills = MAX(runs, 12);
    if (!test_program()) return;
    err e = {0};
    int n = snprintf(text, sizeof text, "%s", TRIAL_SPEC);
    snprintf(text + n, sizeof text - (size_t)n, SWEEP, MAX(runs / VARIANTS, 1));
    file_join(file, test_folder(), "torture.yaml", NULL);
    file_join(calm, test_folder(), "calm", NULL);
    file_join(wild, test_folder(), "wild", NULL);
    EXPECT(file_write(file, text, strlen(text), &e), "%s", e.text);
    int wait_status;
    waitpid(start_supervisor(file, calm, NULL), &wait_status, 0);
    EXPECT(exit_status(wait_status) == 3, "undisturbed: %d", exit_status(wait_status));
    /* Some are killed in any case, however busy the machine is when it comes to the others. */
    waitpid(start_supervisor(file, wild, "step:2"), &wait_status, 0);
    EXPECT(exit_status(wait_status) == EXIT_INTERRUPTED, "killed at step 2: %d",
           exit_status(wait_status));
    int status = -1, rounds = 0;
    while (status != 3 && rounds < 20 + 2 * runs) {
        status = disturb(&t);
        rounds++;
    }
    end_second(&t, false);
    EXPECT(status == 3, "seed %d: status %d after %d rounds", (int)t.seed, status, rounds);
    same_results(calm, wild);
    if (getenv("LOCI_TORTURE_RUNS")) {
        printf("%d runs, %d of them and %d supervisors killed in %d rounds\n", runs, t.workers,
               t.supervisors, rounds);
    }
}

/* ---- two machines ---- */

/* A supervisor as on a machine of its own: another name, numbers of processes that begin at 1 (and
 * so are the other machine's, too), and all of them gone when it is killed. clock: the plan by
 * which its clock is days ahead of the other's, or behind it, at every look. */
static pid_t start_machine(const torturer *t, const char *name, const char *clock)
{
    fflush(NULL);
    pid_t outer = fork();
    if (outer != 0) return outer;
    if (!freopen("/dev/null", "w", stderr)) _exit(99);
    if (unshare(CLONE_NEWUTS | CLONE_NEWPID) != 0 || sethostname(name, strlen(name)) != 0)
        _exit(98);
    if (clock) faults_load(clock);
    int wait_status;
    pid_t first = fork();
    if (first == 0) {
        /* Machines lose their power: what begins here ends with the process that is killed. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exec_supervisor(t->spec, t->out);
    }
    waitpid(first, &wait_status, 0);
    _exit(exit_status(wait_status));
}

/* Every process of this machine or those others that works in the folder of results. */
static bool kill_some_worker(torturer *t)
{
    pid_t found[16];
    int count = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *entry; d && (entry = readdir(d)) && count < 16;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && is_worker(pid, t->out)) found[count++] = pid;
    }
    if (d) closedir(d);
    bool killed = count && kill(found[draw(t, (uint32_t)count)], SIGKILL) == 0;
    t->workers += killed;
    return killed;
}

typedef struct machines {
    const char *clock; /* the second one's */
    pid_t pid[2];      /* 0: it does not come back */
    int status;        /* of the first that was through with the sweep; -1: none was */
} machines;

/* A machine that was killed begins again, and so does one whose workers were: the same command goes
 * on. Another end is that of the sweep, all of whose runs have ended then. */
static void look_after(const torturer *t, machines *m)
{
    static const char *const NAMES[] = {"one", "two"};
    int wait_status = 0;
    for (int i = 0; i < 2 && m->status < 0; i++) {
        if (m->pid[i] == 0) continue;
        if (m->pid[i] > 0 && waitpid(m->pid[i], &wait_status, WNOHANG) != m->pid[i]) continue;
        int status = m->pid[i] > 0 ? exit_status(wait_status) : EXIT_INTERRUPTED;
        if (status != EXIT_INTERRUPTED && status < 128) m->status = status;
        m->pid[i] = m->status < 0 ? start_machine(t, NAMES[i], i ? m->clock : NULL) : 0;
    }
}

static void end_machine(machines *m, int which)
{
    if (m->pid[which] <= 0) return;
    kill(m->pid[which], SIGKILL);
    waitpid(m->pid[which], NULL, 0);
    m->pid[which] = 0;
}

static void disturb_machines(torturer *t, machines *m)
{
    if (t->kills <= 0) return;
    if (draw(t, 4) > 0) {
        t->kills -= kill_some_worker(t);
    } else {
        uint32_t which = draw(t, 2);
        end_machine(m, (int)which);
        m->pid[which] = -1;
        t->supervisors++;
        t->kills--;
    }
}

/* Two machines share a sweep. Workers are killed on both, and whole machines, which begin again and
 * go on with what they held. In the long form one of them does not come back in the end, and the
 * other takes what it left. */
static void two_machines(void)
{
    char file[FILE_PATH_BYTES], calm[FILE_PATH_BYTES], wild[FILE_PATH_BYTES],
        clock[FILE_PATH_BYTES];
    char text[4096];
    torturer t = {.spec = file, .out = wild, .kills = 6};
    machines m = {clock, {-1, -1}, -1};
    int runs = from_environment("LOCI_TORTURE_RUNS", 10), wait_status;
    bool is_long = getenv("LOCI_TORTURE_RUNS") != NULL;
    err e = {0};
    fault_plan *plan = faults_new();
    if (!plan) return;
    plan->clock_jump_s = 3 * 86400;
    t.seed = (uint64_t)from_environment("LOCI_TORTURE_SEED", 1) + 100;
    if (is_long) t.kills = runs;
    file_join(file, test_folder(), "torture.yaml", NULL);
    file_join(calm, test_folder(), "calm", NULL);
    file_join(wild, test_folder(), "wild", NULL);
    file_join(clock, test_folder(), "faults", NULL);
    int n = snprintf(text, sizeof text, "%s", TRIAL_SPEC);
    snprintf(text + n, sizeof text - (size_t)n, SWEEP, MAX(runs / VARIANTS, 1));
    EXPECT(file_write(file, text, strlen(text), &e), "%s", e.text);
    for (int rounds = 0; rounds < 50000 && m.status < 0; rounds++) {
        look_after(&t, &m);
        sleep_ms(1 + (int)draw(&t, 30));
        disturb_machines(&t, &m);
        if (is_long && t.kills <= 0) end_machine(&m, 1);
    }
    for (int i = 0; i < 2; i++)
        end_machine(&m, i);
    if (m.status == 98) {
        test_skip("machines of one's own need root");
        return;
    }
    EXPECT(m.status == 3, "seed %d: status %d", (int)t.seed, m.status);
    waitpid(start_supervisor(file, calm, NULL), &wait_status, 0);
    same_results(calm, wild);
    if (is_long)
        printf("%d runs, %d of them and %d machines killed\n", runs, t.workers, t.supervisors);
}

/* ---- the guide of harness/README.md, as printed but for names and the moment ---- */

static void put_replaced(FILE *f, const char *text, const char *const (*pairs)[2])
{
    while (*text) {
        int i = 0;
        while (pairs[i][0] && strncmp(text, pairs[i][0], strlen(pairs[i][0])) != 0)
            i++;
        if (pairs[i][0]) {
            fputs(pairs[i][1], f);
            text += strlen(pairs[i][0]);
        } else {
            fputc(*text++, f);
        }
    }
}

static void guide(void)
{
    static const char spec_text[] =
        "train: {budget: {steps: 600}, batch: 4, checkpoint_seconds: 0.1}\n"
        "sweep: {seeds: 2}\n";
    char file[FILE_PATH_BYTES], calm[FILE_PATH_BYTES], wild[FILE_PATH_BYTES];
    err e = {0};
    if (!test_program()) return;
    char *readme = file_read("harness/README.md", NULL, NULL), *spec_all = NULL, *script = NULL;
    char *begin = readme ? strstr(readme, "```sh\nloci run experiments/quickstart.yaml") : NULL;
    char *end = begin ? strstr(begin + 6, "```") : NULL;
    if (!readme) {
        test_skip("no harness/README.md here");
        return;
    }
    EXPECT(end, "the guide is gone");
    file_join(file, test_folder(), "guide.yaml", NULL);
    file_join(calm, test_folder(), "calm", NULL);
    file_join(wild, test_folder(), "wild", NULL);
    size_t bytes;
    FILE *f = open_memstream(&spec_all, &bytes);
    for (const char *at = TRIAL_SPEC; *at;) { /* all sections but its own training */
        const char *line = at;
        at += strcspn(at, "\n") + 1;
        bool training = strncmp(line, "train:", 6) == 0 || strncmp(line, "  eval_every", 12) == 0;
        if (!training) fprintf(f, "%.*s", (int)(at - line), line);
    }
    fputs(spec_text, f);
    fclose(f);
    EXPECT(file_write(file, spec_all, strlen(spec_all), &e), "%s", e.text);
    const char *const pairs[][2] = {{"experiments/quickstart.yaml", file},
                                    {"/tmp/calm", calm},
                                    {"/tmp/wild", wild},
                                    {"KILL 20 ", "KILL 0.3 "},
                                    {"loci run", "\"$LOCI\" run"},
                                    {NULL, NULL}};
    f = open_memstream(&script, &bytes);
    fprintf(f, "LOCI='%s'\nexport LOCI_CACHE='%s'\n{\n", test_program(), test_folder());
    if (end) *end = 0;
    if (end) put_replaced(f, begin + 6, pairs);
    fputs("} 2>&1\n", f);
    fclose(f);
    char said[2048];
    FILE *shell = popen(script, "r");
    size_t n = shell ? fread(said, 1, sizeof said - 1, shell) : 0;
    said[n] = 0;
    int status = shell ? pclose(shell) : -1;
    char *killed = strstr(said, "Killed"); /* the shell's word about the second line, in some */
    EXPECT(status == 0 && (n == 0 || killed), "status %d: %s: %s", status, script, said);
    free(script);
    free(spec_all);
    free(readme);
}

const test_suite test_torture = {"harness/torture",
                                 {{"killed_at_random", killed_at_random},
                                  {"two_machines", two_machines},
                                  {"guide", guide},
                                  SUITE_WAITS}};
