/* loci recall: at which distance trained models still know what they were told.
 *
 * What is measured here is the probe's own question: of the positions at which an answer is due,
 * how often is the right token the likeliest, by the distance to what was told. --corpus asks at
 * distances that training never had. */
#include "core/base/host.h"
#include "harness/evaluate/recall.h"
#include "harness/train/trained_model.h"
#include "results/table/table.h"
#include "tools/eval_bar.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

typedef struct recall_call {
    const char *out, *corpus;
    int64_t split, rows, stored, format;
} recall_call;

static const option OPTIONS[] = {
    CLI_CHOICE(recall_call, split, "split", "validation", "train|validation|test", "of the probe"),
    CLI_TEXT(recall_call, corpus, "corpus",
             "another probe: a data section, '{corpus: probe, task: needle, distances: [65536]}'; "
             "default: the trained one"),
    CLI_INT(recall_call, rows, "rows", "1", 1, 4096, "documents read in parallel"),
    CLI_INT(recall_call, stored, "stored", "0", 0, 1e7,
            "past positions held by layers that store them; 0: as trained"),
    CLI_CHOICE(recall_call, format, "format", "text", TABLE_FORMATS, "of the table"),
    CLI_OUT(recall_call),
    {0}};

/* The exit status: a name or an option that means nothing is a matter of usage. */
static int add_run(table *t, const char *name, const cli_call *c, err *e)
{
    const recall_call *o = c->options;
    char folder[FILE_PATH_BYTES];
    const node *data = NULL;
    /* Names are tried one after the other: a wrong one ends the call, whatever was measured before
     * it. */
    if (!find_run(folder, name, cli_out(o->out), e)) return EXIT_USAGE;
    if (o->corpus && !(data = cli_data_section(c->memory, o->corpus, e))) return EXIT_USAGE;
    /* Probes are made, not read: no folder of corpora is needed. */
    corpus_places places = cli_places(c->memory, NULL);
    trained_model m;
    const model_sizes sizes = {.stored = o->stored};
    if (!trained_model_load(&m, folder, data, &sizes, &places, e)) return EXIT_FAILED;
    eval_options how = {.split = o->split, .rows = o->rows, .stored = o->stored};
    eval_task task = {.model = m.model,
                      .values = m.values,
                      .corpus = m.corpus,
                      .options = &how,
                      .threads = host_cores(),
                      .seed = (uint64_t)m.seed};
    eval_bar bar;
    eval_bar_begin(&bar, name);
    task.reader = eval_bar_reader(&bar);
    recall_score *scores = ARENA_NEW(c->memory, recall_score, MAX_RECALL);
    /* Only the probe's own question, so no record is kept: the final evaluation has one. */
    int n = recall_measure(scores, &task, e);
    eval_bar_end(&bar);
    for (int i = 0; i < n; i++) {
        table_row(t);
        table_text(t, 0, "%s", name);
        table_int(t, 1, scores[i].distance);
        table_int(t, 2, scores[i].answers);
        table_real(t, 3, (double)scores[i].correct / (double)MAX(scores[i].answers, 1), 3);
        table_real(t, 4, scores[i].nats / (double)MAX(scores[i].answers, 1), 3);
    }
    trained_model_close(&m);
    return n >= 0 ? EXIT_DONE : EXIT_FAILED;
}

static int tell_recall(const cli_call *c)
{
    const recall_call *o = c->options;
    err e = {0};
    table *t = table_new(c->memory);
    table_column(t, "run", "run", "", TABLE_LEFT);
    table_column(t, "distance", "distance", "tokens", TABLE_KEPT);
    table_column(t, "answers", "answers", "", 0);
    table_column(t, "accuracy", "accuracy", "", TABLE_KEPT);
    table_column(t, "nats", "loss", "nats/answer", 0);
    for (int i = 0; i < c->count; i++) {
        int status = add_run(t, c->words[i], c, &e);
        if (status != EXIT_DONE) return cli_tell(status, &e);
    }
    table_print(stdout, t, (table_format)o->format, cli_colour(stdout));
    return EXIT_DONE;
}

const verb VERB_RECALL = {
    .name = "recall",
    .words = "RUN...",
    .min_words = 1,
    .max_words = 1 << 10,
    .help = "Tells at which distance models still know what they were told.\n\n"
            "RUN as for eval, trained on the corpus `probe`. An answer is right if it has the\n"
            "largest logit.",
    .examples = {"recall recall/state recall/window",
                 "recall recall --corpus '{corpus: probe, task: needle, distances: [4096]}'"},
    OPTIONS_OF(recall_call, OPTIONS),
    .run = tell_recall,
};
