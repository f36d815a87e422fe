#include "layers/head_norm.h"

#include <math.h>

double head_norm_gain(double scale, int64_t head_dim, int64_t kind)
{
    /* The lengths that normalisation gives: 1 (l2), sqrt(head_dim) (rms). */
    double root = sqrt((double)head_dim), start = kind == QK_NORM_L2 ? 1 / root : root;
    /* Both gains start alike, and a score with gain^2 start. */
    return scale < 0 ? 1 : sqrt(scale / start);
}

bool head_norm_starts_at_one(double scale, int64_t head_dim, int64_t kind)
{
    real gain = (real)head_norm_gain(scale, head_dim, kind);
    return gain >= 1 && gain <= 1;
}

attention_operand head_norm(tape *t, attention_operand a, int64_t heads, int64_t head_dim,
                            int64_t kind, tensor *gain)
{
    int64_t width = heads * head_dim, rows = a.x->shape[0], length = a.x->shape[1];
    tensor *x = a.x;
    if (a.column > 0 || width < a.x->shape[2]) x = op_columns(t, a.x, a.column, a.column + width);
    x = tape_reshape(t, x, 4, (int64_t[]){rows, length, heads, head_dim});
    if (kind == QK_NORM_RMS) {
        x = op_rmsnorm(t, x, gain, (real)1e-6);
    } else {
        x = op_mul_row(t, op_l2norm(t, x, (real)1e-12), gain);
    }
    return (attention_operand){tape_reshape(t, x, 3, (int64_t[]){rows, length, width}), 0};
}
