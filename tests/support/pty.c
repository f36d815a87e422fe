#include "tests/support/pty.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/text.h"
#include "tests/test.h"

enum { SILENCE_MS = 300000 };

/* A shell that waits for the end of a quote does not look at alarms. */
static bool says_more(int terminal)
{
    struct pollfd p = {.fd = terminal, .events = POLLIN};
    return poll(&p, 1, SILENCE_MS) > 0;
}

char *pty_text(int terminal, pid_t child)
{
    EXPECT(child > 0, "no pseudo-terminal");
    if (child <= 0) return NULL;
    char part[4096];
    text_memory m;
    FILE *f = text_begin(&m);
    ssize_t n = 1;
    while (n > 0 && says_more(terminal)) {
        n = read(terminal, part, sizeof part);
        if (n > 0) fwrite(part, 1, (size_t)n, f);
    }
    char *text = text_end(&m);
    EXPECT(n <= 0, "it neither ended nor said more than: %s", text);
    if (n > 0) kill(child, SIGKILL);
    close(terminal);
    waitpid(child, NULL, 0);
    return text;
}
