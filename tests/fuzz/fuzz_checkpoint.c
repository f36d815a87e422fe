/* The safetensors files of a checkpoint: the first byte says which, the other bytes are it. The
 * manifest has its right checksum, as for a file that somebody made. Loading it, going on from it
 * and taking it in as another model is refused with words, or gives numbers: one of the three for
 * each input, chosen by its bytes.
 *
 * The header is mutated as a tree. */
#include <string.h>

#include "core/base/json.h"
#include "harness/run/run_record.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/import_checkpoint.h"
#include "harness/train/trained_model.h"
#include "tests/fuzz/header_mutator.h"
#include "tests/fuzz/kept.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tiny_run.h"

static const char *const KINDS[] = {"model", "train"};
static char checkpoint[FILE_PATH_BYTES];
static struct {
    char path[FILE_PATH_BYTES];
    char *data;
    size_t bytes;
    char hex[SHA256_HEX]; /* of what lies there */
    size_t there;
} file[2];
static yaml_words words;

/* What an input needs of the run that it is a checkpoint of. The trainer is made again once a file
 * was refused: it must not be used then. */
static corpus_places places;
static workload work;
static trainer *going;

/* In place of the whole one; data NULL: the whole one. */
static void put(int i, const void *data, size_t bytes)
{
    if (!data) {
        data = file[i].data;
        bytes = file[i].bytes;
    }
    FILE *f = fopen(file[i].path, "w");
    CHECK(f && fwrite(data, 1, bytes, f) == bytes, "%s", file[i].path);
    fclose(f);
    sha256_hex(file[i].hex, data, bytes);
    file[i].there = bytes;
}

static void open_run(void)
{
    static const char *const ROOTS[] = {NULL};
    err e = {0};
    planned_run plan = {0};
    places = (corpus_places){.roots = ROOTS, .cache = strdup(scratch_path("cache"))};
    /* The workload's spec lies in it, as long as the process lives. */
    static arena *a;
    a = arena_new(1 << 16);
    CHECK(run_record_plan_read(&plan, a, tiny_run_folder(), &e) &&
              workload_open(&work, plan.spec, plan.seed, &places, &e),
          "%s", e.text);
    json_decref(plan.record);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    err e = {0};
    tiny_run_make();
    CHECK(file_join(checkpoint, tiny_run_folder(), "checkpoint", &e), "%s", e.text);
    for (int i = 0; i < 2; i++) {
        CHECK(checkpoint_files_path(file[i].path, checkpoint, KINDS[i], &e) &&
                  (file[i].data = file_read(file[i].path, &file[i].bytes, &e)) != NULL,
              "%s", e.text);
        put(i, NULL, 0);
    }
    KEPT_BEGIN();
    open_run();
    KEPT_END();
    char *header = strndup(file[1].data + 8, 4096);
    words = yaml_words_of(header);
    free(header);
    scratch_quiet();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    if (size < 2 || seed % 32 == 0) {
        int i = seed >> 8 & 1;
        data[0] = (uint8_t)i;
        if (file[i].bytes + 1 > max) return MAX(size, (size_t)1);
        memcpy(data + 1, file[i].data, file[i].bytes);
        return file[i].bytes + 1;
    }
    size_t got = seed % 3 ? header_mutate(data + 1, size - 1, max - 1, seed, &words) : 0;
    return 1 + (got ? got : LLVMFuzzerMutate(data + 1, size - 1, max - 1));
}

static void write_manifest(void)
{
    char path[FILE_PATH_BYTES], text[1024];
    err e = {0};
    int n = snprintf(text, sizeof text, "{\"step\":3,\"files\":{");
    for (int i = 0; i < 2; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s\"%s\":{\"sha256\":\"%s\",\"bytes\":%zu}", i ? "," : "",
                      strrchr(file[i].path, '/') + 1, file[i].hex, file[i].there);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "}}");
    CHECK(file_join(path, checkpoint, "manifest.json", &e), "%s", e.text);
    FILE *f = fopen(path, "w");
    CHECK(f && fwrite(text, 1, (size_t)n, f) == (size_t)n, "%s", path);
    fclose(f);
}

static void go_on(void)
{
    err e = {0};
    const train_length length = train_options_length(&work.train.budget, &work.shape, 1);
    KEPT_BEGIN();
    if (!going) going = trainer_new(&work, 1, length, &e);
    KEPT_END();
    CHECK(going, "%s", e.text);
    if (checkpoint_load(checkpoint, going, &e)) return;
    CHECK(e.text[0], "%s", "refused without a word");
    trainer_free(going);
    going = NULL;
}

static void load(void)
{
    err e = {0};
    trained_model m;
    bool ok = trained_model_load(&m, checkpoint, NULL, NULL, &places, &e);
    CHECK(ok || e.text[0], "%s", "refused without a word");
    if (ok) trained_model_close(&m);
}

static void take_in(void)
{
    err e = {0};
    const checkpoint_import how = {.from = file[0].path};
    CHECK(import_checkpoint(scratch_path("imported"), &how, &places, &e) || e.text[0], "%s",
          "refused without a word");
    file_remove_tree(scratch_path("imported"), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static void (*const READERS[])(void) = {go_on, load, take_in};
    static int changed = -1;
    if (bytes < 2) return 0;
    int i = data[0] & 1;
    /* The other file is whole again. */
    if (changed == 1 - i) put(changed, NULL, 0);
    put(changed = i, data + 1, bytes - 1);
    write_manifest();
    /* What training goes on from is in the second file: it has one reader. */
    READERS[i ? 0 : reading_choice(data, bytes) % 3]();
    return 0;
}
