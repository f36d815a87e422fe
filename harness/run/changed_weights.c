#include "harness/run/changed_weights.h"

#include "harness/run/run_folder.h"
#include "harness/train/checkpoint_files.h"

void changed_weights_say(FILE *print, const experiment *x, const char *out)
{
    for (int i = 0; i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
        if (!run_folder_path(folder, out, x->runs[i].id, NULL) ||
            !file_join(checkpoint, folder, "checkpoint", NULL) ||
            !checkpoint_files_changed(path, checkpoint, "model")) {
            continue;
        }
        fprintf(print,
                "loci: warning: %s: is not what the run wrote, whose figures are those of its own "
                "weights; `loci import checkpoint` makes a model of what was changed\n",
                path);
    }
}
