/* What a launched script says to Slurm: when to tell its tasks, and where they write. */
#include "harness/launch/slurm.h"
#include "harness/run/exit_status.h"
#include "tests/support/program.h"
#include "tests/support/slurm_scripts.h"
#include "tests/test.h"

/* A sinfo that says so. */
static void begin(const char *sinfo)
{
    slurm_scripts_begin(SLURM_SCRIPTS_QUIET);
    slurm_scripts_write("bin/sinfo", sinfo, 0755);
}

/* All that Slurm writes, in minutes. */
static void times(void)
{
    static const struct {
        const char *time;
        int64_t minutes;
    } cases[] = {{"30", 30},           {"30:59", 30},     {"2:30:00", 150}, {"1-0", 1440},
                 {"1-12:30:00", 2190}, {"2-01:30", 2970}, {"infinite", 0},  {"n/a", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t found = slurm_minutes(&(slurm_place){.time = cases[i].time});
        EXPECT(found == cases[i].minutes, "%s: %lld", cases[i].time, (long long)found);
    }
}

/* Without a time it is the partition's: its default, or else the most that it gives. */
static void of_a_partition(void)
{
    begin("#!/bin/sh\n"
          "case \"$*\" in *--partition*) echo 'short|1:00|2:00';;\n"
          "*) echo 'a|5:00|6:00'; echo 'main*|n/a|1:00:00'; echo 'b|1|2';; esac\n");
    EXPECT(slurm_minutes(&(slurm_place){0}) == 60, "the default partition");
    EXPECT(slurm_minutes(&(slurm_place){.partition = "short"}) == 1, "one that is named");
    program_result r =
        LOCI("run", slurm_scripts_spec(), "--on", "slurm:partition=short", "--dry-run");
    program_expect(r, EXIT_DONE, "B:USR1@15\n", NULL);
    r = LOCI("run", slurm_scripts_spec(), "--on", "slurm", "--dry-run");
    program_expect(r, EXIT_DONE, "B:USR1@120\n", NULL);
}

/* Slurm replaces what stands behind a %, and nothing where there is a backslash. */
static void odd_folders(void)
{
    begin("#!/bin/sh\n");
    program_result r = LOCI("run", slurm_scripts_spec(), "--out", test_inside("50%jo b"), "--on",
                            "slurm", "--dry-run");
    program_expect(r, EXIT_DONE, "50%%jo b/launch/ID/log/%a.txt'\n", NULL);
    r = LOCI("run", slurm_scripts_spec(), "--out", test_inside("tri\\ck"), "--on", "slurm",
             "--dry-run");
    program_expect(r, EXIT_USAGE, NULL, "backslash");
}

const test_suite test_slurm_script = {
    "tools/slurm_script",
    {{"times", times}, {"of a partition", of_a_partition}, {"odd folders", odd_folders}}};
