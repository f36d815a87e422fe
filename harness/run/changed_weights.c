#include "harness/run/changed_weights.h"

#include "harness/run/run_folder.h"
#include "harness/train/checkpoint_files.h"

/* A run's model is a file that other programs read and write, and somebody may have saved over it.
 * Nothing is refused here: the run's figures were measured on what training wrote and stay true of
 * that. But they are no figures of the file that lies there, and only this line says so. */

void changed_weights_say(FILE *print, const experiment *x, const char *out)
{
    for (int i = 0; i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
        /* Without an error: a run that was not begun has no checkpoint. */
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
