/* Checkpoints: training goes on with the same bits; what is damaged is said. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/trained_model.h"
#include "tests/support/corpora.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

static const char *const OPTIMIZERS[] = {
    "optimizer: {kind: adamw, lr: 3e-3, clip: 1.0}\n",
    "optimizer: {kind: adafactor, lr: 3e-3, clip: 1.0}\n",
    "optimizer: {kind: sgd, lr: 3e-2, momentum: 0.9, clip: 1.0}\n",
    "model: {width: 16, context: 8, blocks: [{lstm: {}}]}\n",
    "model: {width: 16, context: 8, blocks: [{routed_memory: {heads: 2, length: 32, picks: 4}}]}\n",
};

static trainer *trainer_for(workload *w, const char *more)
{
    err e = {0};
    if (!trial_open(w, TRIAL_SPEC, more, 7)) return NULL;
    trainer *t = trainer_new(w, 2, (train_length){.steps = 10}, &e);
    EXPECT(t, "%s", e.text);
    return t;
}

static void run_steps(trainer *t, int n)
{
    err e = {0};
    train_report r;
    for (int i = 0; i < n; i++) {
        EXPECT(trainer_step(t, &r, &e), "%s", e.text);
    }
}

static const char *folder_here(void)
{
    static char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), "checkpoint", NULL);
    return path;
}

static void goes_on_with_the_same_bits(void)
{
    for (size_t i = 0; i < sizeof OPTIMIZERS / sizeof OPTIMIZERS[0]; i++) {
        workload wa, wb;
        err e = {0};
        trainer *a = trainer_for(&wa, OPTIMIZERS[i]), *b = trainer_for(&wb, OPTIMIZERS[i]);
        if (!a || !b) return;
        run_steps(a, 5);
        EXPECT(checkpoint_save(folder_here(), a, "run", &e), "%s", e.text);
        run_steps(a, 5);
        EXPECT(checkpoint_load(folder_here(), b, &e), "%s", e.text);
        EXPECT(b->progress.step == 5, "%lld", (long long)b->progress.step);
        run_steps(b, 5);
        size_t bytes = (size_t)model_params(wa.model)->total * sizeof(real);
        EXPECT(memcmp(a->values, b->values, bytes) == 0, "%s: other parameters", OPTIMIZERS[i]);
        /* Saving over what is there leaves one checkpoint, though the step is the same. */
        EXPECT(checkpoint_save(folder_here(), b, "run", &e), "%s", e.text);
        EXPECT(checkpoint_save(folder_here(), b, "run", &e), "%s", e.text);
        arena *m = arena_new(1 << 14);
        const char *const *names;
        int64_t count = 0;
        EXPECT(file_list(folder_here(), m, &names, &count, &e) && count == 3, "%lld files",
               (long long)count);
        arena_free(m);
        EXPECT(checkpoint_load(folder_here(), a, &e), "%s", e.text);
        trainer_free(a);
        trainer_free(b);
        workload_close(&wa);
        workload_close(&wb);
    }
}

/* Opens the file of that kind in the checkpoint, at a place before (< 0: before its end). */
static void damage(const char *name, long place, const char *with)
{
    char path[FILE_PATH_BYTES];
    file_join(path, folder_here(), name, NULL);
    FILE *f = fopen(path, "r+");
    bool ok = f && fseek(f, place, place < 0 ? SEEK_END : SEEK_SET) == 0 && fputs(with, f) >= 0;
    EXPECT(ok, "%s", path);
    if (f) fclose(f);
}

static void expect_refused(const char *more, const char *part)
{
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, more);
    if (!t) return;
    EXPECT(!checkpoint_load(folder_here(), t, &e) && strstr(e.text, part), "\"%s\" lacks \"%s\"",
           e.text, part);
    trainer_free(t);
    workload_close(&w);
}

static void damage_is_said(void)
{
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, NULL);
    if (!t) return;
    expect_refused(NULL, "manifest.json");
    run_steps(t, 2);
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    expect_refused("model: {width: 24, context: 8, blocks: [{ffn: {hidden: 32}}]}\n",
                   "embedding.weight");
    expect_refused(OPTIMIZERS[1], "optimizer.");
    damage("train-2.safetensors", -3, "?");
    expect_refused(NULL, "train-2.safetensors: corrupt: its checksum");
    damage("model-2.safetensors", -1, "and more");
    expect_refused(NULL, "model-2.safetensors: corrupt: it has");
    damage("manifest.json", 3, "}");
    expect_refused(NULL, "manifest.json");
    trainer_free(t);
    workload_close(&w);
}

/* A table of a layer is an array of choices that the layer takes as they are: what is none is
 * refused where it comes in. */
static void tables_hold_choices(void)
{
    static const struct {
        const char *name;
        double value;
        const char *said;
    } CASES[] = {{"blocks.0.hash_ffn.table", 1e9, "table: 1e+09 at 1; whole numbers from 0 to 2"},
                 {"blocks.0.hash_ffn.table", 3, "table: 3 at 1"},
                 {"blocks.0.hash_ffn.table", -1, "table: -1 at 1"},
                 {"blocks.0.hash_ffn.table", 0.5, "table: 0.5 at 1"},
                 {"blocks.0.hash_ffn.table", (double)NAN, "nan at 1"},
                 {"blocks.1.engram.fold", 256, "fold: 256 at 1; whole numbers from 0 to 255"},
                 {"blocks.1.engram.fold", -1, "fold: -1 at 1"}};
    char more[FILE_PATH_BYTES + 256], *text = corpora_text(1, 6000);
    corpora_write("x.txt", text, -1);
    free(text);
    snprintf(more, sizeof more,
             "data: {corpus: text, path: '%s'}\n"
             "model: {width: 16, context: 8, blocks: [{hash_ffn: {experts: 3}}, "
             "{engram: {rows: 11, order: 2, heads: 1, fold: true}}]}\n",
             test_inside("x.txt"));
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, more);
    if (!t) return;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const params *p = model_params_const(w.model);
        int index = params_find(p, CASES[i].name);
        EXPECT(index >= 0, "no %s", CASES[i].name);
        if (index < 0) break;
        real *at = t->values + p->list[index].offset + 1, before = *at;
        *at = (real)CASES[i].value;
        EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
        expect_refused(more, CASES[i].said);
        *at = before;
    }
    EXPECT(checkpoint_save(folder_here(), t, "run", &e) && checkpoint_load(folder_here(), t, &e),
           "%s", e.text);
    trainer_free(t);
    workload_close(&w);
}

/* What a trainer stands at is changed, saved and refused; then it is as it was. */
static void expect_no_state(trainer *t, const char *more, int64_t *at, int64_t value,
                            const char *said)
{
    err e = {0};
    int64_t before = *at;
    *at = value;
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    expect_refused(more, said);
    *at = before;
}

/* Counts and places of a training state are such as a run of this program has: none to overflow
 * with, and rows in step. */
static void states_are_possible(void)
{
    static const char MORE[] = "train: {budget: {steps: 10}, batch: 4, lanes: 2, segment: 16}\n";
    static const int64_t NONE[] = {-1, INT64_MIN, ((int64_t)1 << 53) + 1, INT64_MAX};
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, MORE);
    if (!t) return;
    run_steps(t, 2);
    optim_view views[16];
    int n = optim_views(t->optim, views, 16), steps = 0;
    while (steps < n && strcmp(views[steps].name, "optimizer.steps") != 0) {
        steps++;
    }
    EXPECT(steps < n, "no optimizer.steps");
    int64_t *position = model_state_positions(t->states[1]);
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        expect_no_state(t, MORE, &t->progress.step, NONE[i], "progress.counts: step");
        expect_no_state(t, MORE, &t->progress.tokens, NONE[i], "progress.counts: step");
        expect_no_state(t, MORE, position + 1, NONE[i], "position.1: ");
        expect_no_state(t, MORE, model_state_documents(t->states[0]), NONE[i], "position.0: ");
        if (steps < n) expect_no_state(t, MORE, views[steps].data, NONE[i], "optimizer.steps: ");
    }
    expect_no_state(t, MORE, &t->progress.eval_at, 3, "evaluated at 3");
    expect_no_state(t, MORE, position + 1, *position + 3, "other phases of a block of 8");
    t->progress.seconds = (double)NAN;
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    expect_refused(MORE, "progress.sums: ");
    t->progress.seconds = 1;
    EXPECT(checkpoint_save(folder_here(), t, "run", &e) && checkpoint_load(folder_here(), t, &e),
           "%s", e.text);
    trainer_free(t);
    workload_close(&w);
}

/* What is left of an earlier checkpoint goes; what others have put there stays. */
static void only_its_own_files(void)
{
    static const char *const names[] = {"model-2.safetensors", "train-1.safetensors.tmp.17",
                                        "inspect"};
    char path[FILE_PATH_BYTES];
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, NULL);
    if (!t) return;
    run_steps(t, 2);
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    file_join(path, folder_here(), names[1], &e);
    EXPECT(file_write(path, "part", 4, &e), "%s", e.text);
    file_join(path, folder_here(), names[2], &e);
    EXPECT(file_make_folders(path, &e), "%s", e.text);
    run_steps(t, 1);
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    for (int i = 0; i < 3; i++) {
        file_join(path, folder_here(), names[i], &e);
        EXPECT(file_exists(path) == (i == 2), "%s", names[i]);
    }
    trainer_free(t);
    workload_close(&w);
}

/* A better one takes the place of a worse one, and one without figures that of none. */
static void better_ones_are_kept(void)
{
    static const struct {
        double nats; /* NaN: none */
        int64_t kept;
    } CASES[] = {{(double)NAN, 1}, {2, 2}, {(double)NAN, 2}, {3, 2}, {2, 2}, {1, 6}};
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, NULL);
    if (!t) return;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const checkpoint_merit merit = {.nats = CASES[i].nats};
        run_steps(t, 1);
        EXPECT(checkpoint_keep(folder_here(), t, "run", isnan(merit.nats) ? NULL : &merit, &e),
               "%s", e.text);
        safetensors *s = checkpoint_files_open(folder_here(), "model", &e);
        int64_t step = s ? checkpoint_files_number(s, "step") : -1;
        EXPECT(step == CASES[i].kept, "%zu: of step %lld: %s", i, (long long)step, e.text);
        safetensors_close(s);
    }
    trainer_free(t);
    workload_close(&w);
}

/* The training state anew, with so many counts, and with or without its place in the
 * text.
 */
static void rewrite_train(int64_t counts, bool placed)
{
    enum { MOST = 64 };
    char path[FILE_PATH_BYTES], manifest[FILE_PATH_BYTES], hex[SHA256_HEX];
    st_entry list[MOST];
    int64_t bytes;
    err e = {0};
    EXPECT(checkpoint_files_path(path, folder_here(), "train", &e), "%s", e.text);
    file_join(manifest, folder_here(), "manifest.json", NULL);
    safetensors *s = safetensors_open(path, &e);
    int n = s ? safetensors_count(s) : 0;
    EXPECT(n > 0 && n <= MOST, "%d arrays: %s", n, e.text);
    for (int i = 0; i < n && i < MOST; i++) {
        const st_tensor *x = safetensors_at(s, i);
        list[i] = (st_entry){x->name, x->dtype, x->rank, {0}, x->data};
        memcpy(list[i].shape, x->shape, (size_t)x->rank * sizeof *x->shape);
        if (strcmp(x->name, "progress.counts") == 0) list[i].shape[0] = counts;
    }
    const st_text place = {"cursor", s ? safetensors_metadata(s, "cursor") : ""};
    EXPECT(safetensors_save(path, list, n, &place, placed, hex, &e), "%s", e.text);
    safetensors_close(s);
    json_auto_t *o = json_read(manifest, &e);
    json_t *file = json_object_get(json_object_get(o, "files"), strrchr(path, '/') + 1);
    bool ok = file && file_stat(path, &bytes, NULL, &e);
    if (ok) json_object_set_new(file, "sha256", json_string(hex));
    if (ok) json_object_set_new(file, "bytes", json_integer(bytes));
    EXPECT(ok && json_write(manifest, o, &e), "%s", e.text);
}

/* Of a program that saves other things. */
static void parts_are_missing(void)
{
    workload w;
    err e = {0};
    trainer *t = trainer_for(&w, NULL);
    if (!t) return;
    run_steps(t, 2);
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    rewrite_train(3, true);
    EXPECT(checkpoint_load(folder_here(), t, &e), "%s", e.text);
    rewrite_train(2, true);
    expect_refused(NULL, "progress: missing");
    EXPECT(checkpoint_save(folder_here(), t, "run", &e), "%s", e.text);
    rewrite_train(3, false);
    expect_refused(NULL, "cursor: missing");
    trainer_free(t);
    workload_close(&w);
}

static void model_to_use(void)
{
    workload w;
    err e = {0};
    trained_model m;
    trainer *t = trainer_for(&w, NULL);
    if (!t) return;
    run_steps(t, 2);
    EXPECT(checkpoint_save(folder_here(), t, "0123456789abcdef", &e), "%s", e.text);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    bool ok = trained_model_load(&m, test_folder(), NULL, NULL, &places, &e);
    EXPECT(ok, "%s", e.text);
    if (ok) {
        size_t bytes = (size_t)model_params(w.model)->total * sizeof(real);
        EXPECT(memcmp(m.values, t->values, bytes) == 0, "other values");
        EXPECT(m.step == 2 && m.seed == 7 && strcmp(m.run, "0123456789abcdef") == 0, "%s", m.run);
        EXPECT(strcmp(corpus_hash(m.corpus), corpus_hash(w.corpus)) == 0, "another corpus");
        trained_model_close(&m);
    }
    const model_sizes sizes = {.context = 32};
    ok = trained_model_load(&m, folder_here(), NULL, &sizes, &places, &e);
    EXPECT(ok && model_context(m.model) == 32, "%s", e.text);
    if (ok) trained_model_close(&m);
    arena *a = arena_new(1 << 14);
    static const char other[] = "{corpus: markov, symbols: 9, order: 1, tokens: 900}";
    node *data = node_parse(a, other, strlen(other), "other", &e);
    EXPECT(!trained_model_load(&m, folder_here(), data, NULL, &places, &e) &&
               strstr(e.text, "vocabulary of 9"),
           "%s", e.text);
    EXPECT(!trained_model_load(&m, "/nowhere", NULL, NULL, &places, &e) &&
               strstr(e.text, "no checkpoint"),
           "%s", e.text);
    arena_free(a);
    trainer_free(t);
    workload_close(&w);
}

const test_suite test_checkpoint = {"harness/checkpoint",
                                    {{"goes_on_with_the_same_bits", goes_on_with_the_same_bits},
                                     {"damage_is_said", damage_is_said},
                                     {"tables hold choices", tables_hold_choices},
                                     {"states are possible", states_are_possible},
                                     {"only_its_own_files", only_its_own_files},
                                     {"better_ones_are_kept", better_ones_are_kept},
                                     {"parts_are_missing", parts_are_missing},
                                     {"model_to_use", model_to_use},
                                     {0}}};
