#include "core/base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/one_line.h"

/* Errors of the outside world travel as text in the caller's `err`, never through errno or a
 * global: the first function that knows the place and the remedy writes the sentence, those above
 * it put the place before it or hand it on. Bugs end the program here. */

bool err_set(err *e, const char *format, ...)
{
    if (!e) return false;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    one_line(e->text, sizeof e->text);
    e->outside = false;
    return false;
}

bool err_copy(err *e, const err *why)
{
    if (e) *e = *why;
    return false;
}

bool err_prefix(err *e, const char *format, ...)
{
    if (!e) return false;
    /* The old text is copied aside since the new one is printed over it. What does not fit is cut
     * at its end: the place, which is at the beginning, is worth more than the last words. */
    char rest[ERR_TEXT_BYTES];
    memcpy(rest, e->text, sizeof rest);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    if (used >= 0 && used < (int)sizeof e->text) {
        snprintf(e->text + used, sizeof e->text - (size_t)used, ": %.*s",
                 (int)(sizeof e->text - (size_t)used) - 3, rest);
    }
    one_line(e->text, sizeof e->text);
    return false;
}

/* Memory that is not there is no bug, though those who need it in small pieces everywhere say
 * CHECK: nothing can be done without it but ending with a word. */
static bool tells_of_memory(const char *format)
{
    return strncmp(format, "out of memory", 13) == 0 || strncmp(format, "no memory", 9) == 0;
}

void check_failed(const char *file, int line, const char *expression, const char *format, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (tells_of_memory(format)) {
        one_line_print(stderr,
                       "loci: %s; close other programs, use fewer --jobs or a smaller model", text);
    } else {
        one_line_print(stderr, "loci: bug: %s:%d: %s: %s", file, line, expression, text);
    }
    fflush(stderr);
    /* Without the handlers of exit, which might want memory again or wait for a lock that this
     * thread holds. A bug aborts, so that a core file and a debugger see where. */
    if (tells_of_memory(format)) _exit(1);
    abort();
}

void base_free_text(char **text)
{
    free(*text);
}
