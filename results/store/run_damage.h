/* Whether the files of a run's folder say what they should: cut short, overwritten, lost.
 *
 * Decides for everyone: tables count a damaged run as one without a result, and `loci run` takes it
 * up again. What a run does not need may be gone (a checkpoint removed to make room); what is there
 * must be whole. */
#pragma once

#include "core/base/base.h"

typedef enum run_damage {
    DAMAGE_NONE,
    DAMAGE_RECORD,   /* its checkpoint is whole: the rest is written anew from there */
    DAMAGE_TRAINING, /* of what training left: to be trained again, from the beginning */
    DAMAGE_UNKNOWN   /* a file could not be read (a disk that fails, too many open files): whether
                      * it is whole is not known, and nothing may be made anew for it */
} run_damage;

/* Of a run that is not done: plan.json, run.json, status.json and its checkpoint, as far as they
 * are there. Of one that is, also that nothing of its results is missing. Not to be asked of a
 * folder that another process works on. why [ERR_TEXT_BYTES]: which file, and what is wrong with
 * it; "" for DAMAGE_NONE. */
run_damage run_damage_find(char *why, const char *folder);
