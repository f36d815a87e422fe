/* Which run is next: whether another process works on it, what it starts from, memory. */
#pragma once

#include "harness/supervise/supervisor_jobs.h"

/* The next run that can be started, or NULL. Those that never can are ended on the way. */
job *supervisor_next(supervisor *s);
