/* Routing stability: hashes stand still, learned routers move; a killed and continued run logs what
 * an undisturbed one does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "harness/evaluate/routing_trace.h"
#include "tests/support/damaged_run.h"
#include "tests/support/trials.h"
#include "tests/test.h"

/* The stack runs block by block in the second form: its choices come in parts. */
static const char ROUTED[] =
    "model:\n"
    "  width: 16\n"
    "  context: 8\n"
    "  blocks:\n"
    "    - {attention: {heads: 2}, hash_ffn: {experts: 4, hidden: 16}}\n"
    "    - {attention: {heads: 2}, switch_ffn: {experts: 4, hidden: 16, top_k: 2}}\n"
    "optimizer: {lr: 3e-2}\n";
static const char BLOCKWISE[] = "model:\n"
                                "  width: 16\n"
                                "  context: 8\n"
                                "  blocks:\n"
                                "    - block_recurrent: {heads: 2, write: false, reads: [1]}\n"
                                "      hash_ffn: {experts: 4, hidden: 16, hash: bigram}\n"
                                "    - block_recurrent: {heads: 2, states: 4}\n"
                                "      base_ffn: {experts: 4, hidden: 16}\n"
                                "optimizer: {lr: 3e-2}\n";

/* Evaluation `index` of the run as a record (decref it). */
static json_t *evaluation_at(const char *folder, int index)
{
    char path[FILE_PATH_BYTES];
    size_t bytes;
    err e = {0};
    if (!file_join(path, folder, "evals.jsonl", &e)) return NULL;
    char *text = file_read(path, &bytes, &e), *line = text;
    EXPECT(text, "%s", e.text);
    for (int i = 0; line && i < index; i++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    json_t *o = line ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    free(text);
    return o;
}

/* That of a layer at an evaluation; -1: not there. */
static double figure_of(const char *folder, int index, const char *name, const char *figure)
{
    json_t *o = evaluation_at(folder, index);
    const json_t *x = json_object_get(json_object_get(json_object_get(o, "layers"), name), figure);
    double value = x ? json_number_value(x) : -1;
    json_decref(o);
    return value;
}

static void stability(void)
{
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(whole, "whole", TRIAL_SPEC, ROUTED, 3);
    EXPECT(trial_worker(whole, NULL, -1, 0) == 0, "the run ends well");
    double moved = 0;
    for (int i = 0; i < 4; i++) {
        double hash = figure_of(whole, i, "blocks.0.hash_ffn", "changed");
        double learned = figure_of(whole, i, "blocks.1.switch_ffn", "changed");
        /* Every 3 steps; the last is a single step later. */
        bool compared = i == 1 || i == 2;
        EXPECT(hash == (compared ? 0 : -1), "evaluation %d: hash %g", i, hash);
        EXPECT(compared ? learned >= 0 && learned <= 1 : learned == -1, "evaluation %d: switch %g",
               i, learned);
        moved += compared ? learned : 0;
        json_t *o = evaluation_at(whole, i);
        double sampled = figure_of(whole, i, "blocks.0.hash_ffn", "sampled");
        EXPECT(!compared || sampled == json_get_double(o, "tokens"), "%g sampled", sampled);
        json_decref(o);
    }
    EXPECT(moved > 0, "a learned router that trains moves no token");
    static const char *const moments[] = {"step:7", "evaluated:3", "checkpoint_file:9"};
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "killed-%d", i);
        trial_folder(folder, name, TRIAL_SPEC, ROUTED, 3);
        EXPECT(trial_worker(folder, moments[i], -1, 0) == 128 + SIGKILL, "%s", moments[i]);
        EXPECT(trial_worker(folder, NULL, -1, 0) == 0, "continued after %s", moments[i]);
        trial_same(moments[i], whole, folder);
    }
}

/* A disk has lost the end of the last evaluation. */
static void cut_last_line(const char *folder)
{
    char path[FILE_PATH_BYTES];
    int64_t bytes = 0;
    err e = {0};
    EXPECT(file_join(path, folder, "evals.jsonl", &e) && file_stat(path, &bytes, NULL, &e), "%s",
           e.text);
    damaged_run_file(folder, "evals.jsonl", (long)bytes - 20);
}

/* A final evaluation that is made anew without the training state does not know what the one before
 * saw: it says so, whichever layers route, and nothing where it would not have told it. */
static void made_anew_it_is_unknown(void)
{
    static const struct {
        const char *every;
        int last;
        bool told;
    } cases[] = {
        {"eval_every: 6", 1, true}, {"eval_every: 3", 3, false}, {"eval_every: 4", 2, true}};
    char folder[FILE_PATH_BYTES], name[32], more[1024];
    if (!test_program()) return;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "anew%d", i);
        snprintf(more, sizeof more,
                 "%strain: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, log_every: 2, "
                 "%s}\n",
                 ROUTED, cases[i].every);
        trial_folder(folder, name, TRIAL_SPEC, more, 3);
        EXPECT(trial_worker(folder, NULL, -1, 0) == 0, "%s", trial_status(folder).reason);
        json_auto_t *before = evaluation_at(folder, cases[i].last);
        EXPECT(json_is_true(json_object_get(before, "final")), "%s: not the last", cases[i].every);
        damaged_run_without_state(folder);
        cut_last_line(folder);
        EXPECT(trial_worker(folder, NULL, -1, 0) == 0, "%s", trial_status(folder).reason);
        json_auto_t *after = evaluation_at(folder, cases[i].last);
        for (int l = 0; l < 2; l++) {
            const char *of = l ? "blocks.1.switch_ffn" : "blocks.0.hash_ffn";
            json_t *was = json_object_get(json_object_get(before, "layers"), of);
            json_t *is = json_object_get(json_object_get(after, "layers"), of);
            EXPECT(!json_object_get(was, "changed") == !cases[i].told, "%s: before",
                   cases[i].every);
            EXPECT(json_is_null(json_object_get(is, "changed")) == cases[i].told &&
                       json_is_null(json_object_get(is, "sampled")) == cases[i].told,
                   "%s: %s", cases[i].every, of);
        }
        EXPECT(json_get_double(before, "nats") == json_get_double(after, "nats"), "other figures");
    }
    /* Of another protocol there was none before. */
    strcat(more, "eval: {rows: 2}\n");
    trial_folder(folder, name, TRIAL_SPEC, more, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == 0, "%s", trial_status(folder).reason);
    json_auto_t *other = evaluation_at(folder, 3);
    json_t *layers = json_object_get(other, "layers");
    EXPECT(other && !json_object_get(json_object_get(layers, "blocks.0.hash_ffn"), "changed"),
           "it was compared");
}

static void block_by_block(void)
{
    char folder[FILE_PATH_BYTES];
    if (!test_program()) return;
    trial_folder(folder, "blocks", TRIAL_SPEC, BLOCKWISE, 3);
    EXPECT(trial_worker(folder, NULL, -1, 0) == 0, "the run ends well");
    EXPECT(figure_of(folder, 1, "blocks.0.hash_ffn", "changed") == 0, "a hash of two tokens moved");
    EXPECT(figure_of(folder, 2, "blocks.1.base_ffn", "changed") >= 0, "nothing traced");
}

/* What would be another sample is not compared with. */
static void other_tokens(void)
{
    routing_trace *r = routing_trace_new();
    routing_view views[ROUTING_LAYERS], one = {"blocks.0.hash_ffn", 64, (int32_t[64]){1, 2}};
    int64_t tokens;
    routing_trace_restore(r, 60, &one);
    EXPECT(routing_trace_views(r, &tokens, views) == 1 && tokens == 60 && views[0].experts[1] == 2,
           "what was put back is there");
    one.count = 128; /* a file of another program's */
    routing_trace_restore(r, 60, &one);
    one.layer = "blocks.1.hash_ffn";
    routing_trace_restore(r, 60, &one);
    EXPECT(routing_trace_views(r, &tokens, views) == 1, "and nothing else");
    one = (routing_view){"blocks.0.hash_ffn", 64, one.experts};
    static const int64_t none[] = {-1, -1000000, INT64_MIN, INT64_MAX, 0};
    for (int i = 0; i < 5; i++) {
        routing_trace_restore(r, none[i], &one);
        EXPECT(routing_trace_views(r, &tokens, views) == 1 && tokens == 60,
               "%lld tokens are none that were scored", (long long)none[i]);
    }
    EXPECT(!routing_trace_end(r), "no evaluation of these tokens");
    routing_trace_free(r);
}

const test_suite test_routing_trace = {"harness/routing_trace",
                                       {{"stability", stability},
                                        {"made_anew_it_is_unknown", made_anew_it_is_unknown},
                                        {"block_by_block", block_by_block},
                                        {"other_tokens", other_tokens},
                                        {0}}};
