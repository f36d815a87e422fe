/* k-means clustering (Lloyd 1982), started as k-means++ does (Arthur & Vassilvitskii 2007). */
#pragma once

#include "core/base/rng.h"

/* cluster [n] receives 0..clusters-1, the nearest mean by Euclidean distance (ties: the smaller
 * index) after at most 50 rounds. points [n, width]. A cluster that runs empty moves to the point
 * that lies farthest from its own mean; with fewer points than clusters some stay empty. */
void kmeans(int32_t *cluster, const double *points, int64_t n, int64_t width, int64_t clusters,
            rng_key key);
