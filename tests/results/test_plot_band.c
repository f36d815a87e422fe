/* A band that leaves the picture is cut exactly where its sides cross the edges. */
#include "core/base/text.h"
#include "results/plot/plot_band.h"
#include "tests/test.h"

#include <string.h>

static void is_cut_at_the_edges(void)
{
    plot_point points[] = {{.x = 0, .low = -3, .high = -1}, /* wholly below */
                           {.x = 1, .low = 1, .high = 7},   /* above on one side */
                           {.x = 2, .low = 0.5, .high = 1},
                           {.x = 1, .low = 0, .high = 5}}; /* a new line: nothing between */
    plot_series x = {.label = "a", .count = 4, .point = points};
    const double range[2] = {0, 3}, wide[2] = {-3, 7}, up[2] = {-3, 6}, down[2] = {-2, 7};
    EXPECT(plot_band_leaves(&x, up) && plot_band_leaves(&x, down), "leaves");
    EXPECT(!plot_band_leaves(&x, wide), "does not leave");
    text_memory m;
    plot_band_data(text_begin(&m), &x, 5, range);
    text_auto *text = text_end(&m);
    static const char expected[] = "$band5 << EOD\n# x low high\n"
                                   "0 0 0\n"
                                   "0.125 0 0\n" /* high enters from below */
                                   "0.5 0 3\n"   /* and leaves above */
                                   "0.75 0 3\n"  /* low enters */
                                   "1 1 3\n"
                                   "1.66666667 0.666666667 3\n"
                                   "2 0.5 1\n"
                                   "\n"
                                   "1 0 3\n"
                                   "EOD\n";
    EXPECT(strcmp(text, expected) == 0, "%s", text);
}

const test_suite test_plot_band = {"results/plot_band",
                                   {{"is_cut_at_the_edges", is_cut_at_the_edges}, {0}}};
