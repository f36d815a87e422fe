/* Runs that start from other runs: what is taken, who is first, what it is called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/supervise/supervisor.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/trained_model.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* ---- names ---- */

static const char SOURCE_MODEL[] =
    "{width: 8, context: 4, blocks: [{repeat: 2, ffn: {hidden: 16}}]}";

static model *small_model(arena *a, const char *yaml)
{
    err e = {0};
    const node *n = node_parse(a, yaml, strlen(yaml), "model.yaml", &e);
    const model_inputs inputs = {.vocab = 5, .seed = 1};
    model *m = n ? model_build(n, &inputs, &e) : NULL;
    EXPECT(m, "%s", e.text);
    return m;
}

/* Matches the source model's parameters with those of `here` under the options; the number taken,
 * or -1 and e. into: the name that `name` of the source gets, or NULL. */
static int match(const char *options, const char *here, const char *name, char into[256], err *e)
{
    arena *a = arena_new(1 << 16);
    model *from = small_model(a, SOURCE_MODEL), *to = small_model(a, here);
    const params *p = model_params_const(from);
    init_tensor *list = arena_push_zero(a, p->count, sizeof *list);
    int *target = ARENA_NEW(a, int, p->count), taken = 0;
    for (int i = 0; i < p->count; i++) {
        list[i] = (init_tensor){.name = p->list[i].name, .rank = p->list[i].rank};
        memcpy(list[i].shape, p->list[i].shape, sizeof list[i].shape);
    }
    init_options o;
    const node *n = node_parse(a, options, strlen(options), "x.yaml", e);
    bool ok = n && init_from_read(&o, n, a, e) &&
              init_from_match(target, &o, list, p->count, model_params_const(to), e);
    for (int i = 0; ok && i < p->count; i++) {
        taken += target[i] >= 0;
        if (!name || strcmp(list[i].name, name) != 0) continue;
        const params *q = model_params_const(to);
        snprintf(into, 256, "%s", target[i] < 0 ? "nothing" : q->list[target[i]].name);
    }
    model_free(from);
    model_free(to);
    arena_free(a);
    return ok ? taken : -1;
}

static void patterns(void)
{
    err e = {0};
    char into[256];
    static const char DEEPER[] = "{width: 8, context: 4, blocks: [{repeat: 3, ffn: {hidden: 16}}]}";
    int all = match("{run: r}", SOURCE_MODEL, NULL, into, &e);
    EXPECT(all > 10, "%d: %s", all, e.text);
    EXPECT(match("{run: r}", DEEPER, NULL, into, &e) == all, "%s", e.text);
    EXPECT(match("{run: r, only: []}", DEEPER, NULL, into, &e) == 0, "%s", e.text);
    EXPECT(match("{run: r, only: [\"embedding.*\"]}", DEEPER, NULL, into, &e) == 2, "%s", e.text);
    EXPECT(match("{run: r, skip: [\"embedding.*\"]}", DEEPER, NULL, into, &e) == all - 2, "%s",
           e.text);
    int n = match("{run: r, map: {\"blocks.1.*\": \"blocks.2.*\"}}", DEEPER,
                  "blocks.1.ffn.norm.gain", into, &e);
    EXPECT(n == all && strcmp(into, "blocks.2.ffn.norm.gain") == 0, "%d: %s, %s", n, into, e.text);
}

/* Each expert a copy of the dense layer. */
static void dense_to_sparse(void)
{
    err e = {0};
    char into[256];
    static const char SPARSE[] = "{width: 8, context: 4, blocks: [{repeat: 2, hash_ffn: {experts: "
                                 "3, hidden: 16}}]}";
    int all = match("{run: r}", SOURCE_MODEL, NULL, into, &e);
    int n = match("{run: r, map: {\"blocks.*.ffn.*\": \"blocks.*.hash_ffn.*\"}}", SPARSE,
                  "blocks.1.ffn.keys.weight", into, &e);
    EXPECT(n == all && strcmp(into, "blocks.1.hash_ffn.keys.weight") == 0, "%d: %s, %s", n, into,
           e.text);
}

static void refused(const char *options, const char *here, const char *words)
{
    err e = {0};
    char into[256];
    EXPECT(match(options, here, NULL, into, &e) < 0 && strstr(e.text, words), "%s: '%s'", options,
           e.text);
}

static void refusals(void)
{
    static const char OTHER[] = "{width: 8, context: 4, blocks: [{ffn: {hidden: 24}}]}";
    refused("{run: r}", OTHER, "skip");
    refused("{run: r, skip: [\"blocks.1.*\"]}", OTHER, "[16, 8], here [24, 8]");
    refused("{run: r, only: [\"blocks.7.*\"]}", SOURCE_MODEL, "fits no parameter");
    refused("{run: r, skip: embedding}", SOURCE_MODEL, "list of patterns");
    refused("{run: r, map: {\"blocks.1.*\": \"blocks.0.*\"}}", SOURCE_MODEL, "both");
    refused("{run: r, map: {\"blocks.*\": \"blocks\"}}", SOURCE_MODEL, "as many");
    refused("{run: r, variant: v}", SOURCE_MODEL, "name one source");
    refused("{}", SOURCE_MODEL, "name one source");
    refused("{run: ../../x}", SOURCE_MODEL, "'../../x' is no run's id");
    refused("{run: .}", SOURCE_MODEL, "is no run's id");
    refused("{run: \"\"}", SOURCE_MODEL, "is no run's id");
    refused("{runs: r}", SOURCE_MODEL, "unknown key");
}

/* ---- sweeps ---- */

static experiment *experiment_of(const char *more, err *e)
{
    static char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), "sweep.yaml", NULL);
    FILE *f = fopen(path, "w");
    EXPECT(f && fprintf(f, "%s%s", TRIAL_SPEC, more) > 0, "%s", path);
    if (f) fclose(f);
    experiment *x = experiment_load(path, NULL, e);
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    if (x && experiment_resolve(x, &places, e)) return x;
    experiment_free(x);
    return NULL;
}

static supervisor_result supervise(const experiment *x, int jobs)
{
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    supervisor_options o = {.out = test_folder(),
                            .places = &places,
                            .command = "loci run sweep.yaml",
                            .program = test_program(),
                            .jobs = jobs,
                            .threads = 1,
                            .quiet = true};
    supervisor_result r = {0};
    err e = {0};
    bool ok = trial_supervise(&r, x, &o, &e);
    EXPECT(ok, "%s", e.text);
    return r;
}

static run_status status_of(const run_plan *p, char *folder)
{
    run_folder_path(folder, test_folder(), p->id, NULL);
    return trial_status(folder);
}

static const run_plan *find(const experiment *x, const char *label, int64_t seed)
{
    for (int i = 0; i < x->run_count; i++) {
        if (strcmp(x->runs[i].label, label) == 0 && x->runs[i].seed == seed) return &x->runs[i];
    }
    EXPECT(false, "no run %s", label);
    return NULL;
}

/* The dependants stand first in the file; nothing is trained in `frozen`, so that its parameters
 * are the source's. */
static const char CHAIN[] =
    "sweep:\n"
    "  seeds: 2\n"
    "  baseline: plain\n"
    "  grid:\n"
    "    start:\n"
    "      frozen: {init_from: {variant: warm}, optimizer.groups: [{match: \"*\", freeze: true}]}\n"
    "      warm: {init_from.variant: plain, optimizer.lr: 1e-4}\n"
    "      plain: {}\n";

static void same_parameters(const char *folder_a, const char *folder_b)
{
    err e = {0};
    char a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    checkpoint_files_folder(a, folder_a, &e);
    checkpoint_files_folder(b, folder_b, &e);
    safetensors *s = checkpoint_files_open(a, "model", &e),
                *t = checkpoint_files_open(b, "model", &e);
    EXPECT(s && t, "%s", e.text);
    for (int i = 0; s && t && i < safetensors_count(s); i++) {
        const st_tensor *x = safetensors_at(s, i), *y = safetensors_find(t, x->name);
        EXPECT(y && x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0, "%s", x->name);
    }
    if (s) safetensors_close(s);
    if (t) safetensors_close(t);
}

static void trained_in_order(void)
{
    if (!test_program()) return;
    err e = {0};
    experiment *x = experiment_of(CHAIN, &e);
    EXPECT(x && x->run_count == 6, "%s", e.text);
    if (!x) return;
    const run_plan *frozen = find(x, "frozen", 2), *warm = find(x, "warm", 2);
    EXPECT(strcmp(frozen->source, warm->id) == 0 && &x->runs[frozen->source_run] == warm, "%s",
           frozen->source);
    EXPECT(strcmp(warm->source, find(x, "plain", 2)->id) == 0, "%s", warm->source);
    supervisor_result r = supervise(x, 3);
    EXPECT(r.done == 6, "%d done, %d failed", r.done, r.failed);
    char a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    double begun = status_of(frozen, a).started_at, ended = status_of(warm, b).ended_at;
    EXPECT(begun >= ended, "begun %f before its source ended %f", begun, ended);
    same_parameters(a, b);
    experiment_free(x);
}

/* Fine-tuning: a hashed layer's experts learn on under another table, all else is frozen; and a
 * dense model becomes a sparse one. Nothing decays or is lazy, so that what gets no gradient stays.
 */
static const char TUNED[] =
    "sweep:\n"
    "  list:\n"
    "    - label: source\n"
    "      model.blocks: [{ffn: {hidden: 16}}, {hash_ffn: {experts: 4, hidden: 16}}]\n"
    "    - label: tuned\n"
    "      init_from: {variant: source, skip: [\"*.table\"]}\n"
    "      model.blocks: [{ffn: {hidden: 16}},\n"
    "        {hash_ffn: {experts: 4, hidden: 16, hash: balanced}}]\n"
    "      optimizer.groups: [{match: \"*\", freeze: true},\n"
    "        {match: \"*.hash_ffn.*\", freeze: false}]\n"
    "    - label: sparse\n"
    "      init_from: {variant: source, map: {\"blocks.0.ffn.*\": \"blocks.0.hash_ffn.*\"}}\n"
    "      model.blocks: [{hash_ffn: {experts: 2, hidden: 16}},\n"
    "        {hash_ffn: {experts: 4, hidden: 16}}]\n"
    "      optimizer.groups: [{match: \"*\", freeze: true}]\n";

/* 1: equal to the bit, 0: not, -1: not there. */
static int equal_tensors(const safetensors *s, const char *a, const safetensors *t, const char *b,
                         size_t offset)
{
    const st_tensor *x = safetensors_find(s, a), *y = safetensors_find(t, b);
    if (!x || !y || offset + x->bytes > y->bytes) return -1;
    return memcmp(x->data, (const char *)y->data + offset, x->bytes) == 0;
}

static safetensors *model_tensors(const experiment *x, const char *label)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    run_status s = status_of(find(x, label, 1), folder);
    EXPECT(s.state == RUN_DONE, "%s: %s", label, s.reason);
    checkpoint_files_folder(path, folder, &e);
    safetensors *file = checkpoint_files_open(path, "model", &e);
    EXPECT(file, "%s", e.text);
    return file;
}

static void fine_tuned(void)
{
    if (!test_program()) return;
    err e = {0};
    experiment *x = experiment_of(TUNED, &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    const char *taken = find(x, "tuned", 1)->taken;
    EXPECT(taken && strstr(taken, " parameters are taken; these start fresh: blocks.") &&
               strstr(taken, "hash_ffn"),
           "%s", taken ? taken : "nothing is said");
    EXPECT(!find(x, "source", 1)->taken, "the source starts from nothing");
    supervise(x, 1);
    safetensors *source = model_tensors(x, "source"), *tuned = model_tensors(x, "tuned");
    safetensors *sparse = model_tensors(x, "sparse");
    for (int i = 0; source && tuned && i < safetensors_count(source); i++) {
        const char *name = safetensors_at(source, i)->name;
        bool learns = strstr(name, ".hash_ffn.") != NULL;
        EXPECT(equal_tensors(source, name, tuned, name, 0) == !learns, "%s", name);
    }
    for (size_t k = 0; source && sparse && k < 2; k++) { /* each expert is the dense layer */
        static const char *const parts[] = {"keys.weight", "values.weight", "keys.bias"};
        for (int i = 0; i < 3; i++) {
            char from[64], to[64];
            snprintf(from, sizeof from, "blocks.0.ffn.%s", parts[i]);
            snprintf(to, sizeof to, "blocks.0.hash_ffn.%s", parts[i]);
            const st_tensor *dense = safetensors_find(source, from);
            EXPECT(dense && equal_tensors(source, from, sparse, to, k * dense->bytes) == 1, "%s",
                   to);
        }
    }
    if (source) safetensors_close(source);
    if (tuned) safetensors_close(tuned);
    if (sparse) safetensors_close(sparse);
    experiment_free(x);
}

static void failed_source(void)
{
    if (!test_program()) return;
    err e = {0};
    experiment *x =
        experiment_of("sweep:\n"
                      "  grid:\n"
                      "    start:\n"
                      "      wild: {optimizer.kind: sgd, optimizer.lr: 1e6, optimizer.clip: 0,\n"
                      "        optimizer.groups: [{match: \"*\", lr: 1e6}]}\n"
                      "      warm: {init_from.variant: wild}\n"
                      "      next: {init_from.variant: warm}\n"
                      "      plain: {}\n",
                      &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    char folder[FILE_PATH_BYTES];
    supervisor_result r = supervise(x, 2);
    EXPECT(r.done == 1 && r.failed == 3, "%d done, %d failed", r.done, r.failed);
    run_status s = status_of(find(x, "warm", 1), folder);
    EXPECT(s.state == RUN_FAILED && strstr(s.reason, "starts from wild, seed 1, which diverged"),
           "%s", s.reason);
    s = status_of(find(x, "next", 1), folder);
    EXPECT(s.state == RUN_FAILED && strstr(s.reason, "starts from warm"), "%s", s.reason);
    /* Who reads results finds a run that failed, not one that is still to come. */
    char path[FILE_PATH_BYTES];
    EXPECT(file_join(path, folder, "plan.json", &e) && file_exists(path), "%s", path);
    experiment_free(x);
}

/* Layers made from a trained model's tensors, or told its predictions; the latter's state is saved
 * with the run, and the finished model brings its source along. */
static void sources_of_layers(void)
{
    if (!test_program()) return;
    err e = {0};
    experiment *x = experiment_of(
        "sweep:\n"
        "  list:\n"
        "    - {label: plain}\n"
        "    - {label: told, init_from: {variant: plain, only: []}, model.blocks: [{attention:\n"
        "        {heads: 2}, hash_ffn: {experts: 4, hidden: 16, hash: predicted_future}}]}\n"
        "    - {label: made, init_from: {variant: plain, only: [\"embedding.*\"]}, model.blocks:\n"
        "        [{hash_ffn: {experts: 4, hidden: 16, hash: clustered}}]}\n",
        &e);
    EXPECT(x, "%s", e.text);
    if (!x) return;
    EXPECT(supervise(x, 2).done == 3, "not all done");
    corpus_places places = {.roots = NULL, .cache = test_folder()};
    for (int i = 1; i < 3; i++) {
        char folder[FILE_PATH_BYTES];
        trained_model m;
        run_status s = status_of(&x->runs[i], folder);
        bool ok = trained_model_load(&m, folder, NULL, NULL, &places, &e);
        EXPECT(ok && (m.source != NULL) == (i == 1), "%s: %s", s.reason, e.text);
        if (!ok) continue;
        /* A guide's work is counted, before it is there, too. */
        double planned = x->runs[i].cost.forward_flops, found = model_costs(m.model).forward_flops;
        EXPECT(found == planned && (planned > x->runs[0].cost.forward_flops) == (i == 1),
               "%s: %g planned, %g found", x->runs[i].label, planned, found);
        trained_model_close(&m);
    }
    experiment_free(x);
}

/* A run's identity holds its source's; a checkpoint's is its content. */
static void identity(void)
{
    if (!test_program()) return;
    err e = {0};
    char folder[FILE_PATH_BYTES], text[2 * FILE_PATH_BYTES], ids[3][IDENTITY_CHARS];
    experiment *x = experiment_of("sweep: {list: [{label: plain}, {label: warm, "
                                  "init_from.variant: plain}]}\n",
                                  &e);
    EXPECT(x && supervise(x, 1).done == 2, "%s", e.text);
    if (!x) return;
    EXPECT(strcmp(x->runs[0].variant, x->runs[1].variant) != 0, "%s", x->runs[1].variant);
    status_of(&x->runs[0], folder);
    char moved[FILE_PATH_BYTES];
    file_join(moved, test_folder(), "moved", &e);
    EXPECT(rename(folder, moved) == 0, "%s", folder);
    experiment_free(x);
    static const char *const steps[] = {"10", "10", "11"};
    for (int i = 0; i < 3; i++) { /* wherever it lies */
        const char *at = i == 1 ? folder : moved;
        if (i == 1) EXPECT(rename(moved, folder) == 0, "%s", moved);
        if (i == 2) EXPECT(rename(folder, moved) == 0, "%s", folder);
        snprintf(text, sizeof text,
                 "init_from: {checkpoint: %s}\nsweep: {list: [{train.budget: "
                 "{steps: %s}}]}\n",
                 at, steps[i]);
        x = experiment_of(text, &e);
        EXPECT(x, "%s", e.text);
        snprintf(ids[i], IDENTITY_CHARS, "%s", x ? x->runs[0].id : "none");
        if (i == 0 && x) EXPECT(supervise(x, 1).done == 1, "not done");
        experiment_free(x);
    }
    EXPECT(strcmp(ids[0], ids[1]) == 0 && strcmp(ids[0], ids[2]) != 0, "%s %s %s", ids[0], ids[1],
           ids[2]);
}

/* {axis: value}: the source differs from the variant on that axis alone. */
static void siblings(void)
{
    err e = {0};
    experiment *x = experiment_of(
        "sweep:\n"
        "  grid:\n"
        "    optimizer.lr: [1e-3, 2e-3]\n"
        "    start:\n"
        "      plain: {}\n"
        "      warm: {init_from.variant: {start: plain}, train.budget: {steps: 1}}\n"
        "      fixed: {init_from.variant: {start: plain, lr: 2e-3}, train.budget: {steps: 2}}\n",
        &e);
    EXPECT(x && x->run_count == 6, "%s", e.text);
    if (!x) return;
    for (int lr = 0; lr < 2; lr++) {
        const run_plan *r = x->runs + 3 * lr;
        EXPECT(r[1].source_run == 3 * lr && r[2].source_run == 3, "%s: %d, %s: %d", r[1].label,
               r[1].source_run, r[2].label, r[2].source_run);
        EXPECT(strcmp(r[1].source, r[0].id) == 0, "%s", r[1].source);
    }
    experiment_free(x);
}

static void refused_sweep(const char *more, const char *words)
{
    err e = {0};
    experiment *x = experiment_of(more, &e);
    EXPECT(!x && strstr(e.text, words), "%s", e.text);
    experiment_free(x);
}

static void refused_sweeps(void)
{
    refused_sweep("sweep: {list: [{label: plain}, {label: a, init_from.variant: plan}]}\n",
                  "did you mean 'plain'?");
    refused_sweep("init_from: {variant: plain}\nsweep: {list: [{label: plain}, {label: a, "
                  "optimizer.lr: 1e-4}]}\n",
                  "from itself");
    refused_sweep("sweep: {list: [{label: a, init_from.variant: b}, {label: b, "
                  "init_from.variant: a}]}\n",
                  "circle");
    refused_sweep("sweep: {list: [{label: plain}, {label: wide, model.width: 32, "
                  "init_from.variant: plain}]}\n",
                  "(in variant 'wide')");
    refused_sweep("sweep: {list: [{label: plain}, {label: a, init_from.variant: {lr: 1}}]}\n",
                  "no variant has these values");
    refused_sweep("sweep: {grid: {optimizer.lr: [1e-3, 2e-3], start: {plain: {}, a: "
                  "{init_from.variant: {lr: [1]}}}}}\n",
                  "expected a value of the axis 'lr'");
    refused_sweep("init_from: {checkpoint: /nowhere}\n",
                  ":12: init_from: /nowhere: holds no checkpoint");
}

const test_suite test_init_from = {"harness/init_from",
                                   {{"patterns", patterns},
                                    {"dense_to_sparse", dense_to_sparse},
                                    {"refusals", refusals},
                                    {"trained_in_order", trained_in_order},
                                    {"fine_tuned", fine_tuned},
                                    {"failed_source", failed_source},
                                    {"sources_of_layers", sources_of_layers},
                                    {"identity", identity},
                                    {"siblings", siblings},
                                    {"refused_sweeps", refused_sweeps},
                                    {0}}};
