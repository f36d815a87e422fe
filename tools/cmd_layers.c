/* loci layers: the parts that a model can be composed of, from the registry. */
#include "layers/layer.h"
#include "tools/verbs.h"

#include <string.h>

static void print_list(void)
{
    int n = 0;
    const layer_class *const *classes = layer_classes(&n);
    for (int i = 0; i < n; i++)
        printf("%-14s %s\n", classes[i]->name, classes[i]->help);
}

static exit_status print_class(const char *name)
{
    const layer_class *cls = layer_class_find(name);
    if (!cls) {
        int n = 0;
        const layer_class *const *classes = layer_classes(&n);
        const char *known[64];
        n = MIN(n, 64);
        for (int i = 0; i < n; i++)
            known[i] = classes[i]->name;
        const char *near = option_nearest(name, n, known);
        if (!near) return cli_fail(EXIT_USAGE, "no layer '%s'; see loci layers", name);
        return cli_fail(EXIT_USAGE, "no layer '%s' (did you mean '%s'?); see loci layers", name,
                        near);
    }
    printf("%s: %s\n", cls->name, cls->help);
    if (*cls->cite) printf("%s\n", cls->cite);
    printf("\n");
    options_print(stdout, cls->options);
    return EXIT_DONE;
}

static exit_status layers(const cli_call *c)
{
    if (c->count == 1) return print_class(c->words[0]);
    print_list();
    return EXIT_DONE;
}

const verb VERB_LAYERS = {
    .name = "layers",
    .words = "[NAME]",
    .max_words = 1,
    .help = "Lists the layers that a model can be made of, or one layer's options.",
    .examples = {"layers", "layers attention"},
    .run = layers,
};
