#include "tests/support/layer_apply.h"
#include "layers/registry.h"

#include <stdlib.h>
#include <string.h>

static bool build(layer_apply *a, const layer_class *cls, const char *options, err *e)
{
    node *n = NULL;
    if (options) {
        n = node_parse(a->memory, options, strlen(options), "options", e);
        if (!n) return false;
    }
    void *values = arena_push_zero(a->memory, 1, MAX(cls->options_bytes, 1));
    if (!options_read(values, cls->options, n, NULL, a->memory, e)) return false;
    a->layer.cls = cls;
    a->layer.name = cls->name;
    a->layer.options = values;
    if (cls->check && !cls->check(values, &a->layer.dims, n, e)) return false;
    cls->build(&a->build, &a->layer);
    params_seal(&a->params);
    return !cls->link || cls->link(&a->build, &a->layer, e);
}

static void make_buffers(layer_apply *a)
{
    arena *m = a->memory;
    int slots = a->build.slot_count;
    a->values = arena_push_zero(m, a->params.total, sizeof(real));
    a->grads.values = arena_push_zero(m, a->params.total, sizeof(real));
    a->grads.has = arena_push_zero(m, a->params.pieces, sizeof(bool));
    a->position = arena_push_zero(m, a->rows, sizeof *a->position);
    a->slots = ARENA_NEW(m, real *, slots);
    a->lengths = arena_push_zero(m, slots, sizeof *a->lengths);
    layer_ctx *c = &a->ctx;
    c->books = &a->books;
    c->books->leaves = arena_push_zero(m, a->params.pieces, sizeof *c->books->leaves);
    c->books->state = arena_push_zero(m, slots, sizeof *c->books->state);
    c->books->next_state = arena_push_zero(m, slots, sizeof *c->books->next_state);
    c->books->stores = arena_push_zero(m, slots, sizeof *c->books->stores);
    c->books->rings = arena_push_zero(m, slots, sizeof *c->books->rings);
    for (int i = 0; i < slots; i++) {
        const state_slot *s = &a->build.slots[i];
        a->slots[i] = ARENA_NEW(m, real, a->rows * s->max_length * s->width);
        if (s->store) c->books->stores[i] = a->slots[i];
    }
    params_start(&a->params, a->values, 1);
}

layer_apply *layer_apply_new(const char *name, const char *options, const layer_dims *dims,
                             int64_t rows, const layer_build *inputs, err *e)
{
    const layer_class *cls = registry_layer(name);
    if (!cls) cls = registry_head(name);
    if (!cls) {
        err_set(e, "no layer or head '%s'", name);
        return NULL;
    }
    return layer_apply_new_class(cls, options, dims, rows, inputs, e);
}

layer_apply *layer_apply_new_class(const layer_class *cls, const char *options,
                                   const layer_dims *dims, int64_t rows, const layer_build *inputs,
                                   err *e)
{
    layer_apply *a = calloc(1, sizeof *a);
    CHECK(a, "out of memory for a test (%zu bytes)", sizeof *a);
    a->memory = arena_new(0);
    a->tape = tape_new();
    a->rows = rows;
    a->layer.dims = *dims;
    params_init(&a->params, a->memory);
    a->build = (layer_build){.params = &a->params, .memory = a->memory, .seed = 1, .std = 0.3};
    if (inputs) {
        a->build.token_counts = inputs->token_counts;
        a->build.token_text = inputs->token_text;
        a->build.source = inputs->source;
    }
    if (!build(a, cls, options, e)) {
        layer_apply_free(a);
        return NULL;
    }
    make_buffers(a);
    return a;
}

void layer_apply_free(layer_apply *a)
{
    if (!a) return;
    tape_free(a->tape);
    arena_free(a->memory);
    free(a);
}

static const param *find(const layer_apply *a, const char *name, int64_t *count)
{
    size_t prefix = strlen(a->layer.name) + 1;
    for (int i = 0; i < a->params.count; i++) {
        const param *p = &a->params.list[i];
        if (strcmp(p->name + prefix, name) != 0) continue;
        if (count) *count = p->count;
        return p;
    }
    CHECK(false, "%s has no parameter %s", a->layer.name, name);
    return NULL;
}

real *layer_apply_param(layer_apply *a, const char *name, int64_t *count)
{
    return a->values + find(a, name, count)->offset;
}

real *layer_apply_grad(layer_apply *a, const char *name, int64_t *count)
{
    return a->grads.values + find(a, name, count)->offset;
}

void layer_apply_reset(layer_apply *a)
{
    for (int64_t r = 0; r < a->rows; r++) {
        a->position[r] = 0;
    }
}

/* State comes in and gradients begin. */
static void begin(layer_apply *a, bool recording)
{
    layer_ctx *c = &a->ctx;
    tape_reset(a->tape, recording);
    c->tape = a->tape;
    c->rows = a->rows;
    c->position = c->document = a->position;
    c->books->params = &a->params;
    c->books->values = a->values;
    c->books->grads = recording ? &a->grads : NULL;
    c->books->aux_count = c->books->metric_count = 0;
    memset(c->books->leaves, 0, (size_t)a->params.pieces * sizeof *c->books->leaves);
    for (int i = 0; i < a->build.slot_count; i++) {
        int64_t shape[] = {a->rows, a->lengths[i], a->build.slots[i].width};
        const state_slot *s = &a->build.slots[i];
        bool none = s->store || s->segment || a->lengths[i] == 0;
        c->books->next_state[i] = none ? NULL : tape_leaf(a->tape, a->slots[i], 3, shape, false);
    }
}

static void set_call(layer_apply *a, const layer_apply_call *call)
{
    layer_ctx *c = &a->ctx;
    int64_t n = a->rows * call->time;
    c->time = call->time;
    c->tokens = call->tokens ? call->tokens
                             : memset(tape_keep(a->tape, n, sizeof(int32_t)), 0,
                                      (size_t)n * sizeof(int32_t));
    c->targets = call->targets;
    c->weights = call->weights;
    c->lengths = call->lengths;
    c->total_weight = call->total_weight;
    double weight = 0;
    for (int64_t i = 0; i < n; i++) {
        weight += call->weights ? (double)call->weights[i] : 1;
    }
    c->share = call->total_weight > 0 ? weight / call->total_weight : weight;
    c->mode = call->mode;
    c->watch = &call->watch;
    memcpy(c->books->state, c->books->next_state, (size_t)a->build.slot_count * sizeof(tensor *));
}

static void run_backward(layer_apply *a, layer_apply_call *calls, int n, tensor *const *x)
{
    memset(a->grads.values, 0, (size_t)a->params.total * sizeof(real));
    const real one = 1;
    for (int i = 0; i < a->books.aux_count; i++) {
        tape_seed(a->tape, a->books.aux[i], &one);
    }
    tape_run_backward(a->tape);
    for (int64_t i = 0; i < a->params.pieces; i++) {
        a->grads.has[i] = a->books.leaves[i] && a->books.leaves[i]->has_grad;
    }
    for (int i = 0; i < n; i++) {
        calls[i].dx = x[i]->has_grad ? x[i]->grad
                                     : tape_constant(a->tape, NULL, x[i]->rank, x[i]->shape)->data;
    }
}

static void carry(layer_apply *a)
{
    for (int i = 0; i < a->build.slot_count; i++) {
        const tensor *s = a->books.next_state[i];
        if (a->build.slots[i].store) continue;
        a->lengths[i] = s ? s->shape[1] : 0;
        if (s) memmove(a->slots[i], s->data, (size_t)tensor_count(s) * sizeof(real));
    }
}

/* One call; returns its x. */
static tensor *forward(layer_apply *a, layer_apply_call *call)
{
    layer_ctx *c = &a->ctx;
    set_call(a, call);
    int64_t shape[] = {a->rows, call->time, a->layer.dims.width};
    tensor *x = tape_constant(a->tape, call->x, 3, shape);
    x->needs_grad = call->cotangent != NULL;
    int aux = c->books->aux_count;
    tensor *y = a->layer.cls->forward(c, &a->layer, x);
    call->y = y;
    call->dx = NULL;
    call->aux = 0;
    for (int i = aux; i < c->books->aux_count; i++) {
        call->aux += (double)*c->books->aux[i]->data;
    }
    if (call->cotangent) tape_seed(a->tape, y, call->cotangent);
    for (int64_t r = 0; r < a->rows; r++) {
        a->position[r] += call->time;
    }
    return x;
}

void layer_apply_segment(layer_apply *a, layer_apply_call *calls, int n)
{
    tensor *x[LAYER_APPLY_CALLS];
    CHECK(n >= 1 && n <= LAYER_APPLY_CALLS, "%d calls", n);
    begin(a, calls->cotangent != NULL);
    for (int i = 0; i < n; i++) {
        x[i] = forward(a, &calls[i]);
    }
    if (calls->cotangent) run_backward(a, calls, n, x);
    carry(a);
}

void layer_apply_run(layer_apply *a, layer_apply_call *call)
{
    layer_apply_segment(a, call, 1);
}
