/* Paths into blocks, which can be written in two forms: with layers as keys, or as a list in
 * `layers`. Resolved specs, and so what `loci show` and `loci diff` say, have the list. */
#pragma once

#include "core/options/node.h"

/* The path as it leads in this tree. In a block of keys model.blocks[0].layers[1].ffn.hidden is
 * model.blocks[0].ffn.hidden, if its second layer is `ffn`; in one with `layers` it is the other
 * way round, if one layer there is called so. Any other path is returned as it is. NULL and e,
 * which begins at `value`, if the block has no such layer, or several. */
const char *block_path(arena *a, const node *root, const char *path, const node *value, err *e);
