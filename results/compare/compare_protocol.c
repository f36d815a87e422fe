/* How a comparison's runs were evaluated, and who otherwise than the first. */
#include "results/compare/compare_protocol.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "results/compare/protocol.h"

/* Two numbers can be compared only if they were measured alike: context, stride, resets, which
 * tokens count. The first scored run's protocol is said in full, and for all others what differs
 * from it, item by item, as a list of whole protocols would hide the one item that matters. */

/* In what a run's protocol differs from the first one's; "": in nothing. */
static const char *difference_words(arena *a, const compared_run *r, const json_t *first)
{
    json_auto_t *own = json_loads(r->protocol, 0, NULL);
    text_memory text;
    protocol_print_difference(text_begin(&text), own, first);
    return text_end_in(&text, a);
}

/* Who was evaluated otherwise than the first run, and how. */
typedef struct exception {
    const char *variant, *how;
    int64_t seed; /* -1: all of them */
} exception;

/* Those of a variant: one if its seeds agree, else one for each. Returns how many; at most as many
 * as it has runs. A run like the first one has the difference "", which is kept in the list and not
 * printed. */
static int find_exceptions(exception *list, arena *a, const compared_variant *v,
                           const json_t *first)
{
    int n = 0;
    bool agree = true;
    for (int k = 0; k < v->run_count; k++) {
        if (!v->runs[k].scored) continue;
        list[n] = (exception){v->label, difference_words(a, &v->runs[k], first), v->runs[k].seed};
        /* Runs of a variant can differ if seeds were added under another `eval:` section. */
        agree = agree && strcmp(list[0].how, list[n].how) == 0;
        n++;
    }
    if (n == 0 || !agree) return n;
    list[0].seed = -1;
    return 1;
}

/* Those that say the same stand on one line. A difference is printed where it occurs first, with
 * all who share it; later ones find it said. */
static void print_exceptions(FILE *out, const exception *list, int n)
{
    for (int i = 0; i < n; i++) {
        bool said = !*list[i].how;
        for (int k = 0; k < i; k++) {
            said = said || strcmp(list[k].how, list[i].how) == 0;
        }
        if (said) continue;
        fputs("  but ", out);
        for (int k = i; k < n; k++) {
            if (strcmp(list[k].how, list[i].how) != 0) continue;
            fprintf(out, "%s'%s'", k > i ? ", " : "", list[k].variant);
            if (list[k].seed >= 0) fprintf(out, " (seed %lld)", (long long)list[k].seed);
        }
        fprintf(out, ": %s.\n", list[i].how);
    }
}

/* All exceptions are found before one is printed: who shares one is known only then. */
static void print_protocol_differences(FILE *out, const comparison *c, const json_t *first)
{
    arena_auto *a = arena_new(1 << 16);
    int n = 0, runs = 0;
    for (int i = 0; i < c->count; i++) {
        runs += c->variants[i].run_count;
    }
    /* One for each run is the most that find_exceptions makes of all. */
    exception *list = ARENA_NEW(a, exception, runs);
    for (int i = 0; i < c->count; i++) {
        n += find_exceptions(list + n, a, &c->variants[i], first);
    }
    print_exceptions(out, list, n);
}

/* Why there are no figures at all. An empty table looks like a mistake of the program; nearly
 * always nothing was evaluated there. */
static void print_nothing(FILE *out, const comparison *c)
{
    int done = 0;
    for (int i = 0; i < c->count; i++) {
        done += c->variants[i].done;
    }
    if (done == 0) {
        fputs("No run has finished yet.\n", out);
        return;
    }
    fprintf(out, "%d run%s finished, but none was evaluated", done, done == 1 ? " has" : "s have");
    if (c->split[0]) fprintf(out, " on the %s split", c->split);
    fputs(c->at == AT_END || !isfinite(c->at_amount) ? ".\n" : " around that amount.\n", out);
}

/* Figures of another protocol look alike. */
void compare_protocol_print_choice(FILE *out, const comparison *c)
{
    if (c->protocol_count == 0) return;
    const compared_protocol *shown = c->protocols;
    if (strcmp(shown->words, "own") != 0) {
        fprintf(out,
                "These are not evaluations as the final ones were done, but otherwise: %s (%d of "
                "%d runs).\n",
                shown->words, shown->runs, c->evaluated);
    }
    for (int i = 1; i < c->protocol_count; i++) {
        const compared_protocol *x = &c->protocols[i];
        fprintf(out, "%s'%s' (%d run%s)",
                i > 1 ? ", " : "There are other evaluations, which --protocol shows: ", x->words,
                x->runs, x->runs == 1 ? "" : "s");
    }
    if (c->protocol_count > 1) fputs(".\n", out);
}

void compare_protocol_print(FILE *out, const comparison *c)
{
    const compared_run *r = compare_first_scored(c);
    if (!r) {
        print_nothing(out, c);
        compare_protocol_print_choice(out, c);
        return;
    }
    fprintf(out, "Scored: %s split, ", c->split);
    /* What is not known is not said: -1 bytes are those of a lossy tokenizer. */
    if (r->bytes >= 0) fprintf(out, "%lld bytes, ", (long long)r->bytes);
    fprintf(out, "%lld tokens", (long long)r->tokens);
    if (r->words >= 0) fprintf(out, ", %lld words", (long long)r->words);
    if (r->documents > 0) {
        fprintf(out, ", %d document%s", r->documents, r->documents == 1 ? "" : "s");
    }
    fputs(". Protocol: ", out);
    json_auto_t *protocol = json_loads(r->protocol, 0, NULL);
    protocol_print(out, protocol);
    fputs(".\n", out);
    print_protocol_differences(out, c, protocol);
    compare_protocol_print_choice(out, c);
}
