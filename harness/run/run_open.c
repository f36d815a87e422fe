#include "harness/run/run_open.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/host.h"

/* Enough to tell two apart. */
#define SHORT "%.12s"

static bool is_planned(const char *planned, const char *there)
{
    return !planned || (there && strcmp(planned, there) == 0);
}

/* Of init_from, a checkpoint alone: a run is named by its id, which says what it is. */
static bool check_planned(const workload *w, const planned_run *p, err *e)
{
    static const char *const what = "put that back (--retry failed), or run the spec again, which "
                                    "makes another run of what is there now";
    const char *text = corpus_hash(w->corpus);
    if (!is_planned(p->corpus_hash, text)) {
        return err_set(e,
                       "data: the text is another one (" SHORT ") than when the run was planned "
                       "(" SHORT "), which its id says; %s",
                       text, p->corpus_hash, what);
    }
    if (w->init.checkpoint && !is_planned(p->source_hash, w->source_id)) {
        return err_set(e,
                       "init_from: the model of %s is another one (" SHORT ") than when the run "
                       "was planned (" SHORT "), which its id says; %s",
                       w->init.checkpoint, w->source_id, p->source_hash, what);
    }
    return true;
}

bool run_open_same_precision(const json_t *record)
{
    const char *precision = json_get_text(record, "real");
    return !precision || strcmp(precision, host_real()) == 0;
}

bool run_open_precision(const json_t *planned, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    bool begun = file_join(path, folder, "run.json", NULL) && file_exists(path);
    json_auto_t *record = begun ? json_read(path, NULL) : NULL;
    const json_t *says = record ? record : planned;
    if (run_open_same_precision(says)) return true;
    return err_set(e,
                   "%s: the run is one of a program that computes in %s, this one computes in %s: "
                   "go on with the other (`make` computes in f32, `make KIND=f64` in f64)",
                   folder, json_get_text(says, "real"), host_real());
}

bool run_open(workload *w, const planned_run *p, const char *folder, err *e)
{
    char runs[FILE_PATH_BYTES];
    if (!run_open_precision(p->record, folder, e) || !file_join(runs, folder, "..", e) ||
        !workload_open_beside(w, p->spec, p->seed, &p->places, runs, e)) {
        return false;
    }
    if (check_planned(w, p, e)) return true;
    workload_close(w);
    return false;
}
