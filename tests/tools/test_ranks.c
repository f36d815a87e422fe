/* One run over ranks of MPI: the programs that `make MPI=1` and `make MPI=mpich` build beside the
 * one under test, under mpirun; skipped where there is neither. Whatever their number, and wherever
 * a run was stopped, weights and what was logged are those of one process, to the bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/file.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/test.h"

/* 12 rows in 6 lanes: some ranks have more lanes than others, of eight some none. */
static const char SPEC[] =
    "name: ranks\n"
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 600, length: 150}\n"
    "model: {width: 16, context: 32, blocks: [{attention: {heads: 2}, ffn: {}}]}\n"
    "train: {budget: {steps: %d}, batch: 12, lanes: 6, accumulate: 2, log_every: 1,\n"
    "        eval_every: 3, checkpoint_seconds: %d}\n"
    "eval: {tokens: 300}\n"
    "sweep: {list: [%s]}\n";

static const char VARIANTS[] =
    "{label: dense},"
    "{label: stateful, model.blocks: [{block_recurrent: {heads: 2}, ffn: {}}]},"
    "{label: experts, model.blocks: [{attention: {heads: 2}, switch_ffn: {experts: 4}}]},"
    "{label: tables, model.blocks: [{attention: {heads: 2}, engram: {}}], optimizer.lazy: true}";

/* The MPI under test: the end of the program's name, and what starts it. */
static const char *suffix = "mpi", *starter = "mpirun";

static void shell(char *command, size_t size, const char *text)
{
    snprintf(command, size,
             "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
             "OMPI_MCA_rmaps_base_oversubscribe=1; P='%s-%s'; cd '%s' && { %s; }",
             test_program(), suffix, test_folder(), text);
}

/* The exit status of a line of shell in the case's folder; $P is the program. */
static int run(const char *text)
{
    char command[3 * FILE_PATH_BYTES];
    shell(command, sizeof command, text);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* With that many ranks, into OUT. */
static int train(int ranks, const char *before, const char *out)
{
    char text[FILE_PATH_BYTES];
    snprintf(text, sizeof text,
             "%s %s -n %d \"$P\" run ranks.yaml --ranks --quiet --out %s >log 2>&1", before,
             starter, ranks, out);
    return run(text);
}

/* Skips the case and returns false where there is nothing to try. */
static bool begin(int steps, int checkpoint_seconds, const char *variants)
{
    if (!test_program()) return false;
    if (run("test -x \"$P\"") != 0)
        return test_skip("the program knows no ranks (make MPI=1 loci, make MPI=mpich loci)"),
               false;
    char path[FILE_PATH_BYTES], text[100];
    snprintf(text, sizeof text, "command -v %s >log && %s -n 2 true >log 2>&1", starter, starter);
    if (run(text) != 0)
        return test_skip("mpirun does not start here (tools/setup.sh cluster)"), false;
    file_join(path, test_folder(), "ranks.yaml", NULL);
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, SPEC, steps, checkpoint_seconds, variants) > 0 && fclose(f) == 0, "%s",
           path);
    int status = run("$P run ranks.yaml --quiet --out one >log 2>&1");
    EXPECT(status == EXIT_DONE, "one process: status %d", status);
    return true;
}

/* Models, and all that was logged but for times and speeds, and the sums of their lines. */
static void expect_equal(const char *out, const char *what)
{
    char text[FILE_PATH_BYTES];
    snprintf(text, sizeof text,
             "list() { cd $1/runs && sha256sum */checkpoint/model-* &&"
             " sed -E 's/\"(seconds|tokens_per_second|anon_bytes|crc)\": *[^,}]*//g'"
             " */metrics.jsonl */evals.jsonl; }; "
             "(list one) >a && (list %s) >b && cmp -s a b",
             out);
    EXPECT(run(text) == 0, "%s: other bits than one process", what);
}

static void any_number_gives_the_same_bits(void)
{
    static const int counts[] = {1, 2, 3, 4, 8};
    if (!begin(5, 60, VARIANTS)) return;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char out[16], text[64];
        snprintf(out, sizeof out, "out%d", counts[i]);
        int status = train(counts[i], "", out);
        EXPECT(status == EXIT_DONE, "%d ranks: status %d", counts[i], status);
        expect_equal(out, out);
        snprintf(text, sizeof text, "grep -q '\"ranks\": *%d' out%d/runs/*/run.json", counts[i],
                 counts[i]);
        EXPECT(run(text) == 0, "%d ranks are not recorded", counts[i]);
    }
}

/* The parts of a lane's gradients that are finished travel while threads are at others. */
static void threads_change_nothing(void)
{
    if (!begin(5, 60, VARIANTS)) return;
    int status = run("mpirun -n 2 \"$P\" run ranks.yaml --ranks --threads 3 --quiet --out out "
                     ">log 2>&1");
    EXPECT(status == EXIT_DONE, "status %d", status);
    expect_equal("out", "two ranks of three threads");
}

/* MPICH, where the program was built with it as well. */
static void another_mpi_gives_the_same_bits(void)
{
    suffix = "mpich";
    starter = "mpirun.mpich";
    if (begin(12, 0, VARIANTS)) {
        int status = train(3, "LOCI_FAILPOINT=step:30", "out");
        EXPECT(status != EXIT_DONE, "rank 0 was killed");
        status = train(2, "", "out");
        EXPECT(status == EXIT_DONE, "two ranks: status %d", status);
        expect_equal("out", "MPICH");
    }
    suffix = "mpi";
    starter = "mpirun";
}

/* A rank that stands still, as one whose machine is away: the others do not wait for ever, say
 * which it is, and the run goes on from its checkpoint. `before`: what chooses it of all processes.
 */
static void stand_still(const char *which, const char *said)
{
    char text[1000];
    snprintf(
        text, sizeof text,
        "rm -rf out; mpirun -n 3 \"$P\" run ranks.yaml --ranks --quiet --rank-timeout 2 --out out "
        ">log 2>&1 & p=$!; "
        "until grep -qs '\"step\": [1-9]' out/runs/*/status.json; do sleep 0.02; done; "
        "for c in $(cat /proc/$p/task/*/children); do "
        "[ \"$(tr '\\0' '\\n' </proc/$c/environ | sed -n 's/^OMPI_COMM_WORLD_RANK=//p')\" != %s ] "
        "|| "
        "kill -STOP $c; done; wait $p; s=$?; grep -q '%s' log || { cat log; exit 99; }; exit $s",
        which, said);
    int status = run(text);
    EXPECT(status != EXIT_DONE && status != 99, "rank %s stood still: status %d", which, status);
}

static void who_stands_still_is_lost(void)
{
    if (!begin(200, 0, "{label: s, model.blocks: [{block_recurrent: {heads: 2}, ffn: {}}]}"))
        return;
    stand_still("1", "rank 1 (.*) is lost");
    EXPECT(run("$P status ranks --out out >log 2>&1; grep -q interrupted log || { cat log; false; "
               "}") == 0,
           "it can go on");
    int status = run("$P run ranks.yaml --quiet --out out >log 2>&1");
    EXPECT(status == EXIT_DONE, "alone: status %d", status);
    expect_equal("out", "without one and gone on");
    stand_still("0", "rank 0 (.*) is lost");
}

/* Rank 0 dies, then another, then a process alone takes it up; each with another number. */
static void goes_on_with_any_number(void)
{
    if (!begin(12, 0, "{label: s, model.blocks: [{block_recurrent: {heads: 2}, ffn: {}}]}")) return;
    int status = train(3, "LOCI_FAILPOINT=step:4", "out");
    EXPECT(status != EXIT_DONE, "rank 0 was killed");
    status = train(2, "LOCI_FAILPOINT=helped_step:3", "out");
    EXPECT(status != EXIT_DONE, "rank 1 was killed");
    EXPECT(run("$P status ranks --out out 2>&1 | grep -q interrupted") == 0, "it can go on");
    status = train(4, "LOCI_FAILPOINT=step:3", "out");
    EXPECT(status != EXIT_DONE, "rank 0 was killed");
    status = run("$P run ranks.yaml --quiet --out out >log 2>&1");
    EXPECT(status == EXIT_DONE, "alone: status %d", status);
    expect_equal("out", "killed and gone on");
}

/* mpirun passes SIGUSR1 on: the run is saved, the sweep ends with 75, and a process goes on. */
static void stops_by_a_signal(void)
{
    if (!begin(300, 60, "{label: s, model.blocks: [{block_recurrent: {heads: 2}, ffn: {}}]}"))
        return;
    int status =
        run("mpirun -n 2 \"$P\" run ranks.yaml --ranks --quiet --out out >log 2>&1 & p=$!; "
            "until grep -qs '\"step\": [1-9]' out/runs/*/status.json; do sleep 0.02; done; "
            "kill -USR1 $p; wait $p");
    EXPECT(status == EXIT_INTERRUPTED, "status %d", status);
    EXPECT(run("ls out/runs/*/checkpoint/train-* >log 2>&1") == 0, "it was saved");
    status = train(3, "", "out");
    EXPECT(status == EXIT_DONE, "three ranks: status %d", status);
    expect_equal("out", "stopped and gone on");
}

/* What another rank has is said before anything is trained. `other`: words of mpirun and the
 * program for it; `wants`: a pattern of what is said. */
static void refused(const char *first, const char *other, const char *wants)
{
    char text[FILE_PATH_BYTES];
    snprintf(text, sizeof text,
             "R=\"run $PWD/ranks.yaml --ranks --quiet --out $PWD/out\"; rm -rf out; "
             "mpirun -n 1 %s $R : -n 1 %s $R >log 2>&1; s=$?; "
             "grep -q '%s' log || { cat log; exit 99; }; ! ls out/runs/*/checkpoint >ls 2>&1 || "
             "exit 98; "
             "exit $s",
             first, other, wants);
    int status = run(text);
    EXPECT(status > 0 && status < 98, "%s: status %d", wants, status);
}

static void another_program_is_refused(void)
{
    if (!begin(2, 60, "{label: dense}")) return;
    EXPECT(run("cp \"$P\" other && echo >>other") == 0, "another program");
    refused("\"$P\"", "./other", "rank 1 (.*) has another program");
}

static void another_text_is_refused(void)
{
    if (!begin(2, 60, "{label: dense}")) return;
    if (run("unshare -rm true 2>log") != 0) {
        test_skip("a process gets no file systems of its own here");
        return;
    }
    EXPECT(run("sed -i 's/^data:.*/data: {corpus: text, path: text, span: 100}/' ranks.yaml && "
               "seq 3000 >text && seq 2000 5000 >hidden && "
               "printf 'mount --bind hidden text && exec \"$@\"' >there") == 0,
           "two texts");
    refused("\"$P\"", "unshare -rm sh -e there \"$P\"", "rank 1: data: the text is another one");
}

/* A text of its own, which rank 1 sees in the place of rank 0's. */
static void a_text_that_is_replaced_is_not_trained_on(void)
{
    if (!begin(2, 0, "{label: dense}")) return;
    if (run("unshare -rm true 2>log") != 0) {
        test_skip("a process gets no file systems of its own here");
        return;
    }
    EXPECT(run("sed -i -e 's/^data:.*/data: {corpus: text, path: text, span: 100}/' "
               "-e 's/steps: 2/steps: 5000/' ranks.yaml && seq 3000 >text && cp text hidden && "
               "tr 12 34 <text >other && "
               "printf 'mount --bind hidden text && exec \"$@\"' >there && "
               "R=\"run $PWD/ranks.yaml --ranks --quiet --out $PWD/out\"; "
               "mpirun -n 1 \"$P\" $R : -n 1 unshare -rm sh -e there \"$P\" $R >log 2>&1 & p=$!; "
               "until test -f out/runs/*/checkpoint/manifest.json || ! kill -0 $p; "
               "do sleep 0.02; done; dd if=other of=hidden conv=notrunc status=none; ! wait $p && "
               "grep -q 'rank 1: data: the text was replaced' out/runs/*/status.json") == 0,
           "rank 1's text was replaced");
}

/* Only where they are used. */
static void other_kernels_are_refused(void)
{
    if (!begin(2, 60, "{label: dense}")) return;
    const char *other = "-x OPENBLAS_CORETYPE=Nehalem \"$P\"";
    EXPECT(run("mpirun -n 1 \"$P\" run ranks.yaml --ranks --quiet --out o : -n 1 "
               "-x OPENBLAS_CORETYPE=Nehalem \"$P\" run ranks.yaml --ranks --quiet --out o "
               ">log 2>&1") == 0,
           "kernels that nobody asks");
    EXPECT(run("sed -i 's/batch:/gemm: openblas, batch:/' ranks.yaml") == 0, "sed");
    refused("-x OPENBLAS_CORETYPE=Haswell \"$P\"", other,
            "rank 1 (.*) has another kind of OpenBLAS");
}

static void without_mpi_says_so(void)
{
    if (!test_program()) return;
    program_result r = LOCI("version");
    if (!strstr(r.out, "mpi        none")) {
        test_skip("the program knows ranks");
        return;
    }
    r = LOCI("run", "none.yaml", "--ranks");
    EXPECT(r.status == EXIT_USAGE, "status %d", r.status);
    EXPECT(strstr(r.err, "make MPI=1"), "%s", r.err);
}

const test_suite test_ranks = {
    "tools/ranks",
    {{"any_number_gives_the_same_bits", any_number_gives_the_same_bits},
     {"threads_change_nothing", threads_change_nothing},
     {"another_mpi_gives_the_same_bits", another_mpi_gives_the_same_bits},
     {"who_stands_still_is_lost", who_stands_still_is_lost},
     {"goes_on_with_any_number", goes_on_with_any_number},
     {"stops_by_a_signal", stops_by_a_signal},
     {"another_program_is_refused", another_program_is_refused},
     {"another_text_is_refused", another_text_is_refused},
     {"a_text_that_is_replaced_is_not_trained_on", a_text_that_is_replaced_is_not_trained_on},
     {"other_kernels_are_refused", other_kernels_are_refused},
     {"without_mpi_says_so", without_mpi_says_so},
     SUITE_WAITS}};
