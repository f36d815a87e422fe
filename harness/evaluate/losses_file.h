/* The loss of every token of an evaluation, f32 in nats, in the order of the text: written in place
 * as rows get there, read back by offset, kept under its name or forgotten. */
#pragma once

#include "core/base/file.h"

typedef struct losses_file {
    int fd;           /* -1: none */
    const char *path; /* borrowed; NULL: nameless, gone when closed */
    char temporary[FILE_PATH_BYTES];
    bool stays;     /* what was written so far outlives a close that does not keep it */
    bool continued; /* there was such a file */
} losses_file;

/* path NULL: a nameless file in TMPDIR. Nothing stands at the path until the file is kept. part
 * (NULL: none): PART.f32 is what it is called before, and the file of an earlier sitting. */
bool losses_file_open(losses_file *f, const char *path, const char *part, err *e);
/* What an earlier sitting wrote is not gone on from. */
bool losses_file_empty(losses_file *f, err *e);
/* The losses of n tokens from `token` on. */
bool losses_file_put(losses_file *f, const float *losses, int64_t n, int64_t token, err *e);
/* Is it as long as losses up to that token take? */
bool losses_file_reaches(const losses_file *f, int64_t token);
bool losses_file_get(const losses_file *f, float *losses, int64_t n, int64_t token, err *e);
/* keep: under its name, replacing what is there, atomically. Without a file: nothing to do. A part
 * without a path stays where it is. */
bool losses_file_close(losses_file *f, bool keep, err *e);
