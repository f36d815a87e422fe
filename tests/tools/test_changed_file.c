/* Results are asked for by a spec file that says another thing than was run: so it is said. */
#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

/* W is what changes; the second extends the first. */
static const char BASE[] = "model: {width: W, context: 16, blocks: [{ffn: {hidden: 16}}]}\n";
static const char SPEC[] = "name: one\nextends: base.yaml\n"
                           "data: {corpus: markov, tokens: 5k, held_out: 500, length: 100}\n"
                           "train: {budget: {steps: 2}, batch: 2}\n"
                           "sweep: {grid: {optimizer.lr: [W, 3e-3]}}\n";

static const char *written(const char *name, const char *with, const char *value)
{
    static char path[FILE_PATH_BYTES];
    char text[1024];
    err e = {0};
    const char *w = strchr(with, 'W');
    int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(w - with), with, value, w + 1);
    EXPECT(file_join(path, test_folder(), name, &e) && file_write(path, text, (size_t)n, &e), "%s",
           e.text);
    return path;
}

static void expect_said(program_result r, const char *difference)
{
    if (r.status < 0) return;
    EXPECT(r.status == 0 && strstr(r.out, "lr="), "status %d: %s%s", r.status, r.out, r.err);
    EXPECT(difference ? strstr(r.err, "is not what 'one' was run with") != NULL : !*r.err, "%s",
           r.err);
    EXPECT(!difference || strstr(r.err, difference), "lacks '%s': %s", difference, r.err);
}

static void says_what_differs(void)
{
    written("base.yaml", BASE, "8");
    const char *file = written("x.yaml", SPEC, "1e-3");
    program_result r = LOCI("run", file, "--quiet");
    if (r.status < 0) return;
    EXPECT(r.status == 0, "%s", r.err);
    expect_said(LOCI("status", file), NULL);
    expect_said(LOCI("compare", file), NULL);
    /* The same in other words. */
    written("x.yaml", SPEC, "0.001  ");
    expect_said(LOCI("compare", file), NULL);
    written("x.yaml", SPEC, "2e-3");
    static const char lr[] = "sweep.grid.optimizer.lr[0]: 0.001 then, 0.002 in the file";
    expect_said(LOCI("status", file), lr);
    expect_said(LOCI("compare", file), lr);
    expect_said(LOCI("ls", file), lr);
    expect_said(LOCI("export", file, "--what", "runs", "--format", "csv"), lr);
    expect_said(LOCI("status", "one"), NULL);
    /* Another file of the name; what the file extends; --set. */
    file = written("y.yaml", SPEC, "5e-3");
    expect_said(LOCI("compare", file), "0.001 then, 0.005 in the file");
    written("base.yaml", BASE, "16");
    file = written("x.yaml", SPEC, "1e-3");
    expect_said(LOCI("compare", file), "model.width: 8 then, 16 in the file");
    r = LOCI("run", file, "--quiet", "--set", "model.context=8");
    EXPECT(r.status == 0, "%s", r.err);
    expect_said(LOCI("compare", file), "model.context: 8 then, 16 in the file");
}

const test_suite test_changed_file = {"tools/changed_file",
                                      {{"says_what_differs", says_what_differs}, {0}}};
