/* loci check: everything that is wrong with experiment files, before anything is trained.
 *
 * The checks are not repeated here: a spec is planned as `loci run` would plan it, corpora opened
 * and every variant's model built, and then let go. What passes here runs. */
#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "harness/run/experiment_sources.h"
#include "tools/verbs.h"

#include <stdio.h>
#include <string.h>

typedef struct check_call {
    const char *data, *out;
    const node *set;
    bool resolved;
} check_call;

static const option OPTIONS[] = {
    CLI_SWITCH(check_call, resolved, "resolved",
               "print the first run's spec, every option spelt out but "
               "those of eval.dynamic and optimizer.groups, which "
               "stand as they are given"),
    CLI_DATA(check_call),
    CLI_OUT(check_call),
    CLI_SET(check_call),
    {0}};

/* Of several files it is said which one is wrong, where the place is in a file that it extends. */
static int refuse_spec(const cli_call *c, const char *path, const err *e)
{
    err told = *e;
    if (c->count > 1 && !strstr(e->text, path)) {
        err_set(&told, "%s (in %s)", e->text, path);
        told.outside = e->outside;
    }
    return cli_tell(EXIT_USAGE, &told);
}

static int check_file(const char *path, const cli_call *c, const corpus_places *places)
{
    const check_call *o = c->options;
    err e = {0};
    experiment *x = experiment_load(path, cli_texts(c->memory, o->set), &e);
    if (!x) return refuse_spec(c, path, &e);
    int status = EXIT_DONE;
    /* Claims are resolved against the variants, so after them. */
    bool good = experiment_resolve(x, places, &e) && experiment_claims(x, &e) &&
                experiment_sources_there(x, cli_out(o->out), &e);
    if (good) experiment_doubts(stderr, x);
    /* A spec that is printed is for programs, which have no use for advice. */
    if (good && !o->resolved) experiment_few_seeds(stderr, x);
    if (!good) {
        status = refuse_spec(c, path, &e);
    } else if (o->resolved) {
        /* It reads back as a spec of that run alone. */
        fputs(node_yaml(c->memory, x->runs[0].resolved), stdout);
    } else {
        char least[32] = "";
        if (x->sweep->at_least > 0) snprintf(least, sizeof least, "%d to ", x->sweep->at_least);
        printf("%s: %d variants x %s%d seeds, %s%d runs\n", path, x->sweep->variant_count, least,
               x->sweep->seed_count, *least ? "at most " : "", x->run_count);
        experiment_claims_print(stdout, x);
    }
    experiment_free(x);
    return status;
}

static int check_specs(const cli_call *c)
{
    const check_call *o = c->options;
    corpus_places places = cli_places_heard(c->memory, o->data);
    int status = EXIT_DONE;
    for (int i = 0; i < c->count; i++) {
        int one = check_file(c->words[i], c, &places);
        /* All files are looked at, whichever is wrong. */
        if (one != EXIT_DONE) status = one;
    }
    return status;
}

const verb VERB_CHECK = {
    .name = "check",
    .words = "SPEC...",
    .min_words = 1,
    .max_words = 1 << 20,
    .help = "Checks experiment files: every option of every variant, corpora included.\n\n"
            "Trains nothing. Errors begin with file:line:column. What can be run and is hardly\n"
            "meant (a warm-up longer than the run, more rows than the text has spans, fewer than\n"
            "three seeds) is a warning. Claims are printed in words.",
    .examples = {"check experiments/quickstart.yaml",
                 "check experiments/quickstart.yaml --resolved --set model.width=256"},
    OPTIONS_OF(check_call, OPTIONS),
    .run = check_specs,
};
