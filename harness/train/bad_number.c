#include "harness/train/bad_number.h"

#include <math.h>
#include <stdio.h>

/* A NaN spreads: by the time a loss is one, every gradient is, and which tensor was first is gone.
 * So a failed step is run again with these functions looking on, in the order in which tensors are
 * made, and the first name stays (text[0] is looked at before anything else). */

bool bad_number_finite(const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite((double)x[i])) return false;
    }
    return true;
}

void bad_number_in_parameters(bad_number *b)
{
    for (int i = 0; i < b->params->count && !b->text[0]; i++) {
        const param *p = &b->params->list[i];
        if (bad_number_finite(b->values + p->offset, p->count)) continue;
        snprintf(b->text, sizeof b->text, "parameter %s", p->name);
    }
}

void bad_number_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    bad_number *b = user;
    if (b->text[0] || bad_number_finite(x->data, tensor_count(x))) return;
    snprintf(b->text, sizeof b->text, "output %s%s%s", self ? self->name : "",
             self && name ? "." : "", name ? name : "");
}

/* The parameter that x lays on the tape, or a piece of it; NULL if it is none. By the address: a
 * parameter's leaf on the tape has the values themselves as its data, a piece of it an address
 * inside. */
static const param *parameter_of(const bad_number *b, const tensor *x)
{
    if (x->data < b->values || x->data >= b->values + b->params->total) return NULL;
    int64_t at = x->data - b->values;
    for (int i = 0; i < b->params->count; i++) {
        const param *p = &b->params->list[i];
        if (at >= p->offset && at < p->offset + p->count) return p;
    }
    return NULL;
}

/* A gradient of a parameter is named by the parameter, since that is what a spec can freeze or slow
 * down; any other by the layer in which it arose. */
void bad_number_watch(void *user, const op_class *op, const char *place, const tensor *x)
{
    bad_number *b = user;
    if (b->text[0] || !x->has_grad || bad_number_finite(x->grad, tensor_count(x))) return;
    const param *p = parameter_of(b, x);
    snprintf(b->text, sizeof b->text, p ? "gradient of %s (op %s)" : "gradient in %s (op %s)",
             p       ? p->name
             : place ? place
                     : "the model",
             op->name);
}
