/* The figures of an inspection, layer by layer: shares and means of what the passes left in arrays.
 * Nothing here reads text or runs the model. A share of nothing (no key was triggered, no prefix
 * agreed) is NaN, which the page shows as a dash, and not 0, which would be a finding. */
#include "harness/inspect/inspect_figures.h"

#include <math.h>
#include <stdlib.h>

/* SHORT_PREFIX and MOST_CONFIDENT are the paper's: fewer than five tokens, the 100 surest values.
 */
enum { CONFIDENCE_BINS = 10, MOST_CONFIDENT = 100, SHORT_PREFIX = 5 };

static const int PRECISION_AT[] = {10, 30, 100, 300, 1000};

static double ratio(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

/* ---- keys ---- */

/* Means are over keys that have a trigger; a key that nothing fires has no pattern, and counting it
 * as 0 would say that its triggers have nothing in common. */
static void keys_of(inspection *x, const inspected_layer *l)
{
    static const char *const grams[] = {"shared_last_token", "shared_last_2_tokens",
                                        "shared_last_3_tokens"};
    double keys = 0, total = 0, gram[PATTERN_GRAMS] = {0}, word = 0, topic = 0, top = 0;
    for (int64_t i = 0; i < l->memories.count; i++) {
        if (l->triggers.sizes[i] == 0) continue;
        keys++;
        total += l->triggers.sizes[i];
        top += (double)triggers_of(&l->triggers, i)->coefficient;
        for (int g = 0; g < PATTERN_GRAMS; g++) {
            gram[g] += l->patterns[i].gram[g];
        }
        word += l->patterns[i].word;
        topic += l->patterns[i].topic[0];
    }
    inspection_add(x, INSPECT_KEYS, l->layer, "memories", 0, (double)l->memories.count);
    inspection_add(x, INSPECT_KEYS, l->layer, "triggered", 0, keys);
    inspection_add(x, INSPECT_KEYS, l->layer, "triggers_per_key", 0, ratio(total, keys));
    inspection_add(x, INSPECT_KEYS, l->layer, "top_coefficient", 0, ratio(top, keys));
    for (int g = 0; g < PATTERN_GRAMS; g++) {
        inspection_add(x, INSPECT_KEYS, l->layer, grams[g], 0, ratio(gram[g], keys));
    }
    inspection_add(x, INSPECT_KEYS, l->layer, "shared_last_word", 0, ratio(word, keys));
    inspection_add(x, INSPECT_KEYS, l->layer, "shared_topic_word", 0, ratio(topic, keys));
}

/* Weighted by triggers: the mean over all triggers of the layer, not over keys. */
static void perturbation_of(inspection *x, const inspected_layer *l)
{
    static const char *const names[REMOVALS] = {"without_first", "without_last", "without_random"};
    double n = 0, silent = 0, sum[REMOVALS] = {0};
    for (int i = 0; i < l->perturbed_count; i++) {
        const perturbation *p = &l->perturbed[i];
        n += (double)p->triggers;
        silent += (double)p->silent;
        for (int k = 0; k < REMOVALS; k++) {
            sum[k] += p->triggers ? p->change[k] * (double)p->triggers : 0;
        }
    }
    if (l->perturbed_count == 0) return;
    for (int k = 0; k < REMOVALS; k++) {
        inspection_add(x, INSPECT_KEYS, l->layer, names[k], 0, ratio(sum[k], n));
    }
    inspection_add(x, INSPECT_KEYS, l->layer, "silent_alone", 0, ratio(silent, silent + n));
}

/* ---- values ---- */

static int by_rank(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Agreement if values were dealt to keys at random: sum over tokens of the share of values with it
 * on top times the share of first triggers that it follows. Values that all name frequent tokens
 * agree often by chance, so the paper's uniform chance, one in the vocabulary, would flatter them.
 *
 *   chance = sum_v (next[v] / keys) (with[v] / memories) */
static double chance(const inspection *x, const inspected_layer *l)
{
    int64_t vocab = model_vocab(x->task->loaded->model);
    double *next = calloc((size_t)vocab, sizeof *next), keys = 0, sum = 0;
    CHECK(next, "out of memory for %lld counts", (long long)vocab);
    for (int64_t i = 0; i < l->memories.count; i++) {
        if (l->triggers.sizes[i] == 0) continue;
        next[triggers_of(&l->triggers, i)->next]++;
        keys++;
    }
    for (int64_t v = 0; v < vocab; v++) {
        sum += next[v] * (double)l->with[v];
    }
    free(next);
    return ratio(sum, keys * (double)l->memories.count);
}

/* Of sorted ranks: so many quarters of the keys stand before it. */
static double quartile(const int64_t *ranks, int64_t keys, int quarters)
{
    int64_t at = keys * quarters / 4;
    return keys ? (double)ranks[at] : (double)NAN;
}

static void values_of(inspection *x, const inspected_layer *l)
{
    int64_t *ranks = calloc((size_t)l->memories.count + 1, sizeof *ranks), keys = 0;
    CHECK(ranks, "out of memory for %lld ranks", (long long)l->memories.count);
    /* confidence is over all values, for every value has a top probability; matches and ranks are
     * over keys that were triggered. */
    double matches = 0, confidence = 0;
    for (int64_t i = 0; i < l->memories.count; i++) {
        const memory_agreement *a = &l->agreements[i];
        confidence += (double)l->values[i].probabilities[0];
        if (!a->triggered) continue;
        matches += a->match;
        ranks[keys++] = a->rank;
    }
    qsort(ranks, (size_t)keys, sizeof *ranks, by_rank);
    const struct {
        const char *name;
        double value;
    } list[] = {{"agreement", ratio(matches, (double)keys)},
                {"agreement_by_chance", chance(x, l)},
                {"rank_median", quartile(ranks, keys, 2)},
                {"rank_low", quartile(ranks, keys, 1)},
                {"rank_high", quartile(ranks, keys, 3)},
                {"top_probability", confidence / (double)l->memories.count}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        inspection_add(x, INSPECT_VALUES, l->layer, list[i].name, 0, list[i].value);
    }
    free(ranks);
}

typedef struct confident_value {
    const inspected_layer *layer;
    int64_t memory;
    double probability;
} confident_value;

/* Equal probabilities are left in whatever order qsort puts them: they are as confident as each
 * other. */
static int by_probability(const void *a, const void *b)
{
    double x = ((const confident_value *)a)->probability;
    double y = ((const confident_value *)b)->probability;
    return x > y ? -1 : x < y;
}

/* Agreement as a function of the value's confidence: bins of equally many values, least first (sec.
 * 4, fig. 6). The list is most confident first, hence n - 1 - i. With fewer values than bins there
 * are no bins. */
static void confidence_bins(inspection *x, const confident_value *list, int64_t n)
{
    /* Ends of bins by integer division: sizes differ by one at most. */
    for (int bin = 0; bin < CONFIDENCE_BINS && n >= CONFIDENCE_BINS; bin++) {
        int64_t begin = n * bin / CONFIDENCE_BINS, end = n * (bin + 1) / CONFIDENCE_BINS;
        double probability = 0, matches = 0;
        for (int64_t i = begin; i < end; i++) {
            const confident_value *v = &list[n - 1 - i];
            probability += v->probability;
            matches += v->layer->agreements[v->memory].match;
        }
        double count = (double)(end - begin);
        inspection_add(x, INSPECT_VALUES, NULL, "confidence", bin, probability / count);
        inspection_add(x, INSPECT_VALUES, NULL, "confidence_agreement", bin, matches / count);
    }
}

/* Precision at k: share of the triggers of the k most confident values that their top token
 * follows. All triggers count here, not the first alone. most_confident_*: the paper's 100 most
 * confident values, how many have at least one agreeing trigger, and how many lie in the upper
 * third of the stack. */
static void most_confident(inspection *x, const confident_value *list, int64_t n)
{
    /* p: the next depth of PRECISION_AT; sums go on from one depth to the next. */
    double matches = 0, total = 0, any = 0, upper = 0;
    int depths = n ? list[0].layer->layer->dims.depths : 0;
    for (int64_t i = 0, p = 0; i < n; i++) {
        const memory_agreement *a = &list[i].layer->agreements[list[i].memory];
        matches += a->matches;
        total += list[i].layer->triggers.sizes[list[i].memory];
        any += i < MOST_CONFIDENT && a->matches > 0;
        upper += i < MOST_CONFIDENT && 3 * list[i].layer->layer->dims.depth >= 2 * depths;
        if (p < 5 && i + 1 == PRECISION_AT[p]) {
            inspection_add(x, INSPECT_VALUES, NULL, "precision_at", (int)(i + 1),
                           ratio(matches, total));
            p++;
        }
    }
    double among = (double)MIN(n, (int64_t)MOST_CONFIDENT);
    inspection_add(x, INSPECT_VALUES, NULL, "most_confident_agree", 0, ratio(any, among));
    inspection_add(x, INSPECT_VALUES, NULL, "most_confident_upper", 0, ratio(upper, among));
}

/* Values of all layers in one list: the most confident of the model, not of a layer. */
static void confidence(inspection *x)
{
    int64_t n = 0;
    for (int i = 0; i < x->layer_count; i++) {
        n += x->layers[i].memories.count;
    }
    confident_value *list = calloc((size_t)n + 1, sizeof *list); /* of none, too */
    CHECK(list, "out of memory for %lld values", (long long)n);
    n = 0;
    for (int i = 0; i < x->layer_count; i++) {
        const inspected_layer *l = &x->layers[i];
        for (int64_t m = 0; l->agreements && m < l->memories.count; m++) {
            if (!l->agreements[m].triggered) continue;
            list[n++] = (confident_value){l, m, (double)l->values[m].probabilities[0]};
        }
    }
    qsort(list, (size_t)n, sizeof *list, by_probability);
    confidence_bins(x, list, n);
    most_confident(x, list, n);
    free(list);
}

/* ---- composition ---- */

/* The most frequent tokens that make up half of the training text stand in for stop words, which a
 * vocabulary of bytes or pieces has no list of. The most frequent one left is looked for again and
 * again: few tokens make up half of a text. */
static bool frequent_tokens(const inspection *x, bool *frequent, err *e)
{
    int64_t vocab = model_vocab(x->task->loaded->model), total = 0, sum = 0;
    int64_t *counts = corpus_token_counts(x->task->loaded->corpus, e);
    if (!counts) return false;
    for (int64_t i = 0; i < vocab; i++) {
        total += counts[i];
    }
    while (2 * sum < total) {
        int64_t best = 0;
        for (int64_t i = 1; i < vocab; i++) {
            if (counts[i] > counts[best]) best = i;
        }
        sum += counts[best];
        counts[best] = 0;
        frequent[best] = true;
    }
    free(counts);
    return true;
}

/* Three readings of "no memory agrees": against all values (the paper's definition), against those
 * that fired, and as the published code compares. Of the prefixes where some value does agree: how
 * many name a frequent token, and how many are shorter than five tokens (the paper: 60 and 43 %).
 */
static void composition_of(inspection *x, const inspected_layer *l, const bool *frequent)
{
    double n = (double)x->sample_count, active = 0, none_active = 0, none_all = 0, none_code = 0;
    double agree = 0, agree_frequent = 0, agree_short = 0;
    for (int64_t i = 0; i < x->sample_count; i++) {
        const prefix_reading *p = &l->readings[i];
        int64_t token = x->samples[i];
        active += p->active;
        none_active += p->match_output_active == 0;
        none_all += p->match_output_all == 0;
        none_code += p->match_stream_active == 0;
        /* From here on: prefixes at which some value names what the output names. */
        if (p->match_output_all == 0) continue;
        agree++;
        agree_frequent += frequent[p->top_output];
        agree_short += token + 1 - prefixes_sentence(&x->sample_text, token) < SHORT_PREFIX;
    }
    int part = INSPECT_COMPOSITION;
    inspection_add(x, part, l->layer, "active", 0, ratio(active, n * (double)l->memories.count));
    inspection_add(x, part, l->layer, "active_memories", 0, ratio(active, n));
    if (!l->tops) return;
    inspection_add(x, part, l->layer, "zero_agreement", 0, ratio(none_all, n));
    inspection_add(x, part, l->layer, "zero_agreement_active", 0, ratio(none_active, n));
    inspection_add(x, part, l->layer, "zero_agreement_published_code", 0, ratio(none_code, n));
    inspection_add(x, part, l->layer, "agreeing_frequent", 0, ratio(agree_frequent, agree));
    inspection_add(x, part, l->layer, "agreeing_short", 0, ratio(agree_short, agree));
}

/* `frequent` [vocab] is counted once for all layers. */
static bool composition(inspection *x, err *e)
{
    bool *frequent = arena_push_zero(x->memory, model_vocab(x->task->loaded->model), 1);
    if (!frequent_tokens(x, frequent, e)) return false;
    for (int i = 0; i < x->layer_count; i++) {
        composition_of(x, &x->layers[i], frequent);
    }
    return true;
}

/* ---- refinement ---- */

/* The four cases are exclusive and sum to 1. residual_is_final: the share of prefixes at which the
 * stream before the layer already names what the last one names. final_probability: how sure the
 * stream before the layer is of it, on average. */
static void refinement_of_layer(inspection *x, const inspected_layer *l)
{
    double n = (double)x->sample_count, is_final = 0, probability = 0, cases[REFINE_CASES] = {0};
    for (int64_t i = 0; i < x->sample_count; i++) {
        const prefix_reading *p = &l->readings[i];
        is_final += p->top_residual == x->finals[i];
        probability += (double)p->final_probability;
        cases[value_readings_refinement(p)]++;
    }
    int part = INSPECT_REFINEMENT;
    inspection_add(x, part, l->layer, "residual_is_final", 0, ratio(is_final, n));
    inspection_add(x, part, l->layer, "final_probability", 0, ratio(probability, n));
    for (int c = 0; c < REFINE_CASES; c++) {
        inspection_add(x, part, l->layer, REFINEMENT_CASES[c], 0, ratio(cases[c], n));
    }
}

/* final_is_prediction is of the model: where it is well below 1, the final norm (and the head's
 * bias) changes what the last stream says, and the readings of streams without it are to be taken
 * with that grain of salt. */
static void refinement(inspection *x)
{
    double same = 0;
    for (int i = 0; i < x->layer_count; i++) {
        refinement_of_layer(x, &x->layers[i]);
    }
    for (int64_t i = 0; i < x->sample_count; i++) {
        same += x->finals[i] == x->predictions[i];
    }
    inspection_add(x, INSPECT_REFINEMENT, NULL, "final_is_prediction", 0,
                   ratio(same, (double)x->sample_count));
}

/* Confidence is of all layers together and comes after theirs; composition may fail, for it counts
 * the training split's tokens. */
bool inspect_figures(inspection *x, err *e)
{
    int parts = x->parts;
    for (int i = 0; i < x->layer_count; i++) {
        const inspected_layer *l = &x->layers[i];
        if (parts & INSPECT_KEYS) {
            keys_of(x, l);
            perturbation_of(x, l);
        }
        if ((parts & INSPECT_VALUES) && l->agreements) values_of(x, l);
    }
    if (parts & INSPECT_VALUES) confidence(x);
    if (parts & INSPECT_REFINEMENT) refinement(x);
    return !(parts & INSPECT_COMPOSITION) || composition(x, e);
}
