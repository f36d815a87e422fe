/* What is trained alike has one identity, however its spec is written: over all option tables but
 * those of layers (tests/layers/test_option_effect.c). */
#include "data/corpus_class.h"
#include "harness/run/identity.h"
#include "harness/train/trainer.h"
#include "tests/support/draw.h"
#include "tests/support/option_values.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { STEPS = 5, MAX_TABLES = 16 };

/* ---- what a spec trains ---- */

static const char SPEC[] =
    "data: {corpus: markov, symbols: 8, tokens: 4000, held_out: 600, length: 150}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 8}}]}\n"
    "optimizer: {clip: 0}\n"
    "schedule: {}\n"
    "train: {budget: {steps: 5}, batch: 4, segment: 16}\n";

static const char PROBE[] =
    "data: {corpus: probe, distances: [32, 48], tokens: 4000, held_out: 600}\n"
    "model: {width: 8, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 8}}]}\n"
    "train: {budget: {steps: 5}, batch: 4, segment: 16}\n";

typedef struct training {
    bool refused;
    uint64_t hash;
    char identity[IDENTITY_CHARS];
} training;

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * 0x100000001B3u;
    }
    return hash;
}

static uint64_t trained(workload *w)
{
    err e = {0};
    train_report report;
    trainer *t = trainer_new(w, 1, (train_length){.steps = STEPS}, &e);
    EXPECT(t, "%s", e.text);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; t && i < STEPS; i++) {
        EXPECT(trainer_step(t, &report, &e), "%s", e.text);
        hash = add_bytes(hash, &report.nats, sizeof report.nats);
    }
    if (t) {
        size_t n = (size_t)model_params_const(w->model)->total;
        hash = add_bytes(hash, t->values, n * sizeof(real));
    }
    trainer_free(t);
    return hash;
}

/* `more` are lines "path=value", or NULL. */
static training training_of(const char *spec, const char *const more[], int count)
{
    training result = {.refused = true};
    arena *a = arena_new(1 << 16);
    err e = {0};
    node *root = node_parse(a, spec, strlen(spec), "spec", &e);
    bool ok = root != NULL;
    for (int i = 0; ok && i < count; i++) {
        if (!more[i]) continue;
        const char *equals = strchr(more[i], '=');
        const char *path = arena_strndup(a, more[i], (size_t)(equals - more[i]));
        node *value = node_parse(a, equals + 1, strlen(equals + 1), "value", &e);
        ok = value && node_put(a, root, path, value, &e);
    }
    EXPECT(ok, "%s", e.text);
    if (ok) node_repath(a, root, "");
    const corpus_places places = {.roots = NULL, .cache = test_folder()};
    workload w;
    if (ok && workload_open(&w, root, 1, &places, &e)) {
        result.refused = false;
        result.hash = trained(&w);
        identity_variant(result.identity, &w, NULL);
        workload_close(&w);
    }
    arena_free(a);
    return result;
}

static void compare(const char *what, const char *value, const training *x, const training *plain,
                    bool tells_later)
{
    if (x->refused) return;
    bool same = x->hash == plain->hash, one = strcmp(x->identity, plain->identity) == 0;
    EXPECT(same || !one, "%s %s is another training of the same identity", what, value);
    EXPECT(one || !same || tells_later, "%s %s is the same training of another identity", what,
           value);
}

/* ---- all options ---- */

/* Shown only by gradients, steps, calls or other splits that this training does not have. Products
 * in double are OpenBLAS's whether it is asked for or not. */
static bool tells_later(const option *o)
{
    static const char *const names[] = {"clip", "update_clip", "eps",
                                        "eps1", "partial",     "relative_step",
                                        "min",  "held_out",    "power"};
    if (strcmp(o->name, "gemm") == 0) return sizeof(real) == sizeof(double);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(o->name, names[i]) == 0) return true;
    }
    return false;
}

static void table(const char *spec, const char *section, const option *options, const char *context)
{
    const char *more[] = {context, NULL};
    training plain = training_of(spec, more, 1);
    EXPECT(!plain.refused, "%s is refused", context ? context : "the spec");
    for (const option *o = options; o->name; o++) {
        char values[OPTION_VALUES][OPTION_VALUE_CHARS], set[1024], what[1024];
        int count = option_values(o, values);
        for (int i = 0; i < count; i++) {
            snprintf(set, sizeof set, "%s.%s=%s", section, o->name, values[i]);
            /* More than this needs much memory, and says no more. */
            if (strcmp(o->name, "width") == 0 && strlen(values[i]) > 2) continue;
            if (!drawn_if_slow("identity", set)) continue;
            snprintf(what, sizeof what, "%s:", context ? context : "");
            more[1] = set;
            training x = training_of(spec, more, 2);
            compare(what, set, &x, &plain, tells_later(o));
        }
    }
}

static void training_options(void)
{
    static const char *const contexts[] = {
        NULL,
        "optimizer={kind: adam, clip: 0}",
        "optimizer={kind: adam, weight_decay: 0.5, clip: 0}",
        "optimizer={kind: adafactor}",
        "optimizer={kind: adafactor, weight_decay: 0.5, scale_parameter: false}",
        "optimizer={kind: sgd, clip: 0}",
        "optimizer={kind: sgd, momentum: 0, clip: 0}",
        "optimizer={weight_decay: 0.5, groups: [{match: \"*\", decay: false}], clip: 0}",
    };
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
        if (test_sub("optimizer/%s", contexts[i] ? contexts[i] : "default")) {
            table(SPEC, "optimizer", OPTIM_OPTIONS, contexts[i]);
        }
    }
    static const char *const schedules[] = {NULL,
                                            "schedule={kind: constant}",
                                            "schedule={kind: linear}",
                                            "schedule={kind: inverse_sqrt}",
                                            "schedule={min: 1}",
                                            "schedule={warmup: 1}",
                                            "schedule={kind: inverse_sqrt, warmup: 2}"};
    for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++) {
        if (test_sub("schedule/%s", schedules[i] ? schedules[i] : "default")) {
            table(SPEC, "schedule", SCHEDULE_OPTIONS, schedules[i]);
        }
    }
    static const char *const trains[] = {NULL, "train={budget: {steps: 5}, batch: 4}",
                                         "train={budget: {steps: 5}, batch: 64, segment: 8}"};
    for (size_t i = 0; i < sizeof trains / sizeof *trains; i++) {
        if (test_sub("train/%s", trains[i] ? trains[i] : "default")) {
            table(SPEC, "train", TRAIN_OPTIONS, trains[i]);
        }
    }
}

static void model_tables(void)
{
    const char *names[MAX_TABLES];
    const option *tables[MAX_TABLES];
    int count = model_option_tables(names, tables, MAX_TABLES);
    static const char *const contexts[] = {
        NULL,
        "model.norm={kind: none}",
        "model.norm={kind: rmsnorm}",
        "model.norm={place: post}",
        "model.embedding={tied: true}",
        "model.blocks=[{ffn: {hidden: 8}}]",
    };
    for (size_t k = 0; k < sizeof contexts / sizeof *contexts; k++) {
        for (int i = 0; i < count; i++) {
            char section[256];
            snprintf(section, sizeof section, "model%s%s", *names[i] ? "." : "", names[i]);
            if (!test_sub("%s/%s", section, contexts[k] ? contexts[k] : "default")) continue;
            table(SPEC, section, tables[i], contexts[k]);
        }
    }
}

static void corpus_options(void)
{
    static const char *const tasks[] = {"data.task=copy", "data.task=recall", "data.task=mqar",
                                        "data.task=needle"};
    if (test_sub("markov")) table(SPEC, "data", corpus_class_find("markov")->options, NULL);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (!test_sub("%s", tasks[i])) continue;
        table(PROBE, "data", corpus_class_find("probe")->options, tasks[i]);
    }
}

/* ---- what no table of plain values holds ---- */

static void alike(const char *x, const char *y)
{
    const char *const more[] = {x, y};
    training a = training_of(SPEC, more, 1), b = training_of(SPEC, more + 1, 1);
    EXPECT(!a.refused && !b.refused, "%s or %s is refused", x, y);
    EXPECT(a.hash == b.hash, "%s trains as %s does not", x, y);
    EXPECT(strcmp(a.identity, b.identity) == 0, "%s and %s: two identities", x, y);
}

static void unlike(const char *x, const char *y)
{
    const char *const more[] = {x, y};
    training a = training_of(SPEC, more, 1), b = training_of(SPEC, more + 1, 1);
    EXPECT(!a.refused && !b.refused, "%s or %s is refused", x, y);
    EXPECT(strcmp(a.identity, b.identity) != 0, "%s and %s: one identity", x, y);
}

static void groups(void)
{
    const char *none = "optimizer={weight_decay: 0.5}";
    alike(none, "optimizer={weight_decay: 0.5, groups: [{match: \"*\", lr: 1}]}");
    alike(none, "optimizer={weight_decay: 0.5, groups: [{match: \"*.bias\", freeze: false}]}");
    alike(none, "optimizer={weight_decay: 0.5, groups: [{match: \"*\", freeze: true}, {match: "
                "\"*\", freeze: false}]}");
    const char *half = "optimizer={groups: [{match: \"*.bias\", lr: 0.5}]}";
    alike(half, "optimizer={groups: [{match: \"*.bias\", lr: 0.5, freeze: false}]}");
    alike(half, "optimizer={groups: [{match: \"*.bias\", lr: 5e-1}, {match: \"*.gain\", lr: 1}]}");
    alike(half, "optimizer={groups: [{match: \"*.bias\", lr: 3}, {match: \"*.bias\", lr: 0.5}]}");
    unlike(half, none);
    unlike(half, "optimizer={groups: [{match: \"*.bias\", lr: 0.5}, {match: \"*.gain\", lr: 2}]}");
    const char *frozen =
        "optimizer={weight_decay: 0.5, groups: [{match: \"*ffn*\", freeze: true}]}";
    alike(frozen,
          "optimizer={weight_decay: 0.5, groups: [{match: \"*ffn*\", freeze: true, lr: 4}]}");
    unlike(frozen, none);
}

static void elsewhere(void)
{
    alike("train.budget={tokens: 2k}", "train.budget={tokens: 2000}");
    alike("model.blocks=[{repeat: 2, ffn: {hidden: 8}}]",
          "model.blocks=[{ffn: {hidden: 8}}, {ffn: {hidden: 8}}]");
    alike("eval={dynamic: {kind: sgd, rate: 0.1, segment: 8}}",
          "eval={dynamic: {kind: sgd, rates: [0.1]}}");
    unlike("eval={dynamic: {kind: sgd, rate: 0.1}}",
           "eval={dynamic: {kind: sgd, rates: [0.1, 1]}}");
}

/* Written down when there was only what differs from defaults, without a settled spelling: results
 * that are there keep their names. Only a change of LOCI_NUMERICS or of a default may change these.
 */
static void written_down(void)
{
    static const struct {
        const char *identity, *blocks, *optimizer, *schedule;
    } specs[] = {
        {"8ea787750fd512d6", "[{attention: {heads: 2}, ffn: {hidden: 8}}]", "{clip: 0}", "{}"},
        {"567cb89492861852",
         "[{attention: {heads: 4, kv_heads: 2, memory: 8, positions: t5, qk_norm: l2, qk_scale: "
         "2}, ffn: {hidden: 32, activation: swiglu}}]",
         "{lr: 3e-3, weight_decay: 0.1, groups: [{match: \"*.bias\", lr: 0.5}]}",
         "{kind: cosine, warmup: 4}"},
        {"dc9b7cc717cc273a",
         "[{block_recurrent: {heads: 2, states: 4, state_scale: 2, configuration: dual, "
         "state_hidden: 8}, hash_ffn: {experts: 4, hidden: 16, hash: bigram, seed: 3}}]",
         "{kind: adam, weight_decay: 0.1}", "{kind: constant}"},
        {"ca210d0ba340faeb",
         "[{gated_delta: {heads: 2, value_heads: 4}, switch_ffn: {experts: 4, hidden: 16, "
         "capacity: 2}}]",
         "{kind: sgd, momentum: 0.5}", "{kind: linear, min: 0}"},
        {"4916de414887fb57",
         "[{memorizing: {heads: 2, length: 16, top: 4, lookup_scale: 4}, pkm: {half_keys: 8, top: "
         "2}}]",
         "{kind: adafactor}", "{kind: inverse_sqrt, warmup: 2}"},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char sets[3][512];
        snprintf(sets[0], sizeof sets[0], "model.blocks=%s", specs[i].blocks);
        snprintf(sets[1], sizeof sets[1], "optimizer=%s", specs[i].optimizer);
        snprintf(sets[2], sizeof sets[2], "schedule=%s", specs[i].schedule);
        const char *const more[] = {sets[0], sets[1], sets[2]};
        training t = training_of(SPEC, more, 3);
        EXPECT(!t.refused && strcmp(t.identity, specs[i].identity) == 0, "%s, not %s", t.identity,
               specs[i].identity);
    }
}

extern const test_suite test_identity;
const test_suite test_identity = {"harness/identity",
                                  {{"training/", training_options},
                                   {"model/", model_tables},
                                   {"data/", corpus_options},
                                   {"groups", groups},
                                   {"elsewhere", elsewhere},
                                   {"written_down", written_down},
                                   {0}}};
