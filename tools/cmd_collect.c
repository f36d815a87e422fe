/* loci collect: run folders into the database. */
#include "results/store/collect.h"
#include "tools/verbs.h"

typedef struct collect_call {
    const char *out;
    bool rebuild;
} collect_call;

static const option OPTIONS[] = {
    CLI_SWITCH(collect_call, rebuild, "rebuild", "make the database anew from all run folders"),
    CLI_OUT(collect_call),
    {0}};

static int run_collect(const cli_call *c)
{
    const collect_call *o = c->options;
    err e = {0};
    collect_report r = {0};
    if (!collect(&r, cli_out(o->out), o->rebuild, &e)) return cli_tell(EXIT_FAILED, &e);
    printf("%d of %d experiments and %d of %d runs were read\n", r.experiments, r.experiments_seen,
           r.runs, r.runs_seen);
    /* The rest was read all the same: the status says that some was not. */
    if (r.unreadable == 0) return EXIT_DONE;
    collect_say_unreadable(&e, &r);
    return cli_tell(EXIT_RUNS_FAILED, &e);
}

const verb VERB_COLLECT = {
    .name = "collect",
    .words = "",
    .help = "Brings what is new in the run folders into the database OUT/loci.db.\n\n"
            "Verbs that read results do this themselves first; collecting twice changes nothing.",
    .examples = {"collect", "collect --rebuild"},
    OPTIONS_OF(collect_call, OPTIONS),
    .run = run_collect,
};
