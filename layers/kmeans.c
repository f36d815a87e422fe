#include "layers/kmeans.h"

#include "core/base/arena.h"

#include <float.h>
#include <string.h>

/* Lloyd's rounds, each of which lowers the sum of squared distances: points go to their nearest
 * mean, means to the middle of their points. What start_means draws decides which of the many local
 * ends is reached; from the run's key, so it is the same again. Sums are in double and in order, on
 * one thread: a table that follows from them must not depend on threads. */

enum { MOST_ROUNDS = 50 };

typedef struct clustering {
    const double *points;
    int64_t n, width, clusters;
    double *means;    /* [clusters, width] */
    double *distance; /* [n]: squared, to the point's own mean */
    int32_t *cluster; /* [n] */
    int64_t *size;    /* [clusters] */
} clustering;

static double squared_distance(const double *restrict a, const double *restrict b, int64_t width)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < width; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
}

static void put_mean(clustering *x, int64_t c, int64_t point)
{
    memcpy(x->means + c * x->width, x->points + point * x->width,
           (size_t)x->width * sizeof *x->means);
}

/* A point drawn with probability in proportion to its squared distance from the chosen means.
 * A mean far from the others is likely, a point that is one already has probability 0. */
static int64_t draw_far(const clustering *x, double uniform)
{
    double total = 0;
    for (int64_t i = 0; i < x->n; i++) {
        total += x->distance[i];
    }
    double left = uniform * total;
    for (int64_t i = 0; i < x->n; i++) {
        left -= x->distance[i];
        if (left < 0) return i;
    }
    /* Rounding may leave a little of `total` behind the last point. */
    return x->n - 1;
}

static void start_means(clustering *x, rng_key key)
{
    for (int64_t i = 0; i < x->n; i++) {
        x->distance[i] = DBL_MAX;
    }
    int64_t chosen = (int64_t)rng_below(key, 0, (uint64_t)x->n);
    for (int64_t c = 0; c < x->clusters; c++) {
        if (c > 0) chosen = draw_far(x, rng_uniform(key, (uint64_t)c));
        put_mean(x, c, chosen);
        for (int64_t i = 0; i < x->n; i++) {
            double d =
                squared_distance(x->points + i * x->width, x->means + c * x->width, x->width);
            x->distance[i] = MIN(x->distance[i], d);
        }
    }
}

/* Each point to its nearest mean; returns whether any changed. */
static bool assign(clustering *x)
{
    bool changed = false;
    memset(x->size, 0, (size_t)x->clusters * sizeof *x->size);
    for (int64_t i = 0; i < x->n; i++) {
        int32_t best = 0;
        double nearest = DBL_MAX;
        for (int64_t c = 0; c < x->clusters; c++) {
            double d =
                squared_distance(x->points + i * x->width, x->means + c * x->width, x->width);
            if (d < nearest) {
                nearest = d;
                best = (int32_t)c;
            }
        }
        changed |= x->cluster[i] != best;
        x->cluster[i] = best;
        x->distance[i] = nearest;
        x->size[best]++;
    }
    return changed;
}

static int64_t farthest(const clustering *x)
{
    int64_t far = 0;
    for (int64_t i = 1; i < x->n; i++) {
        if (x->distance[i] > x->distance[far]) far = i;
    }
    return far;
}

/* Each mean to the middle of its points. A cluster without any would stay without: it starts anew
 * where the means fit worst. */
static void move_means(clustering *x)
{
    memset(x->means, 0, (size_t)(x->clusters * x->width) * sizeof *x->means);
    for (int64_t i = 0; i < x->n; i++) {
        double *mean = x->means + x->cluster[i] * x->width;
        const double *point = x->points + i * x->width;
        /* Parts add up to the mean without a second pass over the sums. */
        double part = 1 / (double)x->size[x->cluster[i]];
        for (int64_t k = 0; k < x->width; k++) {
            mean[k] += part * point[k];
        }
    }
    for (int64_t c = 0; c < x->clusters; c++) {
        if (x->size[c] > 0) continue;
        int64_t point = farthest(x);
        put_mean(x, c, point);
        x->distance[point] = 0; /* the next empty cluster takes another */
    }
}

void kmeans(int32_t *cluster, const double *points, int64_t n, int64_t width, int64_t clusters,
            rng_key key)
{
    arena_auto *a = arena_new((size_t)1 << 16);
    clustering x = {.points = points,
                    .n = n,
                    .width = width,
                    /* More clusters than points would leave some without any, whatever moved
                     * where. */
                    .clusters = MIN(clusters, n),
                    .means = ARENA_NEW(a, double, clusters *width),
                    .distance = ARENA_NEW(a, double, n),
                    .cluster = cluster,
                    .size = ARENA_NEW(a, int64_t, clusters)};
    /* No point is in a cluster yet, so that the first round counts as a change. */
    memset(cluster, -1, (size_t)n * sizeof *cluster);
    start_means(&x, key);
    /* Ends where no point has changed: a further round would do nothing. */
    for (int round = 0; round < MOST_ROUNDS && assign(&x); round++) {
        move_means(&x);
    }
}
