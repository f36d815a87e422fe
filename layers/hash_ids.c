#include "layers/hash_ids.h"

#include <math.h>

/* What is carried between calls has to be a tensor of reals, like any state, so that it is saved,
 * detached and reset with the others. Ids of tokens are exact in a float up to 2^24; a hash of 64
 * bits is carried as four numbers of 16.
 *
 * A row that was just reset, or whose text is younger than the past that is asked for, has start
 * tokens there: c->position says how many positions are its own, not what the slot holds, which may
 * be leftovers. */

/* The finaliser of splitmix64 (Steele, Lea & Flood 2014): every bit depends on every bit. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* token + 1: token 0 would leave the hash as it is before the mixing, like no token at all. */
uint64_t hash_ids_more(uint64_t hash, int64_t token)
{
    return mix(hash ^ (uint64_t)(token + 1));
}

/* The upper 32 bits as a fraction of 2^32, times the number of experts: no division, and a bias
 * below experts / 2^32. */
int32_t hash_ids_expert(uint64_t hash, uint64_t key, int64_t experts)
{
    uint64_t high = mix(hash ^ key) >> 32;
    return (int32_t)(high * (uint64_t)experts >> 32);
}

void hash_ids_past(layer_ctx *c, const layer *self, int slot, int64_t past, int32_t *out)
{
    const tensor *carried = layer_state(c, self, slot);
    int64_t stride = past + c->time;
    tensor *next = tape_tensor(c->tape, 3, (int64_t[]){c->rows, past, 1});
    for (int64_t r = 0; r < c->rows; r++) {
        int32_t *row = out + r * stride;
        for (int64_t i = 0; i < past; i++) {
            bool known = carried && past - i <= c->position[r];
            /* Entry i of the past is past - i positions before the call. */
            double id = known ? (double)carried->data[r * past + i] : -1;
            /* A state that came from a file may hold anything. */
            bool token = id >= 0 && id < (double)self->dims.vocab;
            row[i] = (int32_t)(token ? lround(id) : self->dims.vocab);
        }
        for (int64_t i = 0; i < c->time; i++) {
            row[past + i] = c->tokens[r * c->time + i];
        }
        for (int64_t i = 0; i < past; i++) {
            /* The last `past` ids of row [past + time]: of a short call some came in with the slot
             * already. */
            next->data[r * past + i] = (real)row[c->time + i];
        }
    }
    layer_state_set(c, self, slot, next);
}

void hash_ids_sequence(layer_ctx *c, const layer *self, int slot, uint64_t *out)
{
    const tensor *carried = layer_state(c, self, slot);
    tensor *next = tape_tensor(c->tape, 3, (int64_t[]){c->rows, 1, HASH_IDS_WORDS});
    for (int64_t r = 0; r < c->rows; r++) {
        uint64_t hash = 0;
        for (int i = 0; carried && c->position[r] > 0 && i < HASH_IDS_WORDS; i++) {
            double word = (double)carried->data[r * HASH_IDS_WORDS + i];
            hash = hash << 16 | ((uint64_t)llround(word) & 0xFFFF);
        }
        for (int64_t i = 0; i < c->time; i++) {
            hash = hash_ids_more(hash, c->tokens[r * c->time + i]);
            out[r * c->time + i] = hash;
        }
        for (int i = 0; i < HASH_IDS_WORDS; i++) {
            int shift = 16 * (HASH_IDS_WORDS - 1 - i);
            next->data[r * HASH_IDS_WORDS + i] = (real)(hash >> shift & 0xFFFF);
        }
    }
    layer_state_set(c, self, slot, next);
}
