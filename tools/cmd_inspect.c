/* loci inspect: what the memories of a trained model have stored.
 *
 * An inspection is computed once, kept with its run (JSON lines and a page), and printed from what
 * was kept in memory: tables, plots and claims that come later read the record, never the model
 * again. */
#include "core/base/host.h"
#include "core/base/stop_signals.h"
#include "harness/inspect/inspect.h"
#include "harness/inspect/inspect_page.h"
#include "harness/inspect/inspect_record.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_open.h"
#include "harness/train/trained_model.h"
#include "results/table/table.h"
#include "tools/eval_bar.h"
#include "tools/find_run.h"
#include "tools/verbs.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct inspect_call {
    const char *out, *data;
    int64_t split, tokens, sample_split, sample_tokens, rows, top, prefixes, perturb, format;
    bool once_per_sentence, as_head;
} inspect_call;

static const option OPTIONS[] = {
    CLI_CHOICE(inspect_call, split, "split", "train", "train|validation|test",
               "keys and values: text that triggers are looked for in"),
    CLI_INT(inspect_call, tokens, "tokens", "1M", 0, 1e12, "its first so many tokens; 0: all"),
    CLI_INT(inspect_call, top, "top", "50", 1, 10000, "triggers kept per key"),
    CLI_SWITCH(inspect_call, once_per_sentence, "once-per-sentence",
               "only the best prefix of each sentence, as the published code"),
    CLI_INT(inspect_call, perturb, "perturb", "0", 0, 1e6,
            "also so many keys per layer whose triggers lose a token (20: as long as the search)"),
    CLI_CHOICE(inspect_call, sample_split, "sample-split", "validation", "train|validation|test",
               "other parts: text that is read or that prefixes are drawn from"),
    CLI_INT(inspect_call, sample_tokens, "sample-tokens", "200k", 0, 1e12,
            "its first so many tokens; 0: all"),
    CLI_INT(inspect_call, prefixes, "prefixes", "4000", 1, 1e7, "prefixes drawn"),
    CLI_SWITCH(inspect_call, as_head, "as-head",
               "read vectors through the final norm and the head's bias, not by h E^T alone"),
    CLI_INT(inspect_call, rows, "rows", "8", 1, 4096, "documents read in parallel"),
    CLI_CHOICE(inspect_call, format, "format", "text", TABLE_FORMATS, "of the tables"),
    CLI_OUT(inspect_call),
    CLI_DATA(inspect_call),
    {0}};

/* ---- tables ---- */

/* Columns of a part: figures by layer. */
typedef struct figure_column {
    int part;
    const char *name, *title, *unit;
    int decimals;
} figure_column;

/* One row per column of a part's table; the names are those in the record, so a figure that a part
 * writes is shown by a line here. */
static const figure_column COLUMNS[] = {
    {INSPECT_KEYS, "triggered", "keys", "triggered", 0},
    {INSPECT_KEYS, "shared_last_token", "last token", "shared", 3},
    {INSPECT_KEYS, "shared_last_word", "last word", "shared", 3},
    {INSPECT_KEYS, "shared_topic_word", "topic word", "shared", 3},
    {INSPECT_KEYS, "without_first", "without", "first", 3},
    {INSPECT_KEYS, "without_last", "without", "last", 3},
    {INSPECT_KEYS, "without_random", "without", "random", 3},
    {INSPECT_VALUES, "agreement", "agreement", "", 3},
    {INSPECT_VALUES, "agreement_by_chance", "by", "chance", 3},
    {INSPECT_VALUES, "rank_median", "rank of next", "median", 0},
    {INSPECT_VALUES, "top_probability", "top", "probability", 5},
    {INSPECT_COMPOSITION, "active", "active", "", 3},
    {INSPECT_COMPOSITION, "zero_agreement", "zero", "agreement", 3},
    {INSPECT_COMPOSITION, "zero_agreement_active", "... of", "active", 3},
    {INSPECT_COMPOSITION, "zero_agreement_published_code", "... as", "code", 3},
    {INSPECT_COMPOSITION, "agreeing_frequent", "agreeing", "frequent", 3},
    {INSPECT_COMPOSITION, "agreeing_short", "agreeing", "short", 3},
    {INSPECT_REFINEMENT, "residual_is_final", "residual", "is final", 3},
    {INSPECT_REFINEMENT, "final_probability", "final", "probability", 3},
    {INSPECT_REFINEMENT, "residual", "case", "residual", 3},
    {INSPECT_REFINEMENT, "agreement", "case", "agreement", 3},
    {INSPECT_REFINEMENT, "output", "case", "layer's", 3},
    {INSPECT_REFINEMENT, "composition", "case", "composition", 3},
    {INSPECT_CHANGES, "nats_unlearned", "nats/token", "unlearned", 4},
    {INSPECT_CHANGES, "nats", "nats/token", "as is", 4},
    {INSPECT_CHANGES, "gain_seen", "gain, token", "seen", 4},
    {INSPECT_CHANGES, "gain_new", "gain, token", "new", 4},
    {INSPECT_CHANGES, "helped", "tokens", "helped", 3},
    {INSPECT_CHANGES, "moved", "probability", "moved", 3},
    {INSPECT_CHANGES, "top_changed", "top", "changed", 3}};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };

/* What is known of reads and writes: a row each. */
static const struct {
    const char *name, *title, *unit;
} USES[] = {{"strength", "strength", "of the output"},
            {"moved", "state", "moved"},
            {"effective", "spread", "effective"},
            {"effective_places", "places", "effective"}};
enum { USE_FIGURES = sizeof USES / sizeof *USES };

/* Columns that were not asked for are -1; of reads and writes there are none without states. */
typedef struct figures_table {
    table *t;
    int part, layer, exchange, at[COLUMN_COUNT], use[USE_FIGURES];
} figures_table;

/* Two parts may have a figure of one name, which the column `part` tells apart. */
static int figure_column_of(figures_table *f, int index, int parts)
{
    const figure_column *c = &COLUMNS[index];
    if (!(c->part & parts)) return -1;
    for (int i = 0; i < index; i++) {
        if (f->at[i] >= 0 && strcmp(COLUMNS[i].name, c->name) == 0) return f->at[i];
    }
    return table_column(f->t, c->name, c->title, c->unit, 0);
}

/* For people a part is a table, with its name above it; programs get one of all. */
static figures_table figures_begin(arena *a, int parts)
{
    figures_table f = {.t = table_new(a), .exchange = -1};
    f.part = table_column(f.t, "part", "part", "", TABLE_LEFT | TABLE_PROGRAMS);
    f.layer = table_column(f.t, "layer", "layer", "", TABLE_LEFT);
    if (parts & INSPECT_STATES) {
        f.exchange = table_column(f.t, "exchange", "exchange", "", TABLE_LEFT);
    }
    for (int i = 0; i < COLUMN_COUNT; i++) {
        f.at[i] = figure_column_of(&f, i, parts);
    }
    for (int i = 0; i < USE_FIGURES && (parts & INSPECT_STATES); i++) {
        f.use[i] = table_column(f.t, USES[i].name, USES[i].title, USES[i].unit, 0);
    }
    return f;
}

static void begin_row(figures_table *f, int part, const layer *l)
{
    table_row(f->t);
    table_text(f->t, f->part, "%s", inspection_part_name(part));
    table_text(f->t, f->layer, "%s", l->name);
}

/* Figures of reads and writes: a row each. */
static void add_states(figures_table *f, const inspection *x)
{
    for (int l = 0; l < x->exchange_count; l++) {
        const inspected_exchange *u = &x->exchanges[l];
        begin_row(f, INSPECT_STATES, u->layer);
        table_text(f->t, f->exchange, "%s", u->exchange.name);
        for (int i = 0; i < USE_FIGURES; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", u->exchange.name, USES[i].name);
            double value = inspection_figure(x, INSPECT_STATES, u->layer, name, 0);
            table_real(f->t, f->use[i], value, 3);
        }
    }
}

/* None, where the part has nothing to show, such as memories without values of their own. */
static void add_part(figures_table *f, const inspection *x, int part)
{
    const layer *list[INSPECT_LAYERS];
    int layers = part == INSPECT_STATES ? 0 : inspection_part_layers(x, part, list);
    if (part == INSPECT_STATES) add_states(f, x);
    for (int l = 0; l < layers; l++) {
        begin_row(f, part, list[l]);
        for (int i = 0; i < COLUMN_COUNT; i++) {
            if (COLUMNS[i].part != part) continue;
            /* NaN where a layer lacks the figure: an empty cell. */
            double value = inspection_figure(x, part, list[l], COLUMNS[i].name, 0);
            table_real(f->t, f->at[i], value, COLUMNS[i].decimals);
        }
    }
}

static void print_parts(const cli_call *c, const inspection *x)
{
    table_format format = (table_format)((const inspect_call *)c->options)->format;
    bool programs = table_for_programs(format), any = false;
    figures_table f = figures_begin(c->memory, x->parts);
    for (int part = 1; part < INSPECT_ALL; part *= 2) {
        if (!(x->parts & part)) continue;
        if (!programs) f = figures_begin(c->memory, part);
        add_part(&f, x, part);
        if (programs || table_rows(f.t) == 0) continue;
        /* In Markdown tables without a line between them are one. */
        const char *name = inspection_part_name(part);
        if (format == TABLE_TEXT) printf("\n%s\n", name);
        if (format != TABLE_TEXT) printf("%s**%s**\n\n", any ? "\n" : "", name);
        table_print(stdout, f.t, format, cli_colour(stdout));
        any = true;
    }
    if (programs) table_print(stdout, f.t, format, false);
}

/* How long it took is told against a plain evaluation of the same text: the analysis is done by
 * ordinary passes over it, and should cost little more than they do. */
static void print_cost(const inspection *x)
{
    host_memory m = host_memory_now();
    if (x->seconds > 0) {
        fprintf(
            stderr,
            "loci: keys and values of %lld tokens in %.1f s (the pass: %.1f s), %.2f times plain "
            "evaluation (%.1f s); ",
            (long long)x->text.tokens, x->seconds, x->pass_seconds, x->seconds / x->plain_seconds,
            x->plain_seconds);
    } else {
        fputs("loci: ", stderr);
    }
    fprintf(stderr, "%.0f MB of memory at most\n", (double)m.peak_anon_bytes / 1e6);
}

/* A layer that a table lacks is not to look like one that was forgotten. */
static void say_valueless(const inspection *x)
{
    if (!(x->parts & INSPECT_VALUES)) return;
    for (int i = 0; i < x->layer_count; i++) {
        const layer_memories *m = &x->layers[i].memories;
        if (m->values >= 0 || m->value) continue;
        one_line_print(stderr,
                       "loci: %s is not among values: what one of its memories adds depends on "
                       "those of its other hashes (form: slices has values)",
                       x->layers[i].layer->name);
    }
}

/* ---- the verb ---- */

/* All that a signal's handler may touch. The passes look at it between calls. */
static volatile sig_atomic_t stop_asked;

static void ask_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

/* Names of parts behind the run; 0: all that there are. -1: *unknown is no part. */
static int parts_of(const cli_call *c, const char **unknown)
{
    int parts = 0;
    for (int i = 1; i < c->count; i++) {
        int part = 1;
        while (part < INSPECT_ALL && strcmp(c->words[i], inspection_part_name(part)) != 0) {
            part *= 2;
        }
        /* Parts are bits, so the loop ends one beyond the last when no name has fitted. */
        *unknown = c->words[i];
        if (part > INSPECT_ALL) return -1;
        parts |= part;
    }
    return parts;
}

/* The first option on the command line that none of the parts looks at, or NULL. Several parts may
 * be asked for: an option counts if one of them looks at it. */
static const char *idle_option(const cli_call *c, int parts)
{
    enum { TRIGGERS = INSPECT_KEYS | INSPECT_VALUES };
    static const struct {
        const char *option;
        int parts;
    } readers[] = {{"split", TRIGGERS},
                   {"tokens", TRIGGERS},
                   {"top", TRIGGERS},
                   {"once-per-sentence", TRIGGERS},
                   {"perturb", INSPECT_KEYS},
                   /* All parts but these: a part that is added reads the sample. */
                   {"sample-split", ~TRIGGERS},
                   {"sample-tokens", ~TRIGGERS},
                   {"prefixes", INSPECT_COMPOSITION | INSPECT_REFINEMENT},
                   {"as-head", ~(INSPECT_KEYS | INSPECT_STATES)}};
    for (int i = 0; parts && c->given[i]; i++) {
        for (size_t k = 0; k < sizeof readers / sizeof *readers; k++) {
            bool same = strcmp(readers[k].option, c->given[i]) == 0;
            if (same && !(readers[k].parts & parts)) return c->given[i];
        }
    }
    return NULL;
}

static int keep_inspection(const cli_call *c, const inspection *x, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    /* Half an inspection is no record: its figures are means over what was read. */
    if (x->stopped) {
        return cli_fail(EXIT_INTERRUPTED,
                        "interrupted: nothing was written; the same command begins "
                        "again");
    }
    /* The record first: tables, plots and claims read that. */
    bool ok = inspect_record(x, folder, e) && inspect_page(x, folder, c->words[0], e) &&
              file_join(path, folder, "inspect", e);
    if (!ok) return cli_tell(EXIT_FAILED, e);
    print_parts(c, x);
    say_valueless(x);
    print_cost(x);
    one_line_print(stderr, "loci: %s/index.html shows them with examples", path);
    return EXIT_DONE;
}

static int inspect_model(const cli_call *c, const char *folder, int parts, const trained_model *m,
                         err *e)
{
    const inspect_call *o = c->options;
    inspect_options options = {.split = o->split,
                               .tokens = o->tokens,
                               .sample_split = o->sample_split,
                               .sample_tokens = o->sample_tokens,
                               .rows = o->rows,
                               .top = o->top,
                               .prefixes = o->prefixes,
                               .perturb = o->perturb,
                               .once_per_sentence = o->once_per_sentence,
                               .as_head = o->as_head};
    inspect_task task = {.loaded = m,
                         .options = &options,
                         .parts = parts,
                         .threads = host_cores(),
                         .stop = &stop_asked};
    /* After the model was loaded: until then Ctrl-C ends the program at once. */
    stop_signals_catch(ask_stop);
    inspection x;
    eval_bar bar;
    eval_bar_begin(&bar, c->words[0]);
    task.reader = eval_bar_reader(&bar);
    bool made = inspect(&x, &task, e);
    eval_bar_end(&bar);
    if (!made) return cli_tell(EXIT_FAILED, e);
    int status = keep_inspection(c, &x, folder, e);
    inspection_deinit(&x);
    return status;
}

static int inspect_run(const cli_call *c)
{
    const inspect_call *o = c->options;
    err e = {0};
    char folder[FILE_PATH_BYTES];
    const char *unknown = NULL;
    int parts = parts_of(c, &unknown);
    if (parts < 0) {
        return cli_fail(EXIT_USAGE,
                        "inspect: unknown part '%s'; there are keys, values, composition, "
                        "refinement, changes and states",
                        unknown);
    }
    /* Without parts named every option may count: which parts there are is known once the model is
     * open. */
    const char *idle = idle_option(c, parts);
    if (idle) {
        return cli_fail(EXIT_USAGE, "inspect: none of these parts looks at --%s; leave it out",
                        idle);
    }
    if (!find_run(folder, c->words[0], cli_out(o->out), &e)) {
        return cli_tell(EXIT_USAGE, &e);
    }
    /* Held until the record is written: two inspections of one run would mix their lines. A run
     * that is being trained is refused, too: its checkpoint may be replaced while it is read. */
    int lock = run_folder_lock(folder, &e);
    if (lock < 0) return cli_tell(EXIT_FAILED, &e);
    corpus_places places = cli_places(c->memory, o->data);
    trained_model m;
    int status = EXIT_FAILED;
    if (run_open_precision(NULL, folder, &e) &&
        trained_model_load(&m, folder, NULL, 0, &places, &e)) {
        status = inspect_model(c, folder, parts, &m, &e);
        trained_model_close(&m);
    } else {
        cli_tell(status, &e);
    }
    close(lock);
    return status;
}

const verb VERB_INSPECT = {
    .name = "inspect",
    .words = "RUN [keys|values|composition|refinement|changes|states...]",
    .min_words = 1,
    .max_words = 7,
    .help =
        "Looks at what a trained model has stored. Without a part: all that its layers offer.\n\n"
        "Memories (feed-forward layers, experts, pkm, rows of engram): keys: the prefixes that\n"
        "trigger each key, and what they have in common; values: their distributions over the\n"
        "vocabulary, and agreement with the keys' triggers; composition, refinement: how memories\n"
        "and layers make up a prediction. Weights that learn while they read (fwl, fast_ffn,\n"
        "ttt): changes: what that changed in the predictions, by token and position. States\n"
        "(block_recurrent): states: which positions wrote, and which read.\n"
        "Writes JSON lines and a page to the run's folder, inspect/, and prints figures by layer.",
    .examples = {"inspect memories keys values --tokens 100k",
                 "inspect memories/memories/1 composition --prefixes 1000 --as-head"},
    OPTIONS_OF(inspect_call, OPTIONS),
    .run = inspect_run,
};
