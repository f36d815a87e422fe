/* The files of a run's folder and of an experiment's record: the first byte says which one holds
 * the other bytes. They are read by what goes on with a run, collected into a database and merged
 * into another folder: refused with words or read, and everything that prints results then does.
 *
 * JSON is mutated as a tree; what it begins with are files as the program wrote them (bent_file.h).
 */
#include <string.h>

#include "harness/run/run_lines.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/supervise/manage_merge.h"
#include "harness/train/checkpoint_files.h"
#include "results/store/collect.h"
#include "tests/fuzz/bent_file.h"
#include "tests/fuzz/reading.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/tiny_run.h"
#include "tests/fuzz/yaml_mutator.h"

static yaml_words words;
static char *good; /* the database of the files as the program wrote them */
static size_t good_bytes;
static char whole[FILE_PATH_BYTES]; /* a copy of the folder, which stays as it was */

static void bring(const char *to, const char *from)
{
    err e = {0};
    manage_report report;
    CHECK(manage_merge(&report, to, from, NULL, &e) || e.text[0], "%s", "refused without a word");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    err e = {0};
    tiny_run_make();
    good = file_read(scratch_path("out/loci.db"), &good_bytes, &e);
    CHECK(good, "%s", e.text);
    snprintf(whole, sizeof whole, "%s", scratch_path("whole"));
    bring(whole, tiny_run_out());
    /* Words that other runs' files have. */
    char all[1 << 16] = "running interrupted failed diverged planned damaged init_from checkpoint "
                        "recall distance answers correct had_results withdrawn after_the_fact "
                        "changed subject continues evaluation nats_per_token begins untag ";
    for (unsigned i = 0; i < TINY_RUN_FILES; i++) { /* keys and words that the files have */
        const void *data;
        size_t bytes, used = strlen(all);
        tiny_run_file(i, &data, &bytes);
        bytes = MIN(bytes, sizeof all - used - 1);
        memcpy(all + used, data, bytes);
        all[used + bytes] = 0;
    }
    words = yaml_words_of(all);
    scratch_quiet();
    return 0;
}

/* One line of a file of lines, any of them. */
static size_t mutate_line(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    static uint8_t copy[1 << 16];
    size_t before = seed / 256 % size;
    while (before > 0 && data[before - 1] != '\n')
        before--;
    uint8_t *begin = data + before, *end = memchr(begin, '\n', size - before);
    size_t line = end ? (size_t)(end - begin) : size - before, rest = size - before - line;
    if (line > sizeof copy || max < before + rest) return 0;
    memcpy(copy, begin, line);
    size_t room = MIN(sizeof copy, max - before - rest);
    size_t got = yaml_mutate(copy, line, room, seed, true, &words);
    if (!got) return 0;
    memmove(begin + got, begin + line, rest);
    memcpy(begin, copy, got);
    return before + got + rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    const void *own;
    size_t bytes, got = 0;
    if (size < 2 || seed % 16 == 0) {
        unsigned number;
        if (max > 1) got = bent_file(&number, data + 1, max - 1, seed >> 8);
        if (got == 0) return MAX(size, (size_t)1);
        data[0] = (uint8_t)number;
        return 1 + got;
    }
    if (seed % 4) {
        const char *name = tiny_run_file(data[0], &own, &bytes);
        got = strstr(name, ".jsonl") ? mutate_line(data + 1, size - 1, max - 1, seed)
                                     : yaml_mutate(data + 1, size - 1, max - 1, seed, true, &words);
    }
    return got ? got + 1 : 1 + LLVMFuzzerMutate(data + 1, size - 1, max - 1);
}

static bool keep_line(void *user, const json_t *line)
{
    (void)user;
    return json_is_object(line);
}

/* What a worker that goes on reads. */
static void read_folder(void)
{
    err e = {0};
    char path[FILE_PATH_BYTES];
    const char *folder = tiny_run_folder();
    run_status status;
    planned_run plan = {0};
    arena *a = arena_new(1 << 16);
    CHECK(run_status_read(&status, folder, &e) || e.text[0], "%s", "refused without a word");
    e.text[0] = 0;
    CHECK(run_record_plan_read(&plan, a, folder, &e) || e.text[0], "%s", "refused without a word");
    json_decref(plan.record);
    if (file_join(path, folder, "metrics.jsonl", &e))
        run_lines_filter(path, keep_line, NULL, NULL, &e);
    if (file_join(path, folder, "checkpoint", &e)) {
        safetensors_close(checkpoint_files_open(path, "model", &e));
    }
    arena_free(a);
}

/* Into the database of the files as they were; to make all of its tables anew takes longer than
 * the rest, and is done now and then. */
static void read_database(unsigned choice)
{
    err e = {0};
    collect_report report;
    scratch_write("out/loci.db", good, good_bytes);
    CHECK(collect(&report, tiny_run_out(), choice % 16 == 0, &e), "%s", e.text);
    CHECK(!report.unreadable || report.why[0], "%s", "unreadable without a word");
    store *s = store_open_reader(tiny_run_out(), &e);
    CHECK(s, "%s", e.text);
    reading_part(s, TINY_RUN_NAME, choice / 16);
    store_close(s);
}

/* Into an empty folder, into one that has the same runs whole, or these into it. */
static void merge(unsigned choice)
{
    char to[FILE_PATH_BYTES];
    snprintf(to, sizeof to, "%s", scratch_path("merged"));
    if (choice % 4 == 1) bring(to, whole);
    bring(to, tiny_run_out());
    if (choice % 4 > 1) bring(to, whole);
    file_remove_tree(to, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2) return 0;
    const unsigned choice = reading_choice(data, bytes);
    tiny_run_put(data[0], data + 1, bytes - 1);
    if (choice % 4 == 0) {
        merge(choice / 4);
    } else if (choice % 4 == 1) {
        read_folder(); /* it drops lines that are not complete */
    } else {
        read_database(choice / 4);
    }
    for (unsigned i = 0; i < TINY_RUN_FILES; i++) {
        const void *own;
        size_t size;
        tiny_run_file(i, &own, &size);
        if (i == data[0] % (unsigned)TINY_RUN_FILES || size == 0) tiny_run_put(i, NULL, 0);
    }
    return 0;
}
