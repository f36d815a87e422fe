/* How loci ends, the program and each of its workers. */
#pragma once

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_RUNS_FAILED = 3,
    EXIT_INTERRUPTED = 75,
    EXIT_BUSY = 76 /* a worker's alone: another one has the folder */
};
