/* Who is about when a run is trained in the supervisor's own process. */
#pragma once

#include "core/train/ranks.h"

typedef struct worker_company {
    rank_group *ranks;        /* this is rank 0: the others are in worker_help */
    bool (*told)(void *user); /* after a status was written, twice a second; false: save and stop */
    void *user;
} worker_company;
