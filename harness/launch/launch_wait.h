/* Waiting for a launched sweep: `loci run --on ... --wait`. */
#pragma once

#include "harness/launch/launch.h"
#include "harness/supervise/supervision.h"

/* Watches the runs' folders, and the queue once a minute, until every run has ended or no task is
 * left; prints a line where something changed. Stopped by a signal it leaves the jobs alone: the
 * runs that are open count as left to others. False and e: runs cannot be looked at, or no task is
 * left of which any has so much as begun one. */
bool launch_wait(supervisor_result *r, const launch *l, const experiment *x, const char *out,
                 bool quiet, err *e);
