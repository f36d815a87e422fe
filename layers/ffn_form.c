#include "layers/ffn_form.h"

const ffn_form FFN_FORMS[] = {{ACT_RELU, false},      {ACT_RELU2, false}, {ACT_GELU, false},
                              {ACT_GELU_TANH, false}, {ACT_SILU, false},  {ACT_TANH, false},
                              {ACT_RELU, true},       {ACT_GELU, true},   {ACT_SILU, true}};

int64_t ffn_form_hidden(ffn_form form, int64_t hidden, int64_t width)
{
    if (hidden > 0) return hidden;
    /* Three matrices instead of two: 8/3 keeps the parameters; a multiple of 16 suits the kernels.
     */
    return form.gated ? (8 * width / 3 + 15) / 16 * 16 : 4 * width;
}

int64_t ffn_form_keys(ffn_form form, int64_t hidden)
{
    return form.gated ? 2 * hidden : hidden;
}
