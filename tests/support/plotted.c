#include "tests/support/plotted.h"

#include <stdlib.h>

#include "core/base/file.h"
#include "results/compare/compare_load.h"
#include "results/store/collect.h"
#include "tests/test.h"

const fake_variant PLOTTED_MANY[9] = {
    {"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
    {"short 3e-3", -0.05, 0.001, 842000, 51234, NULL, false},
    {"short 1e-2", -0.2, 0.001, 842000, 51234, NULL, false},
    {"long 1e-3", -0.02, 0.001, 842000, 40321, NULL, false},
    {"long 3e-3", 0.04, 0.002, 842000, 40321, NULL, false},
    {"long 1e-2", -0.1, 0.001, 842000, 40321, "failed", false},
    {"wide 1e-3", 0.03, 0.001, 1684000, 30123, NULL, false},
    {"wide 3e-3", 0.01, 0.002, 1684000, 30123, NULL, false},
    {"wide 1e-2", -0.15, 0.001, 1684000, 30123, "diverged", false},
};

bool plotted_have_gnuplot(void)
{
    bool found = system("command -v gnuplot >/dev/null 2>&1") == 0;
    if (!found) test_skip("no gnuplot");
    return found;
}

bool plotted_chosen(plot_report *r, const fake_experiment *x, const compare_options *how,
                    bool svg_only, err *e)
{
    err note = {0};
    store *s = collect_and_open(x->out, &note, e);
    arena *a = arena_new(0);
    const comparison *c = s ? compare_load(a, s, x->name, how, e) : NULL;
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s/plots", x->out);
    const claims *stated = c ? claims_load(a, s, x->name, e) : NULL;
    bool ok = stated && plot_experiment(r, s, c, stated, &(plot_how){folder, svg_only, true}, e);
    arena_free(a);
    store_close(s);
    return ok;
}

bool plotted(plot_report *r, const fake_experiment *x, bool svg_only, err *e)
{
    return plotted_chosen(r, x, &(compare_options){0}, svg_only, e);
}

char *plotted_content(const plot_report *r, const char *name)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    char *text = file_join(path, r->folder, name, &e) ? file_read(path, NULL, &e) : NULL;
    EXPECT(text, "%s", e.text);
    return text;
}
