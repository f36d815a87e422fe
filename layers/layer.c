#include "layers/layer.h"
#include "layers/layer_books.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a layer is built with and called with are two bookkeepings. Building declares parameters and
 * slots in lists of the model; a layer keeps the index of its first and counts its own from 0, so
 * its code speaks of parameter 2 and slot 0, whatever stands before it. That works because a layer
 * declares all of its own in one go, which is checked.
 *
 * A call hands out leaves of the tape for parameters and tensors for slots. Both are made when they
 * are first asked for and found again afterwards (books): a parameter that is used twice is one
 * tensor, into whose gradient both uses flow. */

/* ---- building ---- */

/* Full names are keys of checkpoints, random numbers and messages. */
static char *full_name(arena *a, const layer *self, const char *name)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s.%s", self->name, name);
    CHECK(n > 0 && (size_t)n < sizeof text, "name too long: %s.%s", self->name, name);
    return arena_strdup(a, text);
}

int layer_param(layer_build *b, layer *self, const char *name, param_role role, int rank,
                const int64_t *shape, param_init init)
{
    int index = params_add(b->params, full_name(b->memory, self, name), role, rank, shape, init);
    /* A layer's parameters, and its slots, stand together: it counts its own from the first. */
    if (self->params == 0) self->first_param = index;
    CHECK(index == self->first_param + self->params, "%s declares between others", self->name);
    return self->params++;
}

/* Valid until the next one is declared: the list may move when it grows. */
param *layer_last_param(layer_build *b)
{
    return &b->params->list[b->params->count - 1];
}

param_init layer_init(const layer_build *b, const layer *self, int64_t inputs, bool to_residual)
{
    double std = b->scheme == INIT_FAN_IN ? 1 / sqrt((double)inputs) : b->std;
    /* The sum of so many independent branches keeps the variance of one (Radford et al. 2019,
     * "Language models are unsupervised multitask learners", sec. 2.3). */
    if (to_residual && b->scheme != INIT_FLAT) std /= sqrt((double)MAX(self->dims.depths, 1));
    return (param_init){INIT_NORMAL, std};
}

int layer_matrix(layer_build *b, layer *self, const char *name, int64_t out, int64_t in,
                 bool to_residual)
{
    int64_t shape[] = {out, in};
    return layer_param(b, self, name, ROLE_MATRIX, 2, shape, layer_init(b, self, in, to_residual));
}

int layer_vector(layer_build *b, layer *self, const char *name, param_role role, int64_t n,
                 double value)
{
    return layer_param(b, self, name, role, 1, &n, (param_init){INIT_CONSTANT, value});
}

int layer_given(layer_build *b, layer *self, const char *name, param_role role, int rank,
                const int64_t *shape, const real *values)
{
    int index = layer_param(b, self, name, role, rank, shape, (param_init){INIT_GIVEN, 0});
    layer_last_param(b)->given = values;
    return index;
}

static int add_slot(layer_build *b, layer *self, state_slot slot)
{
    /* The shorter list stays in the model's arena. */
    if (b->slot_count == b->slot_capacity) {
        int capacity = MAX(16, 2 * b->slot_capacity);
        state_slot *grown = ARENA_NEW(b->memory, state_slot, capacity);
        if (b->slot_count) memcpy(grown, b->slots, (size_t)b->slot_count * sizeof *grown);
        b->slots = grown;
        b->slot_capacity = capacity;
    }
    slot.name = full_name(b->memory, self, slot.name);
    CHECK(layer_find_slot(b, slot.name) < 0, "two slots named %s", slot.name);
    /* A layer that carries nothing declares no slot. */
    CHECK(slot.max_length > 0 && slot.width > 0, "%s [%lld, %lld]", slot.name,
          (long long)slot.max_length, (long long)slot.width);
    if (self->slots == 0) self->first_slot = b->slot_count;
    b->slots[b->slot_count++] = slot;
    return self->slots++;
}

int layer_slot(layer_build *b, layer *self, const char *name, int64_t max_length, int64_t width)
{
    return add_slot(b, self, (state_slot){name, max_length, width, .kind = SLOT_STATE});
}

int layer_slot_cache(layer_build *b, layer *self, const char *name, int64_t max_length,
                     int64_t width)
{
    return add_slot(b, self, (state_slot){name, max_length, width, .kind = SLOT_CACHE});
}

int layer_slot_growing(layer_build *b, layer *self, const char *name, int64_t max_length,
                       int64_t width, int64_t made_width)
{
    return add_slot(b, self,
                    (state_slot){.name = name,
                                 .max_length = max_length,
                                 .width = width,
                                 .grows = true,
                                 .made_width = made_width,
                                 .kind = SLOT_CACHE});
}

int layer_slot_store(layer_build *b, layer *self, const char *name, int64_t max_length,
                     int64_t width)
{
    return add_slot(b, self,
                    (state_slot){name, max_length, width, .store = true, .kind = SLOT_CACHE});
}

int layer_slot_segment(layer_build *b, layer *self, const char *name, int64_t max_length,
                       int64_t width)
{
    return add_slot(b, self,
                    (state_slot){name, max_length, width, .segment = true, .kind = SLOT_CACHE});
}

int layer_find_slot(const layer_build *b, const char *name)
{
    for (int i = 0; i < b->slot_count; i++) {
        if (strcmp(b->slots[i].name, name) == 0) return i;
    }
    return -1;
}

/* "blocks.1." and not "blocks.1": the dot keeps block 10 out. */
const layer *layer_in_block(const layer_build *b, int64_t block, const layer_class *cls)
{
    char prefix[64];
    int n = snprintf(prefix, sizeof prefix, "blocks.%lld.", (long long)block);
    for (int i = 0; i < b->layer_count; i++) {
        const layer *l = b->layers[i];
        if (l->cls == cls && strncmp(l->name, prefix, (size_t)n) == 0) return l;
    }
    return NULL;
}

/* ---- one call ---- */

/* The tape only ever writes to a leaf's gradient. */
static real *unconst(const real *values)
{
    return (real *)(uintptr_t)values;
}

/* Where its gradients are to go row by row; NULL: to the vector, or nowhere. */
static row_grads *rows_of(const layer_ctx *c, const param *p)
{
    const grads *g = c->books->grads;
    return g && g->rows && p->row_grads >= 0 ? &g->rows[p->row_grads] : NULL;
}

/* grad is where the lane's gradient of this piece lies; without it (frozen, by rows, no backward
 * pass) the leaf needs none, and ops do not compute it. */
tensor *layer_leaf(layer_ctx *c, int index, int64_t piece)
{
    CHECK(index >= 0 && index < c->books->params->count, "parameter %d of %d", index,
          c->books->params->count);
    const param *p = &c->books->params->list[index];
    CHECK(piece >= 0 && piece < p->pieces, "%s: piece %lld of %lld", p->name, (long long)piece,
          (long long)p->pieces);
    /* One leaf for all uses in a call: their gradients add up, and the tape sees one tensor. */
    tensor **leaf = &c->books->leaves[p->first_piece + piece];
    if (*leaf) return *leaf;
    int64_t shape[TENSOR_RANK] = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]};
    int first_axis = 0;
    if (p->pieces > 1) {
        CHECK(p->shape[0] % p->pieces == 0, "%s: %lld in %lld pieces", p->name,
              (long long)p->shape[0], (long long)p->pieces);
        shape[0] /= p->pieces;
        /* One of a stack of matrices is a matrix. */
        first_axis = shape[0] == 1 ? 1 : 0;
    }
    /* The place in the flat vectors, of values and gradients alike. */
    int64_t at = p->offset + piece * (p->count / p->pieces);
    int rank = p->rank - first_axis;
    const grads *g = c->books->grads;
    real *grad = g && !p->frozen && !rows_of(c, p) ? g->values + at : NULL;
    *leaf =
        grad ? tape_param(c->tape, unconst(c->books->values) + at, grad, rank, shape + first_axis)
             : tape_leaf(c->tape, unconst(c->books->values) + at, rank, shape + first_axis, false);
    if (c->books->kept) (*leaf)->kept = &c->books->kept[p->first_piece + piece];
    return *leaf;
}

tensor *layer_piece(layer_ctx *c, const layer *self, int i, int64_t piece)
{
    CHECK(i >= 0 && i < self->params, "%s: parameter %d of %d", self->name, i, self->params);
    return layer_leaf(c, self->first_param + i, piece);
}

tensor *layer_tensor(layer_ctx *c, const layer *self, int i)
{
    if (i < 0) return NULL;
    tensor *x = layer_piece(c, self, i, 0);
    CHECK(c->books->params->list[self->first_param + i].pieces == 1,
          "%s: parameter %d is in pieces", self->name, i);
    return x;
}

tensor *layer_linear(layer_ctx *c, const layer *self, tensor *x, int weight, int bias)
{
    return op_linear(c->tape, x, layer_tensor(c, self, weight), layer_tensor(c, self, bias));
}

tensor *layer_rows(layer_ctx *c, const layer *self, int i, const int32_t *ids, int64_t n)
{
    tensor *table = layer_tensor(c, self, i);
    const param *p = &c->books->params->list[self->first_param + i];
    CHECK(p->by_rows, "%s: parameter %d is no table that goes by rows", self->name, i);
    row_grads *rows = rows_of(c, p);
    return rows ? op_gather_rows(c->tape, table, ids, n, rows) : op_gather(c->tape, table, ids, n);
}

static int slot_of(const layer *self, int i)
{
    CHECK(i >= 0 && i < self->slots, "%s: slot %d of %d", self->name, i, self->slots);
    return self->first_slot + i;
}

/* What has grown in place, as a tensor; NULL: nothing.
 * A copy: the ring goes on to grow in its own memory while the tensor is used. */
static tensor *of_ring(const layer_ctx *c, const slot_ring *r)
{
    if (r->length == 0) return NULL;
    tensor *x = tape_tensor(c->tape, 3, (int64_t[]){r->rows, r->length, r->width});
    slot_ring_copy(x->data, r, r->data + r->begin * r->width, r->length, 0, r->width);
    return x;
}

tensor *layer_state_at(const layer_ctx *c, int slot)
{
    const slot_ring *r = &c->books->rings[slot];
    return r->spread ? of_ring(c, r) : c->books->state[slot];
}

tensor *layer_state(const layer_ctx *c, const layer *self, int i)
{
    if (i < 0) return NULL;
    return layer_state_at(c, slot_of(self, i));
}

int64_t layer_state_length(const layer_ctx *c, const layer *self, int i)
{
    int slot = slot_of(self, i);
    const slot_ring *r = &c->books->rings[slot];
    const tensor *x = c->books->state[slot];
    return r->spread ? r->length : x ? x->shape[1] : 0;
}

/* Not while the tape records: gradients flow through what is carried inside a segment, and memory
 * that is written in place has none. */
bool layer_state_append(layer_ctx *c, const layer *self, int i, const tensor *x, int64_t column,
                        int64_t end, int64_t keep, layer_entries *all)
{
    int slot = slot_of(self, i);
    slot_ring *r = &c->books->rings[slot];
    int64_t time = x->shape[1], length = layer_state_length(c, self, i) + time;
    if (tape_recording(c->tape) || length > r->capacity) return false;
    CHECK(keep >= 0 && keep <= end && end <= length && column + r->width <= tensor_width(x),
          "%s: %lld entries before %lld of %lld", self->name, (long long)keep, (long long)end,
          (long long)length);
    const tensor *before = c->books->state[slot];
    if (!r->spread) slot_ring_spread(r, before ? before->data : NULL, length - time);
    real *data = slot_ring_append(r, x->data, time, column, tensor_width(x));
    /* From here on the window is what goes on to the next call; *all still shows what this one
     * sees. */
    r->begin += end - keep;
    r->length = keep;
    /* The slot's content is in the ring now, nowhere else. */
    c->books->state[slot] = c->books->next_state[slot] = NULL;
    *all = (layer_entries){data, length, r->width, r->capacity * r->width, r};
    return true;
}

tensor *layer_entries_columns(const layer_ctx *c, const layer_entries *e, int64_t column,
                              int64_t columns)
{
    tensor *x = tape_tensor(c->tape, 3, (int64_t[]){c->rows, e->length, columns});
    const slot_ring r = {.rows = c->rows, .width = e->width, .capacity = e->apart / e->width};
    slot_ring_copy(x->data, &r, e->data, e->length, column, columns);
    return x;
}

static int64_t place_of(const layer_entries *e)
{
    return (e->data - e->ring->data) / e->width;
}

int64_t layer_entries_made(const layer_entries *e, int64_t *done)
{
    int64_t first = place_of(e);
    *done = MAX(e->ring->made - first, 0);
    return first;
}

tensor *layer_entries_make(const layer_ctx *c, const layer_entries *e, const tensor *x,
                           int64_t *apart)
{
    slot_ring *r = e->ring;
    int64_t first = place_of(e), time = x->shape[1];
    slot_ring_make(r, first + e->length - time, x->data, time);
    *apart = r->capacity * r->made_width;
    return tape_leaf(c->tape, r->of_entry + first * r->made_width, 3,
                     (int64_t[]){c->rows, e->length, r->made_width}, false);
}

tensor *layer_carried(layer_ctx *c, const layer *self, int i)
{
    tensor *s = layer_state(c, self, i);
    if (!s) return NULL;
    bool *reset = tape_keep(c->tape, c->rows, sizeof *reset);
    int64_t count = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        reset[r] = c->position[r] == 0;
        count += reset[r];
    }
    /* The usual cases cost no op: nothing begins, or everything does. */
    if (count == 0) return s;
    if (count == c->rows) return NULL;
    return op_select_rows(c->tape, reset, tape_constant(c->tape, NULL, s->rank, s->shape), s);
}

void layer_state_set(layer_ctx *c, const layer *self, int i, tensor *value)
{
    int slot = slot_of(self, i);
    c->books->next_state[slot] = value;
    /* A tensor takes the ring's place. */
    c->books->rings[slot].spread = false;
}

tensor *layer_state_next(const layer_ctx *c, const layer *self, int i)
{
    if (i < 0) return NULL;
    const slot_ring *r = &c->books->rings[slot_of(self, i)];
    return r->spread ? of_ring(c, r) : c->books->next_state[slot_of(self, i)];
}

/* The same memory in every call: what is written stays, without a set. */
real *layer_store(const layer_ctx *c, const layer *self, int i)
{
    real *memory = c->books->stores[slot_of(self, i)];
    CHECK(memory, "%s: slot %d is no store", self->name, i);
    return memory;
}

void layer_aux(layer_ctx *c, tensor *loss)
{
    CHECK(c->books->aux_count < MAX_AUX, "%d auxiliary losses", c->books->aux_count);
    c->books->aux[c->books->aux_count++] = loss;
}

void layer_metric(layer_ctx *c, const layer *self, const char *name, double sum, double weight)
{
    CHECK(c->books->metric_count < MAX_METRICS, "%d metrics", c->books->metric_count);
    c->books->metrics[c->books->metric_count++] = (metric){self->name, name, sum, weight};
}

/* The layer's name and the use make the place: two dropouts of a layer differ, and so do two layers
 * of a kind. */
rng_key layer_key(const layer_ctx *c, const layer *self, const char *use)
{
    char place[512];
    snprintf(place, sizeof place, "%s:%s", self->name, use);
    /* Calls of one segment share step and row: odd factors spread them over the places. */
    return (rng_key){.seed = c->seed,
                     .step = (uint32_t)c->step,
                     .row = (uint32_t)c->row0,
                     .place = rng_place(place) + (uint32_t)c->call * 0x9E3779B9u +
                              (uint32_t)c->part * 0x85EBCA6Bu};
}
