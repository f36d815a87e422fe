#include "results/compare/compare_cell.h"

static int program_column(table *t, arena *a, const char *name, const char *what)
{
    char key[512];
    snprintf(key, sizeof key, "%.400s_%s", name, what);
    return table_column(t, arena_strdup(a, key), "", "", TABLE_PROGRAMS);
}

compare_cell compare_cell_head(table *t, arena *a, const char *name, const char *unit, int flags)
{
    compare_cell k;
    k.shown = table_column(t, name, name, unit, flags);
    k.low = program_column(t, a, name, "low");
    k.high = program_column(t, a, name, "high");
    k.n = program_column(t, a, name, "n");
    k.lost = program_column(t, a, name, "lost");
    return k;
}

void compare_cell_put(table *t, const compare_cell *k, estimate x, int digits, bool plus)
{
    table_mean(t, k->shown, x.mean, x.half, digits, plus);
    table_real(t, k->low, x.mean - x.half, 6);
    table_real(t, k->high, x.mean + x.half, 6);
    table_int(t, k->n, x.n);
}

void compare_cell_variant(table *t, const compare_cell *k, const compared_variant *v,
                          compare_metric m, int digits, const char *mark)
{
    char text[48] = "";
    compare_cell_put(t, k, v->value[m], digits, false);
    table_int(t, k->lost, v->lost);
    if (v->lost > 0) snprintf(text, sizeof text, "(%d of %d) ", v->value[m].n, v->planned);
    table_mark(t, k->shown, mark);
    table_mark(t, k->shown, text);
}
