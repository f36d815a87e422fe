/* Around what a target opens once and keeps: much of it is known to memory alone that is mapped,
 * the pages of arenas, which a search for leaks does not look through. */
#pragma once

#include "tests/support/sanitized.h"

#if SANITIZED
#include <sanitizer/lsan_interface.h>
#define KEPT_BEGIN() __lsan_disable()
#define KEPT_END()   __lsan_enable()
#else
#define KEPT_BEGIN() ((void)0)
#define KEPT_END()   ((void)0)
#endif
