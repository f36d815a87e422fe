#include "harness/train/train_options.h"

#include <math.h>
#include <string.h>

/* How much is trained, and how a step is cut. Three sizes multiply to a step,
 *
 *   targets = accumulate x batch x segment      positions, padding included
 *   lanes x lane_rows = batch,  calls x context = segment
 *
 * of which the result of training depends on all but threads: lanes enter through the order of
 * additions (and, per lane, through what layers define over their batch), so they are the spec's
 * and not the machine's.
 *
 * What does not change the trained values (how often is logged, evaluated, saved) is `incidental`,
 * no part of a run's identity. */

const option TRAIN_OPTIONS[] = {
    {"budget", OPTION_NODE, offsetof(train_options, budget_node), .initial = NULL,
     .help = "how much is trained: one of {tokens: n}, {steps: n}, {flops: x}, {seconds: x}"},
    {"batch", OPTION_INT, offsetof(train_options, batch), .initial = "8", .min = 1, .max = 1e6,
     .help = "rows that are trained in parallel"},
    {"lanes", OPTION_INT, offsetof(train_options, lanes), .initial = "0", .min = 0, .max = 65536,
     .help = "equal parts of the batch, one thread's work each; 0: parts of 256 tokens or more"},
    {"segment", OPTION_INT, offsetof(train_options, segment), .initial = "0", .min = 0, .max = 1e7,
     .help = "tokens of a row per step, through which gradients flow; 0: the model's context"},
    {"accumulate", OPTION_INT, offsetof(train_options, accumulate), .initial = "1", .min = 1,
     .max = 65536, .help = "batches whose gradients are added up for one step"},
    {"label_smoothing", OPTION_REAL, offsetof(train_options, label_smoothing), .initial = "0",
     .min = 0, .max = 0.99,
     .help = "share of each target that is spread over the vocabulary, in what is trained; what is "
             "logged and evaluated is without"},
    {"precision", OPTION_CHOICE, offsetof(train_options, precision), .initial = "float32",
     .choices = "float32|bfloat16",
     .help = "of products' operands, in evaluation too; sums and all else are float32"},
    {"gemm", OPTION_CHOICE, offsetof(train_options, gemm), .initial = "own",
     .choices = "own|openblas|tiles",
     .help = "what multiplies: kernels whose bits are the same everywhere, OpenBLAS, or for "
             "bfloat16 the order of AMX's tiles"},
    {"log_every", OPTION_INT, offsetof(train_options, log_every), .initial = "10", .min = 1,
     .max = 1e9, .help = "steps per line of metrics", .incidental = true},
    {"eval_every", OPTION_INT, offsetof(train_options, eval_every), .initial = "0", .min = 0,
     .max = 1e12, .help = "steps between evaluations; 0: only at the end", .incidental = true},
    {"checkpoint_seconds", OPTION_REAL, offsetof(train_options, checkpoint_seconds),
     .initial = "60", .min = 0, .max = 1e9,
     .help = "seconds between checkpoints; 0: after every step", .incidental = true},
    {"keep_every", OPTION_INT, offsetof(train_options, keep_every), .initial = "0", .min = 0,
     .max = 1e12, .help = "steps between models that are kept beside the last; 0: none",
     .incidental = true},
    {"keep_best", OPTION_BOOL, offsetof(train_options, keep_best), .initial = "false",
     .help = "keep the model of the best evaluation, too (eval_every says how often one is made)",
     .incidental = true},
    {0}};

/* In the order of budget_kind. */
static const char *const BUDGETS[] = {"tokens", "steps", "flops", "seconds"};
enum { BUDGET_COUNT = sizeof BUDGETS / sizeof BUDGETS[0] };

/* Above what any machine computes. */
static const double MOST_BUDGET = 1e30;

static const char BUDGET_FORMS[] =
    "say how much to train, as one of {tokens: 2M}, {steps: 1000}, {flops: 1e15}, {seconds: 600}";

static int budget_kind_of(const char *key)
{
    int kind = 0;
    while (kind < BUDGET_COUNT && strcmp(BUDGETS[kind], key) != 0) {
        kind++;
    }
    return kind;
}

/* One key of four, since two of them might contradict each other; null takes one away, such as that
 * of a file that is extended. *one: the map of that key alone. */
static bool budget_settle(const node **one, const node *n, const node *train, arena *a, err *e)
{
    if (!n || node_is_null(n)) {
        if (train) return node_err(e, train, "budget is missing; %s", BUDGET_FORMS);
        return err_set(e, "train.budget is missing; %s", BUDGET_FORMS);
    }
    int given = -1;
    if (n->kind != NODE_MAP) return node_err(e, n, "%s", BUDGET_FORMS);
    for (int i = 0; i < n->count; i++) {
        int kind = budget_kind_of(n->keys[i]);
        if (kind == BUDGET_COUNT) return option_unknown(e, n, i, BUDGET_COUNT, BUDGETS);
        if (node_is_null(n->items[i])) continue;
        if (given >= 0) {
            return node_err(e, n->items[i],
                            "one budget of a run, but there is '%s', too (here or in what is "
                            "extended); take it away with `%s: null`",
                            n->keys[given], n->keys[given]);
        }
        given = i;
    }
    if (given < 0) return node_err(e, n, "%s", BUDGET_FORMS);
    node *alone = node_copy(a, n);
    for (int i = 0; i < n->count; i++) {
        if (i != given) node_remove(alone, n->keys[i]);
    }
    *one = alone;
    return true;
}

/* Whole numbers are read a second time as integers, since 2.5 steps would be cut without a word,
 * and a double beyond 2^52 would be another number than was written. */
static bool budget_read(budget *b, const node *n, err *e)
{
    int kind = budget_kind_of(n->keys[0]);
    const node *value = n->items[0];
    b->kind = (budget_kind)kind;
    if (!option_node_to_real(value, &b->amount) || !(b->amount >= 0) ||
        (b->amount <= 0 && kind != BUDGET_STEPS)) {
        char meant[OPTION_MEANT_BYTES];
        option_node_meant(meant, value);
        return node_err(e, value, "must be a number above 0%s",
                        *meant ? meant : " (or no training at all: {steps: 0})");
    }
    /* Up to 2^52 each number is its own double, as which amounts are kept. */
    if (kind == BUDGET_TOKENS || kind == BUDGET_STEPS) {
        int64_t whole;
        if (!option_node_to_int(value, &whole) || whole > (int64_t)1 << 52) {
            return node_err(e, value, "must be a whole number, at most 2^52");
        }
    }
    return b->amount <= MOST_BUDGET || node_err(e, value, "must be at most %g", MOST_BUDGET);
}

bool train_options_read(train_options *o, const node *n, arena *a, err *e)
{
    *o = (train_options){0};
    return options_read(o, TRAIN_OPTIONS, n, NULL, a, e) &&
           budget_settle(&o->budget_node, o->budget_node, n, a, e) &&
           budget_read(&o->budget, o->budget_node, e);
}

/* The least number of rows that divides the batch and makes at least 256 tokens per call: smaller
 * products waste time, larger parts leave threads idle. */
static int64_t usual_lane_rows(int64_t batch, int64_t context)
{
    for (int64_t rows = 1; rows < batch; rows++) {
        if (batch % rows == 0 && rows * context >= 256) return rows;
    }
    return batch;
}

/* The error stands at the option's own place if the spec wrote it. */
static const node *place(const node *at, const char *key)
{
    const node *n = at ? node_get(at, key) : NULL;
    return n ? n : at;
}

/* Without a node (a default that does not fit) the option is named by its path. */
static bool misfit(err *e, const node *at, const char *key, const char *text)
{
    if (at) return node_err(e, place(at, key), "%s", text);
    return err_set(e, "train.%s: %s", key, text);
}

/* Spelt out and left to the default, the same training is one identity. */
void train_options_settle(train_options *o, int64_t context)
{
    option_settle(&o->segment, context, 0);
    option_settle(&o->lanes, o->batch / usual_lane_rows(o->batch, context), 0);
}

/* Both must come out even: a segment ends where a block of the model's grid ends, and all lanes
 * have equal products. */
bool train_options_shape(train_shape *s, const train_options *o, const node *at, int64_t context,
                         err *e)
{
    char text[256];
    int64_t segment = o->segment ? o->segment : context;
    if (segment % context != 0) {
        snprintf(text, sizeof text,
                 "a segment of %lld tokens is no multiple of the model's context, %lld",
                 (long long)segment, (long long)context);
        return misfit(e, at, "segment", text);
    }
    int64_t lane_rows = usual_lane_rows(o->batch, context);
    if (o->lanes) {
        if (o->batch % o->lanes != 0) {
            snprintf(text, sizeof text, "%lld lanes do not divide a batch of %lld rows equally",
                     (long long)o->lanes, (long long)o->batch);
            return misfit(e, at, "lanes", text);
        }
        lane_rows = o->batch / o->lanes;
    }
    /* targets_per_step begins as all positions, until the corpus says how many count (workload.c).
     */
    *s = (train_shape){.lanes = o->batch / lane_rows,
                       .lane_rows = lane_rows,
                       .context = context,
                       .calls = segment / context,
                       .segment = segment,
                       .tokens_per_step = o->batch * segment * o->accumulate};
    s->targets_per_step = (double)s->tokens_per_step;
    return true;
}

/* Up to 4e15: within 2^52, where each whole number is its own double. */
static int64_t whole_steps(double tokens, const train_shape *s)
{
    double steps = ceil(tokens / s->targets_per_step);
    return steps < 1 ? 1 : (int64_t)fmin(steps, 4e15);
}

/* A budget in FLOPs is turned into tokens by what one trained token costs this model: variants of
 * different size get the same FLOPs, not the same text. */
train_length train_options_length(const budget *b, const train_shape *s, double train_flops)
{
    CHECK(b->kind != BUDGET_SECONDS, "a budget in seconds is turned into steps by calibration");
    if (b->kind == BUDGET_STEPS) return (train_length){.tokens = 0, .steps = (int64_t)b->amount};
    double tokens = b->amount;
    if (b->kind == BUDGET_FLOPS) tokens = fmax(1.0, floor(b->amount / train_flops));
    tokens = fmin(tokens, 4e15);
    return (train_length){.tokens = (int64_t)tokens, .steps = whole_steps(tokens, s)};
}
