#include "layers/layer_inspect.h"

void layer_tap(const layer_ctx *c, const layer *self, const char *name, const tensor *x)
{
    if (c->watch->tap) c->watch->tap(c->watch->user, self, name, x);
}

void layer_fired(const layer_ctx *c, const layer *self, const memory_use *use)
{
    if (c->watch->fired) c->watch->fired(c->watch->user, self, use);
}

void layer_exchanged(const layer_ctx *c, const layer *self, int exchange, const exchange_use *use)
{
    if (c->watch->exchanged) c->watch->exchanged(c->watch->user, self, exchange, use);
}
