#include "layers/state_figures.h"

#include "layers/layer_inspect.h"

#include <math.h>
#include <string.h>

void state_figures_entropy(layer_ctx *c, const layer *self, const token_plan *plan,
                           attention_operand q, attention_operand k)
{
    enum { SAMPLES = 4 };
    int64_t d = plan->head_dim, states = k.x->shape[1], time = q.x->shape[1];
    double sum = 0, *p = tape_keep(c->tape, states, sizeof *p);
    int64_t count = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        const real *qi = q.x->data + (time - 1) * i / SAMPLES * q.x->shape[2];
        for (int64_t h = 0; h < plan->heads; h++, count++) {
            const real *kh = k.x->data + h * plan->kv_heads / plan->heads * d;
            /* H = log(sum_j exp s_j) - sum_j p_j s_j, of scores less the largest so that no exp
             * overflows. */
            double top = -(double)INFINITY, total = 0, mean = 0;
            for (int64_t j = 0; j < states; j++) {
                p[j] = 0;
                for (int64_t n = 0; n < d; n++) {
                    p[j] += (double)qi[h * d + n] * (double)kh[j * k.x->shape[2] + n];
                }
                p[j] /= sqrt((double)d);
                top = MAX(top, p[j]);
            }
            for (int64_t j = 0; j < states; j++) {
                total += exp(p[j] - top);
                mean += exp(p[j] - top) * (p[j] - top);
            }
            sum += log(total) - mean / total;
        }
    }
    layer_metric(c, self, "state_entropy", sum, (double)count);
}

void state_figures_keep(layer_ctx *c, real **weights, int64_t begin, int64_t end, const real *part,
                        int64_t states)
{
    int64_t time = end - begin;
    if (begin == 0) *weights = tape_keep(c->tape, c->rows * c->time * states, sizeof(real));
    for (int64_t r = 0; r < c->rows; r++) {
        memcpy(*weights + (r * c->time + begin) * states, part + r * time * states,
               (size_t)(time * states) * sizeof *part);
    }
}

static double norm_of(const real *x, int64_t n)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    return sqrt(squares);
}

void state_figures_tell(layer_ctx *c, const layer *self, int read, const real *weights,
                        const tensor *part, const tensor *y)
{
    int64_t n = c->rows * c->time, width = self->dims.width;
    real *strength = tape_keep(c->tape, n, sizeof *strength);
    for (int64_t k = 0; k < n; k++) {
        double all = norm_of(y->data + k * width, width);
        strength[k] = (real)(norm_of(part->data + k * width, width) / MAX(all, 1e-12));
    }
    layer_exchanged(c, self, read, &(exchange_use){0, c->time, 0, weights, strength});
}
