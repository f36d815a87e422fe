#include "tests/support/stranger.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/test.h"

void stranger_put(const char *name, const char *text)
{
    char parent[FILE_PATH_BYTES];
    err e = {0};
    const char *path = test_inside(name);
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    EXPECT(file_make_folders(parent, &e) && file_write(path, text, strlen(text), &e), "%s", e.text);
}

const char STRANGER_SPEC[] =
    "name: x\n"
    "data: {corpus: markov, symbols: 5, tokens: 200, held_out: 80, length: 40}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 8}}]}\n"
    "train: {budget: {steps: 3}, batch: 2, log_every: 1}\n";

const char *stranger_path(const char *name)
{
    static char inner[300];
    arena *a = arena_new(1 << 14);
    const char *const *names;
    int64_t n = 0;
    EXPECT(file_list(test_inside("out/runs"), a, &names, &n, NULL) && n == 1, "%d runs", (int)n);
    snprintf(inner, sizeof inner, "out/runs/%s%s%s", n ? names[0] : "", *name ? "/" : "", name);
    arena_free(a);
    return inner;
}

void stranger_run(void)
{
    file_remove_tree(test_inside("out"), NULL);
    stranger_put("x.yaml", STRANGER_SPEC);
    program_result r = LOCI("run", test_inside("x.yaml"));
    EXPECT(r.status == 0, "%d: %s", r.status, r.err);
}
