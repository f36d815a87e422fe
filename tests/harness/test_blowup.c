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
        bool further;
    } cases[] = {
        {5.6, 2.0, 2.1, 6400, NULL, false},
        {5.6, 5.5, 5.5, 6400, NULL, false},
        {5.7, 5.8, 5.8, 6400, NULL, false}, /* an initialisation a little above the guess */
        {5.6, 63, 63, 6400, "the final evaluation ended at 63 nats", false},
        {5.6, 6607, 2, 6400, NULL, false}, /* a peak that was made good */
        {20, 15, 15, 6400, "a uniform guess costs 5.545", false},
        {5.6, 2, (double)INFINITY, 6400, "the final evaluation", false},
        {5.6, 2, (double)NAN, 6400, "the final evaluation", false},
        {5.6, (double)NAN, 2, 6400, "training ended at", false},
        {2.5, 3.3, 3.3, 6400, "above the 2.5 that it began with", false},
        {2.5, 2.7, 3.3, 6400, NULL, false},
        {2.5, 3.3, 2.7, 6400, NULL, false},
        {2.5, 3.3, 2.7, 6400, "above the 2.5 that it began with", true},
        {0, 3.3, 3.3, 6400, NULL, false}, /* nobody knows where it began */
        {2.5, 3.3, 3.3, 64, NULL, false},
        {0, 0, 5, 0, NULL, false},
        {0, 0, 6, 0, "the final evaluation", false},
        {5.6, 2.0, 63, 6400, NULL, true},
        {5.6, 63, 63, 6400, "training ended at 63 nats", true},
        {5.6, 63, 2, 6400, "training ended at 63 nats", true},
        {5.6, 2.0, (double)INFINITY, 6400, "the final evaluation", true},
        {5.6, 2.0, (double)NAN, 6400, "the final evaluation", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[BLOWUP_TEXT_BYTES] = "";
        const blowup_facts f = {256,
                                cases[i].first,
                                cases[i].last,
                                cases[i].evaluated,
                                cases[i].targets,
                                cases[i].further,
                                false};
        bool found = blowup_find(text, &f);
        EXPECT(found == (cases[i].part != NULL) && (!found || strstr(text, cases[i].part)),
               "case %zu: \"%s\"", i, text);
    }
}

/* A probe that is asked farther than it was trained on may be wrong and sure of it; one that is
 * asked what it was trained on may not, and no text asks anything. */
static void who_asks_further(void)
{
    static const struct {
        const char *data;
        bool further;
    } cases[] = {
        {"{corpus: probe, task: needle, distances: [4, 8], held_out_distances: [8, 64], tokens: "
         "2000, held_out: 400}",
         true},
        {"{corpus: probe, task: needle, distances: [4, 8], held_out_distances: [4], tokens: 2000, "
         "held_out: 400}",
         false},
        {"{corpus: probe, distances: [16, 32], tokens: 2000, held_out: 400}", false},
        {"{corpus: markov, symbols: 6, order: 1, tokens: 2000, held_out: 500, length: 100}",
         false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err e = {0};
        arena *a = arena_new(0);
        node *n = node_parse(a, cases[i].data, strlen(cases[i].data), "data", &e);
        corpus *c = n ? corpus_open(n, &(corpus_places){.cache = test_folder()}, &e) : NULL;
        EXPECT(c && blowup_further(c, SPLIT_VALIDATION) == cases[i].further, "%s: %s",
               cases[i].data, e.text);
        corpus_close(c);
        arena_free(a);
    }
}

const test_suite test_blowup = {
    "harness/blowup",
    {{"ends are judged", ends_are_judged}, {"who asks further", who_asks_further}, {0}}};
