/* Reading a vector as tokens needs no tape: it is one product with the output matrix, over as many
 * vectors as the caller has room for. What a model's last residual passes through besides, final
 * norm and bias, is an option (as_head), because the published analysis leaves both out and its
 * figures are only comparable without. */
#include "models/readout.h"

#include "core/ops/blas.h"
#include "models/model_parts.h"

#include <math.h>
#include <string.h>

readout readout_new(const model *m, const real *values, bool as_head)
{
    const layer_class *head = m->head.cls;
    int bias = -1, weight = head->output_matrix ? head->output_matrix(&m->head, &bias) : -1;
    /* Heads without a matrix for the stream (fast weights) still share a space with the embedding:
     * it is the best reading that there is. */
    if (weight < 0) weight = m->embedding;
    readout r = {.model = m, .values = values, .norm = as_head};
    r.weight = values + m->params.list[weight].offset;
    if (as_head && bias >= 0) r.bias = values + m->params.list[bias].offset;
    return r;
}

static const real *vector(const readout *r, int index)
{
    return index < 0 ? NULL : r->values + r->model->params.list[index].offset;
}

/* y = the final norm of x, one row: what core/ops/op_norm.c computes on a tape.
 * Sums in double, so that a vector's norm does not depend on the width of this machine's registers.
 */
static void normalise(const readout *r, real *y, const real *x, int64_t width)
{
    const model_options *o = &r->model->options;
    const real *gain = vector(r, r->model->final_norm.gain);
    const real *bias = vector(r, r->model->final_norm.bias);
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < width; i++) {
        mean += (double)x[i];
    }
    /* RMS norm is layer norm around 0. */
    mean = o->norm.kind == NORM_RMSNORM ? 0 : mean / (double)width;
    for (int64_t i = 0; i < width; i++) {
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    }
    double scale = 1 / sqrt(squares / (double)width + o->norm.eps);
    for (int64_t i = 0; i < width; i++) {
        real n = (real)(((double)x[i] - mean) * scale) * gain[i];
        y[i] = bias ? n + bias[i] : n;
    }
}

void readout_logits(const readout *r, real *logits, const real *x, int64_t n, real *scratch)
{
    int64_t width = r->model->options.width, vocab = r->model->vocab;
    if (n == 0) return;
    if (r->norm && r->model->final_norm.gain >= 0) {
        for (int64_t i = 0; i < n; i++) {
            normalise(r, scratch + i * width, x + i * width, width);
        }
        /* The caller's vectors stay as they are; they are usually parameters. */
        x = scratch;
    }
    for (int64_t i = 0; r->bias && i < n; i++) {
        memcpy(logits + i * vocab, r->bias, (size_t)vocab * sizeof *logits);
    }
    /* The bias is there already: beta = 1 adds the product to it. Exact, also of a model trained in
     * bfloat16: a reading compares small differences of logits. */
    blas_gemm(r->model->kernels.exact, false, true, n, vocab, width, 1, x, width, r->weight, width,
              r->bias ? 1 : 0, logits, vocab);
}

void readout_memory(const layer *self, const layer_memories *m, const params *p, const real *values,
                    int64_t first, int64_t n, real *out)
{
    int64_t per_group = m->count / m->groups, width = self->dims.width;
    CHECK((m->values >= 0 || m->value) && first >= 0 && first + n <= m->count,
          "%s: memories %lld to %lld", self->name, (long long)first, (long long)(first + n));
    /* A layer whose values are no rows of a parameter (products of two tables, say) computes them
     * one by one. */
    for (int64_t i = 0; m->value && i < n; i++) {
        m->value(self, p, values, first + i, out + i * width);
    }
    if (m->value) return;
    const real *from = values + p->list[m->values].offset;
    for (int64_t i = 0; i < n; i++) {
        /* Memory i of a group stands i strides into it; its components component_stride apart: 1
         * where a value is a row of the matrix, the number of memories where it is a column. */
        const real *value =
            from + (first + i) / per_group * m->group_stride + (first + i) % per_group * m->stride;
        for (int64_t k = 0; k < width; k++) {
            out[i * width + k] = value[k * m->component_stride];
        }
    }
}
