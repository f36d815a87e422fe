/* The list of layers and heads: registry.c has a line for each. */
#pragma once

#include "layers/layer.h"

const layer_class *const *registry_layers(int *count);
const layer_class *registry_layer(const char *name); /* NULL if unknown */
const layer_class *const *registry_heads(int *count);
const layer_class *registry_head(const char *name);
