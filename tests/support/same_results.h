/* Two results folders that must say the same: one of a sweep that nothing disturbed. */
#pragma once

/* EXPECTs every row of the databases equal, times aside, weights and losses of tokens equal to the
 * bit, and every checkpoint of `out_b` whole. Collects both. */
void same_results(const char *out_a, const char *out_b);
