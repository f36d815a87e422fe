#include "models/readout.h"

#include "core/ops/blas.h"
#include "models/model_parts.h"

#include <math.h>
#include <string.h>

readout readout_new(const model *m, const real *values, bool as_head)
{
    const layer_class *head = m->head.cls;
    int bias = -1, weight = head->output_matrix ? head->output_matrix(&m->head, &bias) : -1;
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

/* y = the final norm of x, one row: what core/ops/op_norm.c computes on a tape. */
static void normalise(const readout *r, real *y, const real *x, int64_t width)
{
    const model_options *o = &r->model->options;
    const real *gain = vector(r, r->model->final_norm.gain);
    const real *bias = vector(r, r->model->final_norm.bias);
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < width; i++) {
        mean += (double)x[i];
    }
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
        x = scratch;
    }
    for (int64_t i = 0; r->bias && i < n; i++) {
        memcpy(logits + i * vocab, r->bias, (size_t)vocab * sizeof *logits);
    }
    blas_gemm(r->model->kernels.exact, false, true, n, vocab, width, 1, x, width, r->weight, width,
              r->bias ? 1 : 0, logits, vocab);
}

void readout_memory(const layer *self, const layer_memories *m, const params *p, const real *values,
                    int64_t first, int64_t n, real *out)
{
    int64_t per_group = m->count / m->groups, width = self->dims.width;
    CHECK((m->values >= 0 || m->value) && first >= 0 && first + n <= m->count,
          "%s: memories %lld to %lld", self->name, (long long)first, (long long)(first + n));
    for (int64_t i = 0; m->value && i < n; i++) {
        m->value(self, p, values, first + i, out + i * width);
    }
    if (m->value) return;
    const real *from = values + p->list[m->values].offset;
    for (int64_t i = 0; i < n; i++) {
        const real *value =
            from + (first + i) / per_group * m->group_stride + (first + i) % per_group * m->stride;
        for (int64_t k = 0; k < width; k++) {
            out[i * width + k] = value[k * m->component_stride];
        }
    }
}
