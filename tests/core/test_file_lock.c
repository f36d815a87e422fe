/* Locks whose file is removed while others hold it or wait for it. */
#include "core/base/file_lock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/test.h"

static void held_and_free(void)
{
    err e = {0};
    const char *path = test_inside("a.lock");
    EXPECT(!file_lock_is_held(path) && file_lock_shared(path) == -1, "no file");
    int one = file_lock(path, LOCK_SH | LOCK_NB, &e), two = file_lock(path, LOCK_SH, &e);
    EXPECT(one >= 0 && two >= 0, "%s", e.text);
    EXPECT(file_lock(path, LOCK_EX | LOCK_NB, &e) == FILE_LOCK_BUSY && !e.text[0], "%s", e.text);
    EXPECT(!file_lock_is_held(path), "shared");
    close(one);
    close(two);
    one = file_lock(path, LOCK_EX | LOCK_NB, &e);
    EXPECT(one >= 0 && file_lock_is_held(path) && file_lock_shared(path) == FILE_LOCK_BUSY, "%s",
           e.text);
    close(one);
    two = file_lock_shared(path);
    EXPECT(two >= 0 && file_lock(path, LOCK_EX | LOCK_NB, &e) == FILE_LOCK_BUSY, "%d", two);
    close(two);
    EXPECT(symlink(path, test_inside("link")) == 0 &&
               file_lock(test_inside("link"), LOCK_EX, &e) == -1,
           "a link");
}

/* A child that waits for the lock, and tells so by the pipe once it has it. `held` is the parent's:
 * as long as the child had it open, too, nobody could give it back. */
static pid_t waiter(const char *path, int held, int tell)
{
    pid_t child = fork();
    if (child != 0) return child;
    close(held);
    char word = file_lock(path, LOCK_EX, NULL) >= 0 ? '!' : '-';
    _exit(write(tell, &word, 1) == 1 ? 0 : 1);
}

/* Whether the kernel has a process that waits for the lock of the descriptor. */
static bool is_waited_for(pid_t child)
{
    char line[256], wanted[32];
    bool found = false;
    snprintf(wanted, sizeof wanted, " %d ", (int)child);
    FILE *f = fopen("/proc/locks", "r");
    while (f && fgets(line, sizeof line, f)) {
        found = found || (strstr(line, "->") && strstr(line, wanted));
    }
    if (f) fclose(f);
    return found;
}

/* Who waits for the lock of a file that is removed meanwhile has nothing when he gets it: another
 * one of its name may be somebody's. */
static void removed_while_waited_for(void)
{
    err e = {0};
    const char *path = test_inside("b.lock");
    int ends[2], first = file_lock(path, LOCK_EX, &e);
    EXPECT(first >= 0 && pipe(ends) == 0, "%s", e.text);
    pid_t child = waiter(path, first, ends[1]);
    for (int i = 0; i < 1000 && !is_waited_for(child); i++) {
        usleep(1000);
    }
    EXPECT(file_remove(path, &e), "%s", e.text);
    int second = file_lock(path, LOCK_EX | LOCK_NB, &e);
    EXPECT(second >= 0, "%s", e.text);
    close(first);
    struct pollfd told = {.fd = ends[0], .events = POLLIN};
    EXPECT(poll(&told, 1, 100) == 0, "two have the lock"); /* it would have it at once */
    close(second);
    int status = -1;
    char word = 0;
    EXPECT(read(ends[0], &word, 1) == 1 && word == '!', "'%c'", word);
    EXPECT(waitpid(child, &status, 0) == child && status == 0, "%d", status);
    close(ends[0]);
    close(ends[1]);
}

const test_suite test_file_lock = {"core/file_lock",
                                   {{"held and free", held_and_free},
                                    {"removed while waited for", removed_while_waited_for},
                                    {0}}};
