/* The forms of feed-forward layers, for all layers that are made of them: y = f(x K^T) V, or gated,
 * y = (x K_1^T * f(x K_2^T)) V with K = [K_1; K_2] (Shazeer 2020, arXiv:2002.05202, sec. 2). */
#pragma once

#include "core/ops/ops.h"

/* The choices of an option `activation`, in the order of FFN_FORMS. */
#define FFN_ACTIVATIONS     "relu|relu2|gelu|gelu_tanh|silu|tanh|reglu|geglu|swiglu"
#define FFN_ACTIVATION_HELP "f; relu2 is relu squared, the last three are gated"

typedef struct ffn_form {
    activation f;
    bool gated;
} ffn_form;

extern const ffn_form FFN_FORMS[];

/* Memories of a layer whose option `hidden` is given, or not (<= 0): then 4 x width, gated 8/3 x
 * width, which keeps the parameters. And rows of K for so many memories. */
int64_t ffn_form_hidden(ffn_form form, int64_t hidden, int64_t width);
int64_t ffn_form_keys(ffn_form form, int64_t hidden);
