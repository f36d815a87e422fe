/* An evaluation in several sittings: what was kept of one that was interrupted, and what does not
 * fit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/evaluate/diagnose.h"
#include "harness/evaluate/eval_keep.h"
#include "harness/evaluate/part_sum.h"
#include "tests/support/evaluated.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

static const char STATELESS[] =
    "model: {width: 16, context: 8, blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]}\n";

typedef struct sitting {
    volatile sig_atomic_t stop;
    int64_t tokens; /* told first */
} sitting;

/* Stops where more was read than there was at its beginning. */
static void stop_soon(void *user, int64_t tokens, int64_t of, double seconds)
{
    sitting *s = user;
    (void)of;
    (void)seconds;
    if (s->tokens < 0) {
        s->tokens = tokens;
    } else if (tokens > s->tokens) {
        s->stop = 1;
    }
}

static bool always(void *user, err *e)
{
    (void)user;
    (void)e;
    return true;
}

/* Its end comes so late that all of it is kept. */
static void end_late(void *user, int64_t tokens, int64_t of, double seconds)
{
    (void)user;
    (void)seconds;
    if (tokens >= of) usleep(1010000);
}

/* Stopped soon, and kept; its parts are borrowed. */
static eval_task task_of(const trainer *t, const eval_options *o, sitting *now,
                         const eval_keep *keep)
{
    return (eval_task){.model = t->w->eval_model,
                       .values = t->values,
                       .corpus = t->w->corpus,
                       .options = o,
                       .threads = 1,
                       .stop = &now->stop,
                       .reader = {stop_soon, now, NULL},
                       .keep = keep};
}

/* One call, or one round of calls, of each sitting; threads as they come. */
static void in_sittings(const char *what, trainer *t, const char *how)
{
    char whole[FILE_PATH_BYTES], parts[FILE_PATH_BYTES], part[FILE_PATH_BYTES];
    file_join(whole, test_folder(), "whole.f32", NULL);
    file_join(parts, test_folder(), "parts.f32", NULL);
    file_join(part, test_folder(), "part-x", NULL);
    arena *a = arena_new(1 << 14);
    err e = {0};
    eval_options o;
    const node *section = node_parse(a, how, strlen(how), "eval", &e);
    EXPECT(section && eval_options_read(&o, section, a, &e), "%s", e.text);
    evaluation one = evaluated_with(t, &o, 1, 0, whole), r = {.stopped = true};
    json_t *more = NULL;
    int sittings = 0;
    for (; r.stopped && sittings < 1000; sittings++) {
        sitting now = {.tokens = sittings ? -1 : 0};
        const eval_keep keep = {part, 1000, always, NULL, NULL};
        eval_task task = task_of(t, &o, &now, &keep);
        task.threads = 1 + sittings % 3;
        task.losses_path = parts;
        evaluate_deinit(&r);
        json_decref(more);
        EXPECT(diagnose_evaluation(&r, &more, &task, false, &e), "%s: %s", what, e.text);
    }
    EXPECT(!r.stopped && sittings > 2, "%s: %d sittings", what, sittings);
    EXPECT(r.tokens == one.tokens && !memcmp(&r.nats, &one.nats, sizeof r.nats),
           "%s: %.17g nats in %d sittings, %.17g in one", what, r.nats, sittings, one.nats);
    size_t n = 0, m = 0;
    char *x = one.answers_only ? NULL : file_read(whole, &n, &e);
    char *y = r.answers_only ? NULL : file_read(parts, &m, &e);
    EXPECT(n == m && (n == 0 || !memcmp(x, y, n)), "%s: other losses of tokens", what);
    free(x);
    free(y);
    json_t *asked = json_object_get(more, "recall");
    double answers = 0;
    for (size_t i = 0; i < json_array_size(asked); i++) {
        answers += (double)json_get_int(json_array_get(asked, i), "answers", 0);
    }
    EXPECT(!asked || answers > 0, "%s: %g answers", what, answers);
    json_decref(more);
    evaluate_deinit(&one);
    evaluate_deinit(&r);
    EXPECT(eval_keep_clear(test_folder(), &e), "%s", e.text);
    arena_free(a);
}

static void several_sittings(void)
{
    static const char PROBE[] =
        "data: {corpus: probe, task: copy, length: 2, distances: [20, 40], tokens: 4000,\n"
        "  held_out: 600, learn: answers}\n";
    static const char RECURRENT[] =
        "model: {width: 16, context: 8, blocks: [{block_recurrent: {heads: 2, states: 4}}]}\n";
    static const char *const CASES[][2] = {
        {NULL, "{rows: 3}"},
        {NULL, "{rows: 2, tokens: 130, span: 40}"},
        {STATELESS, "{rows: 4}"},
        {RECURRENT, "{rows: 2}"},
        {PROBE, "{rows: 2}"},
        {NULL, "{rows: 2, dynamic: {kind: rms, rates: [1e-4, 1e-3], decay: 1e-3, carry: true, "
               "statistics: 500}}"}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        workload w;
        trainer *t = evaluated_trained(&w, CASES[i][0]);
        if (!t) return;
        char what[256];
        snprintf(what, sizeof what, "%s %s", CASES[i][0] ? CASES[i][0] : "", CASES[i][1]);
        in_sittings(what, t, CASES[i][1]);
        trainer_free(t);
        workload_close(&w);
    }
}

/* What does not fit (another text's, cut, of other sizes) is not gone on from. */
static void parts_that_do_not_fit(void)
{
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    char part[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    file_join(part, test_folder(), "part-x", NULL);
    file_join(path, test_folder(), "part-x.safetensors", NULL);
    const eval_keep keep = {part, 1000, always, NULL, NULL};
    eval_options few = {.split = SPLIT_VALIDATION, .rows = 2, .tokens = 100};
    eval_options all = {.split = SPLIT_VALIDATION, .rows = 3};
    evaluation one = evaluated_with(t, &all, 1, 0, NULL);
    for (int i = 0; i < 3; i++) {
        sitting now = {.tokens = 0};
        eval_task task = task_of(t, i ? &all : &few, &now, &keep);
        evaluation r;
        err e = {0};
        EXPECT(evaluate(&r, &task, &e) && r.stopped, "%s", e.text);
        evaluate_deinit(&r);
        if (i == 1) EXPECT(truncate(path, 600) == 0, "%s", path);
        if (i == 2) EXPECT(file_write(path, "none", 4, &e), "%s", e.text);
        now.stop = 0;
        task.reader.heard = NULL;
        task.options = &all;
        EXPECT(evaluate(&r, &task, &e), "%s", e.text);
        EXPECT(!memcmp(&r.nats, &one.nats, sizeof r.nats), "case %d: %.17g, not %.17g", i, r.nats,
               one.nats);
        evaluate_deinit(&r);
        EXPECT(eval_keep_clear(test_folder(), &e), "%s", e.text);
    }
    evaluate_deinit(&one);
    trainer_free(t);
    workload_close(&w);
}

/* As who wants to lie would: the file at that path says that it is whole. */
static void seal(char *data, size_t bytes)
{
    err e = {0};
    char sum[PART_SUM_CHARS];
    static const char KEY[] = "\"sum\":\"";
    safetensors *s = safetensors_parse(data, bytes, "a part", &e);
    char *at = s ? memmem(data, bytes, KEY, strlen(KEY)) : NULL;
    EXPECT(at, "%s", e.text);
    if (at) {
        part_sum_file(sum, s, safetensors_metadata(s, "cursor"));
        memcpy(at + strlen(KEY), sum, strlen(sum));
    }
    safetensors_close(s);
}

/* These 8 bytes at a place in an array of a safetensors file; -1: its last. */
static void change_array(const char *path, const char *name, int64_t place, const void *number,
                         bool sealed)
{
    size_t bytes;
    err e = {0};
    char *data = file_read(path, &bytes, &e), key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    uint64_t header = 0;
    if (data) memcpy(&header, data, sizeof header);
    char *at = data ? memmem(data, bytes, key, strlen(key)) : NULL;
    at = at ? strstr(at, "\"data_offsets\":[") : NULL;
    EXPECT(at, "%s: no %s", path, name);
    if (at) {
        char *end;
        int64_t begin = strtoll(strchr(at, '[') + 1, &end, 10), behind = strtoll(end + 1, NULL, 10);
        memcpy(data + 8 + header + (place < 0 ? behind - 8 : begin + place), number, 8);
        if (sealed) seal(data, bytes);
        EXPECT(file_write(path, data, bytes, &e), "%s", e.text);
    }
    free(data);
}

static void count_line(void *user, const char *line)
{
    int *lines = user;
    *lines += strstr(line, "begins anew") != NULL;
}

#define PLACE "taken"

typedef struct damage {
    const char *name; /* of an array; PLACE: where it stands in the text */
    int64_t whole;
    double sum;    /* where `whole` is 0 */
    bool complete; /* the evaluation that was kept */
    int64_t place; /* in bytes; -1: the last, of a document of which nothing was read */
    bool unsealed; /* nothing is wrong with it but that it was not written so */
} damage;

/* Another number of spans is said to be read. */
static void change_place(const char *path)
{
    size_t bytes;
    err e = {0};
    text_auto *data = file_read(path, &bytes, &e);
    char *at = data ? memmem(data, bytes, PLACE, strlen(PLACE)) : NULL;
    EXPECT(at, "%s: no place", path);
    if (!at) return;
    at += strcspn(at, "123456789");
    *at = *at == '9' ? '8' : (char)(*at + 1);
    EXPECT(file_write(path, data, bytes, &e), "%s", e.text);
}

/* What was kept of an evaluation, damaged so, is not gone on from, and that is said. */
static void begins_anew(trainer *t, const eval_options *o, const damage *list, size_t count)
{
    char part[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    file_join(part, test_folder(), "part-x", NULL);
    file_join(path, test_folder(), "part-x.safetensors", NULL);
    evaluation one = evaluated_with(t, o, 1, 0, NULL);
    for (size_t i = 0; i < count; i++) {
        int lines = 0;
        const damage *d = &list[i];
        const eval_keep keep = {part, 1000, always, &lines, count_line};
        sitting now = {.tokens = 0};
        eval_task task = task_of(t, o, &now, &keep);
        evaluation r;
        err e = {0};
        if (d->complete) task.reader.heard = end_late;
        EXPECT(evaluate(&r, &task, &e) && r.stopped == !d->complete, "%s", e.text);
        evaluate_deinit(&r);
        if (strcmp(d->name, PLACE) == 0) {
            change_place(path);
        } else {
            change_array(path, d->name, d->place, d->whole ? (const void *)&d->whole : &d->sum,
                         !d->unsealed);
        }
        now.stop = 0;
        task.reader.heard = NULL;
        EXPECT(evaluate(&r, &task, &e), "%s", e.text);
        EXPECT(!memcmp(&r.nats, &one.nats, sizeof r.nats) && lines == 1,
               "%s: %.17g, not %.17g; said %d times", d->name, r.nats, one.nats, lines);
        evaluate_deinit(&r);
        EXPECT(eval_keep_clear(test_folder(), &e), "%s", e.text);
    }
    evaluate_deinit(&one);
}

/* Sums that this text cannot have, or that it may have and were not written. */
static void parts_that_cannot_be(void)
{
    static const damage LIST[] = {{"documents.tokens", -1, 0, false, 0, false},
                                  {"documents.tokens", (int64_t)1 << 62, 0, false, 0, false},
                                  {"documents.tokens", 151, 0, false, 0, false},
                                  {"documents.tokens", 100, 0, true, 0, false},
                                  {"documents.nats", 0, -1e300, false, 0, false},
                                  {"documents.nats", 0, 7, false, -1, false},
                                  {"documents.nats", 0, 7, false, 0, true},
                                  {PLACE, 0, 0, false, 0, true},
                                  {"seconds", 0, (double)NAN, false, 0, false},
                                  {"position.0", -8, 0, false, 0, false},
                                  {"document.0", INT64_MIN, 0, false, 0, false}};
    const eval_options plain = {.split = SPLIT_VALIDATION, .rows = 3};
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    begins_anew(t, &plain, LIST, sizeof LIST / sizeof *LIST);
    trainer_free(t);
    workload_close(&w);
}

/* Where what rows have learned goes on from document to document: a row behind another that could
 * be loaded, and a table of choices of which one is none. */
static void rows_that_cannot_be(void)
{
    static const char TABLE[] =
        "model: {width: 16, context: 8, blocks: [{hash_ffn: {experts: 3}}]}\n";
    static const char HOW[] = "{rows: 3, dynamic: {kind: sgd, rate: 0.1, carry: true}}";
    arena_auto *a = arena_new(1 << 14);
    err e = {0};
    eval_options learns;
    workload w;
    const node *section = node_parse(a, HOW, strlen(HOW), "eval", &e);
    EXPECT(section && eval_options_read(&learns, section, a, &e), "%s", e.text);
    trainer *t = evaluated_trained(&w, TABLE);
    if (!t) return;
    const params *p = model_params_const(w.eval_model);
    int table = params_find(p, "blocks.0.hash_ffn.table");
    EXPECT(table >= 0, "no table");
    int64_t place = table < 0 ? 0 : p->list[table].offset * (int64_t)sizeof(real);
    const damage list[] = {{"position.1", -8, 0, false, 0, false},
                           {"learned.1", 0, 1e9, false, place, false}};
    begins_anew(t, &learns, list, 2);
    trainer_free(t);
    workload_close(&w);
}

/* Losses of an earlier sitting that are no longer what was written are in no slice: that is said,
 * and all of it is made anew. */
static void losses_that_were_changed(void)
{
    static const bool COMPLETE[] = {false, true};
    static const long LEFT[] = {-1, 100}; /* bytes; -1: all, of which some are others */
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    char part[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    file_join(part, test_folder(), "part-x", NULL);
    file_join(path, test_folder(), "part-x.f32", NULL);
    const eval_keep keep = {part, 1000, always, NULL, NULL};
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 3};
    for (int i = 0; i < 2; i++) {
        sitting now = {.tokens = 0};
        eval_task task = task_of(t, &o, &now, &keep);
        evaluation r;
        err e = {0};
        task.slices = true;
        if (COMPLETE[i]) task.reader.heard = end_late;
        EXPECT(evaluate(&r, &task, &e) && r.stopped == !COMPLETE[i], "%s", e.text);
        evaluate_deinit(&r);
        size_t bytes;
        char *data = file_read(path, &bytes, &e);
        EXPECT(data && bytes >= 8, "%s", e.text);
        if (data) memset(data, 1, 8);
        EXPECT(file_write(path, data, LEFT[i] < 0 ? bytes : (size_t)LEFT[i], &e), "%s", e.text);
        free(data);
        now.stop = 0;
        task.reader.heard = NULL;
        EXPECT(!evaluate(&r, &task, &e) && strstr(e.text, "earlier sitting"), "%d: %s", i, e.text);
        EXPECT(!file_exists(path), "%d: it stays", i);
        EXPECT(evaluate(&r, &task, &e), "%d: %s", i, e.text);
        evaluate_deinit(&r);
        EXPECT(eval_keep_clear(test_folder(), &e), "%s", e.text);
    }
    trainer_free(t);
    workload_close(&w);
}

/* An evaluation has taken what all of its sittings took. */
static void seconds_add_up(void)
{
    const double before = 1000;
    const eval_options o = {.split = SPLIT_VALIDATION, .rows = 3};
    char part[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    workload w;
    trainer *t = evaluated_trained(&w, NULL);
    if (!t) return;
    file_join(part, test_folder(), "part-x", NULL);
    file_join(path, test_folder(), "part-x.safetensors", NULL);
    const eval_keep keep = {part, 1000, always, NULL, NULL};
    for (int i = 0; i < 2; i++) {
        sitting now = {.tokens = 0};
        eval_task task = task_of(t, &o, &now, &keep);
        evaluation r;
        err e = {0};
        if (i == 1) task.reader.heard = NULL;
        EXPECT(evaluate(&r, &task, &e) && r.stopped == !i, "%s", e.text);
        EXPECT(i == 0 || (r.seconds >= before && r.seconds < before + 100), "%g s", r.seconds);
        evaluate_deinit(&r);
        if (i == 0) change_array(path, "seconds", 0, &before, true);
    }
    trainer_free(t);
    workload_close(&w);
}

/* The probe's figures of what is kept at PART, of which an array was given another name, if any. */
static json_t *asked_again(trainer *t, const char *part, const char *name)
{
    eval_options o = {.split = SPLIT_VALIDATION, .rows = 2};
    const eval_keep keep = {part, 1000, always, NULL, NULL};
    sitting now = {.tokens = 0};
    eval_task task = task_of(t, &o, &now, &keep);
    char path[FILE_PATH_BYTES];
    evaluation r;
    json_t *more;
    err e = {0};
    snprintf(path, sizeof path, "%s.safetensors", part);
    if (name) {
        size_t bytes;
        EXPECT(diagnose_evaluation(&r, &more, &task, false, &e) && r.stopped, "%s", e.text);
        json_decref(more);
        evaluate_deinit(&r);
        char *data = file_read(path, &bytes, &e);
        char *at = data ? memmem(data, bytes, name, strlen(name)) : NULL;
        EXPECT(at && file_write(path, (*at = 'R', seal(data, bytes), data), bytes, &e), "%s: %s",
               name, e.text);
        free(data);
        now.stop = 0;
    }
    task.reader.heard = NULL;
    bool ok = diagnose_evaluation(&r, &more, &task, false, &e);
    EXPECT(ok && eval_keep_clear(test_folder(), &e), "%s", e.text);
    json_t *asked = json_incref(json_object_get(more, "recall"));
    json_decref(more);
    evaluate_deinit(&r);
    return asked;
}

/* Who looks on has taken nothing of a record that is given up: not the one array that fitted. */
static void watches_that_do_not_fit(void)
{
    static const char PROBE[] =
        "data: {corpus: probe, task: copy, length: 2, distances: [20, 40], tokens: 4000,\n"
        "  held_out: 600, learn: answers}\n";
    static const char *const names[] = {"recall.scores", "recall.losses"};
    workload w;
    trainer *t = evaluated_trained(&w, PROBE);
    if (!t) return;
    char part[FILE_PATH_BYTES];
    file_join(part, test_folder(), "part-x", NULL);
    json_t *whole = asked_again(t, part, NULL);
    for (int i = 0; i < 2; i++) {
        json_t *again = asked_again(t, part, names[i]);
        EXPECT(whole && json_equal(whole, again), "without %s other figures", names[i]);
        json_decref(again);
    }
    json_decref(whole);
    trainer_free(t);
    workload_close(&w);
}

const test_suite test_eval_sittings = {"harness/eval_sittings",
                                       {{"several_sittings", several_sittings},
                                        {"parts_that_do_not_fit", parts_that_do_not_fit},
                                        {"parts_that_cannot_be", parts_that_cannot_be},
                                        {"rows_that_cannot_be", rows_that_cannot_be},
                                        {"seconds_add_up", seconds_add_up},
                                        {"losses_that_were_changed", losses_that_were_changed},
                                        {"watches_that_do_not_fit", watches_that_do_not_fit},
                                        {0}}};
