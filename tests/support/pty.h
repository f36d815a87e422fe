/* What a process in a pseudo-terminal writes. */
#pragma once

#include <sys/types.h>

#include "core/base/base.h"

/* All that comes out of the terminal until the child closes it; the child is waited for and the
 * terminal closed. One that says nothing for five minutes is killed, a failed test. NULL, and a
 * failed test: there is no child. The caller frees it. */
char *pty_text(int terminal, pid_t child);
