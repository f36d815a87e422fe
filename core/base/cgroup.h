/* What the control groups that this process is in allow: its own one and all above it, version 1 or
 * 2. A container shows its own group as the root; a batch system's job is a group further down. */
#ifndef LOCI_CORE_CGROUP_H
#define LOCI_CORE_CGROUP_H

#include "core/base/base.h"

/* Cores of the tightest quota, rounded up; 0: no quota. */
int cgroup_cores(void);

/* Bytes that processes may still take before the tightest limit on anonymous memory; -1: no limit.
 */
int64_t cgroup_memory_room(void);

#endif
