/* How the program starts: with little address space, and what it says that it was built from. */
#include "core/base/file.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Exit status of a shell's command in the test's folder, `$loci` being the program; caller frees
 * what both its streams said. */
static int in_shell(const char *command, char **said)
{
    static const char FORM[] = "cd '%s' && loci='%s' && { %s; } >said 2>&1";
    const char *program = getenv("LOCI_PROGRAM");
    char path[FILE_PATH_BYTES], here[FILE_PATH_BYTES] = "", all[3 * FILE_PATH_BYTES];
    if (!program) program = "./loci";
    if (!realpath(program, here)) test_skip("there is no %s", program);
    file_join(path, test_folder(), "said", NULL);
    snprintf(all, sizeof all, FORM, test_folder(), here, command);
    int status = system(all);
    *said = file_read(path, NULL, NULL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_said(const char *command, int status, const char *text)
{
    char *said;
    int ended = in_shell(command, &said);
    EXPECT(ended == status && said && strstr(said, text), "%s: %d: %s", command, ended,
           said ? said : "-");
    free(said);
}

/* Trains with `kib` of address space, and threads whose stacks take 64 MiB of it each. */
static int train_within(int kib, const char *gemm, char **said)
{
    char command[1024];
    snprintf(
        command, sizeof command,
        "printf 'data: {corpus: markov}\nmodel: {width: 16, context: 16, blocks: [{ffn: {hidden: "
        "32}}]}\ntrain: {budget: {steps: 3}, batch: 2}\n' >s.yaml; rm -rf out; ulimit -s 65536; "
        "ulimit -v %d; timeout -k 1 60 $loci run s.yaml --out out --jobs 1 --set train.gemm=%s",
        kib, gemm);
    return in_shell(command, said);
}

/* What training takes depends on a machine's libraries and its processor. Where it is just enough
 * for products of our own, it is not for the buffer of 128 MiB that OpenBLAS has for a thread. */
static void threads_have_no_buffers(void)
{
    enum { LEAST = 192 << 10, STEP = 32 << 10, MOST = 768 << 10 };
    char *said = NULL;
    int kib = LEAST;
    for (; kib <= MOST && train_within(kib, "own", &said) != 0; kib += STEP) {
        EXPECT(said && (strstr(said, "out of memory") || strstr(said, "ulimit -v")), "%d: %s", kib,
               said ? said : "-");
        free(said);
        said = NULL;
    }
    EXPECT(said && strstr(said, "1 trained"), "%d KiB: %s", kib, said ? said : "-");
    free(said);
    int status = train_within(kib, "openblas", &said);
    EXPECT(status == 3 && said && strstr(said, "ulimit -v"), "%d KiB: %d: %s", kib, status,
           said ? said : "-");
    free(said);
}

/* OpenBLAS asks for ever for address space that it is not given. */
static void little_address_space(void)
{
    if (SANITIZED) {
        test_skip("sanitizers need all of the address space");
        return;
    }
    if (test_emulated()) {
        test_skip("what an emulator needs of the address space is not the program's");
        return;
    }
    expect_said("ulimit -v 100000; timeout -k 1 60 $loci version", 1, "(ulimit -v)");
    expect_said("unset OMP_NUM_THREADS; ulimit -v 300000; timeout -k 1 60 $loci version", 0,
                "compiler");
    threads_have_no_buffers();
}

/* Whatever repository the program lies in, it says what it was built from. */
static void revision_is_of_the_build(void)
{
    char *here = NULL;
    int status = in_shell("$loci version", &here);
    EXPECT(status == 0 && here, "%d", status);
    if (!here) return;
    expect_said("git init -q . && git -c user.name=x -c user.email=x@x.example commit -q "
                "--allow-empty -m x && cp $loci copy && ./copy version",
                0, here);
    free(here);
}

const test_suite test_start = {"tools/start",
                               {{"little address space", little_address_space},
                                {"revision is of the build", revision_is_of_the_build},
                                {0}}};
