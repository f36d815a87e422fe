#include "tests/fuzz/scratch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char folder[256];

static void remove_folder(void)
{
    file_remove_tree(folder, NULL);
}

const char *scratch_path(const char *name)
{
    static char path[8][FILE_PATH_BYTES];
    static int next;
    if (!folder[0]) {
        const char *base = getenv("TMPDIR");
        if (!base) base = file_is_folder("/dev/shm") ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/loci-fuzz-%d", base, (int)getpid());
        file_make_folders(folder, NULL);
        atexit(remove_folder);
        /* A large page would be cleared for each arena of each input. */
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
    char *out = path[next++ % 8];
    snprintf(out, FILE_PATH_BYTES, "%s/%s", folder, name);
    return out;
}

void scratch_write(const char *name, const void *data, size_t bytes)
{
    char parent[FILE_PATH_BYTES];
    const char *path = scratch_path(name);
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    /* Without a stream, which would look at the file and take a buffer first. */
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, f = open(path, flags, 0666);
    if (f < 0 && file_make_folders(parent, NULL)) f = open(path, flags, 0666);
    CHECK(f >= 0 && write(f, data, bytes) == (ssize_t)bytes, "%s cannot be written", path);
    close(f);
}

void scratch_quiet(void)
{
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere) stdout = stderr = nowhere;
}
