/* One call of a model: embedding, stack, head, loss, on the state's tape.
 *
 * The stack is a residual stream x [rows, time, width]. With f a layer and s residual.scale:
 *
 *     pre:   x' = x + s drop(f(norm(x)))          (Xiong et al. 2020, arXiv:2002.04745)
 *     post:  x' = norm(x + s drop(f(x)))          (Vaswani et al. 2017, arXiv:1706.03762)
 *
 * Layers see nothing of this; they are functions of the stream and of what they carry.
 *
 * State is double-buffered per call: layers read books.state, what came in, and write
 * books.next_state, which takes its place when all have run. So the order of the layers in a call
 * does not decide who sees what, and feedback between layers has one meaning: a layer sees
 * another's state as the call before left it, on whichever side of it that layer stands. */
#include "models/model_parts.h"

#include <string.h>

/* ---- what stands around the layers ---- */

/* Piece 0: the model's own parameters are in one piece each. -1, not there, becomes NULL, as ops
 * take an optional tensor. */
static tensor *leaf(layer_ctx *c, int index)
{
    return index < 0 ? NULL : layer_leaf(c, index, 0);
}

static tensor *normalise(layer_ctx *c, const model *m, norm_params norm, tensor *x)
{
    if (norm.gain < 0) return x;
    tensor *gain = leaf(c, norm.gain);
    real eps = (real)m->options.norm.eps;
    if (m->options.norm.kind == NORM_RMSNORM) return op_rmsnorm(c->tape, x, gain, eps);
    return op_layernorm(c->tape, x, gain, leaf(c, norm.bias), eps);
}

static tensor *dropped(layer_ctx *c, const layer *self, tensor *x, double rate)
{
    if (c->mode != MODE_TRAIN || rate == 0) return x;
    return op_dropout(c->tape, x, rate, layer_key(c, self, "residual"));
}

/* x + scale y. In place where nothing keeps y: no further tensor of the stream's size.
 * The scale is folded into the addition, so that a scaled branch costs no pass over memory of its
 * own. In place only where the branch is the layer's own output (dropout made another tensor of
 * it), and where the layer says that nothing reads that output again. */
static tensor *add_branch(layer_ctx *c, const model *m, const layer *self, tensor *x, tensor *y)
{
    real scale = (real)m->options.residual.scale;
    tensor *z = dropped(c, self, y, m->options.residual.dropout);
    if (scale != 1) return op_axpy(c->tape, x, scale, z);
    if (z == y && self->cls->output_is_free) return op_add_inplace(c->tape, y, x);
    return op_add(c->tape, x, z);
}

static tensor *run_unit(layer_ctx *c, const model *m, const model_unit *u, tensor *x)
{
    const layer *self = &u->layer;
    bool pre = m->options.norm.place == PLACE_PRE;
    /* Names what is laid on the tape from here on: in errors, and in the times by op of `loci
     * bench`. */
    tape_place(c->tape, self->name);
    layer_tap(c, self, "residual", x);
    tensor *y = self->cls->forward(c, self, pre ? normalise(c, m, u->norm, x) : x);
    /* A layer that returned another shape would be broadcast by the addition, and train, wrongly.
     */
    CHECK(tensor_same_shape(x, y), "%s changed the shape of the stream", self->name);
    layer_tap(c, self, "output", y);
    x = add_branch(c, m, self, x, y);
    if (!pre) x = normalise(c, m, u->norm, x);
    layer_tap(c, self, "stream", x);
    return x;
}

/* A layer's slots: laid on the tape all at the beginning of a segment, or where calls take turns,
 * one layer's as the call comes to it.
 * With turns the hand waits until the call before has left this layer and lays just its slots:
 * those of later layers may still be in use by the calls before. next_state begins as what came in,
 * since a layer that changes nothing sets nothing. */
static void come_to(model_state *s, const layer *self)
{
    if (!s->turn || self->slots == 0) return;
    s->turn->wait(s->turn->user, self);
    model_state_lay(s, self->first_slot, self->slots);
    memcpy(s->books.next_state + self->first_slot, s->books.state + self->first_slot,
           (size_t)self->slots * sizeof *s->books.state);
}

/* Copied off the tape before the next call is let in, since that call will lay its leaves on the
 * very slots. */
static void leave(model_state *s, const layer *self)
{
    if (!s->turn || self->slots == 0) return;
    memcpy(s->books.state + self->first_slot, s->books.next_state + self->first_slot,
           (size_t)self->slots * sizeof *s->books.state);
    model_state_collect(s, self->first_slot, self->slots);
    s->turn->leave(s->turn->user, self);
}

/* Whether anything of this call looks back at what a unit leaves on the tape, apart from its output
 * and its state. */
static bool units_pass(const model_state *s)
{
    const layer_watch *w = s->ctx.watch;
    return !tape_recording(s->ctx.tape) && !w->tap && !w->fired && !w->exchanged;
}

/* Takes what the layer carries on off the tape now rather than at the segment's end. False where it
 * has to stay: another layer may ask for what came in, or the segment's next call for what is never
 * kept. */
static bool put_away(model_state *s, const layer *self)
{
    layer_books *b = &s->books;
    int first = self->first_slot;
    size_t bytes = (size_t)self->slots * sizeof *b->state;
    /* Who takes turns has done so in `leave`. */
    if (s->turn || memcmp(b->state + first, b->next_state + first, bytes) == 0) return true;
    if (!model_takes_turns(s->model)) return false;
    for (int i = first; i < first + self->slots; i++) {
        if (s->model->slots[i].segment) return false;
    }
    memcpy(b->state + first, b->next_state + first, bytes);
    model_state_collect(s, first, self->slots);
    model_state_lay(s, first, self->slots);
    memcpy(b->next_state + first, b->state + first, bytes);
    return true;
}

/* A unit whose memory the next one can have: its output goes where its input was. In evaluation a
 * call then touches one unit's memory again and again, which the processor's caches hold, and not
 * that of all. */
static tensor *run_passing(model_state *s, const model_unit *u, tensor *x)
{
    layer_ctx *c = &s->ctx;
    int aux = c->books->aux_count;
    come_to(s, &u->layer);
    tape_passing(c->tape);
    tensor *y = run_unit(c, s->model, u, x);
    leave(s, &u->layer);
    bool keep = c->books->aux_count > aux || !put_away(s, &u->layer);
    if (!keep && y->data != x->data) {
        memcpy(x->data, y->data, (size_t)tensor_count(x) * sizeof *x->data);
    }
    tape_passed(c->tape, keep);
    return keep ? y : x;
}

static tensor *run_units(model_state *s, tensor *x)
{
    layer_ctx *c = &s->ctx;
    const model *m = s->model;
    /* Layers read what came in and write beside it: one that looks at another's state (feedback)
     * sees it as it stood when the call began, whichever of the two stands first. */
    memcpy(c->books->next_state, c->books->state, (size_t)m->slot_count * sizeof *c->books->state);
    bool pass = units_pass(s);
    for (int i = 0; i < m->unit_count; i++) {
        if (pass) {
            x = run_passing(s, &m->units[i], x);
            continue;
        }
        come_to(s, &m->units[i].layer);
        x = run_unit(c, m, &m->units[i], x);
        leave(s, &m->units[i].layer);
    }
    memcpy(c->books->state, c->books->next_state, (size_t)m->slot_count * sizeof *c->books->state);
    return x;
}

/* ---- the stack, block by block where earlier layers read later ones' states ---- */

/* Columns [begin, begin + time) of x [rows, whole], as tape memory; NULL stays NULL.
 * A call cut along time gets arrays of its own, since tokens and targets are [rows, time] without a
 * stride everywhere. Backward functions may look at them until the step ends: hence the tape's
 * memory. */
static void *cut_columns(layer_ctx *c, const void *x, size_t size, int64_t whole, int64_t begin)
{
    if (!x) return NULL;
    char *y = tape_keep(c->tape, c->rows * c->time, size);
    for (int64_t r = 0; r < c->rows; r++) {
        memcpy(y + (size_t)(r * c->time) * size,
               (const char *)x + (size_t)(r * whole + begin) * size, (size_t)c->time * size);
    }
    return y;
}

/* values[r] + shift, as tape memory. */
static int64_t *shifted(layer_ctx *c, const int64_t *values, int64_t shift)
{
    int64_t *y = tape_keep(c->tape, c->rows, sizeof *y);
    for (int64_t r = 0; r < c->rows; r++) {
        y[r] = values[r] + shift;
    }
    return y;
}

static double sum_weights(const real *weights, int64_t n)
{
    if (!weights) return (double)n;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)weights[i];
    }
    return sum;
}

/* The share of the step's loss that this call carries. Auxiliary losses are scaled by it, so that
 * their weight in a step does not depend on how the step was cut into calls and lanes. Without a
 * total the loss is a plain sum, and the share the sum of weights. */
static double share_of(const layer_ctx *c)
{
    double weight = sum_weights(c->weights, c->rows * c->time);
    return c->total_weight > 0 ? weight / c->total_weight : weight;
}

/* What of a context changes where a call is cut along time. */
typedef struct call_arrays {
    const int32_t *tokens, *targets, *predictions;
    const real *weights;
    const int64_t *lengths, *position, *document;
    int64_t time;
    double share;
} call_arrays;

static call_arrays arrays_of(const layer_ctx *c)
{
    return (call_arrays){c->tokens,   c->targets,  c->predictions, c->weights, c->lengths,
                         c->position, c->document, c->time,        c->share};
}

static void set_arrays(layer_ctx *c, const call_arrays *a)
{
    c->tokens = a->tokens;
    c->targets = a->targets;
    c->predictions = a->predictions;
    c->weights = a->weights;
    c->lengths = a->lengths;
    c->position = a->position;
    c->document = a->document;
    c->time = a->time;
    c->share = a->share;
}

/* c stands for positions [begin, begin + time) of the call. */
static void cut_call(layer_ctx *c, const call_arrays *whole, int64_t begin, int64_t time)
{
    c->time = time;
    c->tokens = cut_columns(c, whole->tokens, sizeof *whole->tokens, whole->time, begin);
    c->targets = cut_columns(c, whole->targets, sizeof *whole->targets, whole->time, begin);
    c->predictions =
        cut_columns(c, whole->predictions, sizeof *whole->predictions, whole->time, begin);
    c->weights = cut_columns(c, whole->weights, sizeof *whole->weights, whole->time, begin);
    c->position = shifted(c, whole->position, begin);
    c->document = shifted(c, whole->document, begin);
    if (whole->lengths) {
        int64_t *lengths = shifted(c, whole->lengths, -begin);
        for (int64_t r = 0; r < c->rows; r++) {
            /* A row that ended in an earlier cut has no text in this one; one that ends in a later
             * cut is all text. */
            lengths[r] = MAX(0, MIN(lengths[r], time));
        }
        c->lengths = lengths;
    }
    c->share = share_of(c);
}

/* A layer that reads what a later layer carries must find it as the block before left it (Hutchins
 * et al. 2022, arXiv:2203.07852, sec. 3). In a call of several blocks that holds only if the whole
 * stack runs over one block before the next begins. Cuts fall on the context grid, the first and
 * the last may be short, and the parts are put together again for the head. `part` goes into the
 * layers' random keys: without it dropout would repeat itself from block to block.
 *
 * Blocks that the call touches: (phase + time) / block, rounded up. */
static tensor *run_blockwise(model_state *s, tensor *x)
{
    layer_ctx *c = &s->ctx;
    call_arrays whole = arrays_of(c);
    int64_t block = s->model->options.context, phase = c->position[0] % block;
    int capacity = (int)((phase + whole.time + block - 1) / block), count = 0;
    tensor **parts = tape_keep(c->tape, capacity, sizeof(tensor *));
    for (int64_t begin = 0; begin < whole.time; begin += c->time) {
        cut_call(c, &whole, begin, MIN(whole.time - begin, block - (phase + begin) % block));
        tensor *part = op_slice(c->tape, x, 1, begin, begin + c->time);
        c->part = count;
        parts[count++] = run_units(s, part);
    }
    c->part = 0;
    set_arrays(c, &whole);
    return op_concat(c->tape, count, parts, 1);
}

static tensor *run_stack(model_state *s, tensor *x)
{
    int64_t block = s->model->options.context;
    /* Within one block the two ways are the same, and one product per matrix serves the whole call.
     */
    bool one_block = s->ctx.position[0] % block + s->ctx.time <= block;
    return s->model->blockwise && !one_block ? run_blockwise(s, x) : run_units(s, x);
}

/* ---- embedding ---- */

/* Rows of x whose token is the start token become the learned start vector. */
static tensor *put_starts(layer_ctx *c, const model *m, tensor *x, const bool *is_start)
{
    int64_t n = c->rows * c->time;
    tensor *start = op_repeat(c->tape, leaf(c, m->start), n);
    return op_select_rows(c->tape, is_start, start, x);
}

static tensor *add_positions(layer_ctx *c, const model *m, tensor *x)
{
    int64_t n = c->rows * c->time;
    int32_t *ids = tape_keep(c->tape, n, sizeof *ids);
    for (int64_t i = 0; i < n; i++) {
        /* All rows stand at the same phase of the grid (begin_call), so row 0 speaks for all. */
        ids[i] = (int32_t)((c->position[0] + i % c->time) % m->options.context);
    }
    return op_add(c->tape, x, op_gather(c->tape, leaf(c, m->positions), ids, n));
}

static tensor *embed(layer_ctx *c, const model *m)
{
    int64_t n = c->rows * c->time;
    int32_t *ids = tape_keep(c->tape, n, sizeof *ids);
    bool *is_start = tape_keep(c->tape, n, sizeof *is_start), any = false;
    for (int64_t i = 0; i < n; i++) {
        int32_t id = c->tokens[i];
        CHECK(id >= 0 && id <= m->vocab, "token %d of %lld", id, (long long)m->vocab);
        is_start[i] = id == m->vocab;
        any |= is_start[i];
        ids[i] = is_start[i] ? 0 : id; /* any row: put_starts replaces it, and its gradient */
    }
    tape_place(c->tape, "embedding");
    tensor *x = op_gather(c->tape, leaf(c, m->embedding), ids, n);
    if (any) x = put_starts(c, m, x, is_start);
    if (m->options.embedding.scale != 1) x = op_scale(c->tape, x, (real)m->options.embedding.scale);
    if (m->positions >= 0) x = add_positions(c, m, x);
    x = tape_reshape(c->tape, x, 3, (int64_t[]){c->rows, c->time, m->options.width});
    if (c->mode != MODE_TRAIN || m->options.embedding.dropout == 0) return x;
    /* The call's number is added, since calls of one segment share step and row. */
    rng_key key = {c->seed, (uint32_t)c->step, (uint32_t)c->row0,
                   rng_place("embedding:dropout") + (uint32_t)c->call};
    return op_dropout(c->tape, x, m->options.embedding.dropout, key);
}

/* ---- head and loss ---- */

/* The head sees the stream through the final norm and may carry state as layers do (fast weights).
 * It runs once over the whole call, also where the stack ran block by block: nothing below it waits
 * for its state. */
static tensor *run_head(model_state *s, tensor *x)
{
    layer_ctx *c = &s->ctx;
    const model *m = s->model;
    tape_place(c->tape, "final_norm");
    x = normalise(c, m, m->final_norm, x);
    tape_place(c->tape, m->head.name);
    layer_tap(c, &m->head, "input", x);
    memcpy(c->books->next_state, c->books->state, (size_t)m->slot_count * sizeof *c->books->state);
    /* The head, too, writes beside what came in. */
    come_to(s, &m->head);
    tensor *logits = m->head.cls->forward(c, &m->head, x);
    leave(s, &m->head);
    memcpy(c->books->state, c->books->next_state, (size_t)m->slot_count * sizeof *c->books->state);
    CHECK(tensor_width(logits) == m->vocab && tensor_rows(logits) == c->rows * c->time,
          "%s gives %lld logits", m->head.cls->name, (long long)tensor_width(logits));
    layer_tap(c, &m->head, "logits", logits);
    return logits;
}

/* Scaled by their layers already (layer_aux); they train, and are no part of `nats`. */
static tensor *add_aux(layer_ctx *c, tensor *loss)
{
    for (int i = 0; i < c->books->aux_count; i++) {
        tensor *aux = tape_reshape(c->tape, c->books->aux[i], 0, NULL);
        loss = op_add(c->tape, loss, aux);
    }
    return loss;
}

static void compute_loss(layer_ctx *c, const model_call *call, tensor *logits, model_result *result)
{
    int64_t n = c->rows * c->time;
    double *losses = call->losses ? call->losses : tape_keep(c->tape, n, sizeof *losses);
    /* The step's mean is taken here and not by the optimiser: each lane's gradient is then its part
     * of the whole, and lanes are added up without a further factor. */
    double scale = call->total_weight > 0 ? 1 / call->total_weight : 1;
    tape_place(c->tape, "loss");
    tensor *loss = op_smooth_cross_entropy(c->tape, logits, c->targets, c->weights, (real)scale,
                                           call->smoothing, losses);
    for (int64_t i = 0; i < n; i++) {
        double weight = c->weights ? (double)c->weights[i] : 1;
        /* 0 times what is no number is none: padding must not reach the sum. */
        if (weight != 0) result->nats += weight * losses[i];
        result->weight += weight;
    }
    result->loss = add_aux(c, loss);
}

/* ---- a call ---- */

static void begin_call(model_state *s, const model_call *call)
{
    layer_ctx *c = &s->ctx;
    int64_t block = s->model->options.context;
    /* One phase for all rows is what lets blocks, masks and positions be computed once per call and
     * products run over all rows at once. Who fills batches sees to it. */
    for (int64_t r = 1; r < s->rows; r++) {
        CHECK(s->position[r] % block == s->position[0] % block,
              "row %lld is at position %lld, row 0 at %lld: other phases of a block of %lld",
              (long long)r, (long long)s->position[r], (long long)s->position[0], (long long)block);
    }
    c->time = call->time;
    c->tokens = call->tokens;
    c->targets = call->targets;
    c->weights = call->weights;
    c->lengths = call->lengths;
    c->predictions =
        /* Before anything of this call is on the tape: the guide reads it first, on a tape of its
         * own. */
        call->predictions || !s->guide ? call->predictions : model_guide_predictions(s, call);
    c->total_weight = call->total_weight;
    c->read_weight = call->read_weight > 0 ? call->read_weight
                                           : sum_weights(call->weights, s->rows * call->time);
    c->share = share_of(c);
    /* Positions move on at the end of the call: backward functions may read what they were. */
    c->position = shifted(c, s->position, 0);
    c->document = shifted(c, s->document, 0);
    c->mode = call->mode;
    c->by_token = call->by_token;
    c->seed = call->seed;
    c->step = call->step;
    c->row0 = call->row0;
    c->call = s->calls++;
    c->books->aux_count = 0;
    c->books->metric_count = 0;
    c->watch = &call->watch;
    CHECK(s->is_hand == (call->turn != NULL), "turns are taken by hands");
    s->turn = call->turn;
}

/* Where the next call begins: with `partial: flush`, at the beginning of a block.
 * Up to the next border of the grid; the positions that are skipped are nobody's. */
static int64_t next_position(const model *m, int64_t position)
{
    if (m->options.partial == PARTIAL_KEEP) return position;
    int64_t block = m->options.context;
    return (position + block - 1) / block * block;
}

void model_state_skip(model_state *s, int64_t time)
{
    for (int64_t r = 0; r < s->rows; r++) {
        s->position[r] = next_position(s->model, s->position[r] + time);
        s->document[r] += time;
    }
}

model_result model_forward(model_state *s, const model_call *call)
{
    CHECK(s->in_segment, "model_begin comes first");
    CHECK(call->time > 0, "%lld positions", (long long)call->time);
    const model *m = s->model;
    layer_ctx *c = &s->ctx;
    begin_call(s, call);
    tensor *logits = run_head(s, run_stack(s, embed(c, m)));
    model_result result = {.metric_count = c->books->metric_count, .metrics = c->books->metrics};
    if (c->targets) compute_loss(c, call, logits, &result);
    if (!c->targets || call->keep_logits) result.logits = logits;
    model_state_skip(s, call->time);
    return result;
}
