/* Runs that OpenBLAS multiplies in have the kernels of their experiment's first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/ops/blas.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char SPEC[] = "name: kernels\n"
                           "data: {corpus: markov, symbols: 8, tokens: 400, held_out: 60}\n"
                           "model: {width: 16, context: 32, blocks: [{ffn: {}}]}\n"
                           "train: {budget: {steps: 2}, batch: 2, gemm: openblas}\n";

/* A line of shell in the case's folder; its exit status. */
static int shell(const char *text)
{
    char command[2 * FILE_PATH_BYTES];
    snprintf(command, sizeof command, "cd '%s' && { %s; } >log 2>&1", test_folder(), text);
    return system(command);
}

static void first_run_decides(void)
{
    char spec[FILE_PATH_BYTES];
    err e = {0};
    file_join(spec, test_folder(), "kernels.yaml", NULL);
    if (!test_program()) return;
    EXPECT(file_write(spec, SPEC, strlen(SPEC), &e), "%s", e.text);
    const char *own = blas_core(), *first = strcmp(own, "Nehalem") == 0 ? "Prescott" : "Nehalem";
    setenv("OPENBLAS_CORETYPE", first, 1);
    program_result r = LOCI("run", spec, "--quiet");
    unsetenv("OPENBLAS_CORETYPE");
    EXPECT(r.status == 0, "%s", r.err);
    char text[256];
    snprintf(text, sizeof text, "grep -q '\"blas_core\": *\"%s' out/runs/*/run.json", first);
    if (shell(text) != 0) {
        test_skip("this OpenBLAS has one kind of kernels");
        return;
    }
    r = LOCI("run", spec, "--quiet", "--set", "sweep.seeds=2");
    EXPECT(r.status == 0, "%s", r.err);
    snprintf(text, sizeof text,
             "[ $(grep -l '\"blas_core\": *\"%s' out/runs/*/run.json | wc -l) = 2 ]", first);
    EXPECT(shell(text) == 0, "the second is not of %s", first);
    /* Kernels that nobody here knows, in records without a checksum. */
    snprintf(text, sizeof text,
             "sed -i -e 's/%s/Cray1/' -e 's/\"crc\"/\"was\"/' out/runs/*/run.json", first);
    EXPECT(shell(text) == 0, "sed");
    r = LOCI("run", spec, "--quiet", "--set", "sweep.seeds=3");
    EXPECT(r.status != 0 && strstr(r.err, "Cray1"), "%d: %s", r.status, r.err);
}

const test_suite test_kernel_kind = {"harness/kernel_kind",
                                     {{"first_run_decides", first_run_decides}, {0}}};
