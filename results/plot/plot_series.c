#include "results/plot/plot_series.h"

#include "results/compare/compare_print.h"

plot_unit plot_series_unit(double most, bool against_time)
{
    static const plot_unit tokens[] = {{1e9, "training tokens (billions)"},
                                       {1e6, "training tokens (millions)"},
                                       {1e3, "training tokens (thousands)"},
                                       {1, "training tokens"}};
    static const plot_unit times[] = {{86400, "training time (days)"},
                                      {3600, "training time (hours)"},
                                      {60, "training time (minutes)"},
                                      {1, "training time (seconds)"}};
    const plot_unit *list = against_time ? times : tokens;
    for (int i = 0; i < 3; i++) {
        if (most >= 2 * list[i].size || (i == 1 && !against_time && most >= 1e6)) return list[i];
    }
    return list[3];
}

int plot_series_colour(int series)
{
    static const int colours[] = {1, 2, 3, 4, 6, 7, 8}; /* 5 is the yellow */
    return colours[series % 7];
}

int plot_series_dashes(int series)
{
    return 1 + series / 7 % 5;
}

void plot_series_title(FILE *out, const comparison *c)
{
    char text[512];
    compare_print_title(text, c);
    fputs("set title ", out);
    gnuplot_quote(out, text);
    fputc('\n', out);
}

void plot_series_axes(gnuplot_script *p, const comparison *c, const char *x_title, bool logarithmic)
{
    char text[256];
    plot_series_title(p->out, c);
    fputs("set xlabel ", p->out);
    gnuplot_quote(p->out, x_title);
    snprintf(text, sizeof text, "%s (lower is better)", compare_metric_title(c->metric));
    fputs("\nset ylabel ", p->out);
    gnuplot_quote(p->out, text);
    fprintf(p->out,
            "\n%sset offsets graph 0.08, graph 0.08, graph 0.08, graph "
            "0.08\nset key outside right top Left reverse samplen 1.5 spacing 1.2\n",
            logarithmic ? "set logscale x\n" : "");
}
