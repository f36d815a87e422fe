/* Weights that another program changed: refused where they were changed, taken in as another model.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/train/safetensors.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/test.h"

static const char SPEC[] = "name: edit\ndata: {corpus: markov, symbols: 20, tokens: 4k}\n"
                           "model:\n  width: 8\n  context: 16\n  blocks:\n    - ffn: {hidden: 8}\n"
                           "    - hash_ffn: {experts: 2, hidden: 8}\n"
                           "train: {budget: {steps: 3}, batch: 4}\n";

static program_result run(void)
{
    corpora_write("edit.yaml", SPEC, -1);
    return LOCI("run", test_inside("edit.yaml"));
}

/* The trained model's file, below test_folder(). */
static const char *model_file(void)
{
    static char name[256];
    const char *const *names;
    int64_t count;
    arena *a = arena_new(0);
    err e = {0};
    bool ok = file_list(test_inside("out/runs"), a, &names, &count, &e) && count == 1;
    EXPECT(ok, "%s", e.text);
    if (ok) snprintf(name, sizeof name, "out/runs/%s/checkpoint/model-3.safetensors", names[0]);
    arena_free(a);
    return test_inside(name);
}

typedef struct edit {
    const char *prefix; /* of all names */
    const char *more;   /* name of an additional tensor */
    const char *less;   /* name of one that is left out */
    bool metadata;      /* kept */
    bool half;          /* head.weight as F16 */
    real factor;        /* of head.weight */
    const char *of;     /* of that tensor instead */
    /* What the metadata say in place of the file's own; NULL: these. */
    const char *run, *spec, *tokenizer;
} edit;

/* What five lines of Python do. */
static void change(const char *from, const char *to, const edit *how)
{
    static const char *const KEYS[] = {"spec", "run", "seed", "step", "tokens", "tokenizer"};
    enum { COUNT = sizeof KEYS / sizeof *KEYS, MAX = 32 };
    err e = {0};
    safetensors *s = safetensors_open(from, &e);
    EXPECT(s, "%s", e.text);
    if (!s) return;
    arena *a = arena_new(0);
    st_text texts[COUNT];
    st_entry list[MAX];
    int n = 0;
    if (how->more) {
        static const float one = 1;
        list[n++] = (st_entry){how->more, ST_F32, 0, {0}, &one};
    }
    for (int i = 0; i < safetensors_count(s) && n + 1 < MAX; i++) {
        const st_tensor *t = safetensors_at(s, i);
        if (how->less && strcmp(t->name, how->less) == 0) continue;
        char name[128];
        snprintf(name, sizeof name, "%s%s", how->prefix ? how->prefix : "", t->name);
        real *values = ARENA_NEW(a, real, t->count);
        EXPECT(safetensors_copy(values, t, &e), "%s", e.text);
        st_entry *entry = &list[n++];
        *entry = (st_entry){arena_strdup(a, name), ST_REAL, t->rank, {0}, values};
        memcpy(entry->shape, t->shape, (size_t)t->rank * sizeof *t->shape);
        if (strcmp(t->name, how->of ? how->of : "head.weight") != 0) continue;
        for (int64_t k = 0; k < t->count; k++) {
            values[k] *= how->factor;
        }
        if (how->half) { /* all ones */
            uint16_t *ones = ARENA_NEW(a, uint16_t, t->count);
            for (int64_t k = 0; k < t->count; k++) {
                ones[k] = 0x3C00;
            }
            entry->dtype = ST_F16;
            entry->data = ones;
        }
    }
    safetensors_close(s); /* it may be what is replaced; all of it was copied but the texts */
    s = safetensors_open(from, &e);
    for (int i = 0; i < COUNT; i++) {
        texts[i] = (st_text){KEYS[i], safetensors_metadata(s, KEYS[i])};
    }
    if (how->spec) texts[0].value = how->spec;
    if (how->run) texts[1].value = how->run;
    if (how->tokenizer) texts[5].value = how->tokenizer;
    EXPECT(safetensors_save(to, list, n, texts, how->metadata ? COUNT : 0, NULL, &e), "%s", e.text);
    safetensors_close(s);
    arena_free(a);
}

/* What `loci eval` prints, without the cost. */
static char *evaluated(const char *folder)
{
    program_result r = LOCI("eval", folder);
    EXPECT(r.status == 0, "%s", r.err);
    char *text = strdup(r.out), *cost = strstr(text, "\ncost");
    if (cost) *cost = 0;
    return text;
}

static void expect_refused(program_result r, const char *words)
{
    EXPECT(r.status == 1 && strstr(r.err, words), "%d, '%s' instead of '%s'", r.status, r.err,
           words);
}

static void taken_in(void)
{
    program_result r = run();
    if (r.status < 0) return;
    const edit same = {.factor = 1, .metadata = true};
    const edit wrapped = {.prefix = "module.", .factor = 1};
    const edit other = {.factor = 3, .metadata = true};
    char from[FILE_PATH_BYTES], to[3][FILE_PATH_BYTES], *text[3];
    const edit *edits[3] = {&same, &wrapped, &other};
    snprintf(from, sizeof from, "%s", model_file());
    char *own = evaluated("edit");
    for (int i = 0; i < 3; i++) {
        snprintf(to[i], sizeof to[i], "%s/to-%d", test_folder(), i);
        change(from, test_inside("edited.safetensors"), edits[i]);
        r = i == 1 ? LOCI("import", "checkpoint", test_inside("edited.safetensors"), "--like",
                          "edit", "--to", to[i])
                   : LOCI("import", "checkpoint", test_inside("edited.safetensors"), "--to", to[i]);
        EXPECT(r.status == 0 && strstr(r.out, "spec.yaml"), "%s", r.err);
        text[i] = evaluated(to[i]);
    }
    EXPECT(strcmp(own, text[0]) == 0 && strcmp(own, text[1]) == 0, "%s\n%s\n%s", own, text[0],
           text[1]);
    EXPECT(strcmp(own, text[2]) != 0, "other weights have the same figures");
    free(own);
    for (int i = 0; i < 3; i++) {
        free(text[i]);
    }
}

/* A run that evaluates what it starts from, and trains nothing. */
static program_result started_untrained(const char *from)
{
    char text[FILE_PATH_BYTES + 512];
    snprintf(text, sizeof text,
             "data: {corpus: markov, symbols: 20, tokens: 4k}\n"
             "model: {width: 8, context: 16, blocks: [{ffn: {hidden: 8}}, "
             "{hash_ffn: {experts: 2, hidden: 8}}]}\n"
             "init_from: {checkpoint: %s}\ntrain: {budget: {steps: 0}, batch: 4}\n",
             from);
    corpora_write("untrained.yaml", text, -1);
    return LOCI("run", test_inside("untrained.yaml"));
}

/* Of a wrapped model with a copy of one of its parameters beside, what there is more, or less, is
 * told of the one of which most is there. */
static void of_another_model(void)
{
    static const struct {
        edit how;
        const char *said;
    } CASES[] = {
        {{.factor = 1}, "--like RUN"},
        {{.factor = 1, .metadata = true, .more = "other"}, "'other' is no parameter"},
        {{.factor = 1, .metadata = true, .less = "head.weight"}, "lacks the parameter 'head.w"},
        {{.factor = 1, .metadata = true, .prefix = "module.", .more = "ema.embedding.weight"},
         "'ema.embedding.weight' is no parameter"},
        {{.factor = 1, .metadata = true, .prefix = "module.", .less = "head.weight"},
         "lacks the parameter 'head.w"},
        {{.factor = (real)0.5, .metadata = true, .of = "blocks.1.hash_ffn.table"},
         "whole numbers from 0 to 1"}};
    static const edit WORDS = {.factor = 1, .metadata = true, .tokenizer = "0123456789abcdef"};
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], file[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    char text[FILE_PATH_BYTES + 64];
    snprintf(from, sizeof from, "%s", model_file());
    snprintf(file, sizeof file, "%s/edited.safetensors", test_folder());
    snprintf(to, sizeof to, "%s/to", test_folder());
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        change(from, file, &CASES[i].how);
        expect_refused(LOCI("import", "checkpoint", file, "--to", to), CASES[i].said);
    }
    change(from, file, &WORDS);
    corpora_write("words.txt", "some words\n", -1);
    snprintf(text, sizeof text, "{corpus: text, path: '%s'}", test_inside("words.txt"));
    expect_refused(LOCI("import", "checkpoint", file, "--corpus", text, "--to", to),
                   "tokens of another vocabulary (tokenizer 0123456789ab) than this text's (bytes");
}

static void refused(void)
{
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], file[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    snprintf(from, sizeof from, "%s", model_file());
    snprintf(file, sizeof file, "%s/edited.safetensors", test_folder());
    snprintf(to, sizeof to, "%s/to", test_folder());
    corpora_write("damaged/run.json", "{", -1);
    change(from, test_inside("damaged/edited.safetensors"), &(edit){.factor = 1});
    expect_refused(
        LOCI("import", "checkpoint", test_inside("damaged/edited.safetensors"), "--to", to),
        "run.json");
    change(from, file, &(edit){.factor = 1, .metadata = true, .half = true});
    r = LOCI("import", "checkpoint", file, "--to", to);
    EXPECT(r.status == 0, "%s", r.err);
    change(from, file, &(edit){.factor = (real)NAN, .metadata = true});
    r = LOCI("import", "checkpoint", file, "--to", to);
    EXPECT(r.status == 0 && strstr(r.err, "head.weight: 160 of 160 numbers are not finite"), "%s",
           r.err);
    expect_refused(LOCI("eval", to), "not a finite number");
    expect_refused(LOCI("inspect", to), "no finite numbers");
    expect_refused(LOCI("generate", to, "--tokens", "3"), "not finite numbers");
    expect_refused(LOCI("recall", to, "--corpus",
                        "{corpus: probe, task: copy, length: 1, symbols: 17, distances: [3]}"),
                   "not a finite number");
    program_expect(started_untrained(to), 3, NULL, "not a finite number");
    change(from, file, &(edit){.factor = (real)1e6, .metadata = true});
    r = LOCI("import", "checkpoint", file, "--to", to);
    EXPECT(r.status == 0, "%s", r.err);
    r = LOCI("eval", to);
    EXPECT(r.status == 0 && strstr(r.err, "a uniform guess costs"), "%d: %s", r.status, r.err);
    /* Worse than a guess, which no training made it. */
    program_expect(started_untrained(to), 0, NULL, "0 failed");
    expect_refused(LOCI("import", "checkpoint", file, "--corpus",
                        "{corpus: markov, symbols: 21, tokens: 4k}", "--to", to),
                   "it should be");
    r = LOCI("import", "checkpoint", file, "--block", "8");
    EXPECT(r.status == 2, "%d: %s", r.status, r.err);
}

/* Changed where it lies: nothing answers from it, and the way out is named. */
static void changed_in_place(void)
{
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    snprintf(from, sizeof from, "%s", model_file());
    snprintf(folder, sizeof folder, "%.*s", (int)(strstr(from, "/checkpoint/") - from), from);
    snprintf(to, sizeof to, "%s/to", test_folder());
    r = run();
    EXPECT(!strstr(r.err, "is not what the run wrote"), "%s", r.err);
    change(from, from, &(edit){.factor = 3});
    r = run();
    EXPECT(r.status == 0 && strstr(r.err, "model-3.safetensors: is not what the run wrote") &&
               strstr(r.err, "loci import checkpoint"),
           "%s", r.err);
    expect_refused(LOCI("eval", "edit"), "loci import checkpoint");
    program_expect(LOCI("import", "checkpoint", "edit", "--to", folder), 2, NULL,
                   "is a run's folder");
    r = LOCI("import", "checkpoint", "edit", "--to", to);
    EXPECT(r.status == 0, "%s", r.err);
    free(evaluated(to));
}

/* What is in the metadata is what a stranger wrote there. */
static void said_by_a_stranger(void)
{
    static const char *const NO_MAPS[] = {"[1, 2]", "text", "null", "", "3", "[[]]"};
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    snprintf(from, sizeof from, "%s", model_file());
    snprintf(to, sizeof to, "%s/to", test_folder());
    snprintf(file, sizeof file, "%s", test_inside("edited.safetensors"));
    for (size_t i = 0; i < sizeof NO_MAPS / sizeof *NO_MAPS; i++) {
        change(from, file, &(edit){.factor = 1, .metadata = true, .spec = NO_MAPS[i]});
        expect_refused(LOCI("import", "checkpoint", file, "--to", to), "edited.safetensors");
        EXPECT(!file_exists(to), "'%s'", NO_MAPS[i]);
    }
}

/* A run's id that is a path would have a section of somebody's plan.json taken for what was cut. */
static void no_run(void)
{
    static const char CUT[] =
        "name: edit\ndata: {corpus: markov, symbols: 20, tokens: 4k}\n"
        "model:\n  width: 8\n  context: 16\n  blocks:\n    - ffn: {hidden: "
        "8}\n    - hash_ffn: {experts: 2, hidden: 8}\nclaims: [{says: words}]\n";
    static const char PLAN[] = "{\"spec\": {\"claims\": [{\"says\": \"/private/words\"}]}}";
    static const char *const RUNS[] = {"../elsewhere", "../../elsewhere", "linked", ".hidden"};
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES], file[FILE_PATH_BYTES], link[FILE_PATH_BYTES];
    snprintf(from, sizeof from, "%s", model_file());
    snprintf(to, sizeof to, "%s/to", test_folder());
    snprintf(file, sizeof file, "%s", test_inside("edited.safetensors"));
    snprintf(link, sizeof link, "%s", test_inside("out/runs/linked"));
    corpora_write("elsewhere/plan.json", PLAN, -1);
    corpora_write("out/elsewhere/plan.json", PLAN, -1);
    corpora_write("out/runs/.hidden/plan.json", PLAN, -1);
    corpora_write("out/runs/same/plan.json", PLAN, -1);
    EXPECT(symlink(test_inside("elsewhere"), link) == 0, "%s", link);
    for (size_t i = 0; i <= sizeof RUNS / sizeof *RUNS; i++) {
        bool own = i == sizeof RUNS / sizeof *RUNS; /* so that the others say something */
        const edit how = {
            .factor = 1, .metadata = true, .spec = CUT, .run = own ? "same" : RUNS[i]};
        change(from, file, &how);
        r = LOCI("import", "checkpoint", file, "--to", to);
        EXPECT(r.status == 0, "%s", r.err);
        char *text = file_read(test_inside("to/spec.yaml"), NULL, NULL);
        EXPECT(text && (strstr(text, "/private/") != NULL) == own, "'%s': %s", how.run, text);
        free(text);
    }
}

/* The folder's name is the file's, which a stranger may have named, and what lies in a folder of
 * that name may be the user's. */
static void folders_of_others(void)
{
    static const char *const NAMES[] = {"...safetensors", "..safetensors", ".safetensors",
                                        ".hidden.safetensors"};
    static const char *const USERS[] = {"one/spec.yaml", "two/checkpoint/model-1.safetensors",
                                        "three/notes"};
    static const char *const FOLDERS[] = {"one", "two", "three"};
    program_result r = run();
    if (r.status < 0) return;
    char from[FILE_PATH_BYTES], here[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    snprintf(from, sizeof from, "%s", model_file());
    corpora_write("spec.yaml", "mine\n", -1);
    corpora_write("in/spec.yaml", "mine\n", -1);
    setenv("LOCI_PROGRAM", test_program(), 1);
    EXPECT(getcwd(here, sizeof here) && chdir(test_inside("in")) == 0, "%s", test_inside("in"));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        change(from, NAMES[i], &(edit){.factor = 1, .metadata = true});
        program_expect(LOCI("import", "checkpoint", NAMES[i]), 2, NULL, "--to");
    }
    for (size_t i = 0; i < sizeof USERS / sizeof *USERS; i++) {
        char inner[64];
        snprintf(inner, sizeof inner, "in/%s", USERS[i]);
        corpora_write(inner, "mine\n", -1);
        snprintf(file, sizeof file, "%s.safetensors", FOLDERS[i]);
        change(from, file, &(edit){.factor = 1, .metadata = true});
        program_expect(LOCI("import", "checkpoint", file), 2, NULL, "no import made it");
        char *text = file_read(USERS[i], NULL, NULL);
        EXPECT(text && strcmp(text, "mine\n") == 0, "%s: %s", USERS[i], text);
        free(text);
    }
    change(from, "four.safetensors", &(edit){.factor = 1, .metadata = true});
    EXPECT(file_make_folders("four", NULL), "an empty folder");
    program_expect(LOCI("import", "checkpoint", "four.safetensors"), 0, "four/spec.yaml", NULL);
    program_expect(LOCI("import", "checkpoint", "four.safetensors"), 0, "four/spec.yaml", NULL);
    EXPECT(chdir(here) == 0, "%s", here);
    static const char *const KEPT[] = {"spec.yaml", "in/spec.yaml"};
    for (int i = 0; i < 2; i++) {
        char *text = file_read(test_inside(KEPT[i]), NULL, NULL);
        EXPECT(text && strcmp(text, "mine\n") == 0, "%s: %s", KEPT[i], text);
        free(text);
    }
}

const test_suite test_import_checkpoint = {"tools/import_checkpoint",
                                           {{"taken in", taken_in},
                                            {"of another model", of_another_model},
                                            {"refused", refused},
                                            {"changed in place", changed_in_place},
                                            {"said by a stranger", said_by_a_stranger},
                                            {"no run", no_run},
                                            {"folders of others", folders_of_others},
                                            {0}}};
