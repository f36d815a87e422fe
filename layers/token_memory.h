/* Keys and values of earlier blocks: how many are carried, and how many of them are a row's own.
 *
 * What is carried are raw keys and values, aligned to the right, newest last, so rows of different
 * age share a tensor: of each only the newest entries count that lie behind its `first` position,
 * and the rest is masked and never cleared. How many are carried follows from the phase in the
 * block and from how many there were, never from what a row holds: a row that was reset, or lost
 * its memory, keeps its place in the tensor and has its keys hidden. */
#pragma once

#include "layers/token_plan.h"

/* Keys that are carried when `done` positions of a block are. */
int64_t token_memory_carried(const token_options *o, const token_plan *plan, int64_t done);

/* Puts the rows' `first` of this call where it is carried; before anything of them is asked. */
void token_memory_begin(layer_ctx *c, const layer *self, const token_options *o,
                        const token_plan *plan);
/* Flushing an incomplete block moves the rows on to the next one without anything to remember. */
void token_memory_skip(layer_ctx *c, const layer *self, const token_plan *plan);

/* The position since which the row's memory counts, at the call's beginning. */
int64_t token_memory_first(const layer_ctx *c, const layer *self, const token_plan *plan,
                           int64_t row);
/* Positions before the call's first that the row may see, of `extra` that are carried. */
int64_t token_memory_valid(const layer_ctx *c, const layer *self, const token_plan *plan,
                           int64_t row, int64_t extra);
/* The same for all rows [rows]; NULL if it is `extra` for each. *any: some row may see some. */
const int64_t *token_memory_keys(layer_ctx *c, const layer *self, const token_plan *plan,
                                 int64_t extra, bool *any);

/* Entries [end - keep, end) along time, as memory of their own. */
tensor *token_memory_cut(layer_ctx *c, tensor *kv, int64_t end, int64_t keep);
/* Of `extra` carried keys and the call's own so many are carried on, the last at *end - 1. */
int64_t token_memory_kept(const layer_ctx *c, const layer *self, const token_options *o,
                          const token_plan *plan, int64_t extra, int64_t *end);
/* Raw keys and values [rows, length, 2 kv_width] of the call, behind the carried ones (past, or
 * NULL); stores what the next call may see. NULL: nothing came, nothing goes on, nobody else wants
 * it. */
tensor *token_memory_update(layer_ctx *c, const layer *self, const token_options *o,
                            const token_plan *plan, tensor *qkv, tensor *past);
