/* `loci help spec`: every section of a spec with the tables that it is read by.
 *
 * Options are printed from the tables by which specs are read, so that no option is missing here
 * and none has a default that it has not. What is prose is only what has no table: the form of
 * sweeps and claims, which are read by their own parsers. */
#include "core/base/terminal.h"
#include "core/base/text.h"
#include "data/prepare.h"
#include "harness/spec/spec.h"
#include "harness/train/workload.h"
#include "results/claims/claim_figure.h"
#include "results/store/collect_inspect.h"
#include "results/store/inspect_words.h"

#include <string.h>

/* What has no table of options: a name and what is said of it. */
typedef struct spec_row {
    const char *name, *text;
} spec_row;

static void print_rows(FILE *out, const spec_row *rows, int width, int columns)
{
    for (; rows->name; rows++)
        terminal_entry(out, rows->name, width, rows->text, columns);
}

static void print_text(FILE *out, const char *text, int columns)
{
    /* The empty line above is no line of the paragraph, whose second one would be indented. */
    size_t above = strspn(text, "\n");
    fwrite(text, 1, above, out);
    terminal_wrap(out, text + above, 0, 2, columns);
    fputc('\n', out);
}

static void print_top(FILE *out, int columns)
{
    static const spec_row ROWS[] = {
        {"  name", "default: the file's name without .yaml"},
        {"  description", "one line, printed with the results"},
        {"  extends",
         "a file, or a list of files, whose sections come first (relative to this file)"},
        {0}};
    terminal_wrap(out,
                  "An experiment file (YAML 1.2) has these sections; all but data, model and train "
                  "may be left out. Numbers may be written 1e-3, 1_000, 0x1F, and with k, M, G, T "
                  "for powers of 1000.\n\n",
                  0, 0, columns);
    print_rows(out, ROWS, 15, columns);
}

static void print_sweep(FILE *out, int columns)
{
    static const spec_row ROWS[] = {
        {"  baseline", "a variant's label, or {axis: value}; default: the first variant"},
        {"  seeds",
         "a list, or how many (1, 2, ...); default: 1; or {until: decided, at least: 3, at most: "
         "12, spending: obrien-fleming|pocock}: added until claims are decided"},
        {"  grid", "every combination of {PATH: [values], NAME: {alternative: {PATH: value}}}"},
        {"  zip", "the same, values side by side; equal lengths"},
        {"  list", "one by one: [{label: NAME, PATH: value}, ...]"},
        {"  when", "{AXIS: {axis: value or [values]}}: AXIS takes part only where axes have these"},
        {"  exclude", "[{axis: value or [values]}, ...]: combinations that are left out"},
        {0}};
    print_text(out, "\nsweep: the variants; a map, or a list of maps whose variants add up",
               columns);
    print_rows(out, ROWS, 12, columns);
}

/* A part's figures, which are many and short, in lines of their own. */
static void print_inspected(FILE *out, int columns)
{
    terminal_entry(out, "    inspect.PART.FIGURE", 24,
                   "what loci inspect found, by depth (rises with: depth); by part:", columns);
    for (int i = 0; COLLECT_INSPECT_PARTS[i]; i++) {
        const char *names[INSPECT_WORDS];
        int n = inspect_words_names(names, COLLECT_INSPECT_PARTS[i]);
        text_memory m;
        FILE *line = text_begin(&m);
        fprintf(line, "      %s:", COLLECT_INSPECT_PARTS[i]);
        for (int k = 0; k < n; k++) {
            /* Names that begin with "_" are ends of names, before which a layer's own word
             * stands. */
            fprintf(line, " %s%s", names[k][0] == '_' ? "WHAT" : "", names[k]);
        }
        text_auto *text = text_end(&m);
        terminal_wrap(out, text, 0, 8, columns);
        fputc('\n', out);
    }
}

static void print_figures(FILE *out, int columns)
{
    print_text(out,
               "  A margin is 0.02 bits/byte, or 2 % of B's. Figures and their units:", columns);
    for (const claim_figure *f = CLAIM_FIGURES; f->name; f++) {
        char name[64], text[128];
        snprintf(name, sizeof name, "    %-20s%s", f->name, *f->unit ? f->unit : "%");
        snprintf(text, sizeof text, "%s%s", f->title, f->higher ? " (more is better)" : "");
        terminal_entry(out, name, 42, text, columns);
    }
    print_inspected(out, columns);
}

static void print_claims(FILE *out, int columns)
{
    static const spec_row ROWS[] = {
        {"  name", "letters, digits, '.', '_', '-'"},
        {"  says", "one sentence"},
        {"  source", "paper, table"},
        {"  page", "where it is written up"},
        {"  all", "several statements, all of which are needed: [{...}, ...]; or one of these:"},
        {0}};
    static const spec_row STATEMENTS[] = {
        {"  better, than, by", "A is better than B, by more than a margin with its unit"},
        {"  variant, within, of", "A is within a margin of B, either way"},
        {"  variant, at most, of, on", "A has at most a factor times the figure of B"},
        {"  variant, on, above",
         "a figure of loci inspect is above another one of it, or a number"},
        {"  rises with, falls with",
         "a trend along an axis (where: {AXIS: VALUE} or variants: [...] say of what) or, of one "
         "`variant`, along position, frequency or repetition; over: B takes the gain over B; by: a "
         "margin a step"},
        {0}};
    static const spec_row DETAILS[] = {
        {"  on", "the figure; default: that of loci compare"},
        {"  split", "train, validation or test; default: that of the final evaluations"},
        {"  slice", "{position: 512-}, {frequency: 0}, {repetition: 1-3}"},
        {"  distance", "of a probe's questions"},
        {"  unit",
         "seeds (default), or documents: these models on other text, where seeds are few"},
        {0}};
    print_text(out, "\nclaims: what the experiment expects, judged by loci claims; a list of maps",
               columns);
    print_rows(out, ROWS, 14, columns);
    print_rows(out, STATEMENTS, 28, columns);
    print_rows(out, DETAILS, 14, columns);
    print_figures(out, columns);
}

/* By name and help: a kind may give the same name a meaning of its own. */
static bool has_option(const option *table, const option *o)
{
    for (; table->name; table++) {
        if (strcmp(table->name, o->name) == 0 && strcmp(table->help, o->help) == 0) return true;
    }
    return false;
}

/* What all kinds of corpus understand stands once, in front. */
static void print_data(FILE *out, int columns)
{
    arena_auto *a = arena_new(0);
    /* No folders are looked at: what kinds there are does not depend on the machine. */
    const corpus_places nowhere = {0};
    const corpus_info *list;
    int count = prepare_list(&list, &nowhere, a);
    print_text(out, "\ndata: {corpus: NAME, ...}", columns);
    /* The first kind's own options are those of all, for it has no others. */
    options_print(out, list[0].options, columns);
    for (int i = 0; i < count; i++) {
        option own[64] = {{0}};
        char title[512];
        int n = 0;
        for (const option *o = list[i].options; o->name && n < 63; o++) {
            /* The terminating entry is there from the initialisation: hence one less than the array
             * holds. */
            if (!has_option(list[0].options, o)) own[n++] = *o;
        }
        snprintf(title, sizeof title, "\ndata: {corpus: %s}: %s", list[i].name, list[i].help);
        print_text(out, title, columns);
        if (n > 0) options_print(out, own, columns);
    }
}

static void print_model(FILE *out, int columns)
{
    enum { CAPACITY = 32 };
    static const spec_row ROWS[] = {
        {"  blocks   list  required",
         "[{repeat: n, LAYER: {option: value}, ...}, ...]: the stack, from the input on; `loci "
         "layers` lists layers, `loci layers NAME` options"},
        {"  head     map   linear",
         "{kind: NAME, option: value}: from the last layer to the tokens"},
        {0}};
    const char *names[CAPACITY];
    const option *tables[CAPACITY];
    int count = MIN(model_option_tables(names, tables, CAPACITY), CAPACITY);
    print_text(out, "\nmodel:", columns);
    print_rows(out, ROWS, 27, columns);
    for (int i = 0; i < count; i++) {
        if (*names[i]) fprintf(out, "\nmodel.%s:\n", names[i]);
        options_print(out, tables[i], columns);
    }
}

void spec_help(FILE *out)
{
    static const struct {
        const char *title;
        const option *table;
    } SECTIONS[] = {{"\ninit_from: the trained run whose parameters it starts from", INIT_OPTIONS},
                    {"\noptimizer:", OPTIM_OPTIONS},
                    {"\noptimizer.groups: a list of", OPTIM_GROUP_OPTIONS},
                    {"\nschedule: the learning rate over the run", SCHEDULE_OPTIONS},
                    {"\ntrain:", TRAIN_OPTIONS},
                    {"\neval: after training, and every train.eval_every steps", EVAL_OPTIONS},
                    {"\neval.dynamic: how the model learns while it is evaluated", DYNAMIC_OPTIONS},
                    {"\neval.sample: a text that the model writes", SAMPLE_OPTIONS}};
    int columns = terminal_columns(out, 80);
    print_top(out, columns);
    print_data(out, columns);
    print_model(out, columns);
    for (size_t i = 0; i < sizeof SECTIONS / sizeof *SECTIONS; i++) {
        print_text(out, SECTIONS[i].title, columns);
        options_print(out, SECTIONS[i].table, columns);
    }
    print_sweep(out, columns);
    print_claims(out, columns);
}
