/* Paths of a spec that goes into a model file. Equal models are equal files wherever they were
 * trained, and tell nobody where: of an absolute path only the last part is kept. Where it led
 * stands in the record of the run's folder, and is taken from there. */
#pragma once

#include "core/options/node.h"

/* A copy, cut. */
const node *spec_paths_cut(arena *a, const node *spec);

/* A spec that was cut, each of its sections as the record has it that says the same; others as they
 * are. The record: the first of plan.json (a run's) and spec.yaml (an import's) in the folder or
 * above it. */
node *spec_paths_whole(arena *a, const node *spec, const char *folder);

/* Whether its `data` says where the text lies: false if only the name of the file is known, which
 * others may have, too. */
bool spec_paths_known(const node *spec);
