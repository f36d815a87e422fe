#include "harness/train/blowup.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

/* 256 ids: a uniform guess costs 5.545 nats, 5 % above it is 5.82. Steps of 6,400 targets: a tenth
 * above the start is what counts; of 64: nothing below twice the start. */
static void ends_are_judged(void)
{
    static const struct {
        double first, last, evaluated, targets;
        const char *part; /* NULL: healthy */
    } cases[] = {{5.6, 2.0, 2.1, 6400, NULL},
                 {5.6, 5.5, 5.5, 6400, NULL},
                 {5.7, 5.8, 5.8, 6400, NULL}, /* an initialisation a little above the guess */
                 {5.6, 63, 63, 6400, "the final evaluation ended at 63 nats"},
                 {5.6, 6607, 2, 6400, "training ended at 6607 nats"},
                 {20, 15, 15, 6400, "a uniform guess costs 5.545"},
                 {5.6, 2, (double)INFINITY, 6400, "the final evaluation"},
                 {5.6, 2, (double)NAN, 6400, "the final evaluation"},
                 {5.6, (double)NAN, 2, 6400, "training ended at"},
                 {2.5, 3.3, 3.3, 6400, "above the 2.5 that it began with"},
                 {2.5, 2.7, 3.3, 6400, NULL},
                 {2.5, 3.3, 3.3, 64, NULL},
                 {0, 0, 5, 0, NULL},
                 {0, 0, 6, 0, "the final evaluation"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[BLOWUP_TEXT_BYTES] = "";
        const blowup_facts f = {256, cases[i].first, cases[i].last, cases[i].evaluated,
                                cases[i].targets};
        bool found = blowup_find(text, &f);
        EXPECT(found == (cases[i].part != NULL) && (!found || strstr(text, cases[i].part)),
               "case %zu: \"%s\"", i, text);
    }
}

const test_suite test_blowup = {"harness/blowup", {{"ends are judged", ends_are_judged}, {0}}};
