/* What has to happen before OpenBLAS's constructor runs. */
#pragma once

/* Starts the program again with OMP_NUM_THREADS=1 unless that is so, and then with more of malloc's
 * small blocks kept by each thread; ends it with status 1 and one line where `ulimit -v` leaves
 * less than OpenBLAS needs. Does nothing the second time.
 *
 * BLAS runs on one thread, that of the lane that calls it. OpenMP reads its environment as it is
 * loaded, and openblas_set_num_threads is forgotten in a new thread; hence a second start.
 * OpenBLAS's constructor takes a buffer for each thread and asks for it for ever where it is
 * refused; hence before any constructor (ELF's preinit_array). Nothing is allocated and no stream
 * is used: the C library is loaded, but not all of it has been started. */
void start_with_one_blas_thread(int argc, char **argv, char **env);
