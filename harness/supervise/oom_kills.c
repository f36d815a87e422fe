#include "harness/supervise/oom_kills.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

/* The number behind `oom_kill` in a file of lines "key number"; -1 if there is none. */
static int64_t read_counter(const char *path)
{
    char line[256];
    int64_t found = -1;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "oom_kill ", 9) == 0) found = strtoll(line + 9, NULL, 10);
    }
    if (f) fclose(f);
    return found;
}

/* A group's folder below its mount; where a container shows only its own part of the tree, the
 * mount itself is the group. */
static int64_t count_in(const char *root, const char *mount, const char *group, const char *file)
{
    char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%.1000s%s%.2000s/%s", root, mount, group, file);
    int64_t n = read_counter(path);
    if (n >= 0) return n;
    snprintf(path, sizeof path, "%.1000s%s/%s", root, mount, file);
    return read_counter(path);
}

/* "0::/a/b" is of version 2, "4:memory:/a/b" of version 1, which has a mount for each controller.
 * memory.events.local counts this group alone, without those below it. */
int64_t oom_kills(const char *root)
{
    char path[FILE_PATH_BYTES], line[FILE_PATH_BYTES];
    int64_t found = -1;
    snprintf(path, sizeof path, "%.1000s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && found < 0 && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        group[strcspn(group, "\n")] = 0;
        if (strcmp(list + 1, "memory") == 0) {
            found = count_in(root, "/sys/fs/cgroup/memory", group, "memory.oom_control");
        } else if (list[1] == 0) {
            found = count_in(root, "/sys/fs/cgroup", group, "memory.events.local");
            if (found < 0) found = count_in(root, "/sys/fs/cgroup", group, "memory.events");
        }
    }
    if (f) fclose(f);
    return found < 0 ? OOM_KILLS_UNKNOWN : found;
}
