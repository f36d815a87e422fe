/* All pictures of an experiment, as they were when somebody last looked at them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/plotted.h"
#include "tests/test.h"

static const char GOLDEN[] = "tests/golden/plots";

/* Compares the text with a file of the golden folder; LOCI_GOLDEN=write: makes it instead. */
static void expect_golden(const char *name, const char *text)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    const char *wish = getenv("LOCI_GOLDEN");
    if (!file_join(path, GOLDEN, name, &e)) return;
    if (wish && strcmp(wish, "write") == 0) {
        EXPECT(file_make_folders(GOLDEN, &e) && file_write(path, text, strlen(text), &e), "%s",
               e.text);
        return;
    }
    char *golden = file_read(path, NULL, &e);
    EXPECT(golden, "%s", e.text);
    EXPECT(!golden || strcmp(golden, text) == 0,
           "%s is another; if it should be: LOCI_GOLDEN=write make unit TEST=%s", path,
           "tests/results/test_plot_golden.c");
    free(golden);
}

/* Which gnuplot draws: the digits of its SVG are its own. */
static void gnuplot_version(char version[64])
{
    FILE *p = popen("gnuplot --version 2>/dev/null", "r");
    version[0] = 0;
    if (p && !fgets(version, 64, p)) version[0] = 0;
    if (p) pclose(p);
    version[strcspn(version, "\n")] = 0;
}

/* One that holds, one that fails and was stated after the fact, one whose run diverged, one of a
 * cost: a row and a colour each. */
static const char CLAIMED[] =
    "[{\"name\": \"longer\", \"better\": \"long 3e-3\", \"than\": \"short 3e-3\", \"by\": \"1 %\"},"
    " {\"name\": \"equal\", \"variant\": \"wide 1e-3\", \"within\": \"0.01 bits/byte\", \"of\": "
    "\"short 1e-3\"},"
    " {\"name\": \"wide\", \"better\": \"wide 1e-2\", \"than\": \"short 1e-2\"},"
    " {\"name\": \"size\", \"variant\": \"wide 1e-3\", \"at most\": 2, \"of\": \"short 1e-3\", "
    "\"on\": "
    "\"params\"}]";

/* The scripts are compared as they are but for PNG and PDF, which depend on the fonts installed;
 * pictures by their hash, under the gnuplot that made the golden ones (others round and name
 * otherwise). Drawn twice, they are the same anyhow. */
static void golden(void)
{
    if (!plotted_have_gnuplot()) return;
    if (!file_is_folder(GOLDEN) && !getenv("LOCI_GOLDEN")) {
        test_skip("no %s here: not run in the source folder", GOLDEN);
        return;
    }
    fake_experiment x = {test_folder(), "memory", 9, 3, 6, PLOTTED_MANY};
    static plot_report r;
    err e = {0};
    fake_write_sliced(&x);
    fake_axes(&x);
    fake_claim(&x, CLAIMED, NULL, 0);
    EXPECT(plotted(&r, &x, true, &e) && r.count == 15, "%d files: %s", r.count, e.text);
    char *hashes = NULL, version[64], hex[SHA256_HEX];
    size_t bytes;
    FILE *list = open_memstream(&hashes, &bytes);
    gnuplot_version(version);
    fprintf(list, "# %s\n", version);
    for (int i = 0; i < r.count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s.gp", (int)strlen(r.files[i]) - 4, r.files[i]);
        char *svg = plotted_content(&r, r.files[i]), *script = plotted_content(&r, name);
        char *fonts = script ? strstr(script, "if (exists('svg_only'))") : NULL;
        char *end = !script ? NULL : fonts ? fonts : strstr(script, "set output\n");
        if (end) *end = 0;
        if (script) expect_golden(name, script);
        if (svg) sha256_hex(hex, svg, strlen(svg));
        fprintf(list, "%s  %s\n", hex, r.files[i]);
        free(script);
        free(svg);
    }
    fclose(list);
    char path[FILE_PATH_BYTES];
    char *known = file_join(path, GOLDEN, "svg.sha256", &e) ? file_read(path, NULL, NULL) : NULL;
    bool same_gnuplot = !known || strncmp(known, hashes, strcspn(hashes, "\n")) == 0;
    if (same_gnuplot || getenv("LOCI_GOLDEN")) expect_golden("svg.sha256", hashes);
    free(known);
    free(hashes);
}

const test_suite test_plot_golden = {"results/plot_golden", {{"golden", golden}, {0}}};
