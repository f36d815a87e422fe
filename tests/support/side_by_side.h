/* Pieces of work in processes of their own, several at a time, whose output comes out in order. */
#pragma once

#include <stdbool.h>

typedef struct side_work {
    int pieces, jobs;
    /* What waits for others most of its time, and needs hardly a processor: all of these begin at
     * once, beside the jobs. */
    bool (*waits)(int piece);
    /* In the piece's own process, which ends with what it returns. */
    int (*run)(int piece);
    /* In the caller's, after the output of that piece and of all before it. status as of waitpid.
     */
    void (*ended)(int piece, int status);
} side_work;

void side_by_side(const side_work *w);
