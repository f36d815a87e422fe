/* The safetensors files of a checkpoint: the first byte says which, the other bytes are it. The
 * manifest has its right checksum, as for a file that somebody made. Loading it, going on from it
 * and taking it in as another model is refused with words, or gives numbers.
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
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tiny_run.h"

static const char *const KINDS[] = {"model", "train"};
static char checkpoint[FILE_PATH_BYTES];
static struct {
    char path[FILE_PATH_BYTES];
    char *data;
    size_t bytes;
} file[2];
static yaml_words words;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    err e = {""};
    tiny_run_make();
    CHECK(file_join(checkpoint, tiny_run_folder(), "checkpoint", &e), "%s", e.text);
    for (int i = 0; i < 2; i++) {
        CHECK(checkpoint_files_path(file[i].path, checkpoint, KINDS[i], &e) &&
                  (file[i].data = file_read(file[i].path, &file[i].bytes, &e)) != NULL,
              "%s", e.text);
    }
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
    char path[FILE_PATH_BYTES];
    err e = {""};
    json_t *files = json_object();
    for (int i = 0; i < 2; i++) {
        char hex[SHA256_HEX];
        int64_t bytes;
        CHECK(file_sha256(hex, file[i].path, &e) && file_stat(file[i].path, &bytes, NULL, &e), "%s",
              e.text);
        json_object_set_new(files, strrchr(file[i].path, '/') + 1,
                            json_pack("{s:s, s:I}", "sha256", hex, "bytes", (json_int_t)bytes));
    }
    json_t *manifest = json_pack("{s:i, s:o}", "step", 3, "files", files);
    CHECK(file_join(path, checkpoint, "manifest.json", &e) &&
              json_dump_file(manifest, path, 0) == 0,
          "%s", path);
    json_decref(manifest);
}

static void put(int i, const void *data, size_t bytes)
{
    FILE *f = fopen(file[i].path, "w");
    CHECK(f && fwrite(data, 1, bytes, f) == bytes, "%s", file[i].path);
    fclose(f);
}

static void go_on(const corpus_places *places)
{
    err e = {""};
    planned_run plan = {0};
    arena *a = arena_new(1 << 16);
    workload w;
    CHECK(run_record_plan_read(&plan, a, tiny_run_folder(), &e) &&
              workload_open(&w, plan.spec, plan.seed, places, &e),
          "%s", e.text);
    trainer *t = trainer_new(&w, 1, train_options_length(&w.train.budget, &w.shape, 1), &e);
    CHECK(t, "%s", e.text);
    CHECK(checkpoint_load(checkpoint, t, &e) || e.text[0], "%s", "refused without a word");
    trainer_free(t);
    workload_close(&w);
    json_decref(plan.record);
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const ROOTS[] = {NULL};
    const corpus_places places = {.roots = ROOTS, .cache = scratch_path("cache")};
    if (bytes < 2) return 0;
    int i = data[0] & 1;
    put(i, data + 1, bytes - 1);
    write_manifest();
    if (i == 0) {
        err e = {""};
        trained_model m;
        bool ok = trained_model_load(&m, checkpoint, NULL, NULL, &places, &e);
        CHECK(ok || e.text[0], "%s", "refused without a word");
        if (ok) trained_model_close(&m);
        e.text[0] = 0;
        const checkpoint_import how = {.from = file[0].path};
        CHECK(import_checkpoint(scratch_path("imported"), &how, &places, &e) || e.text[0], "%s",
              "refused without a word");
        file_remove_tree(scratch_path("imported"), NULL);
    }
    go_on(&places);
    put(i, file[i].data, file[i].bytes);
    return 0;
}
