/* Models of the PyTorch port of the block-recurrent transformer
 * (lucidrains/block-recurrent-transformer-pytorch): from its state dict to a spec and parameters
 * whose logits, memories and states are the port's. */
#pragma once

#include "core/train/safetensors.h"
#include "models/model.h"

enum { BRT_LAYERS = 64 };

/* What a state dict does not say. */
typedef struct brt_import {
    int64_t block_width;
    /* For each recurrent layer in order, the layer in which its state is read, from 1 as the port
     * counts; 0 reads: each in itself. */
    int reads;
    int64_t read[BRT_LAYERS];
} brt_import;

/* A state dict and what its shapes say. */
typedef struct brt_source {
    const safetensors *file; /* borrowed */
    char prefix[64];         /* of all names: "module.", as wrappers of PyTorch have it */
    int64_t block_width;
    int64_t vocab, width, depth, heads, head_dim, states, hidden;
    int64_t factor; /* of compressed memory; 0: none */
    bool recurrent[BRT_LAYERS], qk_norm[BRT_LAYERS];
    int64_t reader[BRT_LAYERS]; /* of recurrent layers: who reads their state, from 0 */
} brt_source;

/* False and e if the file is no such state dict or contradicts what is said. */
bool import_brt_open(brt_source *s, const safetensors *file, const brt_import *how, err *e);

/* The `model:` section, in arena memory. */
node *import_brt_spec(arena *a, const brt_source *s, err *e);

/* Where the elements of one of the port's tensors stand in a flat vector of the model that was
 * built from import_brt_spec: places [t->count], -1 for constants that the model has no parameter
 * for. False and e if the tensor belongs to no such model. */
bool import_brt_places(const brt_source *s, const model *m, const st_tensor *t, int64_t *places,
                       err *e);

/* Fills values [params.total] with the file's parameters; every parameter must be there. The start
 * token's vector, which the port does not know, is the mean embedding. */
bool import_brt_values(const brt_source *s, const model *m, real *values, err *e);
