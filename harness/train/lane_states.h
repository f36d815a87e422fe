/* What the lanes of other ranks carry, brought to rank 0, which saves it. */
#pragma once

#include "core/train/ranks.h"
#include "models/model.h"

/* states [lanes], of which every rank has its own. On rank 0 those of the others are made where
 * they are NULL, of `rows` rows each, and filled. All ranks call it. */
bool lane_states_gather(model_state **states, int64_t lanes, int64_t rows, const model *m,
                        rank_group *r, err *e);
