/* loci worker: one run in its folder; started by `loci run`. */
#include "harness/run/worker.h"
#include "tools/verbs.h"

static int work_in_folder(const cli_call *c)
{
    err e = {0};
    /* The supervisor takes the run's state from the folder, and the status only to tell who wrote
     * it (run_end.c). The words go to the run's log. */
    int status = worker_run(c->words[0], &e);
    if (e.text[0]) cli_tell(status, &e);
    return status;
}

const verb VERB_WORKER = {
    .name = "worker",
    .words = "FOLDER",
    .min_words = 1,
    .max_words = 1,
    .help = "Trains the run whose plan lies in the folder; `loci run` starts it.",
    .examples = {"worker results/out/runs/0123456789abcdef", "worker --help"},
    .hidden = true,
    .run = work_in_folder,
};
