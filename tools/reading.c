/* Opening results: see reading.h.
 *
 * Every verb that reads results collects first: the database is a view of the run folders, and what
 * is in it may be older than they are. Collecting what is not new costs little, so no verb can show
 * figures of yesterday, and none needs a daemon that keeps up. Folders that could not be read are
 * said on stderr and do not stop the rest. */
#include "tools/reading.h"

#include "harness/spec/spec.h"
#include "results/compare/compare_at.h"
#include "results/compare/compare_load.h"
#include "results/store/collect.h"
#include "results/store/experiment.h"
#include "tools/changed_file.h"

store *reading_open(const char *out, err *e)
{
    err note = {0};
    store *s = collect_and_open(out, &note, e);
    if (note.text[0]) cli_fail(EXIT_DONE, "%s", note.text);
    return s;
}

bool reading_one(char id[RUN_ID_CHARS], store *s, const char *word, err *e)
{
    int fits;
    if (!run_view_find(id, &fits, s, word, e)) return false;
    if (fits > 1) cli_fail(EXIT_DONE, "%s: the first of %d runs that are called so", word, fits);
    return true;
}

/* A spec file says its experiment's name. */
static const char *name_in_file(arena *a, store *s, const char *path, err *e)
{
    spec *x = spec_load(path, NULL, e);
    if (!x) return NULL;
    /* A person who names the file means what is in it now; the results may be from before its last
     * edit. */
    changed_file_say(s, x);
    const char *name = arena_strdup(a, x->name);
    spec_free(x);
    return name;
}

const char *reading_experiment(arena *a, store *s, const char *word, err *e)
{
    const char *name = word;
    if (!word) {
        const char *const *names;
        int n = 0;
        if (!experiment_names(s, a, &names, &n, e)) return NULL;
        if (n == 0) {
            return err_set(e, "there are no results yet; train something: loci run SPEC"), NULL;
        }
        /* Names come from the database, which is a file that can be damaged or forged, and become
         * paths later. */
        word = names[0];
        return experiment_name_is_good(word, e) ? word : NULL;
    }
    if (cli_is_yaml(word) && !(name = name_in_file(a, s, word, e))) return NULL;
    return experiment_check(s, name, e) ? name : NULL;
}

int reading_status(int status, const store *s)
{
    return status == EXIT_USAGE && store_failed(s) ? EXIT_FAILED : status;
}

int reading_with(const cli_call *c, const char *out, reading_all use)
{
    err e = {0};
    store_auto *s = reading_open(out, &e);
    int status = s ? reading_status(use(c, s, &e), s) : EXIT_FAILED;
    return status == EXIT_DONE ? EXIT_DONE : cli_tell(status, &e);
}

int reading_run(const cli_call *c, const char *out, reading_use use)
{
    err e = {0};
    store_auto *s = reading_open(out, &e);
    if (!s) return cli_tell(EXIT_FAILED, &e);
    const char *word = c->words[0], *name = reading_experiment(c->memory, s, word, &e);
    /* Without a word nothing was said wrongly: that there are no results yet is a failure, not
     * usage. */
    int status = name ? use(c, s, name, &e) : word ? EXIT_USAGE : EXIT_FAILED;
    return status == EXIT_DONE ? EXIT_DONE : cli_tell(reading_status(status, s), &e);
}

comparison *reading_compare(arena *a, store *s, const char *experiment, const reading_choice *how,
                            err *e)
{
    /* In the order of READING_SPLITS. */
    static const char *const splits[] = {NULL, "train", "validation", "test"};
    compare_options o = {.baseline = how->baseline,
                         .split = splits[how->split],
                         .protocol = how->protocol,
                         .tune = how->tune,
                         .where = how->where,
                         .metric = (compare_metric)how->metric};
    if (how->at && !compare_at_read(&o, how->at, e)) return NULL;
    return compare_load(a, s, experiment, &o, e);
}
