/* A text that was moved or removed after a model was trained on it. */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char SPEC[] = "data: {corpus: text, path: texts/all.txt}\n"
                           "model: {width: 16, context: 16, blocks: [{attention: {heads: 2}, ffn: "
                           "{hidden: 32}}]}\n"
                           "train: {budget: {steps: 2}, batch: 2}\n";

static void write_text(const char *path, int lines)
{
    FILE *f = fopen(path, "w");
    EXPECT(f, "%s", path);
    for (int i = 0; f && i < lines; i++) {
        fprintf(f, "%d times %d is %d, and that is that.\n", i, i, i * i);
    }
    if (f) fclose(f);
}

static void moved(void)
{
    const char *spec = test_inside("moved.yaml"), *was = test_inside("texts");
    const char *is = test_inside("elsewhere");
    char data[FILE_PATH_BYTES + 64];
    err e = {0};
    EXPECT(file_make_folders(was, &e), "%s", e.text);
    write_text(test_inside("texts/all.txt"), 2000);
    EXPECT(file_write(spec, SPEC, strlen(SPEC), &e), "%s", e.text);
    program_result r = LOCI("run", spec, "--quiet");
    if (r.status < 0) return;
    program_expect(r, 0, NULL, NULL);
    program_expect(LOCI("eval", "moved"), 0, "bits per byte", NULL);
    EXPECT(rename(was, is) == 0, "%s", is);
    /* No text is read. */
    program_expect(LOCI("generate", "moved", "--tokens", "5", "--prompt", "7 times"), 0, "7 times",
                   NULL);
    program_expect(LOCI("eval", "moved"), 1, NULL, "--data");
    program_expect(LOCI("inspect", "moved"), 1, NULL, "--data");
    program_expect(LOCI("eval", "moved", "--data", is), 0, "bits per byte", NULL);
    program_expect(LOCI("inspect", "moved", "values", "--data", is), 0, NULL, NULL);
    snprintf(data, sizeof data, "{corpus: text, path: %s/all.txt}", is);
    program_expect(LOCI("eval", "moved", "--corpus", data), 0, "bits per byte", NULL);
    /* A text of that name is not that text. */
    write_text(test_inside("elsewhere/all.txt"), 1999);
    program_expect(LOCI("eval", "moved", "--data", is), 1, NULL, "is another text than");
    program_expect(LOCI("generate", "moved", "--tokens", "5", "--data", is), 0, NULL, NULL);
}

/* A model file tells nobody where it was trained; what it was trained on is known by the run's
 * record, and where that is missing by name and content. */
static void model_file_holds_no_paths(void)
{
    const char *spec = test_inside("paths.yaml");
    err e = {0};
    if (!test_program()) return;
    EXPECT(file_make_folders(test_inside("texts"), &e), "%s", e.text);
    write_text(test_inside("texts/all.txt"), 2000);
    EXPECT(file_write(spec, SPEC, strlen(SPEC), &e), "%s", e.text);
    program_expect(LOCI("run", spec, "--quiet"), 0, NULL, NULL);
    EXPECT(program_shell("! grep -aqF \"$PWD\" out/runs/*/checkpoint/*.safetensors"), "a path");
    EXPECT(program_shell(
               "$LOCI import checkpoint out/runs/*/checkpoint/model-*.safetensors --to taken && "
               "$LOCI eval taken"),
           "taken in again");
    EXPECT(program_shell("! grep -aqF \"$PWD\" taken/checkpoint/*.safetensors"),
           "a path, imported");
    EXPECT(program_shell("cp out/runs/*/checkpoint/model-*.safetensors f.safetensors && "
                         "$LOCI import checkpoint f.safetensors && $LOCI eval f"),
           "the run is known by its id");
    /* Alone, beside another text of that name. */
    EXPECT(!program_shell("cp -r out/runs/*/checkpoint alone && mkdir other && cd other && "
                          "echo other >all.txt && $LOCI eval ../alone 2>../said"),
           "its text was another");
    EXPECT(program_shell("grep -q -e --data said"), "what to do");
    EXPECT(program_shell("cd other && $LOCI eval ../alone --data ../texts"),
           "found by its content");
    /* Which text it was is not said: the one of that name may be another. */
    EXPECT(program_shell("cp -r alone silent && was=$(cat silent/model-* | sha256sum) && "
                         "LC_ALL=C sed -i 's/\"data\":\"/\"dota\":\"/' silent/model-* && "
                         "is=$(cat silent/model-* | sha256sum) && "
                         "sed -i -e \"s/${was%% *}/${is%% *}/\" -e 's/\"crc\"/\"was\"/' "
                         "silent/manifest.json"),
           "an edited file");
    EXPECT(program_shell(
               "cd other && cp ../texts/all.txt . && { $LOCI eval ../silent 2>../said; "
               "test $? = 1; } && grep -q -e --corpus ../said && $LOCI eval ../silent --corpus "
               "'{corpus: text, path: all.txt}'"),
           "a file that does not say its text");
}

extern const test_suite test_moved_corpus;
const test_suite test_moved_corpus = {
    "tools/moved_corpus",
    {{"moved", moved}, {"model_file_holds_no_paths", model_file_holds_no_paths}, {0}}};
