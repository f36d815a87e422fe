/* Balanced assignment of tokens to experts: the choice of one expert per token with the largest sum
 * of scores, given that the experts' loads differ by at most one token (BASE layers, Lewis et al.
 * 2021, arXiv:2103.16716, sec. 3.1). With T tokens and N experts every expert takes floor(T / N)
 * tokens, and T mod N experts take one more. */
#pragma once

#include "core/base/arena.h"

/* Exact, by shortest augmenting paths between experts. scores [tokens, experts]; expert [tokens]
 * receives the choice. About tokens * (experts^2 + tokens) steps. `scratch` is rewound. */
void assign_exact(int32_t *expert, const real *scores, int64_t tokens, int64_t experts,
                  arena *scratch);

/* Auction with shrinking bids (Bertsekas 1992) for many tokens or experts. Within
 * tokens * epsilon of the optimum, where epsilon is `precision` times the range of the scores, or
 * more: eight times as much for each 40,000 bids a token, so that a lane's choice ends. Scores are
 * finite.
 * Returns an upper bound on the optimality gap in total score, from the duals (0: exact). */
double assign_auction(int32_t *expert, const real *scores, int64_t tokens, int64_t experts,
                      double precision, arena *scratch);

/* Sum of the chosen scores. */
double assign_total(const int32_t *expert, const real *scores, int64_t tokens, int64_t experts);
