/* Two results folders that must say the same: one of a sweep that nothing disturbed. */
#ifndef LOCI_TESTS_SAME_RESULTS_H
#define LOCI_TESTS_SAME_RESULTS_H

/* EXPECTs every row of the databases equal, times aside, weights and losses of tokens equal to the
 * bit, and every checkpoint of `out_b` whole. Collects both. */
void same_results(const char *out_a, const char *out_b);

#endif
