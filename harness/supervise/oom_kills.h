/* Whether a process was killed for want of memory: the kernel counts such kills by control group,
 * and a worker is in its supervisor's. The machine's own count says nothing about a run: somebody
 * else's process may have been the one. */
#ifndef LOCI_HARNESS_OOM_KILLS_H
#define LOCI_HARNESS_OOM_KILLS_H

#include "core/base/base.h"

/* Outside of any group. */
#define OOM_KILLS_UNKNOWN INT64_MAX

/* Processes of this one's control group that were killed so, since the group was made. root: ""
 * (tests have a tree of their own). */
int64_t oom_kills(const char *root);

#endif
