/* What the rows of a batch carry from call to call, and how it gets on the tape and off again.
 *
 * Each slot of each layer has its own array [rows, max_length, width] here, filled densely: with
 * length n only the first rows * n * width elements mean anything, so that a tensor [rows, n,
 * width] can lie on them without a copy. Between segments the arrays hold the state. In a segment
 * the tape does: model_begin lays leaves on the arrays, layers hand tensors on from call to call
 * (books.state), gradients flow through these, and model_end copies the last ones back. Three kinds
 * of slot go other ways: a store is written in place by its layer and never lies on the tape, a
 * growing slot is a ring that is read where it lies (layers/slot_ring.h), and a slot of the segment
 * is dropped at its end.
 *
 * A guide (models/model_guide.c) has a state of its own inside this one. A hand has no slots: it
 * borrows those of the state that it works on. */
#include "models/model_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char GUIDE[] = "guide.";

/* Elements that are kept between segments. What only gradients need has none, so that it counts
 * neither in the bytes of a state nor in a checkpoint. */
static int64_t slot_elements(const model_state *s, int i)
{
    const state_slot *slot = &s->model->slots[i];
    return slot->segment ? 0 : s->rows * slot->max_length * slot->width;
}

/* The guide's slots are saved among the model's, and a guide may be built like the model that it
 * guides: "guide." before their names keeps the two apart. The names live as long as the state,
 * since views borrow them. */
static void add_guide(model_state *s)
{
    const model *guide = s->model->guide;
    if (!guide) return;
    s->guide = model_state_new(guide, s->rows);
    s->guide_tape = tape_new();
    s->guide_names = ARENA_NEW(s->memory, const char *, guide->slot_count);
    for (int i = 0; i < guide->slot_count; i++) {
        size_t bytes = sizeof GUIDE + strlen(guide->slots[i].name);
        char *name = arena_push(s->memory, (int64_t)bytes, 1);
        snprintf(name, bytes, "%s%s", GUIDE, guide->slots[i].name);
        s->guide_names[i] = name;
    }
}

/* Everything but slots.
 * A hand is this much: a context to run calls with, positions, and room for what calls look up by
 * slot (books.state) and by piece of the parameters (books.leaves). */
static model_state *new_context(const model *m, int64_t rows)
{
    CHECK(rows > 0, "%lld rows", (long long)rows);
    model_state *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory for a state (%zu bytes)", sizeof *s);
    s->model = m;
    s->rows = rows;
    s->memory = arena_new((size_t)1 << 16);
    s->position = arena_push_zero(s->memory, rows, sizeof *s->position);
    s->document = arena_push_zero(s->memory, rows, sizeof *s->document);
    layer_books *b = s->ctx.books = &s->books;
    b->state = arena_push_zero(s->memory, m->slot_count, sizeof *b->state);
    b->next_state = arena_push_zero(s->memory, m->slot_count, sizeof *b->next_state);
    b->leaves = arena_push_zero(s->memory, m->params.pieces, sizeof *b->leaves);
    return s;
}

void model_state_keep(model_state *s, blas_kept *kept)
{
    s->books.kept = kept;
}

/* Room for twice the longest: rows move back to their beginnings once in so many tokens.
 * That is one copy of a row's memory per max_length tokens, where cutting the oldest token off at
 * every step would be one per token. */
static slot_ring ring_of(const model_state *s, int i)
{
    const state_slot *slot = &s->model->slots[i];
    int64_t numbers = 2 * s->rows * slot->max_length * slot->made_width;
    real *made = numbers ? ARENA_NEW(s->memory, real, numbers) : NULL;
    return (slot_ring){.data = s->slots[i],
                       .rows = s->rows,
                       .width = slot->width,
                       .capacity = 2 * slot->max_length,
                       .of_entry = made,
                       .made_width = slot->made_width};
}

model_state *model_state_new(const model *m, int64_t rows)
{
    model_state *s = new_context(m, rows);
    int slots = m->slot_count;
    s->slots = ARENA_NEW(s->memory, real *, slots);
    s->lengths = arena_push_zero(s->memory, slots, sizeof *s->lengths);
    layer_books *b = &s->books;
    b->stores = arena_push_zero(s->memory, slots, sizeof *b->stores);
    b->rings = arena_push_zero(s->memory, slots, sizeof *b->rings);
    for (int i = 0; i < slots; i++) {
        /* Not touched before it is used: a slot that never fills costs no memory. */
        int64_t elements = slot_elements(s, i), room = m->slots[i].grows ? 2 : 1;
        s->slots[i] = ARENA_NEW(s->memory, real, room * elements);
        if (m->slots[i].grows) b->rings[i] = ring_of(s, i);
        if (!m->slots[i].store) continue;
        /* A store is always full: zeros until its layer has written. Its layer knows from positions
         * which of it is text. */
        s->lengths[i] = m->slots[i].max_length;
        b->stores[i] = s->slots[i];
    }
    add_guide(s);
    return s;
}

void model_state_free(model_state *s)
{
    if (!s) return;
    model_state_free(s->guide);
    if (s->guide_tape) tape_free(s->guide_tape);
    arena_free(s->memory);
    free(s);
}

/* ---- hands ---- */

/* A call may run ahead of the one before it only if each layer needs nothing but its own state and
 * what the layer below gives. Feedback (blockwise) looks at what a later layer left in the block
 * before; a guide would have to read the whole call first. */
bool model_takes_turns(const model *m)
{
    return !m->blockwise && !m->guide;
}

model_state *model_state_hand_new(const model *m, int64_t rows)
{
    CHECK(model_takes_turns(m), "this model runs one call at a time");
    model_state *s = new_context(m, rows);
    s->is_hand = true;
    return s;
}

void model_state_hand_take(model_state *hand, model_state *of, const int64_t *positions,
                           const int64_t *documents)
{
    CHECK(hand->is_hand && !of->is_hand && hand->model == of->model && hand->rows == of->rows,
          "a hand of %lld rows for %lld", (long long)hand->rows, (long long)of->rows);
    /* Shared, not copied: which call may touch a layer's slots at a time is settled by the turns
     * (model_turn), so that no two hands ever do. */
    hand->slots = of->slots;
    hand->lengths = of->lengths;
    hand->books.stores = of->books.stores;
    hand->books.rings = of->books.rings;
    memcpy(hand->position, positions, (size_t)hand->rows * sizeof *positions);
    memcpy(hand->document, documents, (size_t)hand->rows * sizeof *documents);
}

/* ---- rows ---- */

void model_state_reset_row(model_state *s, int64_t row, int64_t document_position)
{
    CHECK(row >= 0 && row < s->rows, "row %lld of %lld", (long long)row, (long long)s->rows);
    /* No slot is touched: layers hide what a row at position 0 carries, and other rows need theirs.
     * A row at position 0 that still carries something is the usual case in a batch of documents:
     * layer_carried puts zeros in its place when it is read, so that a reset costs nothing here. */
    s->position[row] = 0;
    s->document[row] = document_position;
    if (s->guide) model_state_reset_row(s->guide, row, document_position);
}

int64_t model_state_rows(const model_state *s)
{
    return s->rows;
}

int64_t *model_state_positions(model_state *s)
{
    return s->position;
}

int64_t *model_state_documents(model_state *s)
{
    return s->document;
}

int64_t model_state_bytes(const model_state *s)
{
    int64_t sum = 0;
    for (int i = 0; i < s->model->slot_count; i++) {
        sum += slot_elements(s, i) * (int64_t)sizeof(real);
    }
    return s->guide ? sum + model_state_bytes(s->guide) : sum;
}

/* ---- saved and restored ---- */

int model_state_slots(const model_state *s)
{
    return s->model->slot_count + (s->guide ? model_state_slots(s->guide) : 0);
}

/* The guide's views under names of their own.
 * A view's name is looked up instead of counted, since slots that carry nothing have no view and
 * the two lists need not run side by side. */
static int guide_views(model_state *s, state_view *views, int capacity)
{
    int n = model_state_views(s->guide, views, capacity);
    for (int i = 0; i < n; i++) {
        int slot = 0;
        while (strcmp(s->guide->model->slots[slot].name, views[i].name) != 0) {
            slot++;
        }
        views[i].name = s->guide_names[slot];
    }
    return n;
}

int model_state_views(model_state *s, state_view *views, int capacity)
{
    CHECK(!s->in_segment, "a segment is not ended");
    int n = 0;
    for (int i = 0; i < s->model->slot_count; i++) {
        const state_slot *slot = &s->model->slots[i];
        /* A ring's rows may begin anywhere; a view promises [rows, length, width] from the slot's
         * beginning. */
        slot_ring_gather(&s->books.rings[i]);
        if (s->lengths[i] == 0) continue;
        CHECK(n < capacity, "room for %d of %d slots", capacity, s->model->slot_count);
        views[n++] = (state_view){slot->name, {s->rows, s->lengths[i], slot->width}, s->slots[i]};
    }
    return s->guide ? n + guide_views(s, views + n, capacity - n) : n;
}

/* Length 0 is all there is to it: what is beyond a slot's length is never read. */
static void empty_slot(model_state *s, int i)
{
    s->lengths[i] = 0;
    s->books.rings[i].spread = false;
}

void model_state_clear(model_state *s)
{
    CHECK(!s->in_segment, "a segment is not ended");
    for (int i = 0; i < s->model->slot_count; i++) {
        /* Stores keep their bytes: with the position at 0 their layers know that none of it is
         * text. */
        if (!s->model->slots[i].store) empty_slot(s, i);
    }
    for (int64_t r = 0; r < s->rows; r++) {
        s->position[r] = s->document[r] = 0;
    }
    if (s->guide) model_state_clear(s->guide);
}

/* Slots were declared layer by layer, so a layer's own are neighbours. */
static bool is_of(const model_state *s, int slot, const layer *self, slot_kind kind)
{
    if (s->model->slots[slot].kind != kind) return false;
    return !self || (slot >= self->first_slot && slot < self->first_slot + self->slots);
}

bool model_state_carries(const model_state *s, const layer *self, slot_kind kind)
{
    for (int i = 0; i < s->model->slot_count; i++) {
        if (is_of(s, i, self, kind) && s->lengths[i] > 0) return true;
    }
    return false;
}

void model_state_forget(model_state *s, const layer *self, slot_kind kind)
{
    CHECK(!s->in_segment, "a segment is not ended");
    for (int i = 0; i < s->model->slot_count; i++) {
        if (!is_of(s, i, self, kind)) continue;
        /* Here positions go on, so a layer would take what is in its store for text: it has to be
         * zero, which is what a store is before anything is written. */
        if (s->model->slots[i].store) {
            memset(s->slots[i], 0, (size_t)slot_elements(s, i) * sizeof(real));
        } else {
            empty_slot(s, i);
        }
    }
}

bool model_state_check_rows(const model_state *s, err *e)
{
    const int64_t most = (int64_t)1 << 53, block = s->model->options.context;
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t position = s->position[r], document = s->document[r];
        if (position < 0 || position > most || document < 0 || document > most) {
            return err_set(e, "row %lld is at %lld, at %lld of its document: no places",
                           (long long)r, (long long)position, (long long)document);
        }
        if (position % block == s->position[0] % block) continue;
        return err_set(e, "row %lld is at %lld, row 0 at %lld: other phases of a block of %lld",
                       (long long)r, (long long)position, (long long)s->position[0],
                       (long long)block);
    }
    return true;
}

bool model_state_restore(model_state *s, const char *name, const int64_t shape[3], const real *data,
                         err *e)
{
    size_t prefix = sizeof GUIDE - 1;
    if (s->guide && strncmp(name, GUIDE, prefix) == 0) {
        return model_state_restore(s->guide, name + prefix, shape, data, e);
    }
    for (int i = 0; i < s->model->slot_count; i++) {
        const state_slot *slot = &s->model->slots[i];
        if (strcmp(slot->name, name) != 0) continue;
        if (slot->segment) return true; /* once saved; no segment would look at it */
        /* A checkpoint comes from outside: a shape that is not checked here would be a length to
         * copy with. A store has one length only; of other slots any that fits, since a run may be
         * saved in the middle of a block. */
        bool length = slot->store ? shape[1] == slot->max_length
                                  : shape[1] >= 0 && shape[1] <= slot->max_length;
        if (shape[0] != s->rows || shape[2] != slot->width || !length) {
            return err_set(
                e, "%s: saved as [%lld, %lld, %lld], the model carries [%lld, %s%lld, %lld]", name,
                (long long)shape[0], (long long)shape[1], (long long)shape[2], (long long)s->rows,
                slot->store ? "" : "up to ", (long long)slot->max_length, (long long)slot->width);
        }
        empty_slot(s, i);
        s->lengths[i] = shape[1];
        memcpy(s->slots[i], data, (size_t)(s->rows * shape[1] * shape[2]) * sizeof(real));
        return true;
    }
    return err_set(e, "%s: the model carries no such state", name);
}

/* ---- a segment ---- */

/* Segments that record gradients want tensors, so a ring is gathered first; others leave it spread,
 * and its layer reads the ring where it lies. State that is empty is NULL and not a tensor of
 * length 0: layers ask for it by that. */
void model_state_lay(model_state *s, int first, int count)
{
    layer_ctx *c = &s->ctx;
    for (int i = first; i < first + count; i++) {
        const state_slot *slot = &s->model->slots[i];
        slot_ring *ring = &s->books.rings[i];
        if (s->grads) slot_ring_gather(ring);
        int64_t shape[] = {s->rows, s->lengths[i], slot->width};
        /* The layer finds a store under books.stores, a ring that stays spread under books.rings.
         */
        bool empty = slot->store || ring->spread || s->lengths[i] == 0;
        c->books->state[i] = empty ? NULL : tape_leaf(c->tape, s->slots[i], 3, shape, false);
    }
}

void model_begin(model_state *s, tape *t, const real *values, grads *g)
{
    /* What is carried comes in as leaves without gradient: that is where a segment is cut off from
     * the one before (truncated backpropagation through time). Between its calls state stays on the
     * tape. Parameters become leaves when first asked for (layer_leaf): what is not used is not
     * laid.
     */
    CHECK(!s->in_segment, "the segment before is not ended");
    const model *m = s->model;
    layer_ctx *c = &s->ctx;
    tape_reset(t, g != NULL);
    tape_set_kernels(t, m->kernels);
    s->in_segment = true;
    s->grads = g;
    s->complete = m->params.count;
    s->calls = 0;
    c->tape = t;
    c->rows = s->rows;
    c->books->params = &m->params;
    c->books->values = values;
    c->books->grads = g;
    /* Leaves of the segment before lay on a tape that was just reset. */
    memset(c->books->leaves, 0, (size_t)m->params.pieces * sizeof *c->books->leaves);
    CHECK(!s->is_hand || !g, "a hand's calls are not recorded");
    if (!s->is_hand) model_state_lay(s, 0, m->slot_count);
}

/* Of parameters that are complete. Those before were, and their marks may be a sum's by now. */
static void collect_grads(model_state *s, int first)
{
    const params *p = &s->model->params;
    int64_t begin = first < p->count ? p->list[first].first_piece : p->pieces;
    int64_t end = s->complete < p->count ? p->list[s->complete].first_piece : p->pieces;
    for (int64_t i = begin; i < end; i++) {
        const tensor *leaf = s->books.leaves[i];
        /* Not "is it zero": a piece without has is never read, by the tree or the optimiser. */
        s->grads->has[i] = leaf && leaf->fixed_grad && leaf->has_grad;
    }
    s->complete = first;
}

typedef struct backward_pass {
    model_state *s;
    model_done_fn done;
    void *user;
} backward_pass;

/* A parameter is complete once no more is left than was recorded before it was first asked for; one
 * that was not is so from the beginning. */
static bool is_complete(const model_state *s, const param *p, int64_t left)
{
    for (int64_t i = p->first_piece; i < p->first_piece + p->pieces; i++) {
        const tensor *leaf = s->books.leaves[i];
        if (leaf && leaf->since < left) return false;
    }
    return true;
}

static void say_complete(void *user, int64_t left)
{
    const backward_pass *b = user;
    model_state *s = b->s;
    int first = s->complete;
    while (first > 0 && is_complete(s, &s->model->params.list[first - 1], left)) {
        first--;
    }
    if (first == s->complete) return;
    collect_grads(s, first);
    b->done(b->user, first);
}

void model_backward(model_state *s, tensor *loss, model_done_fn done, void *user)
{
    backward_pass b = {s, done, user};
    if (done) tape_pace(s->ctx.tape, say_complete, &b);
    tape_backward(s->ctx.tape, loss, 1);
    tape_pace(s->ctx.tape, NULL, NULL);
}

/* Copies slot i off the tape. Its value may be (a view of) the slot's own memory. */
static void collect_slot(model_state *s, int i)
{
    const state_slot *slot = &s->model->slots[i];
    if (slot->store || slot->segment) return;
    /* The layer has appended to the ring itself; only how much of it counts is left to say. */
    if (s->books.rings[i].spread) {
        s->lengths[i] = s->books.rings[i].length;
        return;
    }
    const tensor *x = s->books.state[i];
    CHECK(!x || x->shape[1] <= slot->max_length, "%s holds %lld, not %lld", slot->name,
          (long long)slot->max_length, (long long)x->shape[1]);
    s->lengths[i] = x ? x->shape[1] : 0;
    /* memmove, since the tensor may be a view that begins inside of the slot: a window that moved
     * on by less than its length overlaps what it was. */
    if (x && x->data != s->slots[i]) {
        memmove(s->slots[i], x->data, (size_t)tensor_count(x) * sizeof(real));
    }
}

void model_state_collect(model_state *s, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        collect_slot(s, i);
    }
}

void model_end(model_state *s)
{
    CHECK(s->in_segment, "no segment was begun");
    if (s->grads) collect_grads(s, 0);
    /* A hand has put back each layer's slots when it left the layer; the next hand may be writing
     * there already. */
    if (!s->is_hand) model_state_collect(s, 0, s->model->slot_count);
    s->in_segment = false;
}
