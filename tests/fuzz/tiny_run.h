/* A results folder with two finished runs of tiny models, their claims, notes, speed and lines of
 * an inspection, made by this process, for fuzz targets to damage the first one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TINY_RUN_NAME "tiny"

/* Makes OUT = scratch_path("out") with experiment, runs and (collect) database. */
void tiny_run_make(void);
const char *tiny_run_out(void);
const char *tiny_run_folder(void); /* OUT/runs/ID */

enum { TINY_RUN_FILES = 12 };

/* Its files, by a number of any size (modulo their count): names below OUT, and what was in them.
 */
const char *tiny_run_file(unsigned number, const void **data, size_t *bytes);

/* Writes a file, or puts it back (data NULL). */
void tiny_run_put(unsigned number, const void *data, size_t bytes);
