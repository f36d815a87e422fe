#include "layers/registry.h"

#include <string.h>

/* The list of layers: one line each. */
extern const layer_class attention_layer;
extern const layer_class base_ffn_layer;
extern const layer_class block_recurrent_layer;
extern const layer_class compressed_memory_layer;
extern const layer_class engram_layer;
extern const layer_class fast_ffn_layer;
extern const layer_class ffn_layer;
extern const layer_class gated_delta_layer;
extern const layer_class hash_ffn_layer;
extern const layer_class lstm_layer;
extern const layer_class pkm_layer;
extern const layer_class memorizing_layer;
extern const layer_class routed_memory_layer;
extern const layer_class switch_ffn_layer;
extern const layer_class ttt_layer;

static const layer_class *const LAYERS[] = {&attention_layer,
                                            &base_ffn_layer,
                                            &block_recurrent_layer,
                                            &compressed_memory_layer,
                                            &engram_layer,
                                            &fast_ffn_layer,
                                            &ffn_layer,
                                            &gated_delta_layer,
                                            &hash_ffn_layer,
                                            &lstm_layer,
                                            &pkm_layer,
                                            &memorizing_layer,
                                            &routed_memory_layer,
                                            &switch_ffn_layer,
                                            &ttt_layer};

/* The list of heads. */
extern const layer_class fwl_head;
extern const layer_class linear_head;

static const layer_class *const HEADS[] = {&linear_head, &fwl_head};

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
