/* Every class of the registry with its defaults, each option at its ends, and combinations of
 * options that act together only: what conformance runs over. */
#pragma once

#include "tests/support/model_run.h"

enum { VARIANT_WIDTH = 8 };

typedef struct layer_variant {
    const layer_class *cls;
    bool head;
    char options[240]; /* YAML */
} layer_variant;

/* The list, which lives as long as the process. */
const layer_variant *layer_variants(int *count);

/* Whether this check is to be done for the variant (see draw.h): for one of LOCI_TEST_ONE_OF (3 if
 * it is not said), and for the defaults of every class. */
bool layer_variant_drawn(const layer_variant *v, const char *check);

/* Two layers of the variant (a head: on an attention and an ffn), for model_check.h. NULL: the
 * class refuses these options in these dims; EXPECTs that its message says where. */
model_run *layer_variant_run(const layer_variant *v, int64_t rows);
/* The same for options that may be refused: no EXPECT, but e. */
model_run *layer_variant_try(const layer_variant *v, int64_t rows, err *e);
