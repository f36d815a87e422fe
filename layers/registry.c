#include "layers/registry.h"

#include <string.h>

/* The list of layers: one line each.
 * Two things are made of it, declarations and the table, so that a layer cannot be in one and not
 * in the other. Not by constructors that register themselves: the linker could drop an object that
 * nobody names, and the order would be its own. */
#define EACH_LAYER(X)                                                                              \
    X(attention_layer)                                                                             \
    X(base_ffn_layer)                                                                              \
    X(block_recurrent_layer)                                                                       \
    X(compressed_memory_layer)                                                                     \
    X(engram_layer)                                                                                \
    X(fast_ffn_layer)                                                                              \
    X(ffn_layer)                                                                                   \
    X(gated_delta_layer)                                                                           \
    X(hash_ffn_layer)                                                                              \
    X(lstm_layer)                                                                                  \
    X(pkm_layer)                                                                                   \
    X(memorizing_layer)                                                                            \
    X(routed_memory_layer)                                                                         \
    X(switch_ffn_layer)                                                                            \
    X(ttt_layer)

#define DECLARED(layer) extern const layer_class layer;
EACH_LAYER(DECLARED)

#define ENTRY(layer) &layer,
static const layer_class *const LAYERS[] = {EACH_LAYER(ENTRY)};

/* The list of heads. */
extern const layer_class fwl_head;
extern const layer_class linear_head;

static const layer_class *const HEADS[] = {&linear_head, &fwl_head};

/* NULL: the caller tells the name and what there is. */
static const layer_class *find(const layer_class *const *list, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i]->name, name) == 0) return list[i];
    }
    return NULL;
}

const layer_class *const *registry_layers(int *count)
{
    *count = (int)(sizeof LAYERS / sizeof *LAYERS);
    return LAYERS;
}

const layer_class *const *registry_heads(int *count)
{
    *count = (int)(sizeof HEADS / sizeof *HEADS);
    return HEADS;
}

const layer_class *registry_layer(const char *name)
{
    return find(LAYERS, (int)(sizeof LAYERS / sizeof *LAYERS), name);
}

const layer_class *registry_head(const char *name)
{
    return find(HEADS, (int)(sizeof HEADS / sizeof *HEADS), name);
}
