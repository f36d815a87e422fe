#include "harness/run/worker_best.h"

#include <math.h>
#include <string.h>

#include "core/base/text.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_verdict.h"
#include "harness/run/set_aside.h"
#include "harness/run/worker_save.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"

/* Which evaluation was the best is said twice: by evals.jsonl, and by the manifest of the model
 * that was kept for it. Where the manifest is lost the other still knows, and the model itself of
 * which step it is: so a worse one is never called the best. As long as the manifest is there it
 * decides: among the lines may be those of models that nobody kept (loci eval). */

/* What evals.jsonl says of evaluations that can be compared with `like`. */
typedef struct past {
    const json_t *like;
    double least; /* of them; infinite: there is none */
    int64_t step;
    double at_step; /* nats of the last one at `step`; NaN: there is none */
} past;

static bool note_evaluation(void *user, const json_t *line)
{
    past *p = user;
    double nats = run_verdict_evaluated(line);
    if (!json_equal(json_object_get(line, "split"), json_object_get(p->like, "split")) ||
        !json_equal(json_object_get(line, "protocol"), json_object_get(p->like, "protocol"))) {
        return true;
    }
    if (nats < p->least) p->least = nats;
    if (json_get_int(line, "step", -1) == p->step) p->at_step = nats;
    return true;
}

static bool look_back(past *p, const worker *w, const json_t *like, int64_t step, err *e)
{
    *p = (past){.like = like, .least = (double)INFINITY, .step = step, .at_step = (double)NAN};
    return run_lines_look(w->evals, note_evaluation, p, e);
}

/* The step of a model of this run that opens, its numbers as many as it says; -1: it does not. */
static int64_t step_of_model(const worker *w, const char *path)
{
    err ignored;
    safetensors *s = safetensors_open(path, &ignored);
    const char *run = s ? safetensors_metadata(s, "run") : NULL;
    int64_t step = run && strcmp(run, w->plan.run) == 0 ? checkpoint_files_number(s, "step") : -1;
    if (s) safetensors_close(s);
    return step;
}

/* What the manifest of `folder` said, by the model there whose evaluation was the best. */
typedef struct found_best {
    char name[64];
    int64_t step;
    double nats; /* infinite: nothing was found */
} found_best;

static bool find_best(found_best *f, const worker *w, const char *folder, const json_t *like,
                      err *e)
{
    bool ok = true;
    past p;
    *f = (found_best){.nats = (double)INFINITY};
    file_walk walk = file_walk_begin(folder, e);
    while (ok && file_walk_next(&walk)) {
        bool is_model = strncmp(walk.name, "model-", 6) == 0 &&
                        strlen(walk.name) < sizeof f->name && text_ends(walk.name, ".safetensors");
        int64_t step = is_model ? step_of_model(w, walk.path) : -1;
        ok = step < 0 || look_back(&p, w, like, step, e);
        if (!ok || step < 0 || !(p.at_step < f->nats)) continue;
        f->step = step;
        f->nats = p.at_step;
        snprintf(f->name, sizeof f->name, "%s", walk.name);
    }
    return file_walk_end(&walk) && ok;
}

/* What tells evaluations that can be compared with `line` from others of the run. */
static void kind_of(char kind[EVAL_ID_CHARS], const worker *w, const json_t *line)
{
    eval_record_id(kind, w->plan.run, 0, json_get_text(line, "split"),
                   json_object_get(line, "protocol"));
}

/* own: the merit of `like`.
 *
 * The manifest cannot be read, or is gone: it is written anew where its model and the evaluation of
 * that are left. Else the folder is set aside, and nothing is the best until there is a better
 * evaluation than all before; but a model without either is what a killed worker left of its first
 * saving, and is written over. */
static bool mend(const worker *w, const char *folder, const json_t *like,
                 const checkpoint_merit *own, err *e)
{
    char manifest[FILE_PATH_BYTES];
    found_best f;
    err why = {0};
    if (!file_join(manifest, folder, "manifest.json", e)) return false;
    bool there = file_exists(manifest);
    json_decref(there ? json_read(manifest, &why) : NULL);
    if (!find_best(&f, w, folder, like, e) || !run_lease_holds(w->lease, e)) return false;
    if (isfinite(f.nats)) {
        checkpoint_merit merit = *own;
        merit.nats = f.nats;
        fprintf(stderr, "%s%s: written anew for the model of step %lld beside it\n",
                there ? "" : manifest, there ? why.text : ": is missing", (long long)f.step);
        return (!there || set_aside_copy(manifest, e)) &&
               checkpoint_files_name(folder, f.name, f.step, &merit, e);
    }
    if (!there) return true;
    fprintf(stderr, "%s: no model is there whose evaluation is known; what is there is set aside\n",
            why.text);
    return set_aside_move(w->folder, CHECKPOINT_BEST, e);
}

/* So that the model that is there, if any, was kept for an evaluation that `like` can be compared
 * with: the spec may ask for another one by now, whose figures are no better or worse. A version
 * before did not say for which. */
static bool make_comparable(const worker *w, const char *folder, const json_t *like,
                            const checkpoint_merit *own, err *e)
{
    checkpoint_merit there;
    if (!file_is_folder(folder)) return true;
    if (!checkpoint_files_merit(folder, &there)) return mend(w, folder, like, own, e);
    if (!there.kind[0] || strcmp(there.kind, own->kind) == 0) return true;
    fprintf(stderr, "%s: is the best by another evaluation than is made now, and set aside\n",
            folder);
    return run_lease_holds(w->lease, e) && set_aside_move(w->folder, CHECKPOINT_BEST, e);
}

bool worker_best_keep(worker *w, const json_t *line, err *e)
{
    char folder[FILE_PATH_BYTES];
    past p;
    checkpoint_merit kept, own = {.nats = run_verdict_evaluated(line)};
    kind_of(own.kind, w, line);
    if (!file_join(folder, w->folder, CHECKPOINT_BEST, e) ||
        !make_comparable(w, folder, line, &own, e)) {
        return false;
    }
    if (!checkpoint_files_merit(folder, &kept) || isnan(kept.nats)) {
        if (!look_back(&p, w, line, -1, e)) return false;
        kept.nats = p.least;
    }
    return !(own.nats < kept.nats) || worker_save_model(w, "best", &own, e);
}
