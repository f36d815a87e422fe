/* Each piece is a forked process that writes to a file without a name. When it has ended the file
 * is read, so that few are open however long the first piece takes, and is printed once all pieces
 * before it were. Pieces begin in order, but those that wait before all others. */
#include "tests/support/side_by_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/base.h"

typedef struct side_piece {
    pid_t pid; /* 0: not begun, or ended */
    FILE *output;
    char *said; /* [bytes], once it has ended */
    size_t bytes;
    int status;
} side_piece;

static void begin(const side_work *w, side_piece *p, int i)
{
    fflush(NULL); /* or the child would print it again */
    p->output = tmpfile();
    CHECK(p->output, "no file for what piece %d prints", i);
    p->pid = fork();
    CHECK(p->pid >= 0, "no process for piece %d", i);
    if (p->pid > 0) return;
    /* One place for both, or lines of the two would change their order. */
    dup2(fileno(p->output), STDOUT_FILENO);
    dup2(fileno(p->output), STDERR_FILENO);
    exit(w->run(i));
}

static void keep_output(side_piece *p)
{
    fseek(p->output, 0, SEEK_END);
    long bytes = ftell(p->output);
    p->said = malloc((size_t)bytes + 1);
    CHECK(p->said, "out of memory for %ld bytes of output", bytes);
    rewind(p->output);
    p->bytes = fread(p->said, 1, (size_t)bytes, p->output);
    fclose(p->output);
}

/* Waits until one of those that run has ended, and returns which. */
static int wait_for_one(const side_work *w, side_piece *all)
{
    int status, i = 0;
    pid_t pid = waitpid(-1, &status, 0);
    while (i < w->pieces && all[i].pid != pid) {
        i++;
    }
    CHECK(i < w->pieces, "process %lld is no piece", (long long)pid);
    all[i].pid = 0;
    all[i].status = status;
    keep_output(&all[i]);
    return i;
}

void side_by_side(const side_work *w)
{
    side_piece *all = calloc((size_t)w->pieces + 1, sizeof *all);
    CHECK(all, "out of memory for %d pieces", w->pieces);
    for (int i = 0; i < w->pieces; i++) {
        if (w->waits(i)) begin(w, &all[i], i);
    }
    int next = 0, printed = 0, running = 0; /* running: of those that do not wait */
    while (printed < w->pieces) {
        for (; next < w->pieces && running < w->jobs; next++) {
            if (w->waits(next)) continue;
            begin(w, &all[next], next);
            running++;
        }
        if (!w->waits(wait_for_one(w, all))) running--;
        for (; printed < w->pieces && all[printed].said; printed++) {
            side_piece *p = &all[printed];
            fwrite(p->said, 1, p->bytes, stdout);
            w->ended(printed, p->status);
            free(p->said);
        }
    }
    free(all);
}
