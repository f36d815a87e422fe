/* loci layers: the parts that a model can be composed of, from the registry. */
#include "core/base/terminal.h"
#include "layers/layer.h"
#include "layers/registry.h"
#include "tools/verbs.h"

#include <stdio.h>

/* Printed from the registry and the option tables that specs are read by: a layer that is added is
 * listed here without a line of its own. */

enum { MAX_CLASSES = 128, NAME_COLUMNS = 19 };

static void print_list(void)
{
    int n = 0, columns = terminal_columns(stdout, TERMINAL_UNBROKEN);
    const layer_class *const *classes = registry_layers(&n);
    for (int i = 0; i < n; i++)
        terminal_entry(stdout, classes[i]->name, NAME_COLUMNS, classes[i]->help, columns);
    classes = registry_heads(&n);
    for (int i = 0; i < n; i++) {
        char text[256];
        snprintf(text, sizeof text, "head: %s", classes[i]->help);
        terminal_entry(stdout, classes[i]->name, NAME_COLUMNS, text, columns);
    }
}

static int unknown_layer(const char *name)
{
    const char *known[MAX_CLASSES];
    int layers = 0, heads = 0, n = 0;
    const layer_class *const *bodies = registry_layers(&layers);
    const layer_class *const *head = registry_heads(&heads);
    for (int i = 0; i < layers && n < MAX_CLASSES; i++)
        known[n++] = bodies[i]->name;
    for (int i = 0; i < heads && n < MAX_CLASSES; i++)
        known[n++] = head[i]->name;
    const char *near = option_nearest(name, n, known);
    if (!near) return cli_fail(EXIT_USAGE, "no layer '%s'; see loci layers", name);
    return cli_fail(EXIT_USAGE, "no layer '%s' (did you mean '%s'?); see loci layers", name, near);
}

static int print_class(const char *name)
{
    const layer_class *cls = registry_layer(name);
    if (!cls) cls = registry_head(name);
    if (!cls) return unknown_layer(name);
    terminal_prose prose;
    FILE *out = terminal_prose_begin(&prose, stdout);
    fprintf(out, "%s: %s\n", cls->name, cls->help);
    if (cls->cite && *cls->cite) fprintf(out, "%s\n", cls->cite);
    terminal_prose_end(&prose);
    printf("\n");
    options_print(stdout, cls->options, terminal_columns(stdout, TERMINAL_UNBROKEN));
    return EXIT_DONE;
}

static int list_layers(const cli_call *c)
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
    .run = list_layers,
};
