#include "harness/speed/sweep_time.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/host.h"
#include "core/base/json.h"
#include "harness/run/run_folder.h"
#include "harness/speed/bench.h"
#include "results/compare/stats.h"
#include "results/store/collect.h"
#include "results/store/query.h"
#include "results/store/run_damage.h"

/* An estimate from what was measured before. In falling order of trust:
 *
 *   1. runs of the same variant on this host and processor, with as many threads: tokens/s
 *   2. a moment of training, where the user pays for it (--calibrate)
 *   3. other runs here, by FLOPs per second: tokens/s = (FLOP/s of others) / (FLOPs per token)
 *
 * each by its median, as runs that shared the machine with more or less were recorded as well.
 * Where none of them is there the time is unknown, and said to be: a number made of nothing would
 * be believed.
 *
 *   seconds = share left x tokens / (tokens/s) + evaluated tokens / (evaluated tokens/s) */

/* Tokens per second, and FLOPs per second of training and of evaluating. NaN: not known. */
typedef struct speed {
    const char *variant;
    double train, eval, train_flops, eval_flops;
} speed;

typedef struct speeds {
    arena *memory;
    speed *list; /* one a run; behind take_medians one a variant, sorted by it */
    int count, capacity;
    double train_flops, eval_flops; /* of all runs; behind take_medians */
} speeds;

static void add_speed(speeds *s, const speed *one)
{
    if (s->count == s->capacity) {
        int more = MAX(64, 2 * s->capacity);
        speed *list = ARENA_NEW(s->memory, speed, more);
        if (s->count) memcpy(list, s->list, (size_t)s->count * sizeof *list);
        s->list = list;
        s->capacity = more;
    }
    s->list[s->count++] = *one;
}

/* ---- what was recorded ---- */

/* Measured alone counts for more than the mean of a run that shared the machine. Other hosts,
 * processors and numbers of threads do not count: their speeds are others. No folder of results yet
 * is no error: nothing is known. */
static bool read_speeds(speeds *s, const sweep_time_options *o, err *e)
{
    host_info h;
    host_describe(&h);
    if (!file_is_folder(o->out)) return true;
    store_auto *db = collect_and_open(o->out, NULL, e);
    if (!db) return false;
    /* `alone` is what a benchmark recorded beside the run (bench_report.c); the evaluation's speed
     * is the final one's. */
    query q = QUERY(db, e,
                    "SELECT r.variant, r.train_flops_per_token, r.forward_flops_per_token, "
                    "coalesce(CASE WHEN r.alone_host = ?1 AND r.alone_cpu = ?2 AND "
                    "r.alone_threads = ?3 THEN r.alone_tokens_per_second END, "
                    "r.tokens / r.train_seconds) AS train, "
                    "(SELECT v.tokens_per_second FROM evaluation v WHERE v.run = r.run AND "
                    "v.final) AS eval FROM run r WHERE r.host = ?1 AND r.cpu = ?2 AND r.threads = "
                    "?3",
                    h.name, h.cpu, NULL);
    query_number(&q, 3, o->threads);
    while (query_next(&q)) {
        speed one = {.variant = query_text(&q, "variant", s->memory),
                     .train = query_real(&q, "train"),
                     .eval = query_real(&q, "eval")};
        /* FLOPs per second, so that a run of another size can be reckoned from it. */
        one.train_flops = one.train * query_real(&q, "train_flops_per_token");
        one.eval_flops = one.eval * query_real(&q, "forward_flops_per_token");
        add_speed(s, &one);
    }
    return query_close(&q);
}

/* ---- what is measured ---- */

/* Values do not matter for how long a step takes: nothing that the variant starts from is read. */
static const node *fresh_spec(arena *a, const node *own)
{
    node *fresh = node_map(a);
    for (int i = 0; i < own->count; i++) {
        bool start = strcmp(own->keys[i], "init_from") == 0;
        if (!start) node_set(a, fresh, own->keys[i], node_copy(a, own->items[i]));
    }
    return fresh;
}

/* A trainer is made for its values: evaluation of a model that was never trained takes as long. */
static bool measure_eval(double *rate, workload *w, int threads, err *e)
{
    trainer *t = trainer_new(w, threads, (train_length){.steps = INT64_MAX / 2}, e);
    bool ok = t && bench_evaluate(rate, w, t, e);
    trainer_free(t);
    return ok;
}

/* Speeds of a run that its time depends on. */
typedef struct needs {
    bool train, eval;
} needs;

/* Of those alone. False where the variant cannot be opened by itself, as one that needs another's
 * predictions. A failure to measure is no failure to estimate: the run is then scaled by others,
 * like one that was never measured. */
static bool measure(speed *one, experiment *x, int run, needs what, const sweep_time_options *o)
{
    const run_plan *p = &x->runs[run];
    workload w;
    err ignored;
    double step = (double)NAN;
    arena_auto *a = arena_new(1 << 16);
    const node *own = experiment_spec(x, run, &ignored);
    /* Unknown until it is measured: NaN is passed over by every median. */
    *one = (speed){p->variant, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    bool ok = own && workload_open(&w, fresh_spec(a, own), p->seed, o->places, &ignored);
    if (ok) {
        ok = (!what.train || trainer_calibrate(&w, o->threads, o->calibrate, &step, &ignored)) &&
             (!what.eval || measure_eval(&one->eval, &w, o->threads, &ignored));
        if (ok && what.train) one->train = w.shape.targets_per_step / step;
        workload_close(&w);
    }
    one->train_flops = one->train * p->cost.train_flops;
    one->eval_flops = one->eval * p->cost.forward_flops;
    return ok;
}

/* ---- the estimate ---- */

static bool is_speed(double x)
{
    return isfinite(x) && x > 0;
}

static double train_of(const speed *s)
{
    return s->train;
}

static double eval_of(const speed *s)
{
    return s->eval;
}

static double train_flops_of(const speed *s)
{
    return s->train_flops;
}

static double eval_flops_of(const speed *s)
{
    return s->eval_flops;
}

/* The median of what `want` gives of the speeds that are known; NaN: none. scratch [n]. */
static double median_of(const speed *list, int n, double *scratch, double (*want)(const speed *))
{
    int known = 0;
    for (int i = 0; i < n; i++) {
        scratch[known] = want(&list[i]);
        if (is_speed(scratch[known])) known++;
    }
    return known ? stats_median(scratch, known) : (double)NAN;
}

static int by_variant(const void *a, const void *b)
{
    return strcmp(((const speed *)a)->variant, ((const speed *)b)->variant);
}

/* Once, not for each run: a folder may hold as many runs as are planned. */
static void take_medians(speeds *s)
{
    double *scratch = ARENA_NEW(s->memory, double, s->count + 1);
    speed *list = s->list;
    int variants = 0;
    if (s->count) qsort(list, (size_t)s->count, sizeof *list, by_variant);
    s->train_flops = median_of(list, s->count, scratch, train_flops_of);
    s->eval_flops = median_of(list, s->count, scratch, eval_flops_of);
    for (int i = 0, n; i < s->count; i += n) {
        for (n = 1; i + n < s->count && by_variant(&list[i], &list[i + n]) == 0;)
            n++;
        list[variants++] = (speed){.variant = list[i].variant,
                                   .train = median_of(&list[i], n, scratch, train_of),
                                   .eval = median_of(&list[i], n, scratch, eval_of)};
    }
    s->count = variants;
}

/* What is to be done of a run: the share of its training, and tokens of its evaluations. */
typedef struct work_left {
    double share, eval_tokens;
} work_left;

/* A budget in seconds takes that long by definition, and has no number of tokens. */
static needs needs_of(const run_plan *p, const work_left *left)
{
    return (needs){left->share > 0 && p->amount.tokens > 0, left->eval_tokens > 0};
}

/* Without those that are known. */
static needs missing_of(const speeds *s, const run_plan *p, const work_left *left)
{
    needs what = needs_of(p, left);
    for (int i = 0; i < s->count && (what.train || what.eval); i++) {
        const speed *one = &s->list[i];
        if (strcmp(one->variant, p->variant) != 0) continue;
        what.train = what.train && !is_speed(one->train);
        what.eval = what.eval && !is_speed(one->eval);
    }
    return what;
}

static run_time time_of(const speeds *s, const run_plan *p, const work_left *left)
{
    const speed wanted = {.variant = p->variant};
    const speed *own =
        s->count ? bsearch(&wanted, s->list, (size_t)s->count, sizeof wanted, by_variant) : NULL;
    double train = own ? own->train : (double)NAN, eval = own ? own->eval : (double)NAN;
    needs what = needs_of(p, left);
    run_time t = {.source = TIME_RECORDED};
    /* One speed that had to be scaled makes the whole an estimate. */
    if ((what.train && !isfinite(train)) || (what.eval && !isfinite(eval))) t.source = TIME_SCALED;
    if (!isfinite(train)) train = s->train_flops / p->cost.train_flops;
    if (!isfinite(eval)) eval = s->eval_flops / p->cost.forward_flops;
    if (isfinite(p->amount.seconds)) t.train = left->share * p->amount.seconds;
    if (what.train) t.train = left->share * p->amount.tokens / train;
    if (what.eval) t.eval = left->eval_tokens / eval;
    if (!isfinite(t.train + t.eval)) t.source = TIME_UNKNOWN;
    return t;
}

/* ---- what is left ---- */

static double share_behind(int64_t step, int64_t steps)
{
    return steps > 0 ? fmax(0, 1 - (double)step / (double)steps) : 1;
}

/* The step that training goes on from; 0: the beginning. */
static int64_t checkpoint_step(const char *folder)
{
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, "checkpoint/manifest.json", NULL) && file_exists(path);
    json_auto_t *manifest = there ? json_read(path, NULL) : NULL;
    return json_get_int(manifest, "step", 0);
}

/* Of a damaged run, by what the worker will do about it. */
static double damaged_share(const run_status *s, const char *folder)
{
    char why[ERR_TEXT_BYTES];
    run_damage damage = run_damage_find(why, folder);
    if (damage == DAMAGE_END) return 0;
    return damage == DAMAGE_RECORD ? share_behind(checkpoint_step(folder), s->steps) : 1;
}

/* A finished run is evaluated once more; of one that is under way its evaluations are made as it
 * goes. Of a run without a status that can be read nothing is known to be done. */
static work_left left_of(const run_plan *p, const char *out)
{
    char folder[FILE_PATH_BYTES];
    run_status s;
    err ignored;
    work_left left = {1, p->amount.eval_tokens};
    if (!run_folder_path(folder, out, p->id, NULL) || !run_status_read(&s, folder, &ignored)) {
        return left;
    }
    left.share = s.kind == KIND_DAMAGED ? damaged_share(&s, folder) : share_behind(s.step, s.steps);
    left.eval_tokens =
        p->amount.last_tokens + left.share * (p->amount.eval_tokens - p->amount.last_tokens);
    if (s.ended && !run_damage_lacks_final(folder)) left.eval_tokens = 0;
    return left;
}

/* Measured speeds join the list that recorded ones are in, so that later variants are scaled by
 * them, too. A run that was begun counts with the share that it has left. */
bool sweep_time_estimate(run_time *times, const bool *left, experiment *x,
                         const sweep_time_options *o, err *e)
{
    speeds s = {.memory = arena_new(1 << 16)};
    work_left *work = ARENA_NEW(s.memory, work_left, x->run_count);
    bool ok = read_speeds(&s, o, e);
    for (int i = 0; ok && i < x->run_count; i++) {
        work[i] = left[i] ? left_of(&x->runs[i], o->out) : (work_left){0};
        if (o->calibrate <= 0) continue;
        speed one;
        needs what = missing_of(&s, &x->runs[i], &work[i]);
        if ((what.train || what.eval) && measure(&one, x, i, what, o)) add_speed(&s, &one);
    }
    take_medians(&s);
    for (int i = 0; ok && i < x->run_count; i++) {
        times[i] = left[i] ? time_of(&s, &x->runs[i], &work[i]) : (run_time){.source = TIME_NONE};
    }
    arena_free(s.memory);
    return ok;
}

/* Even shares over the jobs, but no less than the longest run: a lower bound that is near where
 * runs are many and alike. */
double sweep_time_total(const run_time *times, int count, int jobs, int *known)
{
    double sum = 0, longest = 0;
    *known = 0;
    for (int i = 0; i < count; i++) {
        if (times[i].source == TIME_UNKNOWN || times[i].source == TIME_NONE) continue;
        double one = times[i].train + times[i].eval;
        sum += one;
        longest = fmax(longest, one);
        ++*known;
    }
    return fmax(longest, sum / MAX(jobs, 1));
}
