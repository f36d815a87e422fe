/* A run that diverges, or a file that somebody changed: whatever stands in the parameters, every
 * layer and head goes on to its end. That a loss is no number is for others to say. */
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <math.h>

enum { ROWS = CHECK_ROWS, LENGTH = CHECK_LENGTH };

/* Every `apart`th number is the value; tables of choices are checked before they come in. */
static void fill_with(model_run *r, real value, int64_t apart)
{
    const params *p = model_params_const(r->model);
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        for (int64_t k = 0; q->choices == 0 && k < q->count; k += apart) {
            r->values[q->offset + k] = value;
        }
    }
}

/* Two calls, so that what is carried is read, too. */
static void train_and_read(model_run *r)
{
    int32_t tokens[ROWS * LENGTH], targets[ROWS * LENGTH];
    fill_tokens(tokens, ROWS * LENGTH, 1);
    fill_tokens(targets, ROWS * LENGTH, 2);
    for (int i = 0; i < 2; i++) {
        model_begin(r->state, r->tape, r->values, &r->grads);
        model_call call = {.time = LENGTH,
                           .tokens = tokens,
                           .targets = targets,
                           .total_weight = ROWS * LENGTH,
                           .mode = MODE_TRAIN};
        model_result result = model_forward(r->state, &call);
        tape_backward(r->tape, result.loss, 1);
        model_end(r->state);
        model_run_read(r, tokens, LENGTH, 0, LENGTH, NULL);
    }
}

static void every_layer_ends(void)
{
    /* All numbers, or some among those that are as they were. */
    static const struct {
        real value;
        int64_t apart;
    } FILLS[] = {{(real)NAN, 1}, {(real)INFINITY, 5}, {(real)3e38, 1}, {(real)3e38, 5}};
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (!layer_variant_drawn(&list[i], "no numbers")) continue;
        if (!test_sub("%s %s", list[i].cls->name, list[i].options)) continue;
        for (size_t k = 0; k < sizeof FILLS / sizeof *FILLS; k++) {
            model_run *r = layer_variant_run(&list[i], ROWS);
            if (!r) break;
            fill_with(r, FILLS[k].value, FILLS[k].apart);
            train_and_read(r);
            model_run_free(r);
        }
    }
}

const test_suite test_no_numbers = {"layers/no_numbers",
                                    {{"every layer ends/", every_layer_ends}, {0}}};
