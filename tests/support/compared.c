#include "tests/support/compared.h"

#include <stdio.h>

#include "results/compare/compare_load.h"
#include "results/compare/compare_print.h"
#include "results/store/collect.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0.001, 842000, 51234, NULL, false},
    {"long", 0.039, 0.002, 842000, 40321, NULL, false},
    {"wide", 0.001, 0.02, 1684000, 30123, "diverged", false},
    {"deep", -0.03, 0.003, 1684000, 30123, "failed", false},
    {"recurrent", 0.02, 0.003, 1000000, 20123, "running", false},
};

fake_experiment compared_of(const fake_variant *list, int variants, int seeds)
{
    return (fake_experiment){.out = test_folder(),
                             .name = "memory",
                             .variants = variants,
                             .seeds = seeds,
                             .steps = 20,
                             .variant = list};
}

fake_experiment compared_fake(int variants, int seeds)
{
    return compared_of(VARIANTS, variants, seeds);
}

comparison *compared_load(arena *a, const fake_experiment *x, const compare_options *o)
{
    err e = {0}, note = {0};
    store *s = collect_and_open(x->out, &note, &e);
    comparison *c = s ? compare_load(a, s, x->name, o, &e) : NULL;
    EXPECT(c && !note.text[0], "%s %s", e.text, note.text);
    store_close(s);
    return c;
}

comparison *compared_written(arena *a, const fake_experiment *x)
{
    fake_write(x);
    return compared_load(a, x, &(compare_options){0});
}

char *compared_print(const comparison *c, table_format format)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    compare_print(f, c, format, false);
    fclose(f);
    return text;
}
