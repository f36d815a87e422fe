/* A model per head that learns from what it reads: see ops_recurrent.h. A call is cut into
 * parts, each of which lies in one chunk, and ttt_part does the work of one.
 *
 * Chunks are a grid over the document, calls are not: a call may begin and end inside of a chunk.
 * What passes between is W where the chunk began (less the weights that were learned by training,
 * so that a fresh state is zero) and the sum M of the chunk's gradients so far. Any cut of a text
 * into calls is then the same computation, up to the order of sums.
 *
 * Kept for the backward pass: W where each part begins. M is not kept: inside of a call a part
 * begins where a chunk does, with M = 0, all but the first, whose M is an input. */
#include "core/ops/ops_recurrent.h"
#include "core/ops/ttt_part.h"
#include "core/ops/vec.h"

typedef struct ttt_keep {
    ttt_rule in;
    tensor *y, *last, *last_sum;
    real *starts;    /* [rows, heads, parts, state]: weights where each part begins */
    int64_t *begins; /* [parts + 1]: the parts' first positions in the call, and its length */
} ttt_keep;

/* ---- parts ---- */

/* Positions from `at` of the call on that belong to one chunk.
 * Whatever ends first: the chunk, the block, the call. */
static int64_t part_length(const ttt_rule *in, int64_t at, int64_t time)
{
    int64_t phase = (in->phase + at) % in->block;
    int64_t chunk = MIN(in->chunk - phase % in->chunk, in->block - phase);
    return MIN(chunk, time - at);
}

/* The bias is one more row of its matrix. */
int64_t op_ttt_state(int64_t dim, int64_t hidden)
{
    return hidden > 0 ? (dim + 1) * hidden + (hidden + 1) * dim : (dim + 1) * dim;
}

static ttt_sizes sizes_of(const ttt_rule *in)
{
    const tensor *q = in->q;
    int64_t dim = q->shape[2] / in->heads;
    ttt_sizes n = {.rows = q->shape[0],
                   .time = q->shape[1],
                   .heads = in->heads,
                   .dim = dim,
                   .hidden = in->hidden,
                   .width = q->shape[2],
                   .first = in->hidden * (dim + 1),
                   .state = op_ttt_state(dim, in->hidden)};
    /* Scratch is made for the longest. */
    for (int64_t at = 0, length; at < n.time; at += length, n.parts++) {
        length = part_length(in, at, n.time);
        n.longest = MAX(n.longest, length);
    }
    return n;
}

/* pos begins at the part's first position in its chunk, not at 0. */
static ttt_part part_of(const ttt_keep *k, const ttt_sizes *n, int64_t row, int64_t head,
                        int64_t part)
{
    const ttt_rule *in = &k->in;
    int64_t at = k->begins[part];
    int64_t phase = (in->phase + at) % in->block, first = phase % in->chunk;
    ttt_part p = {.n = k->begins[part + 1] - at, .first = first};
    int64_t wide = (row * n->time + at) * n->width + head * n->dim, features = head * n->dim;
    p.ends = first + p.n == in->chunk || phase + p.n == in->block;
    p.q = in->q->data + wide;
    p.k = in->k->data + wide;
    p.v = in->v->data + wide;
    p.lr = in->lr->data + (row * n->time + at) * n->heads + head;
    p.pos = in->pos->data + first;
    p.gain = in->gain->data + features;
    p.bias = in->bias->data + features;
    p.y = k->y->data + wide;
    return p;
}

/* ---- the op ---- */

/* A head's weights, as they lie in its state: W, b, and in two layers W2, b2. */
enum { WEIGHTS = 4 };
typedef struct ttt_weight {
    tensor *x;
    int64_t at, count; /* in the state */
} ttt_weight;

/* The order in the state is that of ttt_part.c: W1, b1 (one matrix of dim + 1 rows), then W2,
 * b2. */
static int weights_of(ttt_weight list[WEIGHTS], const ttt_rule *in, const ttt_sizes *n)
{
    tensor *const x[WEIGHTS] = {in->w, in->b, in->w2, in->b2};
    int count = n->hidden > 0 ? WEIGHTS : 2;
    int64_t at = 0;
    for (int i = 0; i < count; i++) {
        list[i] = (ttt_weight){x[i], at, tensor_count(x[i]) / n->heads};
        at += list[i].count;
    }
    return count;
}

/* Gradient buffers of the call, NULL where they are not wanted; `sum` and `start` of rows x heads
 * states. */
typedef struct ttt_grads {
    real *q, *k, *v, *lr, *pos, *gain, *bias, *start, *sum;
    real *weights[WEIGHTS];
} ttt_grads;

/* The place in the gradient that belongs to a place in the data. */
static real *moved(real *gradient, const real *at, const tensor *x)
{
    return gradient ? gradient + (at - x->data) : NULL;
}

static ttt_part part_back(const ttt_keep *k, const ttt_sizes *n, const ttt_grads *g, int64_t row,
                          int64_t head, int64_t part)
{
    const ttt_rule *in = &k->in;
    ttt_part p = part_of(k, n, row, head, part);
    p.dy = k->y->grad + (p.y - k->y->data);
    p.dq = moved(g->q, p.q, in->q);
    p.dk = moved(g->k, p.k, in->k);
    p.dv = moved(g->v, p.v, in->v);
    p.dlr = moved(g->lr, p.lr, in->lr);
    p.dpos = moved(g->pos, p.pos, in->pos);
    p.dgain = moved(g->gain, p.gain, in->gain);
    p.dbias = moved(g->bias, p.bias, in->bias);
    return p;
}

/* The call begins inside a chunk, which has earlier positions.
 * Else the sum that was handed on is zero, or belongs to a chunk that has ended. */
static bool goes_on(const ttt_rule *in)
{
    return in->sum && in->phase % in->block % in->chunk > 0;
}

/* M and m where the call begins. */
static void begin_sum(real *sum, const ttt_rule *in, const ttt_sizes *n, int64_t i)
{
    if (goes_on(in)) {
        vec_copy(sum, in->sum->data + i * n->state, n->state);
    } else {
        vec_zero(sum, n->state);
    }
}

/* The trained weights of the head, and what earlier calls of this row have learned on top of
 * them. */
static void begin(real *w, real *sum, const ttt_rule *in, const ttt_sizes *n, int64_t i)
{
    ttt_weight list[WEIGHTS];
    int count = weights_of(list, in, n);
    for (int k = 0; k < count; k++) {
        const ttt_weight *x = &list[k];
        vec_copy(w + x->at, x->x->data + i % n->heads * x->count, x->count);
    }
    if (in->start) vec_add(w, in->start->data + i * n->state, n->state);
    begin_sum(sum, in, n, i);
}

/* *last is what was learned: the weights less where they began.
 * So a state is zero where nothing was learned, and a change of the trained weights is not undone
 * by a state from before it. */
static void hand_on(const ttt_keep *k, const ttt_sizes *n, const ttt_work *w, int64_t i)
{
    real *last = k->last->data + i * n->state;
    ttt_weight list[WEIGHTS];
    int count = weights_of(list, &k->in, n);
    vec_copy(last, w->w, n->state);
    for (int m = 0; m < count; m++) {
        const ttt_weight *x = &list[m];
        vec_axpy(last + x->at, -1, x->x->data + i % n->heads * x->count, x->count);
    }
    vec_copy(k->last_sum->data + i * n->state, w->sum, n->state);
}

/* What the next call's gradient sends back, if there is one. */
static void seed(real *to, const tensor *x, int64_t i, int64_t n)
{
    if (x && x->has_grad) {
        vec_copy(to, x->grad + i * n, n);
    } else {
        vec_zero(to, n);
    }
}

/* All parts of head i of rows x heads, from the last one.
 * dw and dsum are W^ and M^ of ttt_part.h on the way from part to part: behind the part when it is
 * called, before it afterwards. */
static void head_backward(const ttt_keep *k, const ttt_sizes *n, ttt_work *w, const ttt_grads *g,
                          int64_t i)
{
    int64_t head = i % n->heads;
    seed(w->dw, k->last, i, n->state);
    seed(w->dsum, k->last_sum, i, n->state);
    for (int64_t part = n->parts; part-- > 0;) {
        ttt_part p = part_back(k, n, g, i / n->heads, head, part);
        if (part == 0) {
            begin_sum(w->sum, &k->in, n, i);
        } else {
            vec_zero(w->sum, n->state);
        }
        ttt_part_backward(w, n, &p, k->starts + (i * n->parts + part) * n->state, w->sum,
                          k->in.eps);
    }
    /* W where the call begins is start + w: both get the same gradient. */
    if (g->start) vec_add(g->start + i * n->state, w->dw, n->state);
    if (g->sum && goes_on(&k->in)) vec_add(g->sum + i * n->state, w->dsum, n->state);
    /* last is W less w: what flowed into it is not of w, unless through W. */
    seed(w->dsum, k->last, i, n->state);
    vec_axpy(w->dw, -1, w->dsum, n->state);
    ttt_weight list[WEIGHTS];
    int count = weights_of(list, &k->in, n);
    for (int m = 0; m < count; m++) {
        const ttt_weight *x = &list[m];
        if (g->weights[m]) vec_add(g->weights[m] + head * x->count, w->dw + x->at, x->count);
    }
}

static void ttt_backward(tape *t, void *keep)
{
    const ttt_keep *k = keep;
    const ttt_rule *in = &k->in;
    ttt_sizes n = sizes_of(in);
    ttt_grads g = {.q = tape_grad(t, in->q),
                   .k = tape_grad(t, in->k),
                   .v = tape_grad(t, in->v),
                   .lr = tape_grad(t, in->lr),
                   .pos = tape_grad(t, in->pos),
                   .gain = tape_grad(t, in->gain),
                   .bias = tape_grad(t, in->bias),
                   .start = tape_grad(t, in->start),
                   .sum = tape_grad(t, in->sum)};
    ttt_weight list[WEIGHTS];
    int count = weights_of(list, in, &n);
    for (int i = 0; i < count; i++) {
        g.weights[i] = tape_grad(t, list[i].x);
    }
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    ttt_work w = ttt_part_work(t, &n, true);
    for (int64_t i = 0; i < n.rows * n.heads; i++) {
        head_backward(k, &n, &w, &g, i);
    }
    arena_rewind(scratch, mark);
}

static const op_class TTT = {"ttt", ttt_backward};

static void check_shapes(const ttt_rule *in)
{
    const tensor *q = in->q;
    CHECK(q->rank == 3 && tensor_same_shape(q, in->k) && tensor_same_shape(q, in->v) &&
              q->shape[1] >= 1,
          "q, k, v [rows, time, width] wanted");
    CHECK(in->heads >= 1 && q->shape[2] % in->heads == 0 && in->chunk >= 1 && in->block >= 1 &&
              in->phase >= 0,
          "%lld heads, chunks of %lld", (long long)in->heads, (long long)in->chunk);
    int64_t width = q->shape[2], dim = width / in->heads, hidden = in->hidden;
    int64_t out = hidden > 0 ? hidden : dim;
    /* pos has a number per place in a chunk, or in a block that is shorter than one. */
    CHECK(tensor_count(in->lr) == q->shape[0] * q->shape[1] * in->heads &&
              tensor_count(in->pos) >= MIN(in->chunk, in->block),
          "lr [rows, time, heads] and pos [chunk] wanted");
    CHECK(tensor_count(in->gain) == width && tensor_count(in->bias) == width &&
              tensor_count(in->w) == width * out && tensor_count(in->b) == in->heads * out,
          "gain, bias, w, b of %lld heads wanted", (long long)in->heads);
    CHECK(hidden == 0 || (tensor_count(in->w2) == width * hidden && tensor_count(in->b2) == width),
          "w2, b2 of %lld heads wanted", (long long)in->heads);
    int64_t state = q->shape[0] * in->heads * op_ttt_state(dim, hidden);
    CHECK((!in->start || tensor_count(in->start) == state) &&
              (!in->sum || tensor_count(in->sum) == state),
          "states of %lld values wanted", (long long)state);
}

static void head_forward(const ttt_keep *k, const ttt_sizes *n, ttt_work *w, int64_t i)
{
    begin(w->w, w->sum, &k->in, n, i);
    for (int64_t part = 0; part < n->parts; part++) {
        ttt_part p = part_of(k, n, i / n->heads, i % n->heads, part);
        if (k->starts) vec_copy(k->starts + (i * n->parts + part) * n->state, w->w, n->state);
        ttt_part_forward(w, n, &p, w->w, w->sum, k->in.eps);
    }
    if (k->last) hand_on(k, n, w, i);
}

/* Memory of the tape: the backward pass walks the same parts. */
static int64_t *begins_of(tape *t, const ttt_rule *in, const ttt_sizes *n)
{
    int64_t *begins = tape_keep(t, n->parts + 1, sizeof *begins);
    begins[0] = 0;
    for (int64_t part = 0; part < n->parts; part++) {
        begins[part + 1] = begins[part] + part_length(in, begins[part], n->time);
    }
    return begins;
}

tensor *op_ttt(tape *t, const ttt_rule *in, tensor **last, tensor **last_sum)
{
    check_shapes(in);
    double since = tape_clock(t);
    ttt_sizes n = sizes_of(in);
    ttt_keep *k = tape_keep(t, 1, sizeof *k);
    *k = (ttt_keep){.in = *in, .y = tape_like(t, in->q), .begins = begins_of(t, in, &n)};
    if (last) {
        int64_t linear[] = {n.rows, n.heads * (n.dim + 1), n.dim};
        int64_t deep[] = {n.rows, n.heads, n.state}, *shape = n.hidden > 0 ? deep : linear;
        *last = k->last = tape_tensor(t, 3, shape);
        *last_sum = k->last_sum = tape_tensor(t, 3, shape);
    }
    bool wanted = tape_wants(t, 13,
                             (tensor *[]){in->q, in->k, in->v, in->lr, in->pos, in->gain, in->bias,
                                          in->w, in->b, in->w2, in->b2, in->start, in->sum});
    int64_t states = n.rows * n.heads * n.parts * n.state;
    if (wanted) k->starts = tape_keep(t, states, sizeof(real));
    arena *scratch = tape_scratch(t);
    arena_mark mark = arena_now(scratch);
    ttt_work w = ttt_part_work(t, &n, false);
    for (int64_t i = 0; i < n.rows * n.heads; i++) {
        head_forward(k, &n, &w, i);
    }
    arena_rewind(scratch, mark);
    if (wanted) tape_record(t, &TTT, k, last ? 3 : 1, (tensor *[]){k->y, k->last, k->last_sum});
    tape_charge(t, &TTT, since);
    return k->y;
}

double op_ttt_products(int64_t dim, int64_t hidden, int64_t chunk, int64_t block)
{
    /* mean: the length of the chunk that a position is in, over a block, whose last chunk is
     * shorter. */
    int64_t whole = block / chunk, rest = block % chunk;
    double mean = (double)(whole * chunk * chunk + rest * rest) / (double)block;
    double d = (double)dim, h = (double)hidden;
    /* Of each layer z, q W and the sums; scores, and A dZ; of two dZ W2^T besides. */
    if (hidden == 0) return 3 * d + 2 * mean;
    return 7 * h + 2 * mean * (1 + h / d);
}
