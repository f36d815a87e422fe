/* Seeds of what is not trained, and starts from one model, are that model: not so many trainings.
 */
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* The sweep's variants, each as its first seed's run left it, three times. */
static const char *again(void)
{
    char text[FILE_PATH_BYTES + 1024], id[2][32] = {"", ""};
    err e;
    json_auto_t *o = json_read(test_inside("out/experiments/tiny.json"), &e);
    for (size_t i = 0; i < 2; i++) {
        const char *run = json_get_text(json_array_get(json_object_get(o, "runs"), i), "run");
        EXPECT(run, "%s", e.text);
        snprintf(id[i], sizeof id[i], "%.31s", run ? run : "");
    }
    snprintf(text, sizeof text,
             "extends: tiny.yaml\n"
             "name: again\n"
             "train: {budget: {steps: 0}}\n"
             "sweep:\n"
             "  seeds: 3\n"
             "  grid: null\n"
             "  list:\n"
             "    - {label: block, init_from: {run: %s}}\n"
             "    - {label: keys, init_from: {run: %s}, \"model.blocks[0].attention.memory\": 16}\n"
             "claims: [{name: one, better: block, than: keys}, "
             "{name: two, variant: block, within: 1 %%, of: keys, on: params}]\n",
             id[0], id[1]);
    corpora_write("again.yaml", text, -1);
    return test_inside("again.yaml");
}

static void one_for_all_seeds(void)
{
    program_result r = LOCI("run", tiny_sweep(), "--quiet");
    if (r.status < 0) return;
    program_expect(r, 0, NULL, NULL);
    const char *spec = again();
    program_expect(LOCI("check", spec), 0, NULL, "all 3 seeds start from one model");
    program_expect(LOCI("run", spec, "--quiet"), 0, NULL, NULL);
    r = LOCI("compare", "again");
    program_expect(r, 0, "from one model of each, which all 3 seeds are: no interval is claimed",
                   NULL);
    EXPECT(strstr(r.out, "'block' (3 seeds, 1 model), 'keys' (3 seeds, 1 model)") &&
               !strstr(r.out, "\u00b1 0"),
           "%s", r.out);
    r = LOCI("claims", "again");
    program_expect(r, 0, "its 3 seeds are one model", NULL);
    /* Sizes are what they are, and what the verdict says is said once. */
    EXPECT(strstr(r.out, "one: undecided") && strstr(r.out, "two: holds") &&
               !strstr(r.out, "1 model in"),
           "%s", r.out);
}

/* Pairs of three trainings with the model that they went on from are three, and it is said that
 * they have one side. */
static void one_for_one_side(void)
{
    program_result r = LOCI("run", tiny_sweep(), "--quiet");
    if (r.status < 0) return;
    char text[1024];
    json_auto_t *o = json_read(test_inside("out/experiments/tiny.json"), NULL);
    const char *run = json_get_text(json_array_get(json_object_get(o, "runs"), 0), "run");
    snprintf(text, sizeof text,
             "extends: tiny.yaml\n"
             "name: side\n"
             "sweep:\n"
             "  baseline: before\n"
             "  seeds: 3\n"
             "  grid: null\n"
             "  list:\n"
             "    - {label: before, init_from: {run: %s}, train.budget: {steps: 0}}\n"
             "    - {label: after, init_from: {run: %s, skip: [\"blocks.*\"]}, train.budget: "
             "{steps: 9}}\n"
             "claims: [{name: one, better: after, than: before}, "
             "{name: two, variant: after, within: 1 %%, of: before, on: params}]\n",
             run, run);
    corpora_write("side.yaml", text, -1);
    program_expect(LOCI("run", test_inside("side.yaml"), "--quiet"), 0, NULL, NULL);
    program_expect(LOCI("compare", "side"), 0, "'before' (3 seeds, 1 model)", NULL);
    r = LOCI("claims", "side");
    const char *said = strstr(r.out, "'before' is 1 model in 3 seeds");
    EXPECT(said && !strstr(strchr(said, '\n'), "1 model in") && strstr(r.out, "; 3 seeds"), "%s",
           r.out);
}

/* Before anything is trained, and with the place. A run that is done asks for nothing. */
static void sources_are_looked_for(void)
{
    static const char *const verbs[][2] = {
        {"check", NULL}, {"run", "--dry-run"}, {"run", "--quiet"}};
    char id[32] = "", folder[64];
    err e;
    program_result r = LOCI("run", tiny_sweep(), "--quiet");
    if (r.status < 0) return;
    const char *text = "extends: tiny.yaml\nname: lost\nsweep: {grid: null, list: [{label: block, "
                       "init_from: {run: 0123456789abcdef}}]}\n";
    corpora_write("lost.yaml", text, -1);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        program_expect(LOCI(verbs[i][0], test_inside("lost.yaml"), verbs[i][1]), 2, NULL,
                       "lost.yaml:3:60: ");
    }
    const char *spec = again();
    program_expect(LOCI("run", spec, "--quiet"), 0, NULL, NULL);
    json_auto_t *o = json_read(test_inside("out/experiments/tiny.json"), &e);
    const char *run = json_get_text(json_array_get(json_object_get(o, "runs"), 0), "run");
    snprintf(id, sizeof id, "%.31s", run ? run : "");
    snprintf(folder, sizeof folder, "out/runs/%s/checkpoint", id);
    EXPECT(file_remove_tree(test_inside(folder), &e), "%s", e.text);
    program_expect(LOCI("run", spec), 0, NULL, "finished before");
    corpora_write("fresh.yaml", "extends: again.yaml\nname: fresh\nsweep: {seeds: 4}\n", -1);
    program_expect(LOCI("check", test_inside("fresh.yaml")), 2, NULL, "has no model yet");
}

const test_suite test_same_model = {"tools/same_model",
                                    {{"one_for_all_seeds", one_for_all_seeds},
                                     {"one_for_one_side", one_for_one_side},
                                     {"sources_are_looked_for", sources_are_looked_for},
                                     {0}}};
