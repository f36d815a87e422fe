/* Files of a run's folder as a disk, a copy or a power cut may leave them. */
#pragma once

#include "core/base/sha256.h"

/* Cut to `bytes`; or removed; or a digit behind its first point is another: still JSON, still a
 * number; or its last byte is. */
enum { REMOVED = -1, CHANGED = -2, FLIPPED = -3 };
void damaged_run_file(const char *folder, const char *name, long bytes);

/* As `loci gc` leaves a finished run of ten steps: its model, and nothing that training goes on
 * from. */
void damaged_run_without_state(const char *folder);

/* The bytes of a run's model: two runs that are the same have the same. */
void damaged_run_model(char hex[SHA256_HEX], const char *folder);

/* The file's time and inode, which tell whether it was made again. */
void damaged_run_stamp(char text[64], const char *folder, const char *name);
