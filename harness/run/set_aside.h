/* What is kept of damage: nothing that took hours, or stands nowhere else, is lost by mending.
 *
 *   NAME.damaged    beside the record that was written anew, NAME.damaged-2 and so on of further
 *                   damage: kept as long as the record is there, and called after it
 *   RUN/before-N/   what a run had when it had to be trained again, until it is finished and `loci
 *                   gc` comes */
#pragma once

#include "core/base/file.h"

#define SET_ASIDE_COPY   ".damaged"
#define SET_ASIDE_FOLDER "before-"

/* What the next copy of the file is called. */
bool set_aside_name(char aside[FILE_PATH_BYTES], const char *path, err *e);
/* Makes that copy: of what is to be written anew. */
bool set_aside_copy(const char *path, err *e);
/* What is behind `of` in the name of a copy of it; NULL: it is none. */
const char *set_aside_copy_of(const char *name, const char *of);

/* Puts what is called so in a run's folder into the first before-N/ that has none of the name;
 * nothing where there is none. The lock is the caller's. */
bool set_aside_move(const char *run, const char *name, err *e);
