#include "harness/inspect/inspection.h"

#include <math.h>
#include <string.h>

/* What the parts of an inspection share: how they evaluate, how their threads add up, where their
 * figures are kept.
 *
 * A figure is (part, layer, name, bin) -> number, in one flat list in the order in which it was
 * added. Everything downstream (records, page, database, plots) goes by names, so that a new figure
 * is a call of inspection_add and a line of words (results/store/inspect_words.c), with no struct
 * between. */

const char *const REMOVAL_NAMES[REMOVALS] = {"first", "last", "random"};

/* Also the name of the part's file, and of its section in the page. */
const char *inspection_part_name(int part)
{
    switch (part) {
    case INSPECT_KEYS:
        return "keys";
    case INSPECT_VALUES:
        return "values";
    case INSPECT_COMPOSITION:
        return "composition";
    case INSPECT_REFINEMENT:
        return "refinement";
    case INSPECT_CHANGES:
        return "changes";
    default:
        return "states";
    }
}

/* Plain evaluation but for the watch: the model's own context, state carried through documents,
 * nothing reset. What is inspected is what is evaluated. */
bool inspection_evaluate(evaluation *r, inspection *x, split_kind split, int64_t tokens,
                         const eval_watch *watch, err *e)
{
    const inspect_task *task = x->task;
    eval_options options = {.split = (int64_t)split, .rows = task->options->rows, .tokens = tokens};
    eval_task eval = {.model = task->loaded->model,
                      .values = task->loaded->values,
                      .corpus = task->loaded->corpus,
                      .options = &options,
                      .threads = task->threads,
                      .seed = (uint64_t)task->loaded->seed,
                      .stop = task->stop,
                      .reader = task->reader,
                      .watch = watch};
    if (!evaluate(r, &eval, e)) return false;
    x->stopped = x->stopped || r->stopped;
    return true;
}

/* ---- sums ---- */

enum { LARGEST = 1 << 20 };
static const double UNITS = 4294967296.0;

/* In whole numbers, for additions of doubles depend on their order, and threads come in any. A sum
 * of 2^30 terms of 1 still fits. Relaxed is enough: sums are read after the threads have met. */
void inspection_sum(int64_t *sum, double x)
{
    if (!(fabs(x) < LARGEST)) return;
    __atomic_fetch_add(sum, llrint(x * UNITS), __ATOMIC_RELAXED);
}

double inspection_sum_of(int64_t sum)
{
    return (double)sum / UNITS;
}

/* ---- figures ---- */

int inspection_layer(const inspection *x, const layer *l)
{
    for (int i = 0; i < x->layer_count; i++) {
        if (x->layers[i].layer == l) return i;
    }
    return -1;
}

/* The list doubles in the arena; pointers into it are good until the next figure only. */
void inspection_add(inspection *x, int part, const layer *l, const char *name, int bin,
                    double value)
{
    if (x->figure_count == x->figure_capacity) {
        x->figure_capacity = x->figure_capacity ? 2 * x->figure_capacity : 256;
        inspect_figure *grown = ARENA_NEW(x->memory, inspect_figure, x->figure_capacity);
        if (x->figure_count) memcpy(grown, x->figures, (size_t)x->figure_count * sizeof *grown);
        x->figures = grown;
    }
    x->figures[x->figure_count++] = (inspect_figure){part, l, name, bin, value};
}

/* By looking through the list: some hundred figures, asked for while a page is made. */
double inspection_figure(const inspection *x, int part, const layer *l, const char *name, int bin)
{
    for (int i = 0; i < x->figure_count; i++) {
        const inspect_figure *f = &x->figures[i];
        if (f->part == part && f->layer == l && f->bin == bin && strcmp(f->name, name) == 0) {
            return f->value;
        }
    }
    return (double)NAN;
}

/* In the order of their first figure, which is the stack's. */
int inspection_part_layers(const inspection *x, int part, const layer *list[INSPECT_LAYERS])
{
    int n = 0;
    for (int i = 0; i < x->figure_count && n < INSPECT_LAYERS; i++) {
        const inspect_figure *f = &x->figures[i];
        bool fresh = f->part == part && f->layer;
        for (int k = 0; k < n && fresh; k++) {
            fresh = list[k] != f->layer;
        }
        if (fresh) list[n++] = f->layer;
    }
    return n;
}

/* Read backwards from the prefix's end, piece by piece while they fit, then written forwards. ids
 * has room to spare: no sentence is longer than SENTENCE_TOKENS (prefixes.h). Nothing may be cut
 * inside of a piece: a piece of a byte tokenizer may be part of a character anyway, and who prints
 * it has to reckon with that. */
const char *inspection_prefix(const prefixes *text, int64_t token, size_t most_bytes, arena *a)
{
    int32_t ids[2 * SENTENCE_TOKENS];
    int64_t begin = prefixes_sentence(text, token);
    begin = MAX(begin, token + 1 - (int64_t)2 * SENTENCE_TOKENS);
    int64_t n = token + 1 - begin, from = n;
    if (!prefixes_read(text, begin, n, ids, NULL)) return "";
    size_t bytes = 0;
    while (from > 0 && bytes + strlen(prefixes_piece(text, ids[from - 1])) <= most_bytes) {
        bytes += strlen(prefixes_piece(text, ids[--from]));
    }
    char *prefix = arena_push(a, (int64_t)bytes + 1, 1), *end = prefix;
    for (; from < n; from++) {
        const char *piece = prefixes_piece(text, ids[from]);
        size_t length = strlen(piece);
        memcpy(end, piece, length);
        end += length;
    }
    *end = 0;
    return prefix;
}

/* Everything lies in the one arena. */
void inspection_deinit(inspection *x)
{
    arena_free(x->memory);
    x->memory = NULL;
}
