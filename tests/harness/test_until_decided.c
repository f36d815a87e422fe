/* Seeds that are added until claims are decided: what is interrupted, or finds runs that are there,
 * looks at the same seeds at the same looks and decides the same. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_folder.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small enough that a run takes milliseconds; the claims need some, none and all of the seeds. */
static const char MODEL[] =
    "data: {corpus: markov, symbols: 6, order: 1, tokens: 20000, held_out: 3000, length: 100}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 16}}]}\n"
    "optimizer: {lr: 1e-2}\n"
    "train: {budget: {steps: 30}, batch: 4}\n";
static const char CLAIMS[] =
    "claims:\n"
    "  - {name: wide, better: 32, than: 8, on: perplexity}\n"
    "  - {name: size, variant: 32, at most: 4, of: 8, on: params}\n"
    "  - {name: tight, variant: 32, within: 0.1 %, of: 16, on: perplexity}\n";

static const char *write_spec(const char *name, const char *seeds, const char *claims)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s.yaml", test_folder(), name);
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%ssweep: {seeds: %s, grid: {model.width: [8, 16, 32]}}\n%s", MODEL,
                        seeds, claims) > 0,
           "%s", path);
    if (f) fclose(f);
    return path;
}

static const char UNTIL[] = "{until: decided, at least: 3, at most: 6}";

/* Verdict, seeds, p and estimate of every claim of an experiment, as text. */
static char *verdicts(const char *name, const char *out)
{
    static const char *const kept[] = {"claim",  "verdict",  "n",  "looks",
                                       "p_holm", "estimate", "low"};
    program_result r = LOCI("claims", name, "--format", "json", "--out", out);
    json_t *list = json_loads(r.out, 0, NULL), *claim, *short_list = json_array();
    size_t i;
    EXPECT(r.status == 0 && json_array_size(list) == 3, "%d: %s", r.status, r.err);
    json_array_foreach(list, i, claim)
    {
        json_t *some = json_object();
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            json_object_set(some, kept[k], json_object_get(claim, kept[k]));
        }
        json_array_append_new(short_list, some);
    }
    char *text = json_dumps(short_list, JSON_REAL_PRECISION(15));
    json_decref(short_list);
    json_decref(list);
    return text;
}

static void decides_the_same(void)
{
    char calm[512], wild[512], command[2048];
    const char *program = test_program();
    if (!program) return;
    snprintf(calm, sizeof calm, "%s/calm", test_folder());
    snprintf(wild, sizeof wild, "%s/wild", test_folder());
    program_result r = LOCI("run", write_spec("seq", UNTIL, CLAIMS), "--out", calm);
    EXPECT(r.status == 0 && strstr(r.err, "claim size: fails after 3 seeds"), "%d: %s", r.status,
           r.err);
    char *first = verdicts("seq", calm);
    /* Elsewhere some later seeds are there, and the sweep is interrupted twice. */
    r = LOCI("run", write_spec("some", "[2, 5]", ""), "--quiet", "--out", wild);
    EXPECT(r.status == 0, "%s", r.err);
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command, "timeout --signal=INT 0.%d %s run %s --quiet --out %s",
                 2 + i, program, write_spec("seq", UNTIL, CLAIMS), wild);
        (void)!system(command);
    }
    r = LOCI("run", write_spec("seq", UNTIL, CLAIMS), "--quiet", "--out", wild);
    EXPECT(r.status == 0, "%s", r.err);
    char *second = verdicts("seq", wild);
    EXPECT(strcmp(first, second) == 0, "%s and %s", first, second);
    free(second);
    /* And once more, with everything there. */
    r = LOCI("run", write_spec("seq", UNTIL, CLAIMS), "--out", wild);
    EXPECT(r.status == 0 && strstr(r.err, "seq: 0 trained"), "%s", r.err);
    second = verdicts("seq", wild);
    EXPECT(strcmp(first, second) == 0, "%s and %s", first, second);
    free(second);
    free(first);
    /* Another evaluation: what one look had evaluated, the next one finds there, and it counts
     * once. */
    r = LOCI("run", write_spec("seq", UNTIL, CLAIMS), "--out", wild, "--set", "eval.tokens=2000");
    EXPECT(r.status == 0 && strstr(r.err, "seq: 0 trained, 0 finished before, 0 failed, "), "%s",
           r.err);
}

/* One run is in the hands of another task, which lives: this one ends, and has not been stopped. */
static void leaves_the_rest(void)
{
    char out[512], record[768], folder[768], path[1024], stalls[768];
    err e = {0};
    if (!test_program()) return;
    snprintf(out, sizeof out, "%s/shared", test_folder());
    snprintf(record, sizeof record, "%s/experiments/seq.json", out);
    snprintf(stalls, sizeof stalls, "%s/stalls", out);
    const char *spec = write_spec("seq", UNTIL, CLAIMS);
    program_result r = LOCI("run", spec, "--quiet", "--out", out);
    json_t *x = json_read(record, &e), *last = json_object_get(x, "runs");
    last = json_array_get(last, json_array_size(last) - 1);
    EXPECT(r.status == 0 && last, "%s %s", r.err, e.text);
    snprintf(folder, sizeof folder, "%s/runs/%s", out, json_get_text(last, "run"));
    snprintf(path, sizeof path, "%s/status.json", folder);
    json_t *status = json_read(path, &e);
    json_object_set_new(status, "status", json_string("running"));
    int lock = run_folder_lock(folder, &e);
    EXPECT(json_write(path, status, &e) && lock >= 0, "%s", e.text);
    r = LOCI("run", spec, "--out", out, "--task", stalls);
    EXPECT(r.status == 0 && strstr(r.err, "1 left to another process"), "%d: %s", r.status, r.err);
    EXPECT(!file_exists(stalls), "it was counted as a stop");
    close(lock);
    json_decref(status);
    json_decref(x);
}

/* A failed run keeps its claims open, and adds no seeds. */
static void lost(void)
{
    static const char claims[] =
        "claims: [{name: wide, better: {lr: 1e-2}, than: {lr: 1e6}, on: perplexity}]\n";
    char path[512];
    snprintf(path, sizeof path, "%s/lost.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f,
                        "%ssweep: {seeds: %s, grid: {model.width: [8], optimizer.lr: [1e-2, "
                        "1e6]}}\n%s",
                        MODEL, UNTIL, claims) > 0,
           "%s", path);
    if (f) fclose(f);
    program_result r = LOCI("run", path, "--quiet");
    EXPECT(r.status == 3 || r.status < 0, "%d: %s", r.status, r.err);
    r = LOCI("claims", "lost");
    EXPECT(r.status < 0 || (strstr(r.out, "undecided") && strstr(r.out, "diverged")), "%s", r.out);
    r = LOCI("status", "lost");
    EXPECT(r.status < 0 || strstr(r.out, "\n3 of 6 runs done, 3 failed"), "a fourth seed: %s",
           r.out);
}

static void refuses(void)
{
    static const struct {
        const char *seeds, *claims, *says;
    } cases[] = {
        {"{until: decided, at most: 6}", "", "nothing is claimed"},
        {"{until: decided, at least: 3, at most: 2}", CLAIMS, "less than the least"},
        {"{until: decided}", CLAIMS, "at most"},
        {"{until: tired, at most: 6}", CLAIMS, "until"},
        {"{until: decided, at least: 1, at most: 6}", CLAIMS, "at least"},
        {"{until: decided, at most: 6, spending: all}", CLAIMS, "obrien-fleming"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_result r = LOCI("check", write_spec("bad", cases[i].seeds, cases[i].claims));
        EXPECT(r.status < 0 ||
                   (r.status == 2 && strstr(r.err, "bad.yaml:5:") && strstr(r.err, cases[i].says)),
               "%s: %d, %s", cases[i].seeds, r.status, r.err);
    }
}

const test_suite test_until_decided = {"harness/until_decided",
                                       {{"decides_the_same", decides_the_same},
                                        {"leaves_the_rest", leaves_the_rest},
                                        {"lost", lost},
                                        {"refuses", refuses},
                                        {0}}};
