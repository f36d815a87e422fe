/* Running another program (bible, spm_encode, spm_train) without a shell. */
#pragma once

#include "core/base/base.h"

typedef struct process {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *package;     /* Debian's package that has it, for the message */
    /* Standard input: called from a thread of its own for the next bytes, at most `capacity`; 0:
     * the end; -1: failed, e is set. NULL: empty input. */
    int64_t (*feed)(void *user, void *out, int64_t capacity, err *e);
    /* Standard output, piece by piece; false: stop, e is set. NULL: ignored. */
    bool (*take)(void *user, const char *data, int64_t bytes, err *e);
    void *user;
} process;

/* Runs to the end. False if it cannot be started, feed or take fail, or it exits with anything but
 * 0 (the message then ends with the last lines of its standard error). */
bool process_run(const process *p, err *e);
