/* loci eval: a trained model on a split of a corpus.
 *
 * An evaluation is known by a hash of run, step, split and protocol (eval_record_task_id), which
 * can be computed before anything is evaluated. So of an experiment's runs those that have the same
 * one on record are skipped, and to say it twice adds no second line. Figures are those of the
 * final evaluation in training by construction: the same function, the same record. */
#include "core/base/host.h"
#include "core/base/json_line.h"
#include "core/base/terminal.h"
#include "core/base/text.h"
#include "harness/evaluate/diagnose.h"
#include "harness/evaluate/evaluate.h"
#include "harness/run/own_eval.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_open.h"
#include "harness/train/blowup.h"
#include "harness/train/train_kernels.h"
#include "harness/train/trained_model.h"
#include "results/compare/compare.h"
#include "results/compare/compare_load.h"
#include "results/compare/protocol.h"
#include "results/store/collect.h"
#include "results/table/table.h"
#include "tools/eval_bar.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct eval_call {
    const char *out, *data, *corpus, *dynamic, *tune;
    int64_t precision, split, rows, tokens, document_tokens, context, stored, span, cleared;
    bool json, documents;
} eval_call;

/* A number that is the run's own where it is not given. */
#define OWN_INT(F, N, LOW, HIGH, H)                                                                \
    {                                                                                              \
        .name = N, .type = OPTION_INT, .offset = offsetof(eval_call, F), .initial = "null",        \
        .min = LOW, .max = HIGH, .nullable = true, .help = H                                       \
    }

static const option OPTIONS[] = {
    CLI_CHOICE(eval_call, split, "split", "own", "own|train|validation|test",
               "of the corpus; own: that of the run's final evaluation"),
    CLI_TEXT(
        eval_call, corpus, "corpus",
        "another text: a data section, '{corpus: text, path: FILE}'; default: the trained one"),
    OWN_INT(rows, "rows", 1, 4096, "documents read in parallel"),
    OWN_INT(tokens, "tokens", 0, 1e15, "only the first so many; 0: all"),
    OWN_INT(document_tokens, "document-tokens", 0, 1e15,
            "only the first so many of each document; 0: all"),
    OWN_INT(context, "context", 0, 1e7, "tokens of a block; 0: as trained"),
    OWN_INT(stored, "stored", 0, 1e7,
            "past positions held by layers that store them; 0: as trained"),
    OWN_INT(span, "span", 0, 1e15, "reset the state every so many tokens; 0: never"),
    CLI_INT(eval_call, cleared, "cleared", "0", 0, 1e15,
            "also measure, on so many tokens, the loss without what is carried"),
    CLI_CHOICE(eval_call, precision, "precision", "trained", "trained|float32|bfloat16",
               "of products' operands (train.precision)"),
    CLI_TEXT(eval_call, dynamic, "dynamic",
             "learn while reading: sgd, rms, none, or all of `eval.dynamic`, '{kind: rms, rate: "
             "1e-4}'"),
    CLI_TEXT(eval_call, tune, "tune",
             "of an experiment: only the runs whose values of these axes are best on validation"),
    CLI_SWITCH(eval_call, documents, "documents", "also one line per document"),
    CLI_SWITCH(eval_call, json, "json", "the record, machine-readable"),
    CLI_OUT(eval_call),
    CLI_DATA(eval_call),
    {0}};

/* Notes whether one of the lines is this evaluation's. */
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

/* Whether the run has this evaluation already. */
static bool is_recorded(const char *folder, const char *id)
{
    char path[FILE_PATH_BYTES];
    err ignored;
    search s = {id, false};
    size_t bytes;
    if (!file_join(path, folder, "evals.jsonl", NULL) || !file_exists(path)) return false;
    /* Without the run's lock: reading needs none, and the run may be training. */
    text_auto *text = file_read(path, &bytes, &ignored);
    /* Lines without an end were not finished when their writer was killed, and do not count. */
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        json_auto_t *o = json_line_load(line, (size_t)(end - line), 0, NULL);
        note_id(&s, o);
    }
    return s.found;
}

/* Appends the record to the run's evals.jsonl, unless the same evaluation stands there already or
 * `folder` is no run's (a bare checkpoint).
 * The run's lock is held meanwhile: a run that is being trained appends to the same file. A last
 * line that was not finished is dropped on the way. */
static bool keep_record(const char *folder, const json_t *record, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "run.json", e)) return false;
    if (!file_exists(path)) return true;
    /* A run that is being trained refuses: its own final evaluation will be on record. */
    int lock = run_folder_lock(folder, e);
    if (lock < 0) return false;
    search s = {json_get_text(record, "eval"), false};
    bool done = file_join(path, folder, "evals.jsonl", e) && run_lines_each(path, note_id, &s, e) &&
                (s.found || run_lines_append_record(path, record, e));
    close(lock);
    return done;
}

/* A figure that is not known is left out rather than printed as nan. */
static void print_figure(const char *name, double value, const char *unit)
{
    if (!isfinite(value)) return;
    printf("%-22s %.4f%s\n", name, value, unit);
}

/* A sentence beside its name. */
static void print_protocol(const json_t *record)
{
    text_memory m;
    protocol_print(text_begin(&m), json_object_get(record, "protocol"));
    text_auto *text = text_end(&m);
    terminal_wrap(stdout, text, printf("%-22s ", "protocol"), 23,
                  terminal_columns(stdout, TERMINAL_UNBROKEN));
    putchar('\n');
}

/* A tokenizer that drops what it does not know gets better figures for it; next to them stands how
 * much that was. */
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
    print_figure("bits per byte", compare_bits_per_byte(r->nats, r->bytes), "");
    /* -1 is "cannot be known", not "none": said in words, since a missing line would look
     * forgotten. */
    if (r->bytes < 0) {
        printf("%-22s none: %s\n", "bits per byte",
               corpus_has_words(text) ? "the tokenizer is lossy" : "the tokens have no text");
    }
    print_figure("perplexity", compare_perplexity(r->nats, r->tokens), " per token");
    char words[16];
    double perplexity = compare_perplexity(r->nats, r->words);
    table_perplexity(words, perplexity);
    if (isfinite(perplexity)) printf("%-22s %s\n", "word perplexity", words);
    print_unknown(r);
    if (r->dynamic) {
        printf("%-22s rate %g, decay %g; %.2f s of statistics, %.2f s of choosing\n", "learned",
               r->rate, r->decay, r->statistics_seconds, r->grid_seconds);
    }
    print_protocol(record);
    char speed[16], flops[16];
    table_si(speed, r->tokens_per_second);
    table_si(flops, r->flops_per_token);
    printf("%-22s %s tokens/s, %.2f s; %s FLOPs/token; %.0f MiB\n", "cost", speed, r->seconds,
           flops, (double)r->anon_bytes / 1048576);
    for (int i = 0; documents && i < r->count; i++) {
        const eval_document *d = &r->documents[i];
        one_line_print(stdout, "%-22s %.4f nats per token, %lld tokens", d->name,
                       d->nats / (double)d->tokens, (long long)d->tokens);
    }
}

/* A model whose loss is no number answers nothing: that is a failure, however it came to be. */
static bool check_finite(const evaluation *r, const char *folder, bool dynamic, err *e)
{
    if (r->tokens == 0) return err_set(e, "%s: none of the tokens gets a loss; read more", folder);
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
                   "weights are damaged or too large%s",
                   folder, lost, r->count, first ? first : "none",
                   dynamic ? ", or learn too fast from what they read" : "");
}

/* A loss that is a number and no better than a guess is said: in tables it looks like others. */
static void warn_of_guesses(const evaluation *r, const trained_model *m, const char *folder)
{
    char text[BLOWUP_TEXT_BYTES];
    double loss = r->nats / (double)r->tokens;
    const blowup_facts facts = {.vocab = model_vocab(m->model), .evaluated = loss};
    if (!isfinite(r->nats) || !blowup_find(text, &facts)) return;
    one_line_print(stderr, "loci: warning: %s: %.4g nats per token; a uniform guess costs %.4g",
                   folder, loss, log((double)facts.vocab));
}

/* `eval.dynamic` from the command line: a kind, or the whole section. */
static bool read_dynamic(dynamic_options *d, const char *text, arena *a, err *e)
{
    node *section = text ? node_parse(a, text, strlen(text), "--dynamic", e) : NULL;
    /* Text that is no YAML; e says where. */
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
    /* As trained: trained_model_load has set it from the run's spec. Changes products only: values,
     * and what they were trained with, stay. */
    if (!NAMES[o->precision]) return true;
    if (!train_kernels_at(&kernels, node_get(m->spec, "train"), NAMES[o->precision], c->memory, e))
        return false;
    model_set_kernels(m->model, kernels);
    return true;
}

/* What all runs share, and what became of them. */
typedef struct eval_work {
    const cli_call *call;
    const node *data;
    dynamic_options dynamic;
    corpus_places places;
    bool several;
    int made, there, failed;
    bool refused; /* what is asked for is not to be had of a model */
} eval_work;

static void print_line(const found_run *x, const evaluation *r)
{
    double bits = compare_bits_per_byte(r->nats, r->bytes);
    bool has_bytes = isfinite(bits);
    one_line_print(stdout, "%s, seed %lld: %.4f %s", x->label, (long long)x->seed,
                   has_bytes ? bits : r->nats / (double)r->tokens,
                   has_bytes ? "bits per byte" : "nats per token");
    fflush(stdout);
}

static void show(const eval_work *w, const found_run *x, const trained_model *m,
                 const evaluation *r, const json_t *record)
{
    const eval_call *o = w->call->options;
    if (o->json) {
        json_print(stdout, record, w->several ? JSON_COMPACT : JSON_INDENT(2));
        putchar('\n');
    } else if (w->several && !o->documents) {
        print_line(x, r);
    } else {
        if (w->several) putchar('\n');
        if (w->several) one_line_print(stdout, "%s, seed %lld", x->label, (long long)x->seed);
        print_evaluation(r, record, m->corpus, o->documents);
    }
}

/* -1: it was not asked for. */
static void take(int64_t *own, int64_t asked)
{
    if (asked >= 0) *own = asked;
}

/* As the run's own final evaluation was done, but for what was asked for: else figures of another
 * split would be of another protocol than those they stand beside. */
static bool choose_options(eval_options *how, eval_work *w, const char *folder, err *e)
{
    const eval_call *o = w->call->options;
    if (!own_eval_read(how, folder, w->call->memory, e)) return false;
    take(&how->split, o->split - 1); /* behind `own` in the order of eval.split */
    take(&how->rows, o->rows);
    take(&how->tokens, o->tokens);
    take(&how->most, o->document_tokens);
    take(&how->context, o->context);
    take(&how->stored, o->stored);
    take(&how->span, o->span);
    if (o->dynamic) how->dynamic = w->dynamic;
    how->cleared = o->cleared;
    w->refused = how->cleared && how->dynamic.kind != DYNAMIC_NONE;
    return !w->refused ||
           err_set(e, "--cleared is not measured of a model that learns while it reads, as its own "
                      "evaluation does; say --dynamic none");
}

static bool eval_model(eval_work *w, const found_run *x, const trained_model *m,
                       const eval_options *how, err *e)
{
    const eval_call *o = w->call->options;
    /* The seed is the run's, so that what is random in an evaluation is what it was in training's
     * own. */
    eval_task task = {.model = m->model,
                      .values = m->values,
                      .corpus = m->corpus,
                      .options = how,
                      .threads = host_cores(),
                      .slices = true,
                      .seed = (uint64_t)m->seed};
    evaluation r;
    json_t *more;
    char id[EVAL_ID_CHARS];
    /* Known before anything is read: the hash is of the question, not of the answer. */
    eval_record_task_id(id, &task, m->run, m->step);
    /* Who asks for one run, for JSON or for documents wants to see figures, so these are computed
     * again. */
    if (w->several && !o->corpus && !o->json && !o->documents && is_recorded(x->folder, id)) {
        w->there++;
        return true;
    }
    eval_bar bar;
    eval_bar_begin(&bar, x->label ? x->label : w->call->words[0]);
    task.reader = eval_bar_reader(&bar);
    bool made = diagnose_evaluation(&r, &more, &task, true, e);
    eval_bar_end(&bar);
    if (!made) return false;
    json_auto_t *record = eval_record(&r, &task, id, m->step, m->tokens, false);
    /* Diagnoses (slices, what a state is worth) stand in the same record as the loss. */
    json_object_update_recursive(record, more);
    json_decref(more);
    show(w, x, m, &r, record);
    /* The figures of another text say nothing about the run in tables. */
    bool done = o->corpus || keep_record(x->folder, record, e);
    /* After the record was kept: that a model's loss is no number is a result, too, and tables mark
     * it. */
    done = done && check_finite(&r, x->folder, how->dynamic.kind != DYNAMIC_NONE, e);
    warn_of_guesses(&r, m, x->folder);
    evaluate_deinit(&r);
    w->made += done;
    return done;
}

static bool eval_run(eval_work *w, const found_run *x, err *e)
{
    trained_model m;
    eval_options how;
    /* The identity of an evaluation does not say it: it would stand there as the run's own. */
    bool recorded = !((const eval_call *)w->call->options)->corpus;
    if (recorded && !run_open_precision(NULL, x->folder, e)) return false;
    if (!choose_options(&how, w, x->folder, e)) return false;
    const model_sizes sizes = {.context = how.context, .stored = how.stored};
    if (!trained_model_load(&m, x->folder, w->data, &sizes, &w->places, e)) {
        w->refused = m.other_context;
        return false;
    }
    bool done = set_precision(w->call, &m, e) && eval_model(w, x, &m, &how, e);
    trained_model_close(&m);
    return done;
}

/* Several: one that fails does not stop the rest. */
static int eval_runs(eval_work *w, const found_run *list, int count)
{
    for (int i = 0; i < count; i++) {
        err e = {0};
        if (eval_run(w, &list[i], &e)) continue;
        w->failed++;
        /* Without the label, which the message of a single run has no need of. */
        int status = w->refused ? EXIT_USAGE : EXIT_FAILED;
        if (!w->several) return cli_tell(status, &e);
        cli_fail(EXIT_FAILED, "%s, seed %lld: %s", list[i].label, (long long)list[i].seed, e.text);
    }
    if (w->several) {
        fprintf(stderr, "%d evaluated, %d were before, %d failed\n", w->made, w->there, w->failed);
    }
    return w->failed ? EXIT_FAILED : EXIT_DONE;
}

/* Keeps the runs of the variants that tuning chooses. */
static bool keep_chosen(found_run *list, int *count, const cli_call *c, err *e)
{
    const eval_call *o = c->options;
    /* The same choice that compare makes, by the same code; NaN: at whatever was trained. */
    const compare_options how = {.tune = o->tune, .at_amount = (double)NAN, .split = "validation"};
    store *s = collect_and_open(cli_out(o->out), NULL, e);
    /* A variant is chosen by its validation figures, whatever split is evaluated here: choosing by
     * test would be training on it. */
    const comparison *t = s ? compare_load(c->memory, s, c->words[0], &how, e) : NULL;
    if (s) store_close(s);
    int kept = 0;
    for (int i = 0; t && i < *count; i++) {
        bool chosen = false;
        for (int v = 0; v < t->count; v++) {
            for (int j = 0; t->variants[v].tuned && j < t->variants[v].run_count; j++) {
                chosen |= list[i].run && strcmp(t->variants[v].runs[j].run, list[i].run) == 0;
            }
        }
        if (chosen) list[kept++] = list[i];
    }
    *count = kept;
    return t && (kept > 0 || err_set(e,
                                     "--tune %s: no run was evaluated on validation, which the "
                                     "choice is made by",
                                     o->tune));
}

static int eval(const cli_call *c)
{
    const eval_call *o = c->options;
    err e = {0};
    eval_work w = {.call = c};
    found_run *list;
    int count;
    if (!find_runs(&list, &count, c->memory, c->words[0], cli_out(o->out), &e) ||
        (o->corpus && !(w.data = cli_data_section(c->memory, o->corpus, &e))) ||
        !read_dynamic(&w.dynamic, o->dynamic, c->memory, &e) ||
        (o->tune && !keep_chosen(list, &count, c, &e))) {
        return cli_tell(EXIT_USAGE, &e);
    }
    if (o->cleared && w.dynamic.kind != DYNAMIC_NONE) {
        return cli_fail(EXIT_USAGE, "eval: --cleared is not measured of a model that learns while "
                                    "it reads; leave out --dynamic");
    }
    w.places = cli_places(c->memory, o->data);
    /* One run is shown in full, several a line each. */
    w.several = count > 1;
    return eval_runs(&w, list, count);
}

const verb VERB_EVAL = {
    .name = "eval",
    .words = "RUN|EXPERIMENT",
    .min_words = 1,
    .max_words = 1,
    .help =
        "Evaluates a trained model: every token of a split once, state carried along.\n\n"
        "RUN is a run's folder, its id or the beginning of one, or EXPERIMENT/LABEL/SEED. Of\n"
        "EXPERIMENT all runs are evaluated, of EXPERIMENT/LABEL all seeds; what is recorded "
        "already\n"
        "is skipped. --tune lr: only those with the rate that compare --tune chooses.\n"
        "RUN@best and RUN@STEP are models that training kept; their figures are only printed.\n"
        "Figures on the corpus that the run was trained on are added to its record.\n"
        "What is not asked for is as in the run's own final evaluation (its `eval:` section).\n"
        "Dynamic evaluation: `loci help spec` lists what can be said of eval.dynamic; lists of\n"
        "rates and decays are tried on the validation split, the best is applied.",
    .examples = {"eval quickstart --split test",
                 "eval quickstart/keys --corpus '{corpus: text, path: FILE}' --split train"},
    OPTIONS_OF(eval_call, OPTIONS),
    .run = eval,
};
