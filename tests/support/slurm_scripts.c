#include "tests/support/slurm_scripts.h"

#include <stdio.h>

#include "core/base/file.h"
#include "tests/support/trial_specs.h"
#include "tests/test.h"

void slurm_scripts_write(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(test_inside(name), "w");
    EXPECT(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(test_inside(name), mode) == 0, "%s",
           name);
}

const char *slurm_scripts_read(const char *name)
{
    static char text[16384];
    text[0] = 0;
    FILE *f = fopen(test_inside(name), "r");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = 0;
    if (f) fclose(f);
    return text;
}

void slurm_scripts_begin(const char *squeue)
{
    char text[FILE_PATH_BYTES + 200];
    const char *folder = test_folder();
    file_remove_tree(test_inside("out"), NULL);
    file_make_folders(test_inside("bin"), NULL);
    snprintf(text, sizeof text, "#!/bin/sh\nln -sfn \"$2\" %s/job.sh; echo 40\n", folder);
    slurm_scripts_write("bin/sbatch", text, 0755);
    slurm_scripts_write("bin/sinfo", "#!/bin/sh\necho 1; echo 2\n", 0755);
    snprintf(text, sizeof text,
             "#!/bin/sh\n[ $1 = show ] && echo 'MaxArraySize = 4' || echo $@ >>%s/asked\n", folder);
    slurm_scripts_write("bin/scontrol", text, 0755);
    snprintf(text, sizeof text, "#!/bin/sh\necho scancel $@ >>%s/asked\n", folder);
    slurm_scripts_write("bin/scancel", text, 0755);
    slurm_scripts_write("bin/squeue", squeue, 0755);
    slurm_scripts_write("asked", "", 0644);
    slurm_scripts_write("sweep.yaml", TRIAL_SPEC, 0644);
    test_path(test_inside("bin"));
}

const char *slurm_scripts_spec(void)
{
    static char path[FILE_PATH_BYTES];
    snprintf(path, sizeof path, "%s", test_inside("sweep.yaml"));
    return path;
}
