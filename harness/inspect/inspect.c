/* An inspection from beginning to end.
 *
 * The parts build on each other, which fixes their order:
 *
 *   keys          triggers of every memory                      inspect_keys.c
 *   values        distributions; agreement with those triggers  inspect_values.c
 *   patterns      what triggers have in common                  inspect_patterns.c
 *   removals      triggers that lose a token                    inspect_perturb.c
 *   samples       the stream at sampled prefixes; compares a
 *                 layer's output with the values' top tokens    inspect_samples.c
 *   figures       of all these                                  inspect_figures.c
 *   changes       what was learned while reading                inspect_changes.c
 *   states        what was written and read                     inspect_states.c
 *
 * Each pass over text is a whole evaluation (keys, samples, changes, states). Functions here return
 * false on an error and true when they were stopped: x->stopped then says that nothing of it
 * counts. */
#include "harness/inspect/inspect.h"

#include <string.h>

#include "core/base/host.h"
#include "harness/inspect/inspect_changes.h"
#include "harness/inspect/inspect_figures.h"
#include "harness/inspect/inspect_keys.h"
#include "harness/inspect/inspect_patterns.h"
#include "harness/inspect/inspect_perturb.h"
#include "harness/inspect/inspect_samples.h"
#include "harness/inspect/inspect_states.h"
#include "harness/inspect/inspect_values.h"
#include "harness/train/bad_number.h"

/* ---- which layers ---- */

/* A layer's options decide whether it is a memory, so each is asked; there is room for all layers.
 */
static void find_memories(inspection *x, const layer *l)
{
    layer_memories m;
    if (!l->cls->memories || !l->cls->memories(l, &m)) return;
    inspected_layer *found = &x->layers[x->layer_count++];
    found->layer = l;
    found->memories = m;
}

static void find_exchanges(inspection *x, const layer *l)
{
    layer_exchange list[MAX_EXCHANGES];
    int n = l->cls->exchanges ? l->cls->exchanges(l, list) : 0;
    if (n == 0) return;
    inspected_exchange *grown =
        arena_push_zero(x->memory, x->exchange_count + n, sizeof *x->exchanges);
    if (x->exchange_count) memcpy(grown, x->exchanges, (size_t)x->exchange_count * sizeof *grown);
    x->exchanges = grown;
    for (int i = 0; i < n; i++) {
        grown[x->exchange_count++] =
            (inspected_exchange){.layer = l, .index = i, .exchange = list[i]};
    }
}

/* What the layers offer, and the parts that are wanted of it. Asked for nothing, an inspection does
 * what it can; asked for a part that no layer offers, it fails and names a layer that would.
 *
 * The head is asked for exchanges and for weights that learn, not for memories of keys and values,
 * whose figures compare a layer with the stream behind it. */
static bool find_layers(inspection *x, err *e)
{
    const layer *const *layers, *head = model_head(x->task->loaded->model);
    int n = model_layers(x->task->loaded->model, &layers), offered = 0;
    x->layers = arena_push_zero(x->memory, n, sizeof *x->layers);
    x->changes = arena_push_zero(x->memory, n + 1, sizeof *x->changes);
    /* i == n is the head, which stands in no list of layers. */
    for (int i = 0; i <= n; i++) {
        const layer *l = i < n ? layers[i] : head;
        if (i < n) find_memories(x, l);
        if (l->cls->learns) x->changes[x->change_count++].layer = l;
        find_exchanges(x, l);
    }
    if (x->layer_count) offered |= INSPECT_MEMORIES;
    if (x->change_count) offered |= INSPECT_CHANGES;
    if (x->exchange_count) offered |= INSPECT_STATES;
    x->parts = x->task->parts ? x->task->parts : offered;
    int lacking = x->parts & ~offered;
    const char *run = x->task->loaded->run;
    if (lacking & INSPECT_MEMORIES) {
        return err_set(e, "%s: no layer of this model is a memory of keys and values; ffn is one",
                       run);
    }
    if (lacking & INSPECT_CHANGES) {
        return err_set(e, "%s: no weights of this model learn while it reads; the head fwl's do",
                       run);
    }
    if (lacking & INSPECT_STATES) {
        return err_set(e, "%s: no layer of this model has states; block_recurrent has", run);
    }
    if (offered) return true;
    return err_set(e,
                   "%s: no layer of this model offers anything to inspect; ffn, fwl and "
                   "block_recurrent do",
                   run);
}

/* Of keys and values that are no numbers there would be figures all the same: nothing compares with
 * a NaN, and what is counted is 0. */
static bool check_numbers(const inspection *x, err *e)
{
    const trained_model *m = x->task->loaded;
    bad_number b = {.params = model_params_const(m->model), .values = m->values};
    bad_number_in_parameters(&b);
    return !b.text[0] ||
           err_set(e,
                   "%s: %s has values that are no finite numbers: the weights are damaged, or too "
                   "large",
                   m->run, b.text);
}

static bool open_text(inspection *x, prefixes *p, int64_t split, int64_t limit, err *e)
{
    corpus *c = x->task->loaded->corpus;
    corpus_split *s = corpus_need(c, (split_kind)split, e);
    return s && prefixes_open(p, c, s, limit, x->memory, e);
}

/* ---- the steps ---- */

/* Values, and what triggers have in common: counted with the pass that they follow. Without keys
 * there are no triggers, and values are read for composition only. */
static bool inspect_found(inspection *x, err *e)
{
    double began = host_monotonic_s();
    inspect_values(x); /* composition compares with their top tokens, too */
    bool ok = !(x->parts & INSPECT_KEYS) || (inspect_patterns(x, e) && inspect_perturb(x, e));
    if (x->seconds > 0) x->seconds += host_monotonic_s() - began;
    return ok;
}

static bool inspect_memories(inspection *x, err *e)
{
    bool keys = x->parts & (INSPECT_KEYS | INSPECT_VALUES);
    bool samples = x->parts & (INSPECT_COMPOSITION | INSPECT_REFINEMENT);
    if (keys && (!inspect_keys(x, e) || x->stopped)) return x->stopped;
    if (!inspect_found(x, e) || x->stopped) return x->stopped;
    if (samples && (!inspect_samples(x, e) || x->stopped)) return x->stopped;
    return inspect_figures(x, e);
}

/* Texts are opened before the first pass: a split that the corpus lacks is known at once, not after
 * a pass over the other. Keys and values go over one text (what triggers them), all other parts
 * over another (a sample of what is read), each of which may be of another split. */
static bool run_parts(inspection *x, err *e)
{
    const inspect_options *o = x->task->options;
    if (!find_layers(x, e) || !check_numbers(x, e)) return false;
    bool keys = x->parts & (INSPECT_KEYS | INSPECT_VALUES);
    bool samples = x->parts & ~(INSPECT_KEYS | INSPECT_VALUES);
    if (keys && !open_text(x, &x->text, o->split, o->tokens, e)) return false;
    if (samples && !open_text(x, &x->sample_text, o->sample_split, o->sample_tokens, e)) {
        return false;
    }
    if ((x->parts & INSPECT_MEMORIES) && (!inspect_memories(x, e) || x->stopped)) return x->stopped;
    if ((x->parts & INSPECT_CHANGES) && (!inspect_changes(x, e) || x->stopped)) return x->stopped;
    return !(x->parts & INSPECT_STATES) || inspect_states(x, e);
}

bool inspect(inspection *x, const inspect_task *task, err *e)
{
    *x = (inspection){.memory = arena_new(0), .task = task};
    if (run_parts(x, e)) return true;
    inspection_deinit(x);
    return false;
}
