/* Progress of several runs: on a terminal one updating line per running job and one in total; plain
 * lines otherwise. Colours only on a terminal and without NO_COLOR. */
#pragma once

#include <stdio.h>

#include "harness/run/run_status.h"

typedef struct progress progress;

/* out is borrowed. */
progress *progress_new(FILE *out, err *e);
void progress_free(progress *p); /* leaves the terminal on a fresh line */

/* A line that stays ("run 3 of 9: long, seed 2: done, ..."), above the bars. */
void progress_say(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is running now: bars are redrawn at most 5 times a second, plain lines written every 10
 * seconds at most. */
typedef struct progress_job {
    const char *label;
    int64_t seed;
    run_status status;
} progress_job;

/* The sweep as a whole, whoever did it and when. Work is counted in runs. */
typedef struct progress_sweep {
    int runs, finished, failed;
    double work;   /* runs that have ended, and the parts of others that are done */
    double before; /* as much of it as was there when this sitting began */
} progress_sweep;

void progress_update(progress *p, const progress_job *jobs, int count, const progress_sweep *all);

/* The same of something that this process does itself: `tokens` of `of` within so many seconds.
 * What is over within a second is not shown. */
void progress_tell(progress *p, const char *name, int64_t tokens, int64_t of, double seconds);

/* The part of a run that is done: its training, or of the whole in seconds, once it is evaluated
 * and one can know what that takes; below 1 as long as it goes on. */
double progress_fraction(const run_status *s);
/* What is left at the speed of this sitting, which has lasted `elapsed` seconds; NaN: not known. */
double progress_left(double elapsed, const progress_sweep *all);
/* The training loss of late, as in tables: in bits per byte where the text has bytes. */
void progress_loss(char text[32], const run_status *s);
/* "1:02:03", "4:05"; "2.1M", "850k". */
void progress_time(char text[16], double seconds);
void progress_amount(char text[16], double amount);
