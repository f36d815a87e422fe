#include "core/ops/attention_bias.h"

#include <math.h>
#include <stdlib.h>

/* A bias depends on the distance alone, so it is computed once per distance and head, and a query's
 * biases for consecutive keys are a stretch of that table: adding them is one loop over memory. A
 * table by (query, key) would have the size of the scores. */

/* Half of the buckets are distances 0, 1, 2, ...; the other half are ranges that grow like the
 * logarithm up to max_distance, the last one for all beyond. Keys behind a query (no causality)
 * count as distance 0. */
int64_t attention_bias_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance)
{
    int64_t exact = buckets / 2, n = MAX(distance, 0);
    if (n < exact || exact == 0) return MIN(n, buckets - 1);
    double share = log((double)n / (double)exact) / log((double)max_distance / (double)exact);
    return MIN(buckets - 1, exact + (int64_t)(share * (double)(buckets - exact)));
}

/* Distance query - key at an offset of the table: the last query stands at the last key. */
static int64_t distance_at(const attention_bias *b, int64_t offset)
{
    return b->keys - 1 - offset;
}

/* head < power: the geometric sequence; the others take the odd places of the one twice as long. */
double attention_bias_slope(int64_t head, int64_t heads)
{
    int64_t power = 1;
    while (2 * power <= heads) {
        power *= 2;
    }
    if (head < power) return exp2(-8.0 * (double)(head + 1) / (double)power);
    return exp2(-8.0 * (double)(2 * (head - power) + 1) / (double)(2 * power));
}

/* Both may be wanted at once; they add. */
static real bias_at(const attention_shape *s, int64_t head, int64_t distance)
{
    real bias = 0;
    if (s->t5_table) {
        int64_t bucket =
            attention_bias_t5_bucket(distance, s->t5_table->shape[0], s->t5_max_distance);
        bias += s->t5_table->data[bucket * s->heads + head];
    }
    if (s->alibi) bias -= (real)(attention_bias_slope(head, s->heads) * (double)llabs(distance));
    return bias;
}

attention_bias attention_bias_new(arena *m, const attention_shape *s, int64_t queries, int64_t keys)
{
    attention_bias b = {NULL, queries + keys - 1, queries, keys};
    if (!s->t5_table && !s->alibi) return b;
    b.by_offset = ARENA_NEW(m, real, s->heads * b.span);
    for (int64_t h = 0; h < s->heads; h++) {
        for (int64_t o = 0; o < b.span; o++) {
            b.by_offset[h * b.span + o] = bias_at(s, h, distance_at(&b, o));
        }
    }
    return b;
}

/* The transpose of the lookup: offsets of one bucket add up in their order. */
void attention_bias_backward(real *dtable, const attention_bias *gradient, const attention_shape *s)
{
    for (int64_t o = 0; o < gradient->span; o++) {
        int64_t bucket = attention_bias_t5_bucket(distance_at(gradient, o), s->t5_table->shape[0],
                                                  s->t5_max_distance);
        for (int64_t h = 0; h < s->heads; h++) {
            dtable[bucket * s->heads + h] += gradient->by_offset[h * gradient->span + o];
        }
    }
}
