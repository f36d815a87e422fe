/* What a user does with a small experiment: run, looked at, changed, measured. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_folder.h"
#include "tests/support/program.h"
#include "tests/support/sanitized.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

#include <string.h>
#include <unistd.h>

/* What is not there is a matter of usage, whichever verb is asked for it. */
static void unknown_names(void)
{
    static const char *const verbs[] = {"compare", "plot", "report", "export",
                                        "status",  "ls",   "rm"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        program_expect(LOCI(verbs[i], "tine"), 2, NULL, "(did you mean 'tiny'?); there are: tiny");
    }
    program_expect(LOCI("mv", "tine", "other"), 2, NULL, "there are: tiny");
    program_expect(LOCI("mv", "tiny", "tiny"), 2, NULL, "already");
    program_expect(LOCI("mv", "tiny", "a/b"), 2, NULL, "letters, digits");
    program_expect(LOCI("compare", "tiny", "--baseline", "kees"), 2, NULL, "did you mean 'keys'?");
    program_expect(LOCI("compare", "tiny", "--split", "tset"), 2, NULL, "--split");
    program_expect(LOCI("plot", "tiny", "--baseline", "kees"), 2, NULL, "did you mean 'keys'?");
    program_expect(LOCI("report", "tiny", "--at", "steps"), 2, NULL, "say tokens=2M");
    program_expect(LOCI("plot", "tiny", "--run", "abc"), 2, NULL, "inspect");
    program_expect(LOCI("plot", "inspect", "--run", "abc"), 2, NULL, "no such run");
    program_expect(LOCI("plot", "inspect", "--tune", "memory"), 2, NULL, "does not look at --tune");
}

static void is_shown(void)
{
    program_expect(LOCI("status"), 0, "tiny", NULL);
    program_expect(LOCI("status", "tiny"), 0, "done", NULL);
    program_expect(LOCI("status", "tiny", "--watch"), 0, "runs done", NULL);
    program_expect(LOCI("status", "tiny", "--json"), 0, "\"seconds_left\"", NULL);
    program_expect(LOCI("status", "tiny", "--json", "--format", "csv"), 2, NULL,
                   "leave out --format");
    program_expect(LOCI("status", "--watch"), 2, NULL, "needs an EXPERIMENT");
    program_expect(LOCI("ls", "--status", "done"), 0, "keys", NULL);
    program_expect(LOCI("ls", "nothing"), 2, NULL, "no experiment 'nothing'; there are: tiny");
    program_expect(LOCI("show", "tiny/keys/2"), 0, "bits per byte", NULL);
    program_expect(LOCI("show", "tiny/keys/2", "--json"), 0, "\"evaluations\"", NULL);
    program_expect(LOCI("show", "tiny/kees"), 2, NULL, "loci ls");
    program_expect(LOCI("diff", "tiny/block", "tiny/keys"), 0, "tiny/block  tiny/keys", NULL);
    program_expect(LOCI("diff", "tiny/block", "tiny/block"), 0, NULL, "do not differ");
    program_expect(LOCI("export", "tiny", "--what", "metrics"), 0,
                   "variant,seed,axis.memory,run,step", NULL);
    program_expect(LOCI("export", "tiny", "--format", "tensorboard"), 0, "tensorboard/tiny",
                   "runs; ");
    program_expect(LOCI("export", "tiny", "--format", "tensorboard", "--what", "runs"), 2, NULL,
                   "leave out --what");
    program_expect(LOCI("export", "tiny", "--to", "/no/such/file"), 1, NULL, "cannot be written");
    program_expect(LOCI("report", "tiny", "--no-plots"), 0, "reports/tiny.html", NULL);
}

static void is_compared(const char *spec)
{
    program_expect(LOCI("compare", "tine"), 2, NULL, "did you mean 'tiny'?");
    program_expect(LOCI("compare", spec), 0, "bits per byte", NULL);
    program_expect(LOCI("compare", "tiny", "--format", "markdown"), 0, "| keys", NULL);
    program_expect(LOCI("compare", "tiny", "--format", "md"), 0, "| keys", NULL);
    program_expect(LOCI("compare", "tiny", "--format", "mf"), 2, NULL,
                   "compare: --format: 'mf' is");
    program_expect(LOCI("compare", "--format", "csv"), 0, "keys,", NULL);
    program_expect(LOCI("compare", "tiny", "--by", "position"), 0, "By position: tokens before",
                   NULL);
    program_expect(LOCI("compare", "tiny", "--by", "place"), 2, NULL, "'place' is none of");
    program_expect(LOCI("compare", "tiny", "--at", "tokens"), 0, "At equal tokens", NULL);
    program_expect(LOCI("compare", "tiny", "--at", "steps=3"), 2, NULL,
                   "--at steps=3: say tokens=2M");
    program_expect(LOCI("compare", "tiny", "--tune", "warmup"), 2, NULL,
                   "no such axis; tiny sweeps");
    program_expect(LOCI("compare", "tiny", "--pivot", "memory"), 2, NULL, "expected two axes");
    program_expect(LOCI("eval", "tiny/keys/1", "--cleared", "9", "--dynamic", "sgd"), 2, NULL,
                   "leave out --dynamic");
    program_result r = LOCI("compare", "tiny", "--format", "json", "--baseline", "keys");
    json_error_t wrong;
    json_t *table = json_loads(r.out, JSON_REJECT_DUPLICATES, &wrong);
    EXPECT(r.status < 0 || table, "no JSON: %s in %s", wrong.text, r.out);
    json_decref(table);
}

/* Everything that a user does with a small experiment, in order. */
static void experiment(void)
{
    const char *spec = tiny_sweep();
    program_expect(LOCI("check", spec), 0, "4 runs", "of 2 seeds a difference");
    program_expect(LOCI("check", spec, "--resolved"), 0, "weight_decay", NULL);
    program_expect(LOCI("check", spec, spec, "--set", "model.widht=1"), 2, NULL, "tiny.yaml)");
    program_expect(LOCI("run", spec, "--dry-run"), 0, "block (baseline)", "sweep.seeds: 3 or more");
    program_expect(LOCI("run", spec, "--dry-run", "--format", "csv"), 0, "\nblock,1,", NULL);
    program_expect(LOCI("compare"), 1, NULL, "loci");
    program_expect(LOCI("run", spec), 0, NULL, "4 trained, 0 finished before");
    program_expect(LOCI("run", spec), 0, NULL, "0 trained, 4 finished before");
    program_expect(LOCI("run", spec, "--dry-run"), 0, "done", NULL);
    program_expect(LOCI("run", spec, "--set", "sweep.seeds=3", "--quiet"), 0, NULL, NULL);
    program_expect(LOCI("run", spec, "--retry", "sometimes"), 2, NULL, "--retry");
    is_shown();
    is_compared(spec);
    unknown_names();
    program_expect(LOCI("report", "tiny", "--no-plots", "--tune", "memory"), 0, "tiny.html", NULL);
    EXPECT(symlink("/dev/full", test_inside("page")) == 0, "a link");
    program_expect(LOCI("report", "tiny", "--no-plots", "--to", test_inside("page")), 1, NULL,
                   "page: cannot be written: No space left on device; make room");
    program_expect(LOCI("export", "tiny", "--to", test_inside("page")), 1, NULL,
                   "page: cannot be written: No space left on device; make room");
    static const char *const writers[] = {"report", "export"};
    for (int i = 0; i < 2; i++) {
        program_expect(LOCI(writers[i], "tiny", "--to", test_inside("no/page")), 1, NULL,
                       "no/page: cannot be written: No such file or directory");
    }
    program_expect(LOCI("collect"), 0, "experiments", NULL);
    program_expect(LOCI("collect", "--rebuild"), 0, "6 of 6 runs", NULL);
    program_expect(LOCI("plot", "tiny"), 0, "loss-tokens.png", NULL);
    EXPECT(!test_program() || file_exists(test_inside("out/plots/tiny/loss-tokens.svg")),
           "no picture");
}

static int64_t lines_of(const char *text)
{
    int64_t n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

/* Another final evaluation, and back: nothing is trained, nothing is evaluated twice. */
static void evaluations_are_added(void)
{
    const char *file = tiny_sweep();
    static const char other[] = "eval={split: test, rows: 3}";
    program_expect(LOCI("run", file), 0, NULL, "4 trained");
    program_result r = LOCI("export", "tiny", "--what", "metrics");
    int64_t metrics = lines_of(r.out);
    program_expect(LOCI("run", file, "--set", other), 0, NULL, "4 evaluated as the spec asks now");
    program_expect(LOCI("compare", "tiny"), 0, "Scored: test split", NULL);
    program_expect(LOCI("run", file, "--set", other), 0, NULL,
                   "0 trained, 4 finished before, 0 failed;");
    program_expect(LOCI("run", file), 0, NULL, "4 evaluated as the spec asks now");
    program_expect(LOCI("compare", "tiny"), 0, "Scored: validation split", NULL);
    r = LOCI("export", "tiny", "--what", "evaluations", "--format", "csv");
    EXPECT(r.status < 0 || lines_of(r.out) == 9, "%lld evaluations: %s",
           (long long)lines_of(r.out) - 1, r.out);
    r = LOCI("export", "tiny", "--what", "metrics");
    EXPECT(lines_of(r.out) == metrics, "trained again: %s", r.out);
}

/* Lines of a finished run that were lost cost no training, and are told by whatever looks at it. */
static void gap_is_told(void)
{
    const char *file = tiny_sweep();
    static const char seed[] = "sweep.seeds=1";
    err e = {0};
    program_expect(LOCI("run", file, "--set", seed), 0, NULL, "2 trained");
    program_result r = LOCI("ls", "tiny", "--format", "json");
    if (r.status < 0) return;
    json_auto_t *runs = json_loads(r.out, 0, NULL);
    char said[64], path[80];
    const char *id = json_get_text(json_array_get(runs, 0), "run");
    snprintf(said, sizeof said, "runs/%s/metrics.jsonl", id ? id : r.out);
    snprintf(path, sizeof path, "out/%s", said);
    EXPECT(file_remove(test_inside(path), &e), "%s", e.text);
    r = LOCI("run", file, "--set", seed, "--quiet");
    program_expect(r, 0, NULL, "loci: warning: 1 run has a gap: ");
    program_expect(r, 0, NULL, said);
    program_expect(LOCI("run", file, "--set", seed), 0, NULL, "0 trained, 2 finished before");
    r = LOCI("run", file, "--set", seed, "--dry-run");
    program_expect(r, 0, "done", "loci: warning: 1 run has a gap: ");
    program_expect(r, 0, NULL, said);
    r = LOCI("status", "tiny");
    program_expect(r, 0, "2 of 2 runs done", said);
    program_expect(LOCI("compare", "tiny"), 0, "1/1", said);
}

/* A changed spec says in what, and its results stand alone. */
static void changes_are_shown(void)
{
    const char *file = tiny_sweep();
    static const char seed[] = "sweep.seeds=1";
    program_expect(LOCI("run", file, "--set", seed), 0, NULL, "2 trained");
    static const char *const said[] = {"changed since it was run last: block, keys\n",
                                       "  optimizer.lr: 0.01 -> 0.02\n", "another `name:`"};
    /* How a run is logged changes nothing of a finished one. */
    program_result r = LOCI("run", file, "--set", seed, "--set", "train.log_every=7");
    program_expect(r, 0, NULL, "not for finished runs:\n  train.log_every: ");
    program_expect(r, 0, NULL, " -> 7\ntiny: 0 trained, 2 finished before");
    r = LOCI("run", file, "--set", seed);
    EXPECT(r.status < 0 || !strstr(r.err, "finished runs:"), "nothing is asked: %s", r.err);
    r = LOCI("run", file, "--set", seed, "--set", "optimizer.lr=2e-2", "--dry-run");
    for (int i = 0; i < 3; i++)
        program_expect(r, 0, "planned", said[i]);
    r = LOCI("run", file, "--set", seed, "--set", "optimizer.lr=2e-2");
    for (int i = 0; i < 3; i++)
        program_expect(r, 0, NULL, said[i]);
    program_expect(LOCI("compare", "tiny", "--format", "csv"), 0, "block,", NULL);
    program_expect(LOCI("ls", "tiny", "--format", "csv"), 0, NULL, NULL);
    r = LOCI("ls", "tiny", "--format", "csv");
    EXPECT(r.status < 0 || lines_of(r.out) == 3, "%s", r.out);
    r = LOCI("run", file, "--set", "sweep.seeds=2", "--set", "optimizer.lr=2e-2");
    EXPECT(r.status < 0 || !strstr(r.err, "changed"), "further seeds are no change: %s", r.err);
    program_expect(r, 0, NULL, "[3/4] "); /* of the sweep, with those of the first sitting */
    program_expect(r, 0, NULL, "[4/4] ");
    r = LOCI("run", file, "--set", seed, "--set",
             "sweep.grid={memory: {block: {}, other: {schedule.warmup: 3}}}", "--set",
             "optimizer.lr=2e-2", "--dry-run");
    program_expect(r, 0, NULL, "no longer part of tiny: 1 variant\n");
    /* A further axis gives every variant another label, and takes none away. */
    r = LOCI("run", file, "--set", "sweep.seeds=2", "--set",
             "sweep.grid.\"optimizer.lr\"=[2e-2, 3e-2]", "--set", "sweep.baseline=null");
    program_expect(r, 0, NULL, "4 trained, 4 finished before");
    EXPECT(r.status < 0 || (!strstr(r.err, "no longer") && !strstr(r.err, "without it")), "%s",
           r.err);
}

/* A variant that is another one's model, evaluated otherwise, has its place in the page, among the
 * event files and in no curve over training. */
static void evaluated_only(void)
{
    const char *file = tiny_sweep();
    program_result r =
        LOCI("run", file, "--set", "train.eval_every=3", "--set",
             "sweep={seeds: 1, list: [{label: block}, {label: learns, init_from: {variant: block}, "
             "train.budget: {steps: 0}, eval.dynamic: {kind: sgd}}]}");
    program_expect(r, 0, NULL, "learns, seed 1: done, evaluated only");
    const char *loss = r.err ? strstr(r.err, "training loss ") : NULL;
    EXPECT(r.status < 0 || (loss && strspn(loss + 14, "0123456789.") == 6 &&
                            strncmp(loss + 20, " bits/byte\n", 11) == 0),
           "%s", r.err);
    program_expect(LOCI("eval", "tiny/learns/1", "--cleared", "9"), 2, NULL, "say --dynamic none");
    program_expect(LOCI("export", "tiny", "--format", "tensorboard"), 0, NULL, "2 runs; ");
    program_expect(LOCI("plot", "tiny", "--svg"), 0, "validation-tokens.svg", NULL);
    program_expect(LOCI("report", "tiny", "--no-plots", "--to", test_inside("page.html")), 0, NULL,
                   NULL);
    text_auto *page = file_read(test_inside("page.html"), NULL, NULL);
    EXPECT(r.status < 0 || (page && strstr(page, ">init_from<")), "no init_from in the page");
    r = LOCI("run", file, "--set",
             "sweep={seeds: 1, list: [{label: block, train.eval_every: 3}, {label: learns, "
             "init_from: {variant: block}, train.budget: {steps: 0}, eval.dynamic: {kind: sgd, "
             "rate: 1e6}}]}");
    program_expect(r, 3, NULL, "learns at the rate of eval.dynamic, ended at");
    /* What made it another run is told, and nothing else. */
    program_expect(r, 3, NULL, "run last: learns\n  eval.dynamic.rate: nothing -> 1");
    EXPECT(r.status < 0 || !strstr(r.err, "eval_every"), "%s", r.err);
    program_expect(LOCI("show", "tiny/learns/1"), 0, "the loss is not a finite number (final)",
                   NULL);
}

/* How long a sweep takes is known from runs, or measured for a moment. */
static void time_is_told(void)
{
    const char *file = tiny_sweep();
    program_expect(LOCI("run", file, "--calibrate"), 2, NULL, "--dry-run");
    program_result r = LOCI("run", file, "--dry-run");
    if (r.status < 0) return;
    program_expect(r, 0, "How long 4 of 4 runs take is not known here; --calibrate", NULL);
    EXPECT(!strstr(r.out, "About"), "%s", r.out);
    r = LOCI("run", file, "--dry-run", "--calibrate", "--jobs", "1", "--set", "sweep.seeds=1");
    program_expect(r, 0, "About 0:", NULL);
    EXPECT(!strstr(r.out, "not known") && !strstr(r.out, "of other runs"), "%s", r.out);
    r = LOCI("run", file, "--dry-run", "--calibrate", "--set", "train.budget={steps: 0}");
    program_expect(r, 0, "100 % of it evaluation.\n", NULL);
    program_expect(LOCI("run", file, "--set", "sweep.seeds=1", "--quiet"), 0, NULL, NULL);
    r = LOCI("run", file, "--dry-run", "--set", "sweep.seeds=1");
    EXPECT(!strstr(r.out, "About"), "nothing is left: %s", r.out);
    program_expect(LOCI("run", file, "--dry-run"), 0, "About 0:", NULL);
    r = LOCI("run", file, "--dry-run", "--set", "model.width=24", "--format", "csv");
    program_expect(r, 0, "time_left", "by the FLOPs of other runs");
}

/* Speeds measured alone take the place of those of runs that shared the machine. */
static void speeds_are_recorded(void)
{
    const char *file = tiny_sweep();
    program_expect(LOCI("run", file, "--set", "sweep.seeds=1"), 0, NULL, "2 trained");
    program_result r = LOCI("compare", "tiny", "--format", "json");
    program_expect(r, 0, "\"speed_alone\": 0", NULL);
    r = LOCI("bench", file, "--set", "sweep.seeds=1", "--seconds", "0.1", "--record");
    program_expect(r, 0, "keys", "speeds noted with 2 runs of tiny");
    program_expect(LOCI("compare", "tiny"), 0, "alone", NULL);
    program_expect(LOCI("compare", "tiny", "--format", "json"), 0, "\"speed_alone\": 1", NULL);
}

/* What a worker finds half written when it begins it removes: nobody else writes without its lock.
 */
static void speeds_leave_runs_alone(void)
{
    const char *file = tiny_sweep();
    program_expect(LOCI("run", file, "--set", "sweep.seeds=1"), 0, NULL, "2 trained");
    arena_auto *a = arena_new(1 << 16);
    const char *const *runs;
    int64_t count = 0;
    err e = {0};
    char folder[FILE_PATH_BYTES], speed[FILE_PATH_BYTES];
    if (!file_list(test_inside("out/runs"), a, &runs, &count, &e)) return;
    EXPECT(run_folder_path(folder, test_inside("out"), runs[0], &e), "%s", e.text);
    int lock = run_folder_lock(folder, &e);
    program_result r =
        LOCI("bench", file, "--set", "sweep.seeds=1", "--seconds", "0.1", "--record");
    program_expect(r, 0, "keys", "not with 1 that other processes are working on");
    EXPECT(file_join(speed, folder, "speed.json", &e) && !file_exists(speed), "%s", speed);
    close(lock);
}

/* One variant diverges; the others are trained and it is shown with its reason. */
static void divergence(void)
{
    /* Each step multiplies the matrices by about 1 - 1e9: beyond float after five. */
    const char *grid = "sweep.grid={rate: {fine: {}, wild: {optimizer.lr: 1e6, "
                       "optimizer.weight_decay: 1000}}}";
    program_result r = LOCI("run", tiny_sweep(), "--set", "sweep.seeds=1", "--set", grid, "--set",
                            "sweep.baseline=fine", "--set", "optimizer.kind=sgd");
    program_expect(r, 3, NULL, "1 failed");
    program_expect(LOCI("status", "tiny"), 3, "diverged", NULL);
    program_expect(LOCI("compare", "tiny"), 0, "diverged", NULL);
}

/* Of each kind of memory that a model can have. */
#define KINDS                                                                                      \
    "sweep.grid.memory={block: {}, keys: {\"model.blocks[0].attention.memory\": 128}, "            \
    "hash: {model.blocks: [{attention: {heads: 2}, hash_ffn: {experts: 4, hidden: 64}}]}, "        \
    "state: {model.blocks: [{block_recurrent: {heads: 2}, ffn: {hidden: 256}}]}, "                 \
    "fast: {model.head: {kind: fwl}}}"

/* What the supervisor reckons with is near what runs then have: 0.97 to 1.26 of the peak of eight
 * models (harness/README.md). A tenth below would begin runs that do not fit; above are, of a model
 * as small as these, the pages of seven arenas that may not be there, half of what it has. Without
 * large pages, or with a sanitizer's own memory, runs have another size. */
static void memory_is_near_the_estimate(void)
{
    const char *words[] = {"run",       tiny_sweep(),
                           "--set",     KINDS,
                           "--set",     "sweep.seeds=1",
                           "--set",     "model.width=64",
                           "--set",     "model.context=64",
                           "--jobs",    "1",
                           "--threads", "1",
                           NULL,        NULL,
                           NULL,        NULL};
    enum { LAST = 14 };
    char pages[256] = "[never]";
    FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (f && !fgets(pages, sizeof pages, f)) pages[0] = 0;
    if (f) fclose(f);
    if (SANITIZED || strstr(pages, "[never]")) {
        test_skip("runs have another size here");
        return;
    }
    program_expect(program_run(words), 0, NULL, "5 trained");
    words[LAST] = "--dry-run";
    words[LAST + 1] = "--format";
    words[LAST + 2] = "json";
    program_result r = program_run(words);
    json_auto_t *plan = json_loads(r.out, 0, NULL);
    EXPECT(r.status < 0 || json_array_size(plan) == 5, "%s", r.out);
    size_t i;
    json_t *run;
    json_array_foreach(plan, i, run)
    {
        char path[FILE_PATH_BYTES];
        err e = {0};
        snprintf(path, sizeof path, "out/runs/%s/status.json", json_get_text(run, "run"));
        json_auto_t *status = json_read(test_inside(path), &e);
        double peak = json_number_value(json_object_get(status, "peak_anon_bytes"));
        double ratio = json_number_value(json_object_get(run, "memory_bytes")) / peak;
        EXPECT(ratio > 0.9 && ratio < 1.5, "%s: %g of %g %s", json_get_text(run, "variant"), ratio,
               peak, e.text);
    }
}

/* A claim that is taken back when there are results is told, though none is left. */
static void withdrawn_claims(void)
{
    const char *spec = tiny_sweep();
    program_result r = LOCI("run", spec, "--quiet", "--set", "train.budget.steps=2", "--set",
                            "claims=[{name: gone, says: keys help, better: keys, than: block}]");
    if (r.status < 0) return;
    program_expect(r, 0, NULL, NULL);
    program_expect(LOCI("claims"), 0, "gone", NULL);
    program_expect(LOCI("run", spec, "--quiet", "--set", "train.budget.steps=2"), 0, NULL, NULL);
    program_expect(LOCI("claims"), 0, "Withdrawn from tiny when there were results: 'gone'", NULL);
}

/* Nor is a claim's time kept where it is made of other models: each program that shows it says so.
 */
static void changed_claims(void)
{
    static const char *const claim =
        "claims=[{name: one, says: keys help, better: keys, than: block}]";
    const char *spec = tiny_sweep();
    program_result r =
        LOCI("run", spec, "--quiet", "--set", "train.budget.steps=2", "--set", claim);
    if (r.status < 0) return;
    program_expect(r, 0, NULL, NULL);
    program_expect(LOCI("claims"), 0, "before", NULL);
    program_expect(LOCI("run", spec, "--quiet", "--set", "train.budget.steps=3", "--set", claim), 0,
                   NULL, NULL);
    program_expect(LOCI("claims"), 0,
                   "AFTER THE FACT: since it was stated 'keys' and 'block' were changed", NULL);
    program_expect(LOCI("claims", "--format", "csv"), 0, "'keys' and 'block' were changed", NULL);
    program_expect(LOCI("run", spec, "--quiet", "--set", "train.budget.steps=2", "--set", claim), 0,
                   NULL, NULL);
    r = LOCI("claims");
    EXPECT(r.status == 0 && !strstr(r.out, "AFTER THE FACT"), "%s", r.out);
}

static void benchmark(void)
{
    const char *spec = tiny_sweep();
    program_result r = LOCI("bench", spec, "--seconds", "0.1", "--json", "--variant", "block");
    if (r.status < 0) return;
    json_t *figures = json_loads(r.out, 0, NULL);
    static const char *const KEYS[] = {"tokens_per_second", "gflops", "sgemm_gflops", "utilisation",
                                       "peak_rss_mib"};
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        EXPECT(json_number_value(json_object_get(figures, KEYS[i])) > 0, "%s in %s", KEYS[i],
               r.out);
    }
    json_decref(figures);
    program_expect(LOCI("bench", spec, "--variant", "kees"), 2, NULL, "no such variant");
    program_expect(LOCI("bench", spec, "--variant", "keys", "--record"), 2, NULL, "leave out");
    program_expect(LOCI("bench", spec, "--out", "elsewhere"), 2, NULL, "leave it out");
    program_expect(LOCI("bench", spec, "--variant", "keys", "--warm-up", "9"), 2, NULL,
                   "does not look at --warm-up");
    program_expect(LOCI("bench", spec, "--variant", "keys", "--stream", "1k", "--seconds", "1"), 2,
                   NULL, "does not look at --seconds");
    program_expect(LOCI("bench", spec, "--against", spec), 2, NULL, "does not look at --against");
    r = LOCI("bench", spec, "--seconds", "3", "--json");
    figures = json_loads(r.out, 0, NULL);
    const json_t *keys = json_array_get(figures, 1);
    EXPECT(strcmp(json_get_text(json_array_get(figures, 0), "variant"), "block") == 0, "%s", r.out);
    EXPECT(json_array_size(figures) == 2 && json_get_double(keys, "train_ratio") > 0 &&
               json_get_double(keys, "eval_ratio") > 0 && json_get_double(keys, "work_ratio") > 1,
           "%s", r.out);
    json_decref(figures);
    program_expect(LOCI("bench", spec, "--seconds", "0.1"), 0, "block (baseline)", NULL);
}

const test_suite test_cli_sweep = {"tools/cli_sweep",
                                   {{"experiment", experiment},
                                    {"evaluations_are_added", evaluations_are_added},
                                    {"gap_is_told", gap_is_told},
                                    {"changes_are_shown", changes_are_shown},
                                    {"evaluated_only", evaluated_only},
                                    {"time_is_told", time_is_told},
                                    {"speeds_are_recorded", speeds_are_recorded},
                                    {"speeds_leave_runs_alone", speeds_leave_runs_alone},
                                    {"divergence", divergence},
                                    {"memory_is_near_the_estimate", memory_is_near_the_estimate},
                                    {"withdrawn_claims", withdrawn_claims},
                                    {"changed_claims", changed_claims},
                                    {"benchmark", benchmark},
                                    {0}}};
