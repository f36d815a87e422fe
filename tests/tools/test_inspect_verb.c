/* loci inspect as its users meet it: a run trained, looked into, drawn; and what it refuses. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SPEC[] =
    "data: {corpus: text, path: text}\n"
    "model:\n"
    "  width: 8\n"
    "  context: 16\n"
    "  blocks: [{block_recurrent: {heads: 2, states: 4}, ffn: {hidden: 8, activation: relu}}]\n"
    "  head: {kind: fwl, step_init: 0.5}\n"
    "train: {budget: {steps: 3}, batch: 2}\n"
    "sweep:\n"
    "  list:\n"
    "    - {label: all}\n"
    "    - {label: none, model.blocks: [{lstm: {}}], model.head: {kind: linear}}\n";

static void prepare(char spec[FILE_PATH_BYTES])
{
    err e = {0};
    char *text = corpora_text(1, 3000);
    corpora_write("text/train/a.txt", text, -1);
    corpora_write("text/validation/b.txt", text, -1);
    corpora_write("text/test/c.txt", text, -1);
    free(text);
    EXPECT(file_join(spec, test_folder(), "look.yaml", &e) &&
               file_write(spec, SPEC, strlen(SPEC), &e),
           "%s", e.text);
}

/* All parts are one table for programs, and tables of their own in Markdown. */
static void forms(const char *data)
{
    program_result r = LOCI("inspect", "look/all/1", "--data", data, "--tokens", "500",
                            "--sample-tokens", "500", "--prefixes", "50", "--format", "json");
    json_auto_t *rows = json_loads(r.out, 0, NULL);
    /* changes: of the head; states: a read and a write. */
    EXPECT(r.status < 0 || json_array_size(rows) == 7, "%s", r.out);
    const json_t *last = json_array_get(rows, 6);
    EXPECT(r.status < 0 || strcmp(json_get_text(last, "part"), "states") == 0, "%s", r.out);
    r = LOCI("inspect", "look/all/1", "keys", "values", "--data", data, "--tokens", "500",
             "--format", "md");
    program_expect(r, 0, "|\n\n**values**\n\n| layer |", "");
    program_expect(LOCI("inspect", "look/all/1", "keys", "states", "--data", data, "--tokens",
                        "500", "--format", "csv"),
                   0, "states,blocks.0.block_recurrent,read,,", "");
}

static void looks(void)
{
    if (!test_program()) return;
    char spec[FILE_PATH_BYTES];
    prepare(spec);
    const char *data = test_folder();
    program_expect(LOCI("run", spec, "--data", data), 0, NULL, "2 trained");
    program_result r = LOCI("inspect", "look/all/1", "--data", data, "--tokens", "500",
                            "--sample-tokens", "500", "--prefixes", "50", "--perturb", "1");
    program_expect(r, 0, "blocks.0.ffn", "times plain evaluation");
    static const char *const parts[] = {"keys",       "values",  "composition",
                                        "refinement", "changes", "states"};
    for (int i = 0; i < 6; i++) {
        EXPECT(strstr(r.out, parts[i]), "no table of %s", parts[i]);
    }
    program_expect(LOCI("inspect", "look/all/1", "states", "--data", data, "--format", "csv"), 0,
                   "blocks.0.block_recurrent,read,", "MB of memory at most");
    forms(data);
    program_expect(LOCI("inspect", "look/all/1", "kees", "--data", data), 2, NULL,
                   "unknown part 'kees'");
    program_expect(LOCI("inspect", "look/all/1", "states", "keys", "--prefixes", "9"), 2, NULL,
                   "looks at --prefixes");
    program_expect(LOCI("inspect", "look/none/1", "--data", data), 1, NULL, "offers anything");
    program_expect(LOCI("inspect", "look/none/1", "changes", "--data", data), 1, NULL, "learn");
}

const test_suite test_inspect_verb = {"tools/inspect_verb", {{"looks", looks}, {0}}};
