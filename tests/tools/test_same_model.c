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
    /* Sizes are what they are. */
    EXPECT(strstr(r.out, "one: undecided") && strstr(r.out, "two: holds"), "%s", r.out);
}

const test_suite test_same_model = {"tools/same_model",
                                    {{"one_for_all_seeds", one_for_all_seeds}, {0}}};
