/* Any bytes as a state dict of the block-recurrent transformer: refused with a message, or a model
 * whose parameters are all filled. */
#include "models/import_brt.h"

#include <stdlib.h>

#include "tests/fuzz/reading.h"
#include "tests/fuzz/target.h"

static void import(const safetensors *file, unsigned choice, arena *a, err *e)
{
    /* Of every fourth it is told which layer reads a state. */
    brt_import how = {.block_width = 8, .reads = choice % 4 == 1, .read = {choice / 4 % 3}};
    brt_source source;
    if (!import_brt_open(&source, file, &how, e)) return;
    node *spec = import_brt_spec(a, &source, e);
    model *m = spec ? model_build(spec, &(model_inputs){.vocab = source.vocab}, e) : NULL;
    if (!m) return;
    real *values = ARENA_NEW(a, real, model_params_const(m)->total);
    if (import_brt_values(&source, m, values, e)) e->text[0] = 'x'; /* all went well */
    model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    err e = {0};
    safetensors *s = safetensors_parse(bytes, size, "fuzz", &e);
    if (s) {
        arena *a = arena_new(1 << 16);
        import(s, reading_choice(bytes, size), a, &e);
        arena_free(a);
    }
    CHECK(e.text[0], "refused without a message");
    safetensors_close(s);
    return 0;
}
