/* A run's folder that an earlier program left (numerics 2, commit 96dff28), but for the state to
 * train on from: it is read, its figures stand, its model generates, and it says what wrote it. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char FOLDER[] = "tests/golden/run-folder-numerics-2";
static const char RUN[] = "runs/ec96dfdb3dfddcf2";

static void copy_files(const char *inner)
{
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES], x[FILE_PATH_BYTES], y[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count = 0;
    err e = {0};
    arena *a = arena_new(1 << 14);
    snprintf(from, sizeof from, "%s/%s", FOLDER, inner);
    snprintf(to, sizeof to, "%s/out/%s", test_folder(), inner);
    EXPECT(file_make_folders(to, &e) && file_list(from, a, &names, &count, &e), "%s", e.text);
    for (int64_t i = 0; i < count; i++) {
        file_join(x, from, names[i], NULL);
        file_join(y, to, names[i], NULL);
        EXPECT(file_is_folder(x) || file_copy(x, y, &e), "%s", e.text);
    }
    arena_free(a);
}

static void is_read(void)
{
    char inner[128];
    if (!test_program()) return;
    if (!file_is_folder(FOLDER)) {
        test_skip("no %s here", FOLDER);
        return;
    }
    snprintf(inner, sizeof inner, "%s/checkpoint", RUN);
    copy_files("experiments");
    copy_files(RUN);
    copy_files(inner);
    program_result r = LOCI("collect");
    EXPECT(r.status == 0 && strstr(r.out, "1 of 1 runs"), "%d: %s%s", r.status, r.out, r.err);
    r = LOCI("compare", "before");
    EXPECT(r.status == 0 && strstr(r.out, "7.7609"), "%d: %s%s", r.status, r.out, r.err);
    r = LOCI("show", "before");
    EXPECT(strstr(r.out, "96dff284c331ba657b3fe7df9b7c8a57f24d3baa"), "%s%s", r.out, r.err);
    r = LOCI("generate", "before", "--prompt", "abc", "--tokens", "5");
    EXPECT(r.status == 0 && strncmp(r.out, "abc", 3) == 0, "%d: %s%s", r.status, r.out, r.err);
}

const test_suite test_earlier_run = {"results/earlier_run", {{"is_read", is_read}, {0}}};
