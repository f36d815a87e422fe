#include "harness/evaluate/cleared.h"

#include <math.h>
#include <stdlib.h>

/* Each figure is a difference of two evaluations of the same tokens:
 *
 *   worth(layer) = (nats without its state - nats as it is) / tokens
 *
 * The same evaluation with one thing forgotten: model, text, rows and cuts are those of the plain
 * one, so that nothing else is in the difference. The plain one is read only when the first layer
 * turns out to carry something, and shared by all (*plain, NaN until then); a model that carries
 * nothing costs one look. States are cleared one layer at a time, which tells them apart; of two
 * layers that carry the same, each may seem worth little, as the other still has it. Caches are
 * cleared together. */

/* Nats per token of the sample; NaN if the task was stopped. The sample leaves nothing behind but
 * its figure, and no reader, watch or file of the task hears of it; in particular it is not kept on
 * the way, for `forget` is no part of an evaluation's identity. */
static bool loss_without(double *loss, const eval_task *task, const eval_forget *what, err *e)
{
    eval_options o = *task->options;
    o.tokens = o.tokens > 0 ? MIN(o.tokens, o.cleared) : o.cleared;
    eval_task sample = *task;
    sample.options = &o;
    sample.losses_path = NULL;
    sample.slices = false;
    sample.watch = NULL;
    sample.reader.heard = NULL;
    sample.keep = NULL;
    sample.forget = what;
    evaluation r;
    if (!evaluate(&r, &sample, e)) return false;
    *loss = r.stopped ? (double)NAN : r.nats / (double)MAX(r.tokens, 1);
    evaluate_deinit(&r);
    return true;
}

/* A state that has read two blocks: what it carries is carried from block to block. */
static model_state *after_two_blocks(const eval_task *task)
{
    int64_t time = model_context(task->model);
    model_state *s = model_state_new(task->model, 1);
    tape *t = tape_new();
    int32_t *tokens = calloc((size_t)time, sizeof *tokens);
    CHECK(tokens, "out of memory for %lld tokens", (long long)time);
    for (int i = 0; i < 2; i++) {
        model_begin(s, t, task->values, NULL);
        model_call call = {.time = time, .tokens = tokens, .targets = tokens, .mode = MODE_EVAL};
        model_forward(s, &call);
        model_end(s);
    }
    free(tokens);
    tape_free(t);
    return s;
}

/* Whether anything is carried is asked of the look first: of a layer that carries nothing there is
 * no figure, and nobody waits for two evaluations. */
static bool measure_without(json_t *out, const eval_task *task, const model_state *s,
                            const eval_forget *what, double *plain, err *e)
{
    double without;
    if (!model_state_carries(s, what->self, what->kind)) return true;
    if (isnan(*plain) && !loss_without(plain, task, NULL, e)) return false;
    if (!loss_without(&without, task, what, e)) return false;
    json_t *o = json_object();
    const char *key = what->kind == SLOT_STATE ? "without_state" : "without_memory";
    json_object_set_new(o, key, json_finite(without - *plain));
    json_object_set_new(out, what->self ? what->self->name : "", o);
    return true;
}

bool cleared_is_asked(const eval_options *o)
{
    return o->cleared > 0 && o->dynamic.kind == DYNAMIC_NONE;
}

/* The head may carry something, too (fast weight layers are heads): it is the last of the layers
 * asked, i == n. */
bool cleared_measure(json_t **out, const eval_task *task, err *e)
{
    *out = NULL;
    if (!cleared_is_asked(task->options)) return true;
    const layer *const *layers;
    int n = model_layers(task->model, &layers);
    json_t *all = json_object();
    double plain = (double)NAN;
    model_state *s = after_two_blocks(task);
    bool ok = true;
    /* States layer by layer, then all caches at once (self NULL). */
    for (int i = 0; ok && i <= n; i++) {
        eval_forget what = {i < n ? layers[i] : model_head(task->model), SLOT_STATE};
        ok = measure_without(all, task, s, &what, &plain, e);
    }
    ok = ok && measure_without(all, task, s, &(eval_forget){NULL, SLOT_CACHE}, &plain, e);
    model_state_free(s);
    if (ok && !(task->stop && *task->stop)) {
        *out = all;
    } else {
        json_decref(all);
    }
    return ok;
}

void cleared_note(json_t *record, const json_t *measured, const eval_options *o)
{
    json_t *all = json_pack("{s:I, s:O}", "cleared", (json_int_t)o->cleared, "layers", measured);
    json_object_update_recursive(record, all);
    json_decref(all);
}

bool cleared_is(const json_t *record, const eval_options *o)
{
    return !cleared_is_asked(o) || json_get_int(record, "cleared", -1) == o->cleared;
}
