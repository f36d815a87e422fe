#include "core/base/cgroup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_BYTES = 1024, PATH_BYTES = 1200 };

/* The number behind `key` in a file of lines "key number"; of a file that is a number alone, for
 * the empty key. -1 if there is none ("max" is none). */
static int64_t file_number(const char *path, const char *key)
{
    char line[256];
    int64_t found = -1;
    size_t n = strlen(key);
    FILE *f = fopen(path, "re");
    while (f && found < 0 && fgets(line, sizeof line, f)) {
        char *end, *at = line + n;
        if (strncmp(line, key, n) != 0) continue;
        int64_t value = strtoll(at, &end, 10);
        if (end != at) found = value;
    }
    if (f) fclose(f);
    return found;
}

/* This process's group, as "" or "/path", from a line "N:controllers:/path" of /proc/self/cgroup;
 * version 2 has the empty list of controllers. */
static void own_group(char group[GROUP_BYTES], const char *controller)
{
    char line[GROUP_BYTES];
    FILE *f = fopen("/proc/self/cgroup", "re");
    group[0] = 0;
    while (f && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        bool ours = *controller ? strstr(list + 1, controller) != NULL : !list[1];
        if (ours && strcmp(path, "/") != 0) snprintf(group, GROUP_BYTES, "%s", path);
    }
    if (f) fclose(f);
}

/* Walks from the own group to the root: `path` becomes MOUNT/GROUP/name for one group after the
 * other. */
typedef struct walk {
    const char *mount;
    char group[GROUP_BYTES];
    bool ended;
} walk;

static bool step_up(walk *w)
{
    char *end = strrchr(w->group, '/');
    if (w->ended) return false;
    if (!end) return !(w->ended = true);
    *end = 0;
    return true;
}

static const char *name_in(char path[PATH_BYTES], const walk *w, const char *name)
{
    snprintf(path, PATH_BYTES, "%s%s/%s", w->mount, w->group, name);
    return path;
}

/* ---- cores ---- */

/* Version 2: "quota period" in one file; version 1: a file each. Microseconds. */
static int quota_cores(const walk *w)
{
    char path[PATH_BYTES], text[128] = "";
    double quota = 0, period = 0;
    FILE *f = fopen(name_in(path, w, "cpu.max"), "re");
    if (f) {
        bool read = fgets(text, sizeof text, f) != NULL;
        fclose(f);
        if (!read || sscanf(text, "%lf %lf", &quota, &period) != 2) return 0;
    } else {
        quota = (double)file_number(name_in(path, w, "cpu.cfs_quota_us"), "");
        period = (double)file_number(name_in(path, w, "cpu.cfs_period_us"), "");
    }
    return quota > 0 && period > 0 ? (int)ceil(quota / period) : 0;
}

static int least_cores(const char *mount, const char *controller)
{
    walk w = {.mount = mount};
    int least = 0;
    own_group(w.group, controller);
    do {
        int cores = quota_cores(&w);
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
    } while (step_up(&w));
    return least;
}

int cgroup_cores(void)
{
    int cores = least_cores("/sys/fs/cgroup", "");
    return cores ? cores : least_cores("/sys/fs/cgroup/cpu", "cpu");
}

/* ---- memory ---- */

/* Limits count cached files, too, which make way: anonymous memory is what stays. */
static int64_t least_room(const char *mount, const char *controller, const char *limit_name,
                          const char *used_key)
{
    char path[PATH_BYTES];
    walk w = {.mount = mount};
    int64_t least = -1;
    own_group(w.group, controller);
    do {
        int64_t limit = file_number(name_in(path, &w, limit_name), "");
        int64_t used = file_number(name_in(path, &w, "memory.stat"), used_key);
        if (limit < 0 || used < 0) continue;
        int64_t room = MAX(limit - used, (int64_t)1);
        if (least < 0 || room < least) least = room;
    } while (step_up(&w));
    return least;
}

int64_t cgroup_memory_room(void)
{
    int64_t room = least_room("/sys/fs/cgroup", "", "memory.max", "anon ");
    if (room >= 0) return room;
    return least_room("/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "total_rss ");
}
