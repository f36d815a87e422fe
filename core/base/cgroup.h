/* What the control groups that this process is in allow and count: its own one and all above it,
 * version 1 or 2. A container shows its own group as the root; a batch system's job is a group
 * further down.
 *
 * root: "" (tests have a tree of their own). */
#pragma once

#include "core/base/base.h"

/* Cores of the tightest quota, rounded up; 0: no quota. */
int cgroup_cores(const char *root);

/* Bytes that processes may still take before the tightest limit on anonymous memory; -1: no limit.
 */
int64_t cgroup_memory_room(const char *root);

/* Processes of the own group that the kernel killed for want of memory since the group was made.
 * The machine's own count says nothing about a run: somebody else's process may have been the one.
 */
#define CGROUP_KILLS_UNKNOWN INT64_MAX /* outside of any group */
int64_t cgroup_oom_kills(const char *root);
