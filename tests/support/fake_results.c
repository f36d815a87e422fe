#include "tests/support/fake_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "results/store/store.h"
#include "tests/test.h"

enum { DOCUMENTS = 3, BYTES = 90000, WORDS = 16000 };

void fake_run_id(char id[17], const char *experiment, const char *label, int seed)
{
    char text[256], hex[SHA256_HEX];
    snprintf(text, sizeof text, "%s %s %d", experiment, label, seed);
    sha256_hex(hex, text, strlen(text));
    memcpy(id, hex, 16);
    id[16] = 0;
}

/* In [-1, 1], the same for the same name. */
static double noise(const char *name, int seed, int step)
{
    char text[256], hex[SHA256_HEX];
    snprintf(text, sizeof text, "%s %d %d", name, seed, step);
    sha256_hex(hex, text, strlen(text));
    hex[4] = 0;
    return (double)strtoul(hex, NULL, 16) / 32767.5 - 1;
}

double fake_bits_per_byte(const fake_experiment *x, int variant, int seed)
{
    const fake_variant *v = &x->variant[variant];
    /* A seed's luck is shared by the variants: that is why pairing helps. */
    return 2.31 + 0.012 * noise("seed", seed, 0) - v->gain + v->noise * noise(v->label, seed, 0);
}

static void run_folder(char path[FILE_PATH_BYTES], const fake_experiment *x, int variant, int seed)
{
    char id[17];
    fake_run_id(id, x->name, x->variant[variant].label, seed);
    snprintf(path, FILE_PATH_BYTES, "%s/runs/%s", x->out, id);
}

static void write_json(const char *folder, const char *name, json_t *value)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    bool ok = file_make_folders(folder, &e) && file_join(path, folder, name, &e) &&
              (json_dump_file(value, path, JSON_INDENT(1)) == 0 || err_set(&e, "%s", path));
    json_decref(value);
    EXPECT(ok, "%s", e.text);
}

static void append(const char *folder, const char *name, const char *line)
{
    char path[FILE_PATH_BYTES];
    bool ok = file_join(path, folder, name, NULL);
    FILE *f = ok ? fopen(path, "a") : NULL;
    EXPECT(f, "%s cannot be opened", name);
    if (!f) return;
    fputs(line, f);
    fclose(f);
}

void fake_append(const fake_experiment *x, int variant, int seed, const char *file,
                 const char *line)
{
    char folder[FILE_PATH_BYTES];
    run_folder(folder, x, variant, seed);
    append(folder, file, line);
}

static void append_json(const char *folder, const char *name, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT), *whole = malloc(strlen(text) + 2);
    sprintf(whole, "%s\n", text);
    append(folder, name, whole);
    free(whole);
    free(text);
    json_decref(line);
}

/* ---- a run ---- */

static json_t *plan_of(const fake_experiment *x, int variant, int seed)
{
    const fake_variant *v = &x->variant[variant];
    char id[17], kind[17];
    fake_run_id(id, x->name, v->label, seed);
    fake_run_id(kind, x->name, v->label, 0);
    return json_pack("{s:s, s:s, s:s, s:i, s:{s:{s:i}}, s:s, s:i}", "run", id, "variant", kind,
                     "label", v->label, "seed", seed, "spec", "model", "width", 128, "command",
                     "loci run x.yaml", "threads", 1);
}

static void write_head(const fake_experiment *x, int variant, int seed, const char *status,
                       int64_t step)
{
    const fake_variant *v = &x->variant[variant];
    char folder[FILE_PATH_BYTES];
    run_folder(folder, x, variant, seed);
    write_json(folder, "plan.json", plan_of(x, variant, seed));
    if (strcmp(status, "planned") == 0) return;
    json_t *run = plan_of(x, variant, seed);
    json_t *more =
        json_pack("{s:s, s:s, s:s, s:i, s:{s:s, s:s}, s:s, s:b, s:I, s:I, s:f, s:f, s:s, s:n, s:i}",
                  "created_at", "2026-11-22T05:26:00Z", "host", "somewhere", "cpu", "a processor",
                  "cores", 2, "versions", "sqlite", "3.40.1", "openblas", "0.3.21", "git_revision",
                  "0123456789abcdef0123456789abcdef01234567", "git_dirty", 0, "params",
                  (json_int_t)v->params, "active_params", (json_int_t)v->params,
                  "forward_flops_per_token", 2.0 * (double)v->params, "state_bytes", 0.0,
                  "corpus_hash", "abcdef", "tokens_budget", "steps_budget", x->steps * 10);
    json_object_update(run, more);
    json_decref(more);
    write_json(folder, "run.json", run);
    const char *reason = strcmp(status, "diverged") == 0 ? "step 400: gradient of blocks.1.ffn.up"
                         : strcmp(status, "failed") == 0 ? "killed by signal 9"
                                                         : NULL;
    double seconds = (double)step * 2048 / v->speed, of_late = 3 * v->speed;
    write_json(folder, "status.json",
               json_pack("{s:s, s:s?, s:i, s:s, s:s?, s:I, s:i, s:I, s:f, s:f, s:i, s:i}", "status",
                         status, "reason", reason, "pid", 1, "started_at", "2026-11-22T05:26:00Z",
                         "ended_at", strcmp(status, "running") ? "2026-11-22T05:27:00Z" : NULL,
                         "step", (json_int_t)step, "steps", x->steps * 10, "tokens",
                         (json_int_t)step * 2048, "train_seconds", seconds, "tokens_per_second",
                         of_late, "peak_rss_bytes", 70 << 20, "peak_anon_bytes",
                         (int)(30 + 10 * variant) << 20));
}

static void write_metrics(const fake_experiment *x, int variant, int seed, int steps)
{
    const fake_variant *v = &x->variant[variant];
    char folder[FILE_PATH_BYTES];
    run_folder(folder, x, variant, seed);
    double end = fake_bits_per_byte(x, variant, seed) * log(2.0);
    for (int i = 1; i <= steps; i++) {
        double tokens = i * 10 * 2048.0, total = x->steps * 10 * 2048.0;
        double loss =
            end + 1.1 * (pow(tokens / total, -0.35) - 1) + 0.03 * noise(v->label, seed, i);
        append_json(folder, "metrics.jsonl",
                    json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:{s:{s:f}}}", "step", i * 10,
                              "tokens", tokens, "seconds", tokens / v->speed, "loss", loss, "lr",
                              1e-3, "grad_norm", 0.5, "tokens_per_second", v->speed, "layers",
                              "blocks.1.ffn", "sparsity", 0.5));
    }
}

/* Set while slices are wanted. */
static bool with_slices;

static json_t *slices_of(const fake_experiment *x, int variant, int seed)
{
    static const int from[] = {0, 64, 128};
    const fake_variant *v = &x->variant[variant];
    json_t *kind = json_array();
    for (int i = 0; i < 3; i++) {
        double bits = fake_bits_per_byte(x, variant, seed) + v->gain * (1 - i);
        json_t *tokens = json_array(), *nats = json_array();
        for (int part = 0; part < DOCUMENTS; part++) {
            double own = bits + 0.001 * noise(v->label, seed, 100 * i + part);
            json_array_append_new(tokens, json_integer(BYTES / 3 / DOCUMENTS));
            json_array_append_new(nats, json_real(own * log(2.0) * BYTES / 3 / DOCUMENTS));
        }
        json_array_append_new(
            kind, json_pack("{s:i, s:o, s:o}", "from", from[i], "tokens", tokens, "nats", nats));
    }
    return json_pack("{s:i, s:O, s:O, s:O, s:o}", "parts", DOCUMENTS, "position", kind, "block",
                     kind, "frequency", kind, "repetition", kind);
}

static void write_eval(const fake_experiment *x, int variant, int seed)
{
    const fake_variant *v = &x->variant[variant];
    char folder[FILE_PATH_BYTES], id[17], eval[17];
    run_folder(folder, x, variant, seed);
    fake_run_id(id, x->name, v->label, seed);
    fake_run_id(eval, x->name, v->label, seed + 1000);
    double nats = fake_bits_per_byte(x, variant, seed) * log(2.0) * BYTES;
    json_t *documents = json_array();
    for (int i = 0; i < DOCUMENTS; i++) {
        json_array_append_new(documents, json_pack("{s:i, s:s, s:f, s:i, s:i, s:i}", "index", i,
                                                   "name", "a book", "nats", nats / DOCUMENTS,
                                                   "tokens", BYTES / DOCUMENTS, "bytes",
                                                   BYTES / DOCUMENTS, "words", WORDS / DOCUMENTS));
    }
    json_t *line = json_pack(
        "{s:s, s:i, s:i, s:b, s:s, s:f, s:i, s:o, s:i, s:f, s:f, s:{s:i, s:s, s:s, s:s}, s:s, s:o}",
        "eval", eval, "step", x->steps * 10, "tokens_seen", x->steps * 20480, "final", 1, "split",
        "validation", "nats", nats, "tokens", v->lossy ? BYTES / 4 : BYTES, "bytes",
        v->lossy ? json_null() : json_integer(BYTES), "words", WORDS, "seconds", 1.5,
        "tokens_per_second", 60000.0, "protocol", "context", 256, "memory",
        "carried state, reset at documents", "start", "learned vector, first token counted", "data",
        "abcdef0123456789", "losses", "losses.f32", "documents", documents);
    EXPECT(line, "the evaluation cannot be packed");
    if (with_slices) json_object_set_new(line, "slices", slices_of(x, variant, seed));
    append_json(folder, "evals.jsonl", line);
    append(folder, "losses.f32", "0123");
}

static void write_run(const fake_experiment *x, int variant, int seed)
{
    const char *lost = seed == 2 ? x->variant[variant].lost : NULL;
    const char *status = lost ? lost : "done";
    int steps = lost ? x->steps * 2 / 5 : x->steps;
    write_head(x, variant, seed, status, strcmp(status, "planned") ? steps * 10 : 0);
    if (strcmp(status, "planned") == 0) return;
    write_metrics(x, variant, seed, steps);
    if (!lost) write_eval(x, variant, seed);
}

void fake_write(const fake_experiment *x)
{
    char folder[FILE_PATH_BYTES], file[256];
    json_t *runs = json_array();
    for (int seed = 1; seed <= x->seeds; seed++) {
        for (int i = 0; i < x->variants; i++) {
            json_t *run = plan_of(x, i, seed);
            json_object_del(run, "spec");
            json_object_set_new(run, "axes", json_pack("{s:s}", "kind", x->variant[i].label));
            json_object_set_new(run, "baseline", json_boolean(i == 0));
            json_array_append_new(runs, run);
            write_run(x, i, seed);
        }
    }
    snprintf(folder, sizeof folder, "%s/experiments", x->out);
    snprintf(file, sizeof file, "%s.json", x->name);
    write_json(folder, file,
               json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", x->name, "description",
                         "Does it help?", "spec_file", "x.yaml", "spec_text", "name: x\n",
                         "baseline", x->variant[0].label, "created_at", "2026-11-22T05:26:00Z",
                         "runs", runs));
}

void fake_write_sliced(const fake_experiment *x)
{
    with_slices = true;
    fake_write(x);
    with_slices = false;
}

void fake_axes(const fake_experiment *x)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    snprintf(path, sizeof path, "%s/experiments/%s.json", x->out, x->name);
    json_t *o = json_read(path, &e), *run;
    size_t i;
    EXPECT(o, "%s", e.text);
    json_array_foreach(json_object_get(o, "runs"), i, run)
    {
        char label[1024];
        snprintf(label, sizeof label, "%s", json_get_text(run, "label"));
        char *space = strchr(label, ' ');
        *space = 0;
        json_object_set_new(run, "axes",
                            json_pack("{s:s, s:s}", "reach", label, "optimizer.lr", space + 1));
    }
    EXPECT(json_write(path, o, &e), "%s", e.text);
    json_decref(o);
}

void fake_tokenizer(const fake_experiment *x, int variant, int seed, const char *tokenizer)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err e = {0};
    run_folder(folder, x, variant, seed);
    EXPECT(file_join(path, folder, "run.json", &e), "%s", e.text);
    json_auto_t *run = json_read(path, &e);
    json_object_set_new(run, "tokenizer", json_string(tokenizer));
    json_object_set_new(run, "corpus_hash", json_sprintf("text by %s", tokenizer));
    EXPECT(run && json_write(path, run, &e), "%s", e.text);
}

void fake_claim(const fake_experiment *x, const char *text, const char *label, int seed)
{
    char path[512];
    err e = {0};
    snprintf(path, sizeof path, "%s/experiments/%s.json", x->out, x->name);
    json_t *o = json_read(path, &e), *list = json_loads(text, 0, NULL), *c, *run;
    json_t *records = json_array(), *runs = json_object_get(o, "runs");
    size_t i;
    EXPECT(o && list, "%s", e.text);
    json_array_foreach(list, i, c)
    {
        json_array_append_new(records,
                              json_pack("{s:O, s:O, s:s, s:s, s:b, s:i, s:b}", "name",
                                        json_object_get(c, "name"), "claim", c, "hash", "0",
                                        "recorded_at", "2026-11-22T05:26:00Z", "after_the_fact",
                                        i == 1, "seeds", 2, "withdrawn", 0));
    }
    json_object_set_new(o, "claims", records);
    for (i = json_array_size(runs); label && i-- > 0;) {
        run = json_array_get(runs, i);
        if (strcmp(json_get_text(run, "label"), label) == 0 &&
            json_get_int(run, "seed", 0) == seed) {
            json_array_remove(runs, i);
        }
    }
    EXPECT(json_write(path, o, &e), "%s", e.text);
    json_decref(list);
    json_decref(o);
}

double fake_ask(const char *out, const char *sql)
{
    err e = {0};
    store *s = store_open_reader(out, &e);
    sqlite3_stmt *q = s ? store_prepare(s, sql, &e) : NULL;
    EXPECT(q, "%s", e.text);
    bool any = q && sqlite3_step(q) == SQLITE_ROW && sqlite3_column_type(q, 0) != SQLITE_NULL;
    double value = any ? sqlite3_column_double(q, 0) : (double)NAN;
    sqlite3_finalize(q);
    store_close(s);
    return value;
}
