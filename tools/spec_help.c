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

static const char TOP[] =
    "An experiment file (YAML 1.2) has these sections; all but data, model and train may be left\n"
    "out. Numbers may be written 1e-3, 1_000, 0x1F, and with k, M, G, T for powers of 1000.\n"
    "\n"
    "  name         default: the file's name without .yaml\n"
    "  description  one line, printed with the results\n"
    "  extends      a file, or a list of files, whose sections come first (relative to this "
    "file)\n";

static const char SWEEP[] =
    "\nsweep: the variants; a map, or a list of maps whose variants add up\n"
    "  baseline  a variant's label, or {axis: value}; default: the first variant\n"
    "  seeds     a list, or how many (1, 2, ...); default: 1; or {until: decided, at least: 3,\n"
    "            at most: 12, spending: obrien-fleming|pocock}: added until claims are decided\n"
    "  grid      every combination of {PATH: [values], NAME: {alternative: {PATH: value}}}\n"
    "  zip       the same, values side by side; equal lengths\n"
    "  list      one by one: [{label: NAME, PATH: value}, ...]\n"
    "  when      {AXIS: {axis: value or [values]}}: AXIS takes part only where axes have these\n"
    "  exclude   [{axis: value or [values]}, ...]: combinations that are left out\n";

static const char CLAIMS[] =
    "\nclaims: what the experiment expects, judged by loci claims; a list of maps\n"
    "  name        letters, digits, '.', '_', '-'\n"
    "  says        one sentence\n"
    "  source      paper, table\n"
    "  page        where it is written up\n"
    "  all         several statements, all of which are needed: [{...}, ...]; or one of these:\n"
    "  better, than, by         A is better than B, by more than a margin with its unit\n"
    "  variant, within, of      A is within a margin of B, either way\n"
    "  variant, at most, of, on A has at most a factor times the figure of B\n"
    "  variant, on, above       a figure of loci inspect is above another one of it, or a number\n"
    "  rises with, falls with   a trend along an axis (where: {AXIS: VALUE} or variants: [...] say "
    "of\n"
    "                           what) or, of one `variant`, along position, frequency or\n"
    "                           repetition; over: B takes the gain over B; by: a margin a step\n"
    "  on          the figure; default: that of loci compare\n"
    "  split       train, validation or test; default: that of the final evaluations\n"
    "  slice       {position: 512-}, {frequency: 0}, {repetition: 1-3}\n"
    "  distance    of a probe's questions\n"
    "  unit        seeds (default), or documents: these models on other text, where seeds are few\n"
    "  A margin is 0.02 bits/byte, or 2 % of B's. Figures and their units:\n";

/* A part's figures, which are many and short, in lines of their own. */
static void print_inspected(FILE *out)
{
    fputs(
        "    inspect.PART.FIGURE what loci inspect found, by depth (rises with: depth); by part:\n",
        out);
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
        terminal_wrap(out, text, 0, 8, 79);
        fputc('\n', out);
    }
}

static void print_claims(FILE *out)
{
    fputs(CLAIMS, out);
    for (const claim_figure *f = CLAIM_FIGURES; f->name; f++) {
        fprintf(out, "    %-20s%-18s%s%s\n", f->name, *f->unit ? f->unit : "%", f->title,
                f->higher ? " (more is better)" : "");
    }
    print_inspected(out);
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
static void print_data(FILE *out)
{
    arena_auto *a = arena_new(0);
    /* No folders are looked at: what kinds there are does not depend on the machine. */
    const corpus_places nowhere = {0};
    const corpus_info *list;
    int count = prepare_list(&list, &nowhere, a);
    fprintf(out, "\ndata: {corpus: NAME, ...}\n");
    /* The first kind's own options are those of all, for it has no others. */
    options_print(out, list[0].options);
    for (int i = 0; i < count; i++) {
        option own[64] = {{0}};
        int n = 0;
        for (const option *o = list[i].options; o->name && n < 63; o++) {
            /* The terminating entry is there from the initialisation: hence one less than the array
             * holds. */
            if (!has_option(list[0].options, o)) own[n++] = *o;
        }
        fprintf(out, "\ndata: {corpus: %s}: %s\n", list[i].name, list[i].help);
        if (n > 0) options_print(out, own);
    }
}

static const char MODEL[] =
    "\nmodel:\n"
    "  blocks   list  required  [{repeat: n, LAYER: {option: value}, ...}, ...]: the stack, from "
    "the\n"
    "                           input on; `loci layers` lists layers, `loci layers NAME` options\n"
    "  head     map   linear    {kind: NAME, option: value}: from the last layer to the tokens\n";

static void print_model(FILE *out)
{
    enum { CAPACITY = 32 };
    const char *names[CAPACITY];
    const option *tables[CAPACITY];
    int count = MIN(model_option_tables(names, tables, CAPACITY), CAPACITY);
    fputs(MODEL, out);
    for (int i = 0; i < count; i++) {
        if (*names[i]) fprintf(out, "\nmodel.%s:\n", names[i]);
        options_print(out, tables[i]);
    }
}

static void print_section(FILE *out, const char *title, const option *table)
{
    fprintf(out, "\n%s\n", title);
    options_print(out, table);
}

void spec_help(FILE *out)
{
    fputs(TOP, out);
    print_data(out);
    print_model(out);
    print_section(out, "init_from: the trained run whose parameters it starts from", INIT_OPTIONS);
    print_section(out, "optimizer:", OPTIM_OPTIONS);
    print_section(out, "optimizer.groups: a list of", OPTIM_GROUP_OPTIONS);
    print_section(out, "schedule: the learning rate over the run", SCHEDULE_OPTIONS);
    print_section(out, "train:", TRAIN_OPTIONS);
    print_section(out, "eval: after training, and every train.eval_every steps", EVAL_OPTIONS);
    print_section(out, "eval.dynamic: how the model learns while it is evaluated", DYNAMIC_OPTIONS);
    print_section(out, "eval.sample: a text that the model writes", SAMPLE_OPTIONS);
    fputs(SWEEP, out);
    print_claims(out);
}
