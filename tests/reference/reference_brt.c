/* Reference cases of the block-recurrent transformer's PyTorch port, through its importer and the
 * model's public functions. */
#include "tests/reference/reference.h"

#include "models/import_brt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct brt_run {
    reference_case *c;
    brt_source source;
    model *model;
    model_state *state;
    tape *tape;
    real *values, *total; /* [params.total]; total: sum of the segments' gradients */
    grads grads;
    int64_t rows, length, block;
    const int64_t *tokens;
    int64_t columns;
    char tap_prefix[32]; /* "seg0"; "": no intermediate values */
    int64_t
        seen[2 * BRT_LAYERS + 1]; /* positions (states: blocks) that each layer was tapped for */
} brt_run;

/* ---- intermediate values ---- */

/* Positions [begin, begin + block) of x [rows, time, width]. */
static const real *block_part(brt_run *r, const tensor *x, int64_t begin)
{
    int64_t time = x->shape[1], width = x->shape[2], n = r->block * width;
    real *part = ARENA_NEW(r->c->memory, real, r->rows * n);
    for (int64_t row = 0; row < r->rows; row++) {
        memcpy(part + row * n, x->data + (row * time + begin) * width, (size_t)n * sizeof *part);
    }
    return part;
}

static void on_tap(void *user, const layer *self, const char *what, const tensor *x)
{
    brt_run *r = user;
    char name[128];
    int l = self->dims.depth / 2;
    bool ffn = self->dims.depth % 2;
    if (strcmp(what, "state") == 0) {
        int64_t block = r->seen[2 * BRT_LAYERS - 1 - l]++;
        snprintf(name, sizeof name, "%s.block%lld.layer%d.new_state", r->tap_prefix,
                 (long long)block, l);
        if (reference_has(r->c, name)) reference_expect_tensor(r->c, name, x, "outputs");
    }
    if (strcmp(what, "output") != 0 || self->dims.depth >= self->dims.depths) return;
    int64_t *seen = &r->seen[self->dims.depth];
    for (int64_t at = 0; at < x->shape[1]; at += r->block, *seen += r->block) {
        snprintf(name, sizeof name, "%s.block%lld.layer%d.%s_branch", r->tap_prefix,
                 (long long)(*seen / r->block), l, ffn ? "ff" : "attn");
        if (reference_has(r->c, name)) {
            reference_expect(r->c, name, block_part(r, x, at), "outputs");
        }
    }
}

/* ---- carried state ---- */

static const state_view *view_named(const state_view *views, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(views[i].name, name) == 0) return &views[i];
    }
    return NULL;
}

/* Appends a slot's keys (half 0) or values (half 1) behind those already at `at` of each row. */
static void put_half(real *memory, const state_view *v, int half, int64_t length, int64_t at)
{
    int64_t e = v->shape[2] / 2;
    for (int64_t row = 0; row < v->shape[0]; row++) {
        for (int64_t i = 0; i < v->shape[1]; i++) {
            memcpy(memory + ((half * v->shape[0] + row) * length + at + i) * e,
                   v->data + (row * v->shape[1] + i) * 2 * e + half * e, (size_t)e * sizeof(real));
        }
    }
}

static void check_memory(brt_run *r, const char *name, const layer *l, const state_view *views,
                         int n)
{
    char slot[128];
    const st_tensor *expected = reference_get(r->c, name);
    if (!expected) return;
    snprintf(slot, sizeof slot, "%s.kv", l->name);
    const state_view *kv = view_named(views, n, slot);
    snprintf(slot, sizeof slot, "%s.compressed", l->name);
    const state_view *compressed = view_named(views, n, slot);
    int64_t entries = compressed ? compressed->shape[1] : 0;
    int64_t length = entries + (kv ? kv->shape[1] : 0);
    if (length != expected->shape[2]) {
        reference_fail(r->c, "%s: %lld entries, not %lld", name, (long long)length,
                       (long long)expected->shape[2]);
        return;
    }
    real *memory = ARENA_NEW(r->c->memory, real, expected->count);
    for (int half = 0; half < 2; half++) {
        if (compressed) put_half(memory, compressed, half, length, 0);
        if (kv) put_half(memory, kv, half, length, entries);
    }
    reference_expect(r->c, name, memory, "outputs");
}

static void check_carried(brt_run *r, const char *prefix)
{
    enum { VIEWS = 4 * BRT_LAYERS };
    state_view views[VIEWS];
    int n = model_state_views(r->state, views, VIEWS), states = 0;
    const layer *const *layers;
    model_layers(r->model, &layers);
    char name[128];
    for (int64_t l = 0; l < r->source.depth; l++) {
        snprintf(name, sizeof name, "%s.memories.%lld", prefix, (long long)l);
        check_memory(r, name, layers[2 * l], views, n);
        if (!r->source.recurrent[l]) continue;
        snprintf(name, sizeof name, "%s.state", layers[2 * l]->name);
        const state_view *v = view_named(views, n, name);
        snprintf(name, sizeof name, "%s.states.%d", prefix, states++);
        if (v) {
            reference_expect(r->c, name, v->data, "outputs");
        } else {
            reference_fail(r->c, "%s: no state is carried", name);
        }
    }
}

/* ---- calls ---- */

/* Columns [at, at + time) of the tokens, as ids. */
static int32_t *ids_at(brt_run *r, int64_t at, int64_t time)
{
    int32_t *ids = ARENA_NEW(r->c->memory, int32_t, r->rows * time);
    for (int64_t i = 0; i < r->rows * time; i++) {
        ids[i] = (int32_t)r->tokens[i / time * r->columns + at + i % time];
    }
    return ids;
}

/* Logits against "<prefix>.logits"; with targets also loss and gradients. */
static double run_call(brt_run *r, const char *prefix, int64_t at, int64_t time, bool train)
{
    char name[64];
    model_call call = {.time = time,
                       .tokens = ids_at(r, at, time),
                       .targets = train ? ids_at(r, at + 1, time) : NULL,
                       .total_weight = (double)(r->rows * time),
                       .mode = train ? MODE_TRAIN : MODE_EVAL,
                       .keep_logits = true,
                       .watch = {.tap = r->tap_prefix[0] ? on_tap : NULL, .user = r}};
    model_begin(r->state, r->tape, r->values, train ? &r->grads : NULL);
    model_result result = model_forward(r->state, &call);
    snprintf(name, sizeof name, "%s.logits", prefix);
    reference_expect_tensor(r->c, name, result.logits, "outputs");
    if (train) tape_backward(r->tape, result.loss, 1);
    double loss = train ? (double)*result.loss->data : 0;
    model_end(r->state);
    return loss;
}

/* Gradients in our flat vector against "grads:<set>/<their name>". */
static void check_grads(brt_run *r, const char *set, const real *got)
{
    const safetensors *file = r->source.file;
    for (int i = 0; i < safetensors_count(file); i++) {
        const st_tensor *t = safetensors_at(file, i);
        char name[256];
        snprintf(name, sizeof name, "grads:%s/%s", set, t->name);
        int64_t *places = ARENA_NEW(r->c->memory, int64_t, t->count);
        err e = {0};
        if (!import_brt_places(&r->source, r->model, t, places, &e)) {
            reference_fail(r->c, "%s", e.text);
            return;
        }
        if (t->count == 0 || places[0] < 0) continue;
        real *mine = ARENA_NEW(r->c->memory, real, t->count);
        for (int64_t k = 0; k < t->count; k++) {
            mine[k] = got[places[k]];
        }
        reference_expect(r->c, arena_strdup(r->c->memory, name), mine, "grads");
    }
}

/* Gradients of this call; pieces without any are zero. */
static void clean_grads(brt_run *r)
{
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        if (r->grads.has[q->first_piece]) continue;
        memset(r->grads.values + q->offset, 0, (size_t)q->count * sizeof(real));
    }
}

static void check_segments(brt_run *r)
{
    const params *p = model_params_const(r->model);
    int64_t segments = reference_size(r->c, "segments");
    double sum = 0;
    for (int64_t i = 0; i < segments; i++) {
        char prefix[32], name[64];
        snprintf(prefix, sizeof prefix, "seg%lld", (long long)i);
        memset(r->seen, 0, sizeof r->seen);
        snprintf(r->tap_prefix, sizeof r->tap_prefix, "%s", prefix);
        real loss = (real)run_call(r, prefix, i * r->length, r->length, true);
        sum += (double)loss;
        clean_grads(r);
        snprintf(name, sizeof name, "%s.loss", prefix);
        reference_expect(r->c, name, &loss, "loss");
        check_carried(r, prefix);
        if (i == 0) check_grads(r, "seg0", r->grads.values);
        for (int64_t k = 0; k < p->total; k++) {
            r->total[k] += r->grads.values[k] / (real)segments;
        }
    }
    real mean = (real)(sum / (double)segments);
    reference_expect(r->c, "total_loss", &mean, "loss");
    check_grads(r, "total", r->total);
}

static void check_partial(brt_run *r)
{
    const json_t *partial = json_object_get(r->c->config, "partial");
    if (!partial) return;
    int64_t n0 = json_integer_value(json_object_get(partial, "n0"));
    int64_t n1 = json_integer_value(json_object_get(partial, "n1"));
    model_state_clear(r->state);
    run_call(r, "partial0", 0, n0, false);
    check_carried(r, "partial0");
    run_call(r, "partial1", n0, n1, false);
    check_carried(r, "partial1");
}

/* The port's tables: angles of W positions, and the scale of queries. */
static void check_rotary(brt_run *r)
{
    int64_t length = reference_size(r->c, "rotary_table_length"), e = r->source.head_dim;
    real *freqs = reference_real(r->c, "rotary.freqs"),
         *scale = reference_real(r->c, "rotary.scale");
    real *expected = ARENA_NEW(r->c->memory, real, length * e);
    tape_reset(r->tape, false);
    for (int part = 0; part < 2; part++) {
        int64_t shape[] = {1, length, e};
        tensor *x = tape_constant(r->tape, NULL, 3, shape);
        for (int64_t i = 0; i < length * e; i++) {
            x->data[i] = i % e < e / 2 ? 1 : 0;
            double angle = part == 0 ? (double)freqs[i] : 0, by = part == 0 ? 1 : (double)scale[i];
            /* (1, 0) becomes (cos, sin). The scale's table is centred on its middle, where the
             * angle is not 0: its length is compared. */
            expected[i] = (real)(by * (i % e < e / 2 ? cos(angle) : sin(angle)));
            if (part == 1 && i % e >= e / 2) expected[i] = 0;
        }
        rotary_shape s = {.heads = 1,
                          .head_dim = e,
                          .first = part == 0 ? 0 : -(length / 2),
                          .theta = reference_number(r->c, "rotary_theta"),
                          .xpos = part};
        tensor *y = op_rotary_inplace(r->tape, x, &s);
        for (int64_t i = 0; part == 1 && i < length * e; i++) {
            if (i % e >= e / 2) continue;
            y->data[i] = (real)hypot((double)y->data[i], (double)y->data[i + e / 2]);
        }
        for (int64_t i = 0; part == 1 && i < length * e; i++) {
            if (i % e >= e / 2) y->data[i] = 0;
        }
        reference_close(r->c, part == 0 ? "rotary.freqs" : "rotary.scale", y->data, expected,
                        length * e, 2e-5, 1e-6);
    }
}

/* ---- a case ---- */

static bool open_model(brt_run *r, err *e)
{
    reference_case *c = r->c;
    brt_import how = {.block_width = reference_size(c, "block_width")};
    const json_t *reads = json_object_get(c->config, "read_recurrent_layers");
    for (size_t i = 0; i < json_array_size(reads); i++) {
        how.read[how.reads++] = json_integer_value(json_array_get(reads, i));
    }
    for (int i = 0; i < c->file_count; i++) {
        if (strcmp(c->files[i].name, "weights.safetensors") != 0) continue;
        for (int k = 0; k < safetensors_count(c->files[i].data); k++) {
            c->files[i].touched[k] = true; /* import_brt_values reads all */
        }
        if (!import_brt_open(&r->source, c->files[i].data, &how, e)) return false;
    }
    if (!r->source.file) return err_set(e, "no weights.safetensors");
    node *spec = import_brt_spec(c->memory, &r->source, e);
    if (!spec) return false;
    model_inputs inputs = {.vocab = r->source.vocab};
    r->model = model_build(spec, &inputs, e);
    if (!r->model) return false;
    const params *p = model_params_const(r->model);
    r->values = arena_push_zero(c->memory, p->total, sizeof(real));
    r->total = arena_push_zero(c->memory, p->total, sizeof(real));
    r->grads.values = arena_push_zero(c->memory, p->total, sizeof(real));
    r->grads.has = arena_push_zero(c->memory, p->pieces, sizeof(bool));
    return import_brt_values(&r->source, r->model, r->values, e);
}

static void check_brt(reference_case *c)
{
    brt_run r = {.c = c,
                 .rows = reference_size(c, "batch"),
                 .length = reference_size(c, "max_seq_len"),
                 .block = reference_size(c, "block_width"),
                 .tokens = reference_int(c, "tokens")};
    const st_tensor *tokens = reference_get(c, "tokens");
    r.columns = tokens ? tokens->shape[1] : 0;
    r.tape = tape_new();
    err e = {0};
    if (open_model(&r, &e)) {
        r.state = model_state_new(r.model, r.rows);
        check_segments(&r);
        r.tap_prefix[0] = 0;
        model_state_clear(r.state);
        run_call(&r, "single", r.length, r.length, false);
        check_partial(&r);
        check_rotary(&r);
        model_state_free(r.state);
    } else {
        reference_fail(c, "%s", e.text);
    }
    model_free(r.model);
    tape_free(r.tape);
}

const reference_entry REFERENCE_BRT[] = {{"brt", NULL, check_brt}, {NULL, NULL, NULL}};
