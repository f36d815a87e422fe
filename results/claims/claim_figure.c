#include "results/claims/claim_figure.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "core/options/option.h"
#include "results/store/collect_inspect.h"

/* The figures are rows of one table: the reader of specs, its list of names and units in errors,
 * the help and the judge all go through it, so that a figure is added by one line. Fields of a run
 * are named by their offset in compared_run, because a switch over them would be a second table to
 * keep in step with this one. What loci inspect finds has no rows here: it is listed with its words
 * (store/inspect_words.c), and a figure is made of a name on demand. */

#define REAL_OF(field)  .kind = FIGURE_RUN, .offset = offsetof(compared_run, field)
#define WHOLE_OF(field) .kind = FIGURE_RUN, .offset = offsetof(compared_run, field), .whole = true

/* Of the figures that share a unit the one that a margin alone means comes first. So `by: 1000
 * FLOPs/token` without `on` speaks of evaluation, not of training, and moving a row changes what
 * specs mean that are already written. Figures without a unit take margins in % alone. */
const claim_figure CLAIM_FIGURES[] = {
    {"bits_per_byte", "bits per byte", "bits/byte", .kind = FIGURE_METRIC,
     .metric = COMPARE_BITS_PER_BYTE},
    {"word_perplexity", "word perplexity", "perplexity/word", .kind = FIGURE_METRIC,
     .metric = COMPARE_WORD_PERPLEXITY},
    {"perplexity", "perplexity per token", "perplexity/token", .kind = FIGURE_METRIC,
     .metric = COMPARE_PERPLEXITY},
    {"bits_per_token", "bits per token", "bits/token", .kind = FIGURE_SLICE},
    {"recall", "right answers", "points", .higher = true, .kind = FIGURE_RECALL},
    {"evaluation_flops", "FLOPs per token of evaluation", "FLOPs/token", REAL_OF(eval.flops)},
    {"evaluation_seconds", "seconds per token of evaluation", "s/token", REAL_OF(eval.seconds),
     .timed = true},
    {"evaluation_memory", "memory of evaluation", "bytes", REAL_OF(eval.anon_bytes), .timed = true},
    {"forward_flops", "FLOPs per token, forward", "FLOPs/token", REAL_OF(flops)},
    {"train_flops", "FLOPs per token of training", "FLOPs/token", REAL_OF(train_flops)},
    {"train_seconds", "seconds of training", "s", REAL_OF(train_seconds), .timed = true},
    {"tokens_per_second", "tokens per second of training", "tokens/s", .higher = true,
     REAL_OF(tokens_per_second), .timed = true},
    {"memory", "peak memory of training", "bytes", WHOLE_OF(peak_bytes), .timed = true},
    {"state_bytes", "carried state", "bytes", WHOLE_OF(state_bytes)},
    {"params", "parameters", "parameters", WHOLE_OF(params)},
    {"active_params", "active parameters", "parameters", WHOLE_OF(active_params)},
    {"trained_tokens", "tokens of training", "tokens", WHOLE_OF(trained_tokens)},
    /* Only models that route have these; a claim about another one would wait for a figure for
     * ever, which `layers` lets a spec's reader say at once. */
    {"load_entropy", "evenness of the experts' load", "", .higher = true,
     REAL_OF(routing[ROUTING_ENTROPY]), .layers = "hash_ffn switch_ffn base_ffn"},
    {"dropped", "tokens that full experts dropped", "", REAL_OF(routing[ROUTING_DROPPED]),
     .layers = "switch_ffn"},
    {0}};

const claim_figure *claim_figure_find(const char *name)
{
    for (const claim_figure *f = CLAIM_FIGURES; f->name; f++) {
        if (strcmp(f->name, name) == 0) return f;
    }
    return NULL;
}

/* The part has to end at the dot: "inspect.valuesx.y" is none, though it begins like one. A larger
 * figure is called better, since a margin here says how far one figure lies above another. */
const claim_figure *claim_figure_inspect(arena *a, const char *name)
{
    static const char begin[] = "inspect.";
    const char *part = name + sizeof begin - 1, *dot;
    if (strncmp(name, begin, sizeof begin - 1) != 0 || !(dot = strchr(part, '.')) || !dot[1]) {
        return NULL;
    }
    for (int i = 0; COLLECT_INSPECT_PARTS[i]; i++) {
        size_t n = strlen(COLLECT_INSPECT_PARTS[i]);
        if (strncmp(part, COLLECT_INSPECT_PARTS[i], n) != 0 || part + n != dot) continue;
        claim_figure *f = arena_push_zero(a, 1, sizeof *f);
        *f = (claim_figure){.name = arena_strdup(a, name),
                            .unit = "",
                            .higher = true,
                            .kind = FIGURE_INSPECT,
                            .part = COLLECT_INSPECT_PARTS[i],
                            .found = arena_strdup(a, dot + 1)};
        f->title = f->name;
        return f;
    }
    return NULL;
}

/* Its name is the text as it was written, so that 0.50 reads back, and is shown, as 0.50. */
const claim_figure *claim_figure_given(arena *a, const char *text)
{
    double value;
    if (!option_text_to_real(text, &value) || !isfinite(value)) return NULL;
    claim_figure *f = arena_push_zero(a, 1, sizeof *f);
    *f = (claim_figure){
        .name = arena_strdup(a, text), .unit = "", .kind = FIGURE_GIVEN, .given = value};
    f->title = f->name;
    return f;
}

/* "per" is written "/" as well; spaces and capitals say nothing. x is the table's unit, which
 * always has the stroke; only y, what a spec says, is looked at for "per". */
static bool same_unit(const char *x, const char *y)
{
    for (;;) {
        while (*x == ' ')
            x++;
        while (*y == ' ')
            y++;
        if (strncmp(y, "per ", 4) == 0 && *x == '/') {
            x++;
            y += 4;
            continue;
        }
        if (tolower((unsigned char)*x) != tolower((unsigned char)*y)) return false;
        if (!*x) return true;
        x++;
        y++;
    }
}

bool claim_figure_has_unit(const claim_figure *f, const char *unit)
{
    return *f->unit && same_unit(f->unit, unit);
}

const claim_figure *claim_figure_of_unit(const char *unit)
{
    for (const claim_figure *f = CLAIM_FIGURES; f->name; f++) {
        if (claim_figure_has_unit(f, unit)) return f;
    }
    return NULL;
}

/* An unknown count is NaN, not -1: a mean over seeds would take it for a figure. */
double claim_figure_of_run(const claim_figure *f, const compared_run *r)
{
    CHECK(f->kind == FIGURE_RUN, "%s is no field", f->name);
    const char *field = (const char *)r + f->offset;
    if (!f->whole) return *(const double *)(const void *)field;
    int64_t value = *(const int64_t *)(const void *)field;
    return value < 0 ? (double)NAN : (double)value;
}
