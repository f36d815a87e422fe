#include "layers/experts.h"
#include "layers/layer_inspect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Choices are sorted by expert, so that each expert is a product over consecutive rows: gather,
 * compute, scatter back. A choice is one expert for one position, so a position that several
 * experts serve stands several times. Nothing is computed for who was not chosen, neither forwards
 * nor backwards; pieces of parameters make that visible to the sums over lanes and to the
 * optimiser. */

/* Single experts' loads are logged where a model has no more of them in all. */
enum { MOST_LOADS = 1024 };

/* ---- parameters ---- */

/* The number of inputs that the scheme sees is one expert's: each starts as a layer of its own
 * would. */
int experts_matrix(layer_build *b, layer *self, const char *name, int64_t pieces, int64_t out,
                   int64_t in, bool to_residual, double active)
{
    int index = layer_param(b, self, name, ROLE_MATRIX, 3, (int64_t[]){pieces, out, in},
                            layer_init(b, self, in, to_residual));
    layer_last_param(b)->pieces = pieces;
    layer_last_param(b)->active = active;
    return index;
}

int experts_vector(layer_build *b, layer *self, const char *name, int64_t pieces, int64_t out,
                   double active)
{
    int index = layer_param(b, self, name, ROLE_BIAS, 2, (int64_t[]){pieces, out},
                            (param_init){INIT_ZERO, 0});
    layer_last_param(b)->pieces = pieces;
    layer_last_param(b)->active = active;
    return index;
}

/* Made once: a metric's name has to live as long as the model. */
static const char **load_names(layer_build *b, const layer *self, int64_t experts)
{
    if (experts * MAX(self->dims.depths, 1) > MOST_LOADS) return NULL;
    const char **names = ARENA_NEW(b->memory, const char *, experts);
    for (int64_t e = 0; e < experts; e++) {
        char text[32];
        snprintf(text, sizeof text, "load.%lld", (long long)e);
        names[e] = arena_strdup(b->memory, text);
    }
    return names;
}

void experts_settle(experts_options *o, const layer *self)
{
    o->hidden = ffn_form_hidden(FFN_FORMS[o->activation], o->hidden, self->dims.width);
}

void experts_plan_init(layer_build *b, const layer *self, const experts_options *o, experts_plan *p)
{
    ffn_form form = FFN_FORMS[o->activation];
    *p = (experts_plan){.experts = o->experts,
                        .hidden = ffn_form_hidden(form, o->hidden, self->dims.width),
                        .form = form,
                        .keys_bias = -1,
                        .values_bias = -1,
                        .load_names = load_names(b, self, o->experts)};
}

void experts_build(layer_build *b, layer *self, const experts_options *o, int64_t per_token,
                   experts_plan *p)
{
    experts_plan_init(b, self, o, p);
    int64_t width = self->dims.width, keys = ffn_form_keys(p->form, p->hidden), n = p->experts;
    /* The share of the parameter that takes part in one token: what "active parameters" adds up. */
    double active = (double)per_token / (double)n;
    p->keys = experts_matrix(b, self, "keys.weight", n, keys, width, false, active);
    p->values = experts_matrix(b, self, "values.weight", n, width, p->hidden, true, active);
    if (!o->bias) return;
    p->keys_bias = experts_vector(b, self, "keys.bias", n, keys, active);
    p->values_bias = experts_vector(b, self, "values.bias", n, width, active);
}

double experts_flops(const layer *self, const experts_plan *p, int64_t per_token)
{
    int64_t memories = ffn_form_keys(p->form, p->hidden) + p->hidden;
    return 2 * (double)self->dims.width * (double)memories * (double)per_token;
}

/* ---- routing ---- */

tensor *experts_flat(layer_ctx *c, tensor *x)
{
    return tape_reshape(c->tape, x, 2, (int64_t[]){tensor_rows(x), tensor_width(x)});
}

tensor *experts_scores(layer_ctx *c, const layer *self, tensor *x, int weight)
{
    /* In float32 at any precision: the largest of close scores decides who computes, and rounded
     * products would decide otherwise. */
    bool before = tape_be_exact(c->tape, true);
    tensor *scores = layer_linear(c, self, x, weight, -1);
    tape_be_exact(c->tape, before);
    return scores;
}

/* Padding stands at the end of a row. */
bool experts_is_text(const layer_ctx *c, int64_t i)
{
    return !c->lengths || i % c->time < c->lengths[i / c->time];
}

int64_t experts_text_rows(const layer_ctx *c, int32_t *ids)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->rows * c->time; i++) {
        if (experts_is_text(c, i)) ids[n++] = (int32_t)i;
    }
    return n;
}

routing experts_route(layer_ctx *c, const int32_t *expert, int64_t choices, int64_t rows,
                      int64_t experts)
{
    routing r = {.experts = experts, .rows = rows};
    r.begin = tape_keep(c->tape, experts + 1, sizeof *r.begin);
    for (int64_t e = 0; e <= experts; e++) {
        r.begin[e] = 0;
    }
    for (int64_t i = 0; i < choices; i++) {
        CHECK(expert[i] >= -1 && expert[i] < experts, "expert %d of %lld", expert[i],
              (long long)experts);
        if (expert[i] >= 0) r.begin[expert[i] + 1]++;
    }
    for (int64_t e = 0; e < experts; e++) {
        r.begin[e + 1] += r.begin[e];
    }
    r.count = r.begin[experts];
    r.choice = tape_keep(c->tape, r.count, sizeof *r.choice);
    r.row = tape_keep(c->tape, r.count, sizeof *r.row);
    int64_t *next = tape_keep(c->tape, experts, sizeof *next);
    for (int64_t e = 0; e < experts; e++) {
        next[e] = r.begin[e];
    }
    /* A counting sort, which keeps the order: an expert's rows stand as in the text, so that equal
     * choices give equal shapes and equal bits. Choices of one row lie `rows` apart. */
    for (int64_t i = 0; i < choices; i++) {
        if (expert[i] < 0) continue;
        int64_t at = next[expert[i]]++;
        r.choice[at] = (int32_t)i;
        r.row[at] = (int32_t)(i % rows);
    }
    return r;
}

/* ---- computing ---- */

/* Weight of one expert as a matrix: a parameter in one piece keeps its leading axis.
 * [1, out, in] as [out, in]. */
static tensor *matrix_of(layer_ctx *c, const layer *self, int weight, int64_t piece)
{
    tensor *w = layer_piece(c, self, weight, piece);
    return w->rank == 2 ? w : tape_reshape(c->tape, w, 2, w->shape + 1);
}

static grouped_map map_of(layer_ctx *c, const layer *self, const routing *r, int weight, int bias,
                          int64_t first, int64_t out)
{
    tensor **w = tape_keep(c->tape, 2 * r->experts, sizeof *w), **b = w + r->experts;
    /* Experts without tokens are not even laid on the tape: no product, no gradient, and the lanes'
     * sums pass over them. */
    for (int64_t e = 0; e < r->experts; e++) {
        bool used = r->begin[e + 1] > r->begin[e];
        w[e] = used ? matrix_of(c, self, weight, first + e) : NULL;
        b[e] = used && bias >= 0 ? layer_piece(c, self, bias, first + e) : NULL;
    }
    return (grouped_map){w, bias >= 0 ? b : NULL, out};
}

tensor *experts_linear(layer_ctx *c, const layer *self, tensor *x, const routing *r, activation f,
                       int weight, int bias, int64_t first, int64_t out)
{
    grouped_map m = map_of(c, self, r, weight, bias, first, out);
    return op_grouped_linear(c->tape, x, r->begin, r->experts, f, m.w, m.b, m.out);
}

bool experts_memories(const layer *self, const experts_plan *p, layer_memories *m)
{
    *m = (layer_memories){.count = p->experts * p->hidden,
                          .groups = p->experts,
                          .values = self->first_param + p->values,
                          .group_stride = p->hidden * self->dims.width,
                          .stride = 1,
                          .component_stride = p->hidden};
    return true;
}

/* h [count, hidden] before f: coefficients are f(h), times the gate.
 * Only where somebody looks: the activation is computed once more for it, outside of what is
 * trained. */
static void offer(layer_ctx *c, const layer *self, const experts_plan *p, tensor *h, activation f,
                  const routing *r, const tensor *gate)
{
    if (!c->watch->fired || r->count == 0) return;
    tensor *m = op_activation(c->tape, h, f);
    int32_t *first = tape_keep(c->tape, r->count, sizeof *first);
    for (int64_t e = 0; e < r->experts; e++) {
        for (int64_t i = r->begin[e]; i < r->begin[e + 1]; i++) {
            first[i] = (int32_t)(e * p->hidden);
            real g = gate ? gate->data[r->choice[i]] : 1;
            for (int64_t k = 0; gate && k < p->hidden; k++) {
                m->data[i * p->hidden + k] *= g;
            }
        }
    }
    layer_fired(c, self,
                &(memory_use){.entries = r->count,
                              .width = p->hidden,
                              .position = r->row,
                              .first = first,
                              .coefficients = m->data});
}

/* y [count, width] of the experts' own rows. */
static tensor *run_experts(layer_ctx *c, const layer *self, const experts_plan *p, tensor *own,
                           const routing *r, const tensor *gate)
{
    activation f = p->form.f;
    int64_t keys = ffn_form_keys(p->form, p->hidden), width = self->dims.width;
    /* Where nobody asks for h again, it need not be there for all tokens at once. */
    if (!tape_recording(c->tape) && !c->watch->fired && !p->form.gated && r->count > 0) {
        grouped_map first = map_of(c, self, r, p->keys, p->keys_bias, 0, keys);
        grouped_map second = map_of(c, self, r, p->values, p->values_bias, 0, width);
        return op_grouped_layer(c->tape, own, r->begin, r->experts, &first, f, &second);
    }
    tensor *h = experts_linear(c, self, own, r, ACT_IDENTITY, p->keys, p->keys_bias, 0, keys);
    if (p->form.gated) {
        h = op_glu(c->tape, h, f);
        f = ACT_IDENTITY;
    }
    offer(c, self, p, h, f, r, gate);
    return experts_linear(c, self, h, r, f, p->values, p->values_bias, 0, width);
}

/* y_row = sum over its choices of g V_e f(K_e x): gathered by expert, computed, scattered back. A
 * row that nobody serves gets 0, and the residual passes it on. */
tensor *experts_forward(layer_ctx *c, const layer *self, const experts_plan *p, tensor *x,
                        const routing *r, tensor *gate)
{
    tape *t = c->tape;
    /* own [count, width]: a row for every choice, expert by expert. */
    tensor *own = op_gather(t, x, r->row, r->count);
    tensor *y = run_experts(c, self, p, own, r, gate);
    if (gate) { /* behind the values: as published, the whole expert's output is weighted */
        gate = tape_reshape(t, gate, 2, (int64_t[]){tensor_count(gate), 1});
        y = op_mul_col(t, y, op_gather(t, gate, r->choice, r->count));
    }
    return op_scatter(t, y, r->row, r->rows);
}

/* ---- what is told about it ---- */

/* One group's figures: largest load, experts without tokens, entropy in nats. */
typedef struct load_figures {
    int64_t total, most, empty;
    double entropy;
} load_figures;

static load_figures figures_of(const int64_t *count, int64_t experts)
{
    load_figures f = {0};
    for (int64_t e = 0; e < experts; e++) {
        f.total += count[e];
        f.most = MAX(f.most, count[e]);
        f.empty += count[e] == 0;
    }
    for (int64_t e = 0; e < experts; e++) {
        /* x log x goes to 0 with x: an expert without tokens adds nothing, as a share of 1 does. */
        double share = count[e] > 0 ? (double)count[e] / (double)f.total : 1;
        f.entropy -= share * log(share);
    }
    return f;
}

void experts_load(layer_ctx *c, const layer *self, const experts_plan *p, const int32_t *expert,
                  int64_t groups, int64_t choices)
{
    if (c->mode != MODE_TRAIN) return;
    arena *scratch = tape_scratch(c->tape);
    arena_mark mark = arena_now(scratch);
    int64_t *sum = arena_push_zero(scratch, p->experts, sizeof *sum);
    int64_t *count = ARENA_NEW(scratch, int64_t, p->experts);
    double total = 0, most = 0, empty = 0, entropy = 0, n = (double)p->experts;
    for (int64_t g = 0; g < groups; g++) {
        memset(count, 0, (size_t)p->experts * sizeof *count);
        for (int64_t i = 0; i < choices; i++) {
            int32_t e = expert[g * choices + i];
            if (e >= 0) count[e]++;
        }
        load_figures f = figures_of(count, p->experts);
        /* Means over tokens, not over calls: a short last call counts by what it holds. */
        total += (double)f.total;
        most += (double)f.most;
        empty += (double)f.total * (double)f.empty / n;
        entropy += (double)f.total * (p->experts > 1 ? f.entropy / log(n) : 1);
        for (int64_t e = 0; e < p->experts; e++) {
            sum[e] += count[e];
        }
    }
    for (int64_t e = 0; total > 0 && p->load_names && e < p->experts; e++) {
        layer_metric(c, self, p->load_names[e], (double)sum[e], total);
    }
    if (total > 0) {
        layer_metric(c, self, "load_entropy", entropy, total);
        layer_metric(c, self, "load_max", most * n, total);
        layer_metric(c, self, "empty", empty, total);
    }
    arena_rewind(scratch, mark);
}

void experts_tap(layer_ctx *c, const layer *self, const char *name, const int32_t *values,
                 int64_t n)
{
    if (!c->watch->tap) return;
    tensor *x = tape_tensor(c->tape, 3, (int64_t[]){n / (c->rows * c->time), c->rows, c->time});
    for (int64_t i = 0; i < n; i++) {
        x->data[i] = (real)values[i];
    }
    layer_tap(c, self, name, x);
}
