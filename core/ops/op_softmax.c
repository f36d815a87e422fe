#include "core/ops/softmax.h"

#include "core/ops/ops.h"
#include "core/ops/vec.h"
#include "core/ops/vmath.h"

/* ---- softmax ---- */

/* dx += y (dy - y . dy)
 * dy_j/dx_i = y_j (delta_ij - y_i); summed over j with dy. */
static void softmax_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    int64_t rows = tensor_rows(k->y), n = tensor_width(k->y);
    real *grad = tape_grad(t, k->x);
    for (int64_t r = 0; grad && r < rows; r++) {
        const real *restrict y = k->y->data + r * n, *restrict dy = k->y->grad + r * n;
        real *restrict dx = grad + r * n;
        real dot = vec_dot(y, dy, n);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            dx[i] += y[i] * (dy[i] - dot);
        }
    }
}

static const op_class SOFTMAX = {"softmax", softmax_backward};

/* y is kept (it is the output anyway) and is all that the backward pass reads. */
tensor *op_softmax(tape *t, tensor *x)
{
    CHECK(tensor_width(x) > 0, "a softmax over nothing");
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    int64_t rows = tensor_rows(x), n = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        softmax_row(y->data + r * n, x->data + r * n, n);
    }
    return tape_done_pair(t, &SOFTMAX, since, x, y);
}

/* dx += dy - exp(y) sum(dy)
 * dy_j/dx_i = delta_ij - exp(y_i). softmax is made again from y, without a second sum. */
static void log_softmax_backward(tape *t, void *keep)
{
    tape_pair *k = keep;
    int64_t rows = tensor_rows(k->y), n = tensor_width(k->y);
    real *grad = tape_grad(t, k->x);
    for (int64_t r = 0; grad && r < rows; r++) {
        const real *restrict y = k->y->data + r * n, *restrict dy = k->y->grad + r * n;
        real *restrict dx = grad + r * n;
        real sum = vec_sum(dy, n);
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            dx[i] += dy[i] - vm_exp(y[i]) * sum;
        }
    }
}

static const op_class LOG_SOFTMAX = {"log_softmax", log_softmax_backward};

/* x - logsumexp(x), not the logarithm of a softmax, which would be that of 0 for small terms. */
tensor *op_log_softmax(tape *t, tensor *x)
{
    CHECK(tensor_width(x) > 0, "a softmax over nothing");
    double since = tape_clock(t);
    tensor *y = tape_like(t, x);
    int64_t rows = tensor_rows(x), n = tensor_width(x);
    for (int64_t r = 0; r < rows; r++) {
        real whole = softmax_logsumexp(x->data + r * n, n);
        for (int64_t i = 0; i < n; i++) {
            y->data[r * n + i] = x->data[r * n + i] - whole;
        }
    }
    return tape_done_pair(t, &LOG_SOFTMAX, since, x, y);
}

/* ---- cross-entropy ---- */

/* The probabilities are not kept: [rows, vocab] is often a model's largest tensor, and exp(logit -
 * whole) gives them again while the gradient is written. */
typedef struct cross_entropy_keep {
    tensor *logits, *y;
    int32_t *targets;
    real *weights; /* times scale; 0 where a row does not count */
    real *whole;   /* logsumexp of each row */
    real smoothing;
} cross_entropy_keep;

/* dlogits += w (softmax(logits) - (1 - s) onehot(target) - s / vocab)
 * From y = sum_r w_r (whole_r - sum_i q_i x_i) with q = (1 - s) onehot + s / vocab, and d whole /
 * dx_i = softmax_i. Rows of weight 0 are skipped: their logsumexp was never computed. */
static void cross_entropy_backward(tape *t, void *keep)
{
    cross_entropy_keep *k = keep;
    int64_t rows = tensor_rows(k->logits), vocab = tensor_width(k->logits);
    real *grad = tape_grad(t, k->logits);
    for (int64_t r = 0; grad && r < rows; r++) {
        real w = k->weights[r] * *k->y->grad, whole = k->whole[r];
        if (k->weights[r] == 0) continue;
        const real *restrict x = k->logits->data + r * vocab;
        real *restrict dx = grad + r * vocab;
#pragma omp simd
        for (int64_t i = 0; i < vocab; i++) {
            dx[i] += w * vm_exp(x[i] - whole);
        }
        /* The target's term apart, behind a loop without a branch. */
        dx[k->targets[r]] -= w * (1 - k->smoothing);
        real even = w * k->smoothing / (real)vocab;
        for (int64_t i = 0; even != 0 && i < vocab; i++) {
            dx[i] -= even;
        }
    }
}

static const op_class CROSS_ENTROPY = {"cross_entropy", cross_entropy_backward};

/* Loss of one row in nats; leaves its logsumexp.
 * The difference in double: both may be large and close. */
static double row_loss(const real *x, int64_t vocab, int32_t target, real *whole)
{
    CHECK(target >= 0 && target < vocab, "target %d of %lld", target, (long long)vocab);
    *whole = softmax_logsumexp(x, vocab);
    return (double)*whole - (double)x[target];
}

/* What smoothing s adds to a row's loss: s (x[target] - mean(x)).
 * whole - (1 - s) x_t - s mean(x), less whole - x_t. */
static double added_by_smoothing(const real *x, int64_t vocab, int32_t target, double smoothing)
{
    double sum = 0;
    for (int64_t i = 0; smoothing > 0 && i < vocab; i++) {
        sum += (double)x[i];
    }
    return smoothing > 0 ? smoothing * ((double)x[target] - sum / (double)vocab) : 0;
}

tensor *op_cross_entropy(tape *t, tensor *logits, const int32_t *targets, const real *weights,
                         real scale, double *losses)
{
    return op_smooth_cross_entropy(t, logits, targets, weights, scale, 0, losses);
}

tensor *op_smooth_cross_entropy(tape *t, tensor *logits, const int32_t *targets,
                                const real *weights, real scale, double smoothing, double *losses)
{
    double since = tape_clock(t);
    int64_t rows = tensor_rows(logits), vocab = tensor_width(logits);
    tensor *y = tape_tensor(t, 0, NULL);
    cross_entropy_keep k = {logits,
                            y,
                            tape_keep(t, rows, sizeof *k.targets),
                            tape_keep(t, rows, sizeof(real)),
                            tape_keep(t, rows, sizeof(real)),
                            (real)smoothing};
    /* Over the rows of a lane in their order, in double, so that the loss that is reported does not
     * lose digits to its length. */
    double total = 0;
    for (int64_t r = 0; r < rows; r++) {
        /* Where the weight is 0 the target may be anything, even beyond the vocabulary: it is not
         * looked at. */
        real weight = weights ? weights[r] : 1;
        k.targets[r] = targets[r];
        k.weights[r] = weight * scale;
        const real *x = logits->data + r * vocab;
        double loss = 0, added = 0;
        if (weight != 0) {
            loss = row_loss(x, vocab, targets[r], &k.whole[r]);
            added = added_by_smoothing(x, vocab, targets[r], smoothing);
        }
        /* Of the target alone, unweighted: what is reported does not change with the smoothing. */
        if (losses) losses[r] = loss;
        total += (double)weight * (loss + added);
    }
    /* Scaled in the end, in double: the sum of weights may be large and scale its inverse. */
    *y->data = (real)((double)scale * total);
    return tape_done(t, &CROSS_ENTROPY, since, 1, &logits, &k, sizeof(cross_entropy_keep), y);
}
