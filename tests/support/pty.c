#include "tests/support/pty.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/text.h"
#include "tests/test.h"

char *pty_text(int terminal, pid_t child)
{
    EXPECT(child > 0, "no pseudo-terminal");
    if (child <= 0) return NULL;
    char part[4096];
    text_memory m;
    FILE *f = text_begin(&m);
    for (ssize_t n; (n = read(terminal, part, sizeof part)) > 0;) {
        fwrite(part, 1, (size_t)n, f);
    }
    char *text = text_end(&m);
    close(terminal);
    waitpid(child, NULL, 0);
    return text;
}
