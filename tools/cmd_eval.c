/* loci eval: a trained model on a split of a corpus. */
#include "core/base/host.h"
#include "harness/evaluate/cleared.h"
#include "harness/evaluate/evaluate.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/train/train_kernels.h"
#include "harness/train/trained_model.h"
#include "results/compare/protocol.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct eval_call {
    const char *out, *data, *corpus, *dynamic;
    int64_t precision, split, rows, tokens, context, stored, span, cleared;
    bool json, documents;
} eval_call;

static const option OPTIONS[] = {
    CLI_CHOICE(eval_call, split, "split", "validation", "train|validation|test", "of the corpus"),
    CLI_TEXT(
        eval_call, corpus, "corpus",
        "another text: a data section, '{corpus: text, path: FILE}'; default: the trained one"),
    CLI_INT(eval_call, rows, "rows", "8", 1, 4096, "documents read in parallel"),
    CLI_INT(eval_call, tokens, "tokens", "0", 0, 1e15, "only the first so many; 0: all"),
    CLI_INT(eval_call, context, "context", "0", 0, 1e7, "tokens of a block; 0: as trained"),
    CLI_INT(eval_call, stored, "stored", "0", 0, 1e7,
            "past positions held by layers that store them; 0: as trained"),
    CLI_INT(eval_call, span, "span", "0", 0, 1e15,
            "reset the state every so many tokens; 0: never"),
    CLI_INT(eval_call, cleared, "cleared", "0", 0, 1e15,
            "also measure, on so many tokens, the loss without what is carried"),
    CLI_CHOICE(eval_call, precision, "precision", "trained", "trained|float32|bfloat16",
               "of products' operands (train.precision)"),
    CLI_TEXT(eval_call, dynamic, "dynamic",
             "learn while reading: sgd, rms, or all of `eval.dynamic`, '{kind: rms, rate: 1e-4}'"),
    CLI_SWITCH(eval_call, documents, "documents", "also one line per document"),
    CLI_SWITCH(eval_call, json, "json", "the record, machine-readable"),
    CLI_OUT(eval_call),
    CLI_DATA(eval_call),
    {0}};

/* Keeps every line but notes whether one of them is this evaluation's. */
typedef struct search {
    const char *id;
    bool found;
} search;

static bool note_id(void *user, const json_t *line)
{
    search *s = user;
    const char *id = json_get_text(line, "eval");
    if (id && strcmp(id, s->id) == 0) s->found = true;
    return true;
}

/* Appends the record to the run's evals.jsonl, unless the same evaluation stands there already or
 * `folder` is no run's (a bare checkpoint). */
static bool keep_record(const char *folder, const json_t *record, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "run.json", e)) return false;
    if (!file_exists(path)) return true;
    int lock = run_folder_lock(folder, e);
    if (lock < 0) return false;
    search s = {json_get_text(record, "eval"), false};
    bool done = file_join(path, folder, "evals.jsonl", e) &&
                run_lines_filter(path, note_id, &s, e) &&
                (s.found || run_lines_append_record(path, record, e));
    close(lock);
    return done;
}

static void print_figure(const char *name, double value, const char *unit)
{
    if (!isfinite(value)) return;
    printf("%-22s %.4f%s\n", name, value, unit);
}

static void print_unknown(const evaluation *r)
{
    if (r->unknown <= 0) return;
    printf("%-22s %lld tokens (%.2f %%) that the tokenizer does not know", "unknown",
           (long long)r->unknown, 100.0 * (double)r->unknown / (double)r->tokens);
    if (r->unknown_bytes >= 0) printf(", %lld bytes of the text", (long long)r->unknown_bytes);
    puts("; figures leave out what they say");
}

static void print_evaluation(const evaluation *r, const json_t *record, const corpus *text,
                             bool documents)
{
    printf("%-22s %s, %lld tokens\n", "split", json_get_text(record, "split"),
           (long long)r->tokens);
    if (!isfinite(r->nats)) printf("%-22s not a finite number\n", "loss");
    print_figure("loss", r->nats / (double)r->tokens, " nats per token");
    print_figure("bits per byte", eval_record_bits_per_byte(r->nats, r->bytes), "");
    if (r->bytes < 0) {
        printf("%-22s none: %s\n", "bits per byte",
               corpus_has_words(text) ? "the tokenizer is lossy" : "the tokens have no text");
    }
    print_figure("perplexity", eval_record_perplexity(r->nats, r->tokens), " per token");
    print_figure("word perplexity", eval_record_perplexity(r->nats, r->words), "");
    print_unknown(r);
    if (r->dynamic) {
        printf("%-22s rate %g, decay %g; %.2f s of statistics, %.2f s of choosing\n", "learned",
               r->rate, r->decay, r->statistics_seconds, r->grid_seconds);
    }
    printf("%-22s ", "protocol");
    protocol_print(stdout, json_object_get(record, "protocol"));
    putchar('\n');
    printf("%-22s %.0f tokens/s, %.2f s; %.4g FLOPs per token; %.0f MiB\n", "cost",
           r->tokens_per_second, r->seconds, r->flops_per_token, (double)r->anon_bytes / 1048576);
    for (int i = 0; documents && i < r->count; i++) {
        const eval_document *d = &r->documents[i];
        printf("%-22s %.4f nats per token, %lld tokens\n", d->name, d->nats / (double)d->tokens,
               (long long)d->tokens);
    }
}

/* A model whose loss is no number answers nothing: that is a failure, however it came to be. */
static bool check_finite(const evaluation *r, const char *folder, err *e)
{
    if (isfinite(r->nats)) return true;
    int lost = 0;
    const char *first = NULL;
    for (int i = 0; i < r->count; i++) {
        if (isfinite(r->documents[i].nats)) continue;
        if (!first) first = r->documents[i].name;
        lost++;
    }
    return err_set(e,
                   "%s: the loss of %d of %d documents is not a finite number (the first: %s); its "
                   "weights are damaged or too large",
                   folder, lost, r->count, first ? first : "none");
}

/* `eval.dynamic` from the command line: a kind, or the whole section. */
static bool read_dynamic(dynamic_options *d, const char *text, arena *a, err *e)
{
    node *section = text ? node_parse(a, text, strlen(text), "--dynamic", e) : NULL;
    if (text && !section) return false;
    if (section && section->kind == NODE_SCALAR) {
        node *map = node_map(a);
        node_set(a, map, "kind", section);
        section = map;
    }
    if (section) node_repath(a, section, "eval.dynamic");
    return dynamic_options_read(d, section, a, e);
}

static bool set_precision(const cli_call *c, trained_model *m, err *e)
{
    static const char *const NAMES[] = {NULL, "float32", "bfloat16"};
    const eval_call *o = c->options;
    tape_kernels kernels;
    if (!NAMES[o->precision]) return true;
    if (!train_kernels_at(&kernels, node_get(m->spec, "train"), NAMES[o->precision], c->memory, e))
        return false;
    model_set_kernels(m->model, kernels);
    return true;
}

static bool eval_model(const cli_call *c, const char *folder, const trained_model *m,
                       const dynamic_options *dynamic, err *e)
{
    const eval_call *o = c->options;
    eval_options how = {.split = o->split,
                        .rows = o->rows,
                        .tokens = o->tokens,
                        .context = o->context,
                        .stored = o->stored,
                        .span = o->span,
                        .cleared = o->cleared,
                        .dynamic = *dynamic};
    eval_task task = {.model = m->model,
                      .values = m->values,
                      .corpus = m->corpus,
                      .options = &how,
                      .threads = host_cores(),
                      .slices = true,
                      .seed = (uint64_t)m->seed};
    evaluation r;
    json_t *more;
    if (!diagnose_evaluation(&r, &more, &task, true, e)) return false;
    char id[EVAL_ID_CHARS];
    eval_record_task_id(id, &task, m->run, m->step);
    json_t *record = eval_record(&r, &task, id, m->step, m->tokens, false);
    json_object_update_recursive(record, more);
    json_decref(more);
    if (o->json) {
        json_dumpf(record, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_evaluation(&r, record, m->corpus, o->documents);
    }
    /* The figures of another text say nothing about the run in tables. */
    bool done = o->corpus || keep_record(folder, record, e);
    json_decref(record);
    done = done && check_finite(&r, folder, e);
    evaluate_deinit(&r);
    return done;
}

static int eval(const cli_call *c)
{
    const eval_call *o = c->options;
    err e = {0};
    char folder[FILE_PATH_BYTES];
    if (!find_run(folder, c->words[0], cli_out(o->out), &e)) {
        return cli_fail(EXIT_USAGE, "%s", e.text);
    }
    const node *data = NULL;
    if (o->corpus && !(data = cli_data_section(c->memory, o->corpus, &e))) {
        return cli_fail(EXIT_USAGE, "%s", e.text);
    }
    dynamic_options dynamic;
    if (!read_dynamic(&dynamic, o->dynamic, c->memory, &e)) {
        return cli_fail(EXIT_USAGE, "%s", e.text);
    }
    if (o->cleared && dynamic.kind != DYNAMIC_NONE) {
        return cli_fail(EXIT_USAGE, "eval: --cleared is not measured of a model that learns while "
                                    "it reads; leave out --dynamic");
    }
    corpus_places places = cli_places(c->memory, o->data);
    trained_model m;
    const model_sizes sizes = {.context = o->context, .stored = o->stored};
    if (!trained_model_load(&m, folder, data, &sizes, &places, &e)) {
        return cli_fail(EXIT_FAILED, "%s", e.text);
    }
    bool done = set_precision(c, &m, &e) && eval_model(c, folder, &m, &dynamic, &e);
    trained_model_close(&m);
    return done ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", e.text);
}

const verb VERB_EVAL = {
    .name = "eval",
    .words = "RUN",
    .min_words = 1,
    .max_words = 1,
    .help =
        "Evaluates a trained model: every token of a split once, state carried along.\n\n"
        "RUN is a run's folder, its id or the beginning of one, or EXPERIMENT/LABEL/SEED.\n"
        "RUN@best and RUN@STEP are models that training kept; their figures are only printed.\n"
        "Figures on the corpus that the run was trained on are added to its record.\n"
        "Dynamic evaluation: `loci help spec` lists what can be said of eval.dynamic; lists of\n"
        "rates and decays are tried on the validation split, the best is applied.",
    .examples = {"eval quickstart/keys/1 --split test",
                 "eval quickstart/keys --corpus '{corpus: text, path: README.md}' --split train"},
    .options = OPTIONS,
    .options_bytes = sizeof(eval_call),
    .run = eval,
};
