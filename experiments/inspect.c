/* An inspection from beginning to end. */
#include "experiments/inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/inspect_parts.h"

const char *const REMOVAL_NAMES[REMOVALS] = {"first", "last", "random"};

const char *inspect_part_name(int part)
{
    switch (part) {
    case INSPECT_KEYS:
        return "keys";
    case INSPECT_VALUES:
        return "values";
    case INSPECT_COMPOSITION:
        return "composition";
    default:
        return "refinement";
    }
}

int inspection_layer(const inspection *x, const layer *l)
{
    for (int i = 0; i < x->layer_count; i++) {
        if (x->layers[i].layer == l) return i;
    }
    return -1;
}

void inspection_add(inspection *x, int part, const layer *l, const char *name, int bin,
                    double value)
{
    if (x->figure_count == x->figure_capacity) {
        x->figure_capacity = x->figure_capacity ? 2 * x->figure_capacity : 256;
        inspect_figure *grown = ARENA_NEW(x->memory, inspect_figure, x->figure_capacity);
        if (x->figure_count) {
            memcpy(grown, x->figures, (size_t)x->figure_count * sizeof *grown);
        }
        x->figures = grown;
    }
    x->figures[x->figure_count++] = (inspect_figure){part, l, name, bin, value};
}

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

const char *inspection_prefix(const inspection *x, const prefixes *text, int64_t token,
                              size_t most_bytes, arena *a)
{
    (void)x;
    int32_t ids[2 * SENTENCE_TOKENS];
    int64_t begin = prefixes_sentence(text, token);
    begin = MAX(begin, token + 1 - 2 * SENTENCE_TOKENS);
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

/* ---- which layers ---- */

static bool find_layers(inspection *x, err *e)
{
    const layer *const *layers;
    int n = model_layers(x->task->loaded->model, &layers);
    x->layers = arena_push_zero(x->memory, n, sizeof *x->layers);
    for (int i = 0; i < n; i++) {
        layer_memories m;
        if (!layers[i]->cls->memories || !layers[i]->cls->memories(layers[i], &m)) continue;
        inspected_layer *l = &x->layers[x->layer_count++];
        l->layer = layers[i];
        l->memories = m;
    }
    if (x->layer_count > 0) return true;
    return err_set(e, "%s: no layer of this model is a memory of keys and values; ffn is one",
                   x->task->loaded->run);
}

static bool open_text(inspection *x, prefixes *p, int64_t split, int64_t limit, err *e)
{
    corpus *c = x->task->loaded->corpus;
    corpus_split *s = corpus_get(c, (split_kind)split);
    if (!s) return err_set(e, "the corpus has no %s split", split_name((split_kind)split));
    return prefixes_open(p, c, s, limit, x->memory, e);
}

/* ---- the steps ---- */

static bool run(inspection *x, err *e)
{
    const inspect_options *o = x->task->options;
    int parts = x->task->parts;
    bool keys = parts & (INSPECT_KEYS | INSPECT_VALUES);
    bool samples = parts & (INSPECT_COMPOSITION | INSPECT_REFINEMENT);
    if (!find_layers(x, e)) return false;
    if (keys && !open_text(x, &x->text, o->split, o->tokens, e)) return false;
    if (samples && !open_text(x, &x->sample_text, o->sample_split, o->sample_tokens, e)) {
        return false;
    }
    if (keys && (!inspect_keys(x, e) || x->stopped)) return x->stopped;
    inspect_values(x); /* composition compares with their top tokens, too */
    if (samples && (!inspect_samples(x, e) || x->stopped)) return x->stopped;
    if ((parts & INSPECT_KEYS) && (!inspect_patterns(x, e) || !inspect_perturb(x, e))) return false;
    return x->stopped || inspect_figures(x, e);
}

bool inspect(inspection *x, const inspect_task *task, err *e)
{
    *x = (inspection){.memory = arena_new(0), .task = task};
    if (run(x, e)) return true;
    inspection_deinit(x);
    return false;
}

void inspection_deinit(inspection *x)
{
    arena_free(x->memory);
    x->memory = NULL;
}
