#include "tests/support/faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/test.h"

const char FAULTS_SPEC[] =
    "name: faults\n"
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 2000, held_out: 300, length: 150}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2, memory: 8}, ffn: {hidden: "
    "8}}]}\n"
    "train: {budget: {steps: 3}, batch: 2, segment: 16, log_every: 1, eval_every: 2,\n"
    "  checkpoint_seconds: 0, keep_best: true, keep_every: 2}\n"
    "eval: {rows: 1}\n";

int faults_stride(void)
{
    const char *n = getenv("LOCI_TORTURE");
    return n && atoi(n) > 0 ? atoi(n) : 37;
}

/* The library lies beside the program of the tests. */
static bool library_path(char path[FILE_PATH_BYTES])
{
    char own[FILE_PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[MAX(n, (ssize_t)0)] = 0;
    char *slash = strrchr(own, '/');
    if (!slash) return false;
    *slash = 0;
    return file_join(path, own, "faults.so", NULL) && file_exists(path);
}

void faults_load(const char *plan_file)
{
    char library[FILE_PATH_BYTES];
    CHECK(library_path(library), "faults_new found it");
    setenv(FAULTS_VARIABLE, plan_file, 1);
    setenv("LD_PRELOAD", library, 1);
    /* The sanitizer's own library wants to be the first. */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
}

static void plan_path(char path[FILE_PATH_BYTES])
{
    CHECK(file_join(path, test_folder(), "faults", NULL), "a short path");
}

/* One for all cases, each in a folder of its own. */
fault_plan *faults_new(void)
{
    static fault_plan *plan;
    char library[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!test_program()) return NULL;
    if (!library_path(library)) {
        test_skip("no faults.so beside the tests; make test-binary");
        return NULL;
    }
    if (plan) munmap(plan, sizeof *plan);
    plan_path(path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, sizeof *plan) == 0, "%s cannot be made", path);
    void *shared = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    CHECK(shared != MAP_FAILED, "%s cannot be mapped", path);
    plan = shared;
    snprintf(plan->folder, sizeof plan->folder, "%s", test_folder());
    return plan;
}

program_result faults_run(fault_plan *p, const char *const *words)
{
    char path[FILE_PATH_BYTES];
    const char *before = getenv("ASAN_OPTIONS");
    char *kept = before ? strdup(before) : NULL;
    plan_path(path);
    p->seen = p->looks = 0;
    p->loaded = p->lock = 0;
    p->failed[0] = 0;
    faults_load(path);
    program_result r = program_run(words);
    unsetenv(FAULTS_VARIABLE);
    unsetenv("LD_PRELOAD");
    unsetenv("ASAN_OPTIONS");
    if (kept) setenv("ASAN_OPTIONS", kept, 1);
    free(kept);
    if (p->loaded == 0) test_skip("nothing can be loaded into the program");
    return r;
}
