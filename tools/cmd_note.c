/* loci note: what people say of runs and experiments.
 *
 * Notes are lines of a file beside what they are about, appended and never rewritten: an untagging
 * is a line as well. They follow their run when it is moved or merged, and reach the database as
 * everything does, by being collected. */
#include <unistd.h>

#include "harness/run/experiment_lock.h"
#include "harness/run/notes.h"
#include "harness/run/run_folder.h"
#include "results/report/notes_view.h"
#include "results/report/run_view.h"
#include "results/store/experiment.h"
#include "tools/reading.h"
#include "tools/verbs.h"

typedef struct note_call {
    const node *tag, *untag;
    const char *out;
} note_call;

static const option OPTIONS[] = {
    CLI_LIST(note_call, tag, "tag", "a word to find it by; may be repeated"),
    CLI_LIST(note_call, untag, "untag", "takes a tag away; may be repeated"),
    CLI_OUT(note_call),
    {0}};

/* An experiment or a run, the other is ""; and where its notes are. */
typedef struct owner {
    const char *experiment;
    char run[RUN_ID_CHARS];
    char path[FILE_PATH_BYTES];
} owner;

static bool find_owner(owner *o, const cli_call *c, store *s, const char *out, err *e)
{
    const char *word = c->words[0];
    *o = (owner){.experiment = ""};
    /* A word that is both an experiment and the beginning of a run's id means the experiment. */
    if (cli_is_yaml(word) || experiment_check(s, word, NULL)) {
        o->experiment = reading_experiment(c->memory, s, word, e);
        return o->experiment && notes_of_experiment(o->path, out, o->experiment, e);
    }
    char folder[FILE_PATH_BYTES], plan[FILE_PATH_BYTES];
    int fits;
    if (!run_view_find(o->run, &fits, s, word, e)) return false;
    if (fits > 1) {
        return err_set(e,
                       "%s: %d runs are called so; say which by its seed, as in %s/1, or by its id",
                       word, fits, word);
    }
    if (!run_folder_path(folder, out, o->run, e) || !file_join(plan, folder, "plan.json", e) ||
        !file_join(o->path, folder, NOTES_FILE, e)) {
        return false;
    }
    /* A run that is planned only has no folder, and making one here would make it look begun. */
    return file_exists(plan) ||
           err_set(e, "%s: run %s was not begun; its experiment can be noted", word, o->run);
}

/* Nothing is written where one of them cannot be. */
static bool check_all(const char *text, const char *const *tags, const char *const *untags, err *e)
{
    bool ok = !text || notes_check("note", text, e);
    for (int i = 0; ok && tags[i]; i++) {
        ok = notes_check("tag", tags[i], e);
    }
    for (int i = 0; ok && untags[i]; i++) {
        ok = notes_check("untag", untags[i], e);
    }
    return ok;
}

static bool add_all(const owner *o, const char *text, const char *const *tags,
                    const char *const *untags, err *e)
{
    bool ok = !text || notes_add(o->path, "note", text, e);
    for (int i = 0; ok && tags[i]; i++) {
        ok = notes_add(o->path, "tag", tags[i], e);
    }
    for (int i = 0; ok && untags[i]; i++) {
        ok = notes_add(o->path, "untag", untags[i], e);
    }
    return ok;
}

/* Of an experiment's: that it is still there is asked under the lock by which others remove and
 * rename it, or the note would stay behind with its old name. */
static bool add_to_experiment(const owner *o, const char *out, const char *text,
                              const char *const *tags, const char *const *untags, err *e)
{
    char record[FILE_PATH_BYTES];
    int lock = experiment_lock_records(out, e);
    bool ok = lock >= 0 && run_folder_record(record, out, o->experiment, e) &&
              (file_exists(record) ||
               err_set(e, "experiment '%s' was removed or renamed", o->experiment)) &&
              add_all(o, text, tags, untags, e);
    if (lock >= 0) close(lock);
    return ok;
}

static int note(const cli_call *c, store *s, err *e)
{
    static const char *const none[] = {NULL};
    const note_call *call = c->options;
    owner o;
    const char *text = c->words[1]; /* NULL ends the words */
    const char *const *tags = call->tag ? cli_texts(c->memory, call->tag) : none;
    const char *const *untags = call->untag ? cli_texts(c->memory, call->untag) : none;
    /* All or nothing, as far as words can be wrong. */
    const char *out = cli_out(call->out);
    if (!check_all(text, tags, untags, e) || !find_owner(&o, c, s, out, e)) {
        return EXIT_USAGE;
    }
    if (!text && !*tags && !*untags) {
        return notes_view_print(stdout, s, o.experiment, o.run, e) ? EXIT_DONE : EXIT_FAILED;
    }
    /* A line each, synced: what was written before a failure stays, and saying it again is
     * harmless. */
    bool added = *o.run ? add_all(&o, text, tags, untags, e)
                        : add_to_experiment(&o, out, text, tags, untags, e);
    if (!added) return EXIT_FAILED;
    fprintf(stderr, "noted of %s %s\n", *o.run ? "run" : "experiment",
            *o.run ? o.run : o.experiment);
    return EXIT_DONE;
}

static int note_one(const cli_call *c)
{
    return reading_with(c, cli_out(((const note_call *)c->options)->out), note);
}

const verb VERB_NOTE = {
    .name = "note",
    .words = "RUN|EXPERIMENT [TEXT]",
    .min_words = 1,
    .max_words = 2,
    .help =
        "Keeps a note or tags with a run or an experiment; without either shows what is kept.\n\n"
        "loci show and the report show them, loci ls --search finds them; mv, merge and rm take\n"
        "them along. RUN is an id, the beginning of one, or EXPERIMENT/LABEL/SEED.",
    .examples = {"note quickstart/keys/1 'diverged until the warmup was longer'",
                 "note quickstart --tag paper"},
    OPTIONS_OF(note_call, OPTIONS),
    .run = note_one,
};
