/* Whether the files of a run's folder say what they should: cut short, overwritten, lost.
 *
 * Decides for everyone: tables count a damaged run as one without a result, and `loci run` takes it
 * up again, unless only its past is damaged. What a run does not need may be gone (a checkpoint
 * removed to make room); what is there must be whole. */
#pragma once

#include "core/base/json.h"
#include "results/store/run_damage_lines.h"

typedef enum run_damage {
    DAMAGE_NONE,
    DAMAGE_PAST,     /* losses in training, evaluations on the way, or (of a finished run) what its
                      * checkpoint consists of. Only to train again would make them anew, which
                      * takes hours and the model: the run stays and counts, or goes on from its
                      * checkpoint, and what it lacks is told */
    DAMAGE_END,      /* of a run that was trained to its end: its records, or its final evaluation,
                      * are made anew from its lines and its model, and nothing is trained */
    DAMAGE_RECORD,   /* its checkpoint is whole: the rest is written anew from there */
    DAMAGE_TRAINING, /* of what training left: to be trained again, from the beginning */
    DAMAGE_UNKNOWN   /* a file could not be read (a disk that fails, too many open files): whether
                      * it is whole is not known; or the folder is another run's than it is called
                      * after (a copy). Nothing may be made anew for it, and nothing of it counts */
} run_damage;

/* Of a run that is not done: plan.json, run.json, status.json and its checkpoint, as far as they
 * are there; of one whose final evaluation said that it had diverged, the rest of its records, too.
 * Of one that is, also that nothing of its results is missing; where only its status is
 * lost, a final evaluation, or a checkpoint without a training state, says that it was. Not to be
 * asked of a folder that another process works on. why [ERR_TEXT_BYTES]: which file, and what is
 * wrong with it, with what mends DAMAGE_PAST; "" for DAMAGE_NONE. */
run_damage run_damage_find(char *why, const char *folder);

/* Whether DAMAGE_END takes the final evaluation anew, or a moment for records alone. */
bool run_damage_lacks_final(const char *folder);

/* What a folder in OUT/runs is called, within its path. NULL: it lies elsewhere, where a name says
 * nothing. */
const char *run_damage_name(const char *folder);
/* Are the files of a folder in OUT/runs those of the run that it is called after? For whoever goes
 * from a run's id to its files. False and e: they say another's. */
bool run_damage_of_its_name(const char *folder, err *e);

/* Are the results of a finished run usable all the same, and can another go on as it is? */
static inline bool run_damage_counts(run_damage d)
{
    return d == DAMAGE_NONE || d == DAMAGE_PAST;
}

/* The same for who has just read the folder's files: they are not read twice. */
typedef struct run_damage_known {
    const char *const *names; /* [count] */
    json_t *const *objects;   /* [count] what these files say; NULL: not known */
    int count;
    run_damage_lines metrics, evals; /* not whole: not known */
} run_damage_known;
run_damage run_damage_find_known(char *why, const char *folder, const run_damage_known *known);
