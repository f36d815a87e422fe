#include "harness/speed/bench_report.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/one_line.h"
#include "harness/run/run_folder.h"

/* The same figures three times: for reading, for programs, and as a table of variants. Keys of the
 * JSON are an interface, the words of the text are not. */

static int by_time(const void *a, const void *b)
{
    const bench_op *x = a, *y = b;
    double s = x->forward_ms + x->backward_ms, t = y->forward_ms + y->backward_ms;
    return (s < t) - (s > t);
}

/* Sorted here, on a copy: the result stays in the order in which ops were met. */
static void print_ops(FILE *out, const bench_result *r)
{
    bench_op ops[BENCH_OPS];
    double sum = 0;
    for (int i = 0; i < r->op_count; i++) {
        ops[i] = r->ops[i];
        sum += ops[i].forward_ms + ops[i].backward_ms;
    }
    /* Forward and backward together decide what is worth looking at. */
    qsort(ops, (size_t)r->op_count, sizeof *ops, by_time);
    fprintf(out, "\n%-24s %12s %12s %8s %7s\n", "op (per step, all threads)", "forward ms",
            "backward ms", "calls", "share");
    for (int i = 0; i < r->op_count; i++) {
        fprintf(out, "%-26s %10.2f %12.2f %8lld %6.1f%%\n", ops[i].name, ops[i].forward_ms,
                ops[i].backward_ms, (long long)ops[i].calls,
                100 * (ops[i].forward_ms + ops[i].backward_ms) / sum);
    }
}

/* By peak_kind. Keys of the two figures of each are spelt out, so that a search for one finds it.
 */
static const struct {
    const char *label, *gflops, *utilisation; /* keys in JSON */
} PEAKS[PEAK_KINDS] = {
    {"float32", "peak_float32_gflops", "peak_float32_utilisation"},
    {"bfloat16", "peak_bfloat16_gflops", "peak_bfloat16_utilisation"},
    {"bfloat16 tiles", "peak_tiles_gflops", "peak_tiles_utilisation"},
};

/* Multiply-adds that the processor lacks are not spoken of. */
static void print_peaks(FILE *out, const bench_result *r)
{
    fprintf(out, "multiply-add peak     ");
    for (int k = 0; k < PEAK_KINDS; k++) {
        if (isnan(r->peak_gflops[k])) continue;
        fprintf(out, "%s %s %.1f", k ? "," : "", PEAKS[k].label, r->peak_gflops[k]);
    }
    fprintf(out, " GFLOP/s, all threads at once\n");
    fprintf(out, "utilisation            %.3f of sgemm", r->utilisation);
    for (int k = 0; k < PEAK_KINDS; k++) {
        if (isnan(r->peak_gflops[k])) continue;
        fprintf(out, ", %.3f of the %s peak", r->peak_utilisation[k], PEAKS[k].label);
    }
    fputc('\n', out);
}

/* One figure a line, words to the left: what is compared between two machines stands in the same
 * place. Units are in the text. */
void bench_report_print(FILE *out, const bench_result *r)
{
    fprintf(out, "threads                %d\n", r->threads);
    fprintf(out, "parameters             %lld, in matrix products %lld\n", (long long)r->params,
            (long long)r->matmul_params);
    fprintf(out, "training               %.0f tokens/s (median of %d steps, %.1f ms each)\n",
            r->tokens_per_second, r->steps, r->step_ms);
    fprintf(out, "                       %.2f GFLOP/s at %.3f MFLOP per token\n", r->gflops,
            r->flops_per_token * 1e-6);
    fprintf(out, "sgemm %4lld^3           %.2f GFLOP/s, all threads at once\n",
            (long long)r->sgemm_size, r->sgemm_gflops);
    print_peaks(out, r);
    fprintf(out, "peak anonymous memory  %.1f MiB; tapes %.1f MiB\n", r->peak_rss_mib,
            (double)r->tape_bytes / (1 << 20));
    fprintf(out, "maps after warm-up     %lld\n", (long long)r->arena_maps_after_warmup);
    fprintf(out, "start to first step    %.3f s, first step %.3f s\n", r->start_seconds,
            r->first_step_seconds);
    fprintf(out, "data, optimiser        %.2f %%, %.2f %% of a step\n", 100 * r->data_share,
            100 * r->optimiser_share);
    fprintf(out, "loss after the steps   %.4f nats per token\n", r->loss);
    fprintf(out, "evaluation             %.0f tokens/s\n", r->eval_tokens_per_second);
    fprintf(out,
            "generation             %.0f tokens/s; %.3f ms per token at first, %.3f ms after "
            "4 contexts\n",
            r->generate_tokens_per_second, r->generate_early_ms, r->generate_late_ms);
    fprintf(out, "                       %.0f tokens/s, %d rows together\n",
            r->generate_rows_tokens_per_second, BENCH_GENERATE_ROWS);
    /* Last, as it is the longest: what one figure says stands above the list. */
    print_ops(out, r);
}

/* In the order in which ops were met; milliseconds are per step, added over threads. */
static json_t *ops_json(const bench_result *r)
{
    json_t *ops = json_array();
    for (int i = 0; i < r->op_count; i++) {
        json_t *o =
            json_pack("{s:o*, s:o, s:o, s:I}", "op", json_string(r->ops[i].name), "forward_ms",
                      json_finite(r->ops[i].forward_ms), "backward_ms",
                      json_finite(r->ops[i].backward_ms), "calls", (json_int_t)r->ops[i].calls);
        json_array_append_new(ops, o);
    }
    return ops;
}

/* Numbers that are none (no such instruction, nothing measured) are null. */
json_t *bench_report_json(const bench_result *r)
{
    const struct {
        const char *key;
        double value;
        /* A table rather than a call per figure: key and field stand side by side. */
    } figures[] = {
        {"tokens_per_second", r->tokens_per_second},
        {"gflops", r->gflops},
        {"sgemm_gflops", r->sgemm_gflops},
        {"sgemm_size", (double)r->sgemm_size},
        {"utilisation", r->utilisation},
        {"peak_rss_mib", r->peak_rss_mib},
        {"step_ms", r->step_ms},
        {"start_seconds", r->start_seconds},
        {"first_step_seconds", r->first_step_seconds},
        {"data_share", r->data_share},
        {"optimiser_share", r->optimiser_share},
        {"loss", r->loss},
        {"eval_tokens_per_second", r->eval_tokens_per_second},
        {"generate_tokens_per_second", r->generate_tokens_per_second},
        {"generate_rows_tokens_per_second", r->generate_rows_tokens_per_second},
        {"generate_early_ms", r->generate_early_ms},
        {"generate_late_ms", r->generate_late_ms},
        {"flops_per_token", r->flops_per_token},
    };
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        json_object_set_new(o, figures[i].key, json_finite(figures[i].value));
    }
    for (int k = 0; k < PEAK_KINDS; k++) {
        json_object_set_new(o, PEAKS[k].gflops, json_finite(r->peak_gflops[k]));
        json_object_set_new(o, PEAKS[k].utilisation, json_finite(r->peak_utilisation[k]));
    }
    /* Whole numbers stay whole: a count of bytes is no double. */
    json_object_set_new(o, "threads", json_integer(r->threads));
    json_object_set_new(o, "steps", json_integer(r->steps));
    json_object_set_new(o, "params", json_integer(r->params));
    json_object_set_new(o, "matmul_params", json_integer(r->matmul_params));
    json_object_set_new(o, "tape_bytes", json_integer(r->tape_bytes));
    json_object_set_new(o, "arena_maps_after_warmup", json_integer(r->arena_maps_after_warmup));
    json_object_set_new(o, "ops", ops_json(r));
    return o;
}

/* ---- variants ---- */

/* column: rate, ratio, its first and third quartile. What was not measured is left empty by the
 * table. */
static void put_speed(table *t, const int column[4], const bench_speed *s)
{
    table_scaled(t, column[0], s->rate);
    table_real(t, column[1], s->ratio, 3);
    table_real(t, column[2], s->low, 3);
    table_real(t, column[3], s->high, 3);
}

/* Columns for programs only (TABLE_PROGRAMS) are in CSV and JSON, where they cost no width. */
table *bench_report_table(arena *a, const bench_comparison *c, bool all_variants)
{
    table *t = table_new(a);
    /* Training, evaluation, memory, size: what it gains and what it costs, left to right. */
    int shown = table_column(t, "", "variant", "", TABLE_LEFT | TABLE_WHOLE | TABLE_PEOPLE);
    int label = table_column(t, "variant", "", "", TABLE_LEFT | TABLE_PROGRAMS);
    int train[] = {table_column(t, "tokens_per_second", "training", "tokens/s", TABLE_KEPT),
                   table_column(t, "train_ratio", "relative", "median", TABLE_KEPT),
                   table_column(t, "train_ratio_low", "from", "1st quartile", TABLE_SPARE),
                   table_column(t, "train_ratio_high", "to", "3rd", TABLE_SPARE)};
    int eval[] = {table_column(t, "eval_tokens_per_second", "evaluation", "tokens/s", 0),
                  table_column(t, "eval_ratio", "relative", "median", 0),
                  table_column(t, "eval_ratio_low", "from", "1st quartile", TABLE_SPARE),
                  table_column(t, "eval_ratio_high", "to", "3rd", TABLE_SPARE)};
    int memory = table_column(t, "memory_bytes", "memory", "bytes", 0);
    int memory_ratio = table_column(t, "memory_ratio", "relative", "", TABLE_SPARE);
    int work = table_column(t, "work_bytes", "beyond parameters", "bytes", TABLE_SPARE);
    int work_ratio = table_column(t, "work_ratio", "relative", "", TABLE_SPARE);
    int all = table_column(t, "params", "params", "", TABLE_SPARE);
    int active = table_column(t, "active_params", "active", "", TABLE_SPARE);
    int baseline = table_column(t, "baseline", "baseline", "", TABLE_PROGRAMS);
    int steps = table_column(t, "steps", "steps", "", TABLE_PROGRAMS);
    int loss = table_column(t, "loss", "loss", "", TABLE_PROGRAMS);
    int figures = table_column(t, "layers", "layers", "", TABLE_PROGRAMS | TABLE_LEFT);
    for (int i = 0; i < c->count; i++) {
        /* A variant that another stands for has a row only if all are wanted, with that one's
         * figures. */
        const bench_variant *v = &c->variants[i];
        if (!all_variants && v->model != i) continue;
        table_row(t);
        table_text(t, shown, "%s%s", v->label, v->is_baseline ? " (baseline)" : "");
        table_text(t, label, "%s", v->label);
        table_int(t, baseline, v->is_baseline);
        put_speed(t, train, &v->train);
        put_speed(t, eval, &v->eval);
        table_scaled(t, memory, v->memory_bytes);
        table_real(t, memory_ratio, v->memory_ratio, 3);
        table_scaled(t, work, v->work_bytes);
        table_real(t, work_ratio, v->work_ratio, 3);
        table_scaled(t, all, (double)v->params);
        table_scaled(t, active, (double)v->active_params);
        table_int(t, steps, v->steps);
        table_real(t, loss, v->loss, 4);
        if (*v->figures) table_text(t, figures, "%s", v->figures);
    }
    return t;
}

/* Says which variants a row stands for: a reader of the table would else look for those that are
 * missing. */
void bench_report_models(FILE *out, const bench_comparison *c)
{
    if (c->models == c->count) return;
    fprintf(out,
            "%d models of %d variants: those that differ in the learning rate and the like "
            "only are one.\n",
            c->models, c->count);
    for (int i = 0; i < c->count; i++) {
        /* `before` is empty until the first is found: variants that stand for themselves alone are
         * not spoken of. */
        const char *before = "";
        for (int k = 0; k < c->count; k++) {
            if (k == i || c->variants[k].model != i) continue;
            if (!*before) fprintf(out, "%s stands for ", c->variants[i].label);
            fprintf(out, "%s%s", before, c->variants[k].label);
            before = ", ";
        }
        if (*before) fputc('\n', out);
    }
}

/* The loss says that it did train, and that no variant is fast because it computes nothing. */
void bench_report_figures(FILE *out, const bench_comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const bench_variant *v = &c->variants[i];
        if (v->model != i) continue;
        one_line_print(out, "%s: loss %.4f nats per token after %d steps%s%s", v->label, v->loss,
                       v->steps, *v->figures ? "; layers, last step: " : "", v->figures);
    }
}
/* Whatever the bound on time has cut is said: a ratio of one round looks in the table like one of
 * ten. */
void bench_report_cuts(FILE *out, const bench_comparison *c)
{
    int cold = 0, unread = 0;
    for (int i = 0; i < c->count; i++) {
        if (c->variants[i].model != i) continue;
        cold += c->variants[i].warmed < c->warm_up;
        unread += c->variants[i].not_evaluated;
    }
    if (c->rounds < BENCH_LEAST_ROUNDS) {
        fprintf(out,
                "--seconds %g were enough for %d round%s instead of %d: the ratios are rough.\n",
                c->seconds, c->rounds, c->rounds == 1 ? "" : "s", BENCH_LEAST_ROUNDS);
    }
    if (cold) {
        fprintf(out, "No time for all %d steps of warming up: %d of %d models took fewer.\n",
                c->warm_up, cold, c->models);
    }
    if (unread) fprintf(out, "No time to evaluate %d of %d models.\n", unread, c->models);
}

/* ---- beside runs ---- */

/* The host and processor stand with the speed: of another machine it says nothing. */
static json_t *record_of(const bench_variant *v, int threads, int rounds, const host_info *h)
{
    char utc[32];
    host_utc(utc, host_wall_s());
    json_t *o =
        json_pack("{s:o, s:I, s:s, s:o, s:I, s:o*, s:o*}", "alone_tokens_per_second",
                  json_finite(v->train.rate), "alone_threads", (json_int_t)threads, "alone_at", utc,
                  "eval_tokens_per_second", json_finite(v->eval.rate), "rounds", (json_int_t)rounds,
                  "host", json_string(h->name), "cpu", json_string(h->cpu));
    return o;
}

/* Speeds of a run that shared the machine say little, so they are written beside the run, in a file
 * of their own: the run's own record is not touched. */
bool bench_report_record(const bench_variant *speeds, int threads, int rounds, const experiment *x,
                         const char *out, bench_noted *noted, err *e)
{
    host_info host;
    host_describe(&host);
    bool ok = true;
    *noted = (bench_noted){0};
    for (int i = 0; ok && i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
        const run_plan *p = &x->runs[i];
        ok = run_folder_path(folder, out, p->id, e);
        /* Runs that were never begun have no folder, and get none by being measured. */
        if (!ok || !file_is_folder(folder)) continue;
        /* A worker that begins removes what it finds half written: it has to find the lock taken.
         */
        int lock = run_folder_lock(folder, e);
        noted->busy += lock == RUN_FOLDER_BUSY;
        if (lock == RUN_FOLDER_BUSY) continue;
        /* By the variant's index: seeds of a variant have the same speed. */
        json_auto_t *o = record_of(&speeds[p->variant_index], threads, rounds, &host);
        /* Replaced as a whole: the last benchmark is the one that counts. */
        ok = lock >= 0 && file_join(path, folder, "speed.json", e) && json_write(path, o, e);
        noted->runs += ok;
        if (lock >= 0) close(lock);
    }
    return ok;
}
