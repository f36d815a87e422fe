/* Verdicts for people and for programs. */
#pragma once

#include "results/claims/claims.h"
#include "results/table/table.h"

/* One row per claim of all of them. */
table *claims_table(arena *a, const claims *const *list, int count);

/* "0.0507 bits/byte (0.0300 to 0.0714)": what the deciding statement measured. */
void claims_estimate(char text[128], const stated_claim *c);

/* "above 0.02", "within 1", "at most 1.1": what it had to be. */
void claims_edge(char text[64], const stated_claim *c);

/* One sentence: the verdict, and why. Without a full stop. */
void claims_sentence(FILE *out, const stated_claim *c);

/* "looks: 3 seeds p 0.02 of 0.0015, ... (Pocock spending, up to 6 seeds)"; nothing of a claim that
 * is judged at once. */
void claims_looks(FILE *out, const stated_claim *c);

/* The table; for people also a sentence, the protocol and the looks of each. */
void claims_print(FILE *out, arena *a, const claims *const *list, int count, table_format format,
                  bool colour);
