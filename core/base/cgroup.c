#include "core/base/cgroup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A limit holds for a group and all below it, and the tightest one counts, wherever on the way up
 * to the root it stands: so every question is asked of the own group and of each above it, and the
 * least answer is taken.
 *
 * Which files to ask differs. Version 2 has one tree for everything below /sys/fs/cgroup and names
 * the group in the line "0::/path" of /proc/self/cgroup; version 1 has a tree per controller (cpu,
 * memory) with a line of its own. Machines have either, or both beside each other. A container
 * often shows just its own part of the tree, mounted at the top, while the line still names the
 * path from outside: files that are not there are passed over, and the walk up ends at the mount,
 * which is then the right group. */

enum { NAME_BYTES = 1024, PATH_BYTES = 3 * NAME_BYTES };

/* The group of a controller ("": version 2, which has them all), and where it is mounted. */
typedef struct group {
    const char *root, *mount;
    char name[NAME_BYTES]; /* "/a/b"; "" at the mount itself */
} group;

/* Whether the list "cpu,cpuacct" has that name: cpuset is not cpu.
 * Version 2's list is empty and has the empty name in it. */
static bool lists_name(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ",");
        if (n == length && strncmp(p, name, n) == 0) return true;
        p += n;
        if (!*p) return false;
    }
}

/* From the line "N:controllers:/path" of /proc/self/cgroup; false if the process is in none.
 * g is good in either case: without a line it is the mount. */
static bool find_group(group *g, const char *root, const char *mount, const char *controller)
{
    char path[PATH_BYTES], line[NAME_BYTES];
    bool found = false;
    *g = (group){.root = root, .mount = mount};
    snprintf(path, sizeof path, "%.1000s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *name = list ? strchr(list + 1, ':') : NULL;
        if (!name) continue;
        *name++ = 0;
        name[strcspn(name, "\n")] = 0;
        if (!lists_name(list + 1, controller)) continue;
        snprintf(g->name, sizeof g->name, "%s", strcmp(name, "/") == 0 ? "" : name);
        found = true;
    }
    if (f) fclose(f);
    return found;
}

/* Cuts the name's last part off; false at the mount. */
static bool step_up(group *g)
{
    char *end = strrchr(g->name, '/');
    if (end) *end = 0;
    return end != NULL;
}

static FILE *open_in(const group *g, const char *file)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%.1000s%s%s/%s", g->root, g->mount, g->name, file);
    return fopen(path, "re");
}

/* The number behind `key` in a file of lines "key number"; of a file that is a number alone, for
 * the empty key. -1 if there is none ("max" is none).
 * Keys are given with the blank behind them: "anon " is not "anon_thp ". */
static int64_t read_number(const group *g, const char *file, const char *key)
{
    char line[256];
    int64_t found = -1;
    size_t n = strlen(key);
    FILE *f = open_in(g, file);
    while (f && found < 0 && fgets(line, sizeof line, f)) {
        char *end, *at = line + n;
        if (strncmp(line, key, n) != 0) continue;
        int64_t value = strtoll(at, &end, 10);
        if (end != at) found = value;
    }
    if (f) fclose(f);
    return found;
}

/* ---- cores ---- */

/* Version 2: "quota period" in one file; version 1: a file each. Microseconds. */
static int quota_cores(const group *g)
{
    char text[128] = "";
    double quota = 0, period = 0;
    FILE *f = open_in(g, "cpu.max");
    if (f) {
        bool read = fgets(text, sizeof text, f) != NULL;
        fclose(f);
        /* "max 100000" has no number first: no quota. */
        if (!read || sscanf(text, "%lf %lf", &quota, &period) != 2) return 0;
    } else {
        quota = (double)read_number(g, "cpu.cfs_quota_us", "");
        period = (double)read_number(g, "cpu.cfs_period_us", "");
    }
    /* Rounded up: with half a core more, one more thread still has half of its time; 0.5 cores are
     * one. Version 1 says -1 for no quota. */
    return quota > 0 && period > 0 ? (int)ceil(quota / period) : 0;
}

static int least_cores(const char *root, const char *mount, const char *controller)
{
    group g;
    int least = 0;
    find_group(&g, root, mount, controller);
    do {
        int cores = quota_cores(&g);
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
    } while (step_up(&g));
    return least;
}

int cgroup_cores(const char *root)
{
    int cores = least_cores(root, "/sys/fs/cgroup", "");
    return cores ? cores : least_cores(root, "/sys/fs/cgroup/cpu", "cpu");
}

/* ---- memory ---- */

/* Limits count cached files, too, which make way: anonymous memory is what stays.
 * A limit that is passed already leaves 1 byte of room, since callers read 0 as unknown. `continue`
 * goes to the step up. */
static int64_t least_room(const char *root, const char *mount, const char *controller,
                          const char *limit_file, const char *used_key)
{
    group g;
    int64_t least = -1;
    find_group(&g, root, mount, controller);
    do {
        int64_t limit = read_number(&g, limit_file, "");
        int64_t used = read_number(&g, "memory.stat", used_key);
        if (limit < 0 || used < 0) continue;
        int64_t room = MAX(limit - used, (int64_t)1);
        if (least < 0 || room < least) least = room;
    } while (step_up(&g));
    return least;
}

/* Version 1 without a limit has a number near 2^63 in its file: no limit in effect, as the caller
 * takes the least of that and what the machine has. */
int64_t cgroup_memory_room(const char *root)
{
    int64_t room = least_room(root, "/sys/fs/cgroup", "", "memory.max", "anon ");
    if (room >= 0) return room;
    return least_room(root, "/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes",
                      "total_rss ");
}

/* Where a container shows only its own part of the tree, the mount itself is the group.
 * The mount is asked only if the group's own number is missing: elsewhere the top counts the whole
 * machine's. */
static int64_t count_kills(group *g, const char *file)
{
    group top = *g;
    top.name[0] = 0;
    int64_t kills = read_number(g, file, "oom_kill ");
    return kills >= 0 ? kills : read_number(&top, file, "oom_kill ");
}

/* memory.events.local counts this group alone, without those below it.
 * Older kernels have memory.events only. Version 1 is asked first: where both trees are mounted,
 * memory is accounted in the one that has a line for its controller. */
int64_t cgroup_oom_kills(const char *root)
{
    group g;
    int64_t kills = -1;
    if (find_group(&g, root, "/sys/fs/cgroup/memory", "memory"))
        kills = count_kills(&g, "memory.oom_control");
    if (kills < 0 && find_group(&g, root, "/sys/fs/cgroup", "")) {
        kills = count_kills(&g, "memory.events.local");
        if (kills < 0) kills = count_kills(&g, "memory.events");
    }
    return kills < 0 ? CGROUP_KILLS_UNKNOWN : kills;
}
