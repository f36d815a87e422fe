#include "results/plot/plot_differences.h"

#include <math.h>

#include "results/compare/compare_print.h"

static bool drawn(const comparison *c, int i)
{
    return i != c->baseline && c->variants[i].difference.n > 0;
}

static double baseline_value(const comparison *c, int64_t seed)
{
    const compared_variant *v = &c->variants[c->baseline];
    for (int i = 0; i < v->run_count; i++) {
        if (v->runs[i].seed == seed) return v->runs[i].value[c->metric];
    }
    return (double)NAN;
}

/* Seeds stand below the bar, a little apart so that equal figures do not hide each other. */
static double jitter(int seed, int seeds)
{
    return 0.27 + (seeds > 1 ? 0.16 * ((double)seed / (seeds - 1) - 0.5) : 0);
}

static void put_seeds(FILE *out, const comparison *c)
{
    fputs("$seeds << EOD\n# difference line seed\n", out);
    int line = 0;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        if (!drawn(c, i)) continue;
        line++;
        for (int k = 0; k < v->run_count; k++) {
            double d = v->runs[k].value[c->metric] - baseline_value(c, v->runs[k].seed);
            if (!isfinite(d)) continue;
            fprintf(out, "%.9g %.4f %lld\n", d, line + jitter(k, v->run_count),
                    (long long)v->runs[k].seed);
        }
    }
    fputs("EOD\n", out);
}

/* What a difference says. */
enum { BETTER, WORSE, NOISE, ONE_SEED, KINDS };

static const struct {
    const char *name, *title, *colour;
} KIND[KINDS] = {{"better", "better", "#0072b2"},
                 {"worse", "worse", "#d55e00"},
                 {"noise", "within noise", "#707070"},
                 {"single", "one seed", "#707070"}};

static int kind_of(const compared_variant *v)
{
    if (v->difference.n == 1) return ONE_SEED;
    return !compare_sure(v) ? NOISE : v->difference.mean < 0 ? BETTER : WORSE;
}

/* Returns how many lines. */
static int put_means(FILE *out, const comparison *c, int kind)
{
    int line = 0, count = 0;
    fprintf(out, "$%s << EOD\n# difference line low high n\n", KIND[kind].name);
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        estimate d = c->variants[i].difference;
        line++;
        if (kind_of(&c->variants[i]) != kind) continue;
        double half = isfinite(d.half) ? d.half : 0;
        fprintf(out, "%.9g %d %.9g %.9g %d\n", d.mean, line, d.mean - half, d.mean + half, d.n);
        count++;
    }
    fputs("EOD\n", out);
    return count;
}

static void put_names(FILE *out, const comparison *c)
{
    int line = 0;
    fputs("set ytics noenhanced scale 0 (", out);
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        char name[320];
        snprintf(name, sizeof name, "%s (n = %d)", c->variants[i].label,
                 c->variants[i].difference.n);
        if (line++) fputs(", ", out);
        gnuplot_tic(out, name, line);
    }
    fputs(")\n", out);
}

/* From tick to tick: 1, 2 or 5 times a power of ten, about five of them over all that is drawn. */
static double tick_step(const comparison *c)
{
    double low = 0, high = 0;
    for (int i = 0; i < c->count; i++) {
        if (!drawn(c, i)) continue;
        estimate d = c->variants[i].difference;
        double half = isfinite(d.half) ? d.half : 0;
        low = fmin(low, d.mean - half);
        high = fmax(high, d.mean + half);
    }
    double step = (high - low) / 5;
    if (!(step > 0)) return 1;
    double power = pow(10, floor(log10(step))), lead = step / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static void begin(gnuplot_script *p, const comparison *c, int lines)
{
    char title[512], text[512];
    gnuplot_begin(p, "differences", 760, 170 + 42 * lines,
                  "Bar: mean and 95 % t-interval of the difference, paired by seed (none "
                  "for n = 1). Dots: single seeds. Colours: after Holm's correction.");
    compare_print_title(title, c);
    gnuplot_set(p->out, "title", title);
    snprintf(text, sizeof text, "difference to '%s' (%s, lower is better)",
             c->variants[c->baseline].label, compare_metric_title(c->metric));
    gnuplot_set(p->out, "xlabel", text);
    fprintf(p->out,
            "set border 1\nset grid xtics noytics\nset xtics %g\n"
            "set yrange [%d.5:0.5]\nset offsets graph 0.04, graph 0.04, 0, 0\n"
            "set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' "
            "dashtype 2\n"
            "set key outside right top Left reverse samplen 1.5 spacing 1.2\n",
            tick_step(c), lines);
    put_names(p->out, c);
}

bool plot_differences(plot_report *r, arena *a, store *s, const comparison *c, err *e)
{
    int lines = 0;
    (void)a;
    (void)s;
    for (int i = 0; c->baseline >= 0 && i < c->count; i++) {
        lines += drawn(c, i);
    }
    if (lines == 0) {
        gnuplot_note(r, "no seed has finished in two variants yet: no differences");
        return true;
    }
    gnuplot_script p;
    begin(&p, c, lines);
    put_seeds(p.out, c);
    fputs("$seeds using 1:2 with points pointtype 7 pointsize 0.5 linecolor rgb '#a0a0a0' title "
          "'single seeds'",
          gnuplot_item(&p));
    for (int kind = 0; kind < KINDS; kind++) {
        if (put_means(p.out, c, kind) == 0) continue;
        fprintf(gnuplot_item(&p),
                "$%s using %s pointsize 0.9 linewidth 1.8 linecolor rgb '%s' title '%s'",
                KIND[kind].name,
                kind == ONE_SEED ? "1:2 with points pointtype 4"
                                 : "1:2:3:4 with xerrorbars pointtype 5",
                KIND[kind].colour, KIND[kind].title);
    }
    return gnuplot_run(r, &p, e);
}
