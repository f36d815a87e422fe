/* What a process's control groups allow and count, in trees made for it. */
#include "core/base/cgroup.h"

#include "core/base/file.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static void place(const char *path, const char *text)
{
    char whole[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(whole, test_folder(), path, &e), "%s", e.text);
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(whole, '/') - whole), whole);
    EXPECT(file_make_folders(folder, &e) && file_write(whole, text, strlen(text), &e), "%s",
           e.text);
}

static void expect_kills(int64_t expected)
{
    int64_t kills = cgroup_oom_kills(test_folder());
    EXPECT(kills == expected, "%lld, not %lld", (long long)kills, (long long)expected);
}

/* Only the process's own group says anything about it. */
static void kills_of_the_own_group(void)
{
    place("proc/vmstat", "oom_kill 17\n");
    place("proc/self/cgroup", "4:cpu:/other\n0::/user/job\n");
    place("sys/fs/cgroup/cgroup.procs", "1\n");
    expect_kills(CGROUP_KILLS_UNKNOWN);
    place("sys/fs/cgroup/user/other/memory.events", "oom 9\noom_kill 9\n");
    expect_kills(CGROUP_KILLS_UNKNOWN);
    place("sys/fs/cgroup/user/job/memory.events", "low 0\noom 3\noom_kill 3\noom_group_kill 5\n");
    expect_kills(3);
    place("sys/fs/cgroup/user/job/memory.events.local", "oom 3\noom_kill 2\n");
    expect_kills(2);
    place("proc/self/cgroup", "9:name=systemd:/\n4:memory:/box\n0::/\n");
    place("sys/fs/cgroup/memory/memory.oom_control", "under_oom 0\noom_kill 4\n");
    expect_kills(4);
    place("sys/fs/cgroup/memory/box/memory.oom_control", "oom_kill_disable 0\noom_kill 5\n");
    expect_kills(5);
}

static void expect_limits(int cores, int64_t room)
{
    const char *root = test_folder();
    EXPECT(cgroup_cores(root) == cores, "%d cores, not %d", cgroup_cores(root), cores);
    EXPECT(cgroup_memory_room(root) == room, "%lld bytes, not %lld",
           (long long)cgroup_memory_room(root), (long long)room);
}

/* The tightest of the own group and those above it. */
static void limits_of_version_2(void)
{
    place("proc/self/cgroup", "0::/slurm/job_7\n");
    expect_limits(0, -1);
    place("sys/fs/cgroup/slurm/cpu.max", "800000 100000\n");
    place("sys/fs/cgroup/slurm/job_7/cpu.max", "max 100000\n");
    place("sys/fs/cgroup/slurm/memory.max", "9000\n");
    place("sys/fs/cgroup/slurm/memory.stat", "anon 4000\nfile 3000\n");
    place("sys/fs/cgroup/slurm/job_7/memory.max", "max\n");
    place("sys/fs/cgroup/slurm/job_7/memory.stat", "anon 100\n");
    expect_limits(8, 5000);
    place("sys/fs/cgroup/slurm/job_7/cpu.max", "150000 100000\n");
    place("sys/fs/cgroup/slurm/job_7/memory.max", "1000\n");
    expect_limits(2, 900);
    place("sys/fs/cgroup/cpu.max", "100000 100000\n");
    expect_limits(1, 900);
}

/* Each controller has its group, and cpuset is not cpu. */
static void limits_of_version_1(void)
{
    place("proc/self/cgroup", "4:memory:/job_7\n3:cpu,cpuacct:/job_7\n2:cpuset:/wide\ndamaged\n");
    place("sys/fs/cgroup/cpu/job_7/cpu.cfs_quota_us", "300000\n");
    place("sys/fs/cgroup/cpu/job_7/cpu.cfs_period_us", "100000\n");
    place("sys/fs/cgroup/cpu/wide/cpu.cfs_quota_us", "900000\n");
    place("sys/fs/cgroup/cpu/wide/cpu.cfs_period_us", "100000\n");
    place("sys/fs/cgroup/memory/job_7/memory.limit_in_bytes", "7000\n");
    place("sys/fs/cgroup/memory/job_7/memory.stat", "total_rss 6500\n");
    expect_limits(3, 500);
}

const test_suite test_cgroup = {"core/cgroup",
                                {{"kills_of_the_own_group", kills_of_the_own_group},
                                 {"limits_of_version_2", limits_of_version_2},
                                 {"limits_of_version_1", limits_of_version_1},
                                 {0}}};
