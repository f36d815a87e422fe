/* Hashes of several tokens or of the position: experts that no table of single tokens gives (Roller
 * et al. 2021, arXiv:2106.04426, sec. 3.1). */
#pragma once

#include "layers/layer.h"

/* A 64-bit hash of what came before, continued with one more token. */
uint64_t hash_ids_more(uint64_t hash, int64_t token);
/* The expert that a hash means under a key: uniform, independent for other keys. */
int32_t hash_ids_expert(uint64_t hash, uint64_t key, int64_t experts);

/* Tokens with their past: out [rows, past + time]; what lies before the row's reset is the start
 * token. The slot [rows, past, 1], declared by the caller, carries ids; it is read and set. */
void hash_ids_past(layer_ctx *c, const layer *self, int slot, int64_t past, int32_t *out);

/* out [rows, time]: hash of the row's tokens since its reset, the position's own included. The slot
 * [rows, 1, 4] carries the hash, 16 bits per number. */
enum { HASH_IDS_WORDS = 4 };
void hash_ids_sequence(layer_ctx *c, const layer *self, int slot, uint64_t *out);
