/* loci stop: cancels what was handed to Slurm of an experiment. */
#include "results/store/store.h"
#include "tools/launching.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct stop_call {
    const char *out;
} stop_call;

static const option OPTIONS[] = {CLI_OUT(stop_call), {0}};

static int stop_launches(const cli_call *c, store *s, const char *name, err *e)
{
    /* The launches lie in folders; the database was opened to find the experiment's name. */
    (void)s;
    const char *out = cli_out(((const stop_call *)c->options)->out);
    launch_list l;
    int stopped;
    if (!launching_jobs(&l, out, name, c->memory, e)) return EXIT_FAILED;
    /* A local supervisor is a process of some terminal: whoever started it has it. */
    if (l.count == 0) {
        err_set(e, "%s: no job of it is known; a loci run on this machine is stopped by Ctrl-C",
                name);
        return EXIT_USAGE;
    }
    if (!launch_list_stop(&stopped, &l, e)) return EXIT_FAILED;
    printf("%s\n", l.jobs);
    fprintf(stderr, "%s: cancelled; running tasks save their runs, the same loci run goes on\n",
            name);
    return EXIT_DONE;
}

static int stop_experiment(const cli_call *c)
{
    return reading_run(c, cli_out(((const stop_call *)c->options)->out), stop_launches);
}

const verb VERB_STOP = {
    .name = "stop",
    .words = "EXPERIMENT",
    .min_words = 1,
    .max_words = 1,
    .help = "Cancels the jobs of an experiment that was handed to Slurm.\n\n"
            "Running tasks save their runs and end; `loci run` goes on from there, on Slurm or\n"
            "here. Prints the numbers of the jobs.",
    .examples = {"stop quickstart", "stop experiments/quickstart.yaml --out /shared/out"},
    OPTIONS_OF(stop_call, OPTIONS),
    .run = stop_experiment,
};
