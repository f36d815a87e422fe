#include "layers/hash_ffn.h"
#include "layers/hash_ids.h"

#include <string.h>

/* Who decides which expert takes a position: a table that is asked about a token (its own, the one
 * before, a predicted one, the next), a hash of several tokens, or the position. Nothing of it is
 * learned and nothing has a gradient, so a choice is an array of integers, expert [hashes, rows,
 * time], and not a tensor. */

/* The token that a table is asked about, per position.
 * HASH_FUTURE looks at the answer on purpose, as the paper's upper bound does; such a layer is
 * marked as an oracle. While generating, the last position's next token is not known. */
static void table_tokens(layer_ctx *c, const layer *self, int32_t *out)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    /* Where the token is not to be had a table is asked for one entry behind the vocabulary. */
    const int32_t unknown = (int32_t)self->dims.vocab;
    int32_t *past = NULL;
    if (p->past) {
        past = tape_keep(c->tape, c->rows * (c->time + p->past), sizeof *past);
        hash_ids_past(c, self, p->slot, p->past, past);
    }
    for (int64_t i = 0; i < c->rows * c->time; i++) {
        bool last = i % c->time == c->time - 1;
        if (past) { /* HASH_PREVIOUS */
            /* Rows of past are time + 1 long; entry i is the token before position i. */
            out[i] = past[i / c->time * (c->time + 1) + i % c->time];
        } else if (o->hash == HASH_PREDICTED) {
            out[i] = c->predictions ? c->predictions[i] : unknown;
        } else if (o->hash == HASH_FUTURE) {
            out[i] = c->targets ? c->targets[i] : last ? unknown : c->tokens[i + 1];
        } else {
            out[i] = c->tokens[i];
        }
    }
}

static void choose_by_table(layer_ctx *c, const layer *self, int32_t *expert)
{
    const hash_ffn_plan *p = self->plan;
    int64_t n = c->rows * c->time, entries = self->dims.vocab + 1;
    int32_t *token = tape_keep(c->tape, n, sizeof *token);
    table_tokens(c, self, token);
    const real *table = layer_tensor(c, self, p->table)->data;
    for (int64_t m = 0; m < p->hashes; m++) {
        for (int64_t i = 0; i < n; i++) {
            /* Padding may hold any target. */
            bool known = token[i] >= 0 && token[i] < entries;
            expert[m * n + i] = known ? (int32_t)table[m * entries + token[i]] : 0;
        }
    }
}

/* A row's past stands in front of its tokens, so that the ids of position i are `past` + 1 in a
 * row, whether they came with this call or before it. */
static void choose_by_hash(layer_ctx *c, const layer *self, int32_t *expert)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    int64_t n = c->rows * c->time;
    uint64_t *hash = tape_keep(c->tape, n, sizeof *hash);
    if (o->hash == HASH_SEQUENCE) {
        hash_ids_sequence(c, self, p->slot, hash);
    } else {
        int64_t stride = p->past + c->time;
        int32_t *ids = tape_keep(c->tape, c->rows * stride, sizeof *ids);
        if (p->past) {
            hash_ids_past(c, self, p->slot, p->past, ids);
        } else {
            memcpy(ids, c->tokens, (size_t)n * sizeof *ids);
        }
        for (int64_t i = 0; i < n; i++) {
            const int32_t *first = ids + i / c->time * stride + i % c->time;
            hash[i] = 0;
            for (int64_t k = 0; k <= p->past; k++) {
                hash[i] = hash_ids_more(hash[i], first[k]);
            }
        }
    }
    for (int64_t m = 0; m < p->hashes; m++) {
        for (int64_t i = 0; i < n; i++) {
            /* One hash of the tokens, a key per table: the hashes are independent of each other. */
            expert[m * n + i] = hash_ids_expert(hash[i], p->keys[m], p->experts.experts);
        }
    }
}

/* Hash m: digit m of the position in the context, in base `experts`. */
static void choose_by_position(layer_ctx *c, const layer *self, int32_t *expert)
{
    const hash_ffn_plan *p = self->plan;
    int64_t n = c->rows * c->time;
    for (int64_t m = 0, unit = 1; m < p->hashes; m++, unit *= p->experts.experts) {
        /* Beyond the block every digit is 0, and units must not overflow. */
        unit = MIN(unit, self->dims.block);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = (c->position[i / c->time] + i % c->time) % self->dims.block;
            expert[m * n + i] = (int32_t)(at / unit % p->experts.experts);
        }
    }
}

int32_t *hash_choice(layer_ctx *c, const layer *self)
{
    const hash_ffn_options *o = self->options;
    const hash_ffn_plan *p = self->plan;
    int64_t n = c->rows * c->time;
    int32_t *expert = tape_keep(c->tape, p->hashes * n, sizeof *expert);
    if (o->hash == HASH_POSITION) {
        choose_by_position(c, self, expert);
    } else if (p->tabular) {
        choose_by_table(c, self, expert);
    } else {
        choose_by_hash(c, self, expert);
    }
    /* Padding takes no place at any expert, and does not count in loads. */
    for (int64_t i = 0; c->lengths && i < n; i++) {
        if (experts_is_text(c, i)) continue;
        for (int64_t m = 0; m < p->hashes; m++) {
            expert[m * n + i] = -1;
        }
    }
    return expert;
}
