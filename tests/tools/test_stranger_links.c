/* Links in a stranger's folder of results: no file of this machine is read as one of the folder's,
 * shown, or put where others see it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/draw.h"
#include "tests/support/program.h"
#include "tests/support/stranger.h"
#include "tests/test.h"

#define SECRET "SECRETWORD"

static void expect_no_secret(const char *where, const char *at, const char *text, size_t bytes)
{
    bool found = text && memmem(text, bytes, SECRET, sizeof SECRET - 1);
    EXPECT(!found, "%s: the secret, of %s", where, at);
}

/* All that reads results. What it wrote into the folder of results is read, too. */
static void read_all(const char *at)
{
    static const char *const calls[][7] = {{"ls"},
                                           {"ls", "x"},
                                           {"status", "x"},
                                           {"show", "x/a/1"},
                                           {"compare", "x"},
                                           {"claims", "x"},
                                           {"diff", "x/a/1", "x/a/2"},
                                           {"note", "x"},
                                           {"note", "x/a/1", "said"},
                                           {"report", "x", "--no-plots"},
                                           {"export", "x", "--what", "runs"},
                                           {"export", "x", "--what", "metrics"},
                                           {"export", "x", "--what", "documents"},
                                           {"eval", "x/a/1"},
                                           {"inspect", "x/a/1"},
                                           {"generate", "x/a/1", "--tokens", "2"},
                                           {"run", "x.yaml", "--dry-run"},
                                           {"gc", "--dry-run"},
                                           {"stop", "x"},
                                           {"complete", "show", "x/"},
                                           {"collect", "--rebuild"}};
    static const char *const made[] = {"out/loci.db", "out/reports/x.html"};
    char spec[FILE_PATH_BYTES];
    snprintf(spec, sizeof spec, "%s", test_inside("x.yaml"));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const char *words[7];
        memcpy(words, calls[i], sizeof words);
        if (strcmp(words[0], "run") == 0) words[1] = spec;
        program_result r = program_run(words);
        EXPECT(r.status < 128, "%s: %s: %d: %s", at, words[0], r.status, r.err);
        expect_no_secret(words[0], at, r.out, strlen(r.out));
        expect_no_secret(words[0], at, r.err, strlen(r.err));
    }
    LOCI("merge", test_inside("out"), "--out", test_inside("other"));
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        size_t bytes = 0;
        char *text = file_read(test_inside(made[i]), &bytes, NULL);
        expect_no_secret(made[i], at, text, bytes);
        free(text);
    }
}

/* No file of the folder below has the secret, whatever link led to it. */
static void expect_clean(const char *folder, const char *at)
{
    file_walk w = file_walk_begin(folder, NULL);
    while (file_walk_next(&w)) {
        size_t bytes = 0;
        if (file_is_link(w.path)) continue;
        if (file_is_folder(w.path)) {
            expect_clean(w.path, at);
            continue;
        }
        char *text = file_read(w.path, &bytes, NULL);
        expect_no_secret(w.path, at, text, bytes);
        free(text);
    }
    file_walk_end(&w);
}

/* Of a run that failed, since of those the end of the log is shown. */
static void read_of_elsewhere(void)
{
    static const struct {
        const char *at, *to;
    } list[] = {{"log.txt", "secret"},
                {"plan.json", "secret"},
                {"run.json", "secret"},
                {"status.json", "secret"},
                {"final.json", "secret"},
                {"speed.json", "secret"},
                {"length.json", "secret"},
                {"metrics.jsonl", "secret"},
                {"evals.jsonl", "secret"},
                {"notes.jsonl", "notes"},
                {"lock", "lock"},
                {"checkpoint", "elsewhere"},
                {"checkpoint/manifest.json", "elsewhere/manifest.json"},
                {"inspect", "elsewhere"},
                {"../../experiments/x.json", "secret"},
                {"../../experiments/x.notes.jsonl", "notes"},
                {"../../experiments", "elsewhere"},
                {"../../launch", "launches"}};
    stranger_put("secret", SECRET " {\n");
    stranger_put("notes", "{\"at\": \"2026\", \"note\": \"" SECRET "\"}\n");
    stranger_put("lock", SECRET " 1 - 1 -\n");
    stranger_put("elsewhere/manifest.json", "{\"files\": {\"model-" SECRET "\": {}}}\n");
    stranger_put("elsewhere/keys.jsonl", SECRET "\n");
    stranger_put("elsewhere/x.json", "{\"name\": \"x\", \"description\": \"" SECRET "\"}\n");
    stranger_put("elsewhere/config.json", "{\"" SECRET "\": 1}\n");
    stranger_put("launches/1/launch.json", SECRET "\n");
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char at[FILE_PATH_BYTES];
        if (!drawn_if_slow("read of elsewhere", list[i].at)) continue;
        stranger_run();
        stranger_put(stranger_path("status.json"), "{\"status\": \"failed\", \"step\": 3}\n");
        snprintf(at, sizeof at, "%s", test_inside(stranger_path(list[i].at)));
        file_remove_tree(at, NULL);
        EXPECT(symlink(test_inside(list[i].to), at) == 0, "%s", at);
        read_all(list[i].at);
        if (file_is_folder(test_inside("other"))) expect_clean(test_inside("other"), list[i].at);
        file_remove_tree(test_inside("other"), NULL);
    }
}

/* Where a user's links lead is the user's business: the folder of results, a spec, a text, a run
 * that is named. */
static void links_of_a_user(void)
{
    stranger_run();
    char run[FILE_PATH_BYTES];
    snprintf(run, sizeof run, "%s", test_inside(stranger_path("")));
    EXPECT(symlink("out", test_inside("results")) == 0 && symlink(run, test_inside("one")) == 0 &&
               symlink("x.yaml", test_inside("spec.yaml")) == 0,
           "links");
    program_result r = LOCI("ls", "x", "--out", test_inside("results"));
    EXPECT(r.status == 0 && strstr(r.out, "done"), "%s%s", r.out, r.err);
    r = LOCI("run", test_inside("spec.yaml"), "--out", test_inside("results"));
    EXPECT(r.status == 0, "%s", r.err);
    r = LOCI("eval", test_inside("one"));
    EXPECT(r.status == 0, "%s", r.err);
    r = LOCI("eval", test_inside("one/"));
    EXPECT(r.status == 0, "%s", r.err);
}

const test_suite test_stranger_links = {
    "tools/stranger_links",
    {{"read of elsewhere", read_of_elsewhere}, {"links of a user", links_of_a_user}, {0}}};
