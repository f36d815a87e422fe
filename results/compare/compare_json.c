#include "results/compare/compare_json.h"

#include <math.h>

#include "results/compare/compare_verdict.h"

/* A program gets the sentences that people read, so that what it prints can be as honest. */

/* NaN is null: JSON has no word for it. */
static json_t *run_json(const compared_run *r)
{
    json_t *o = json_pack("{s:s, s:I, s:s, s:s?}", "run", r->run, "seed", (json_int_t)r->seed,
                          "status", r->status, "reason", r->reason);
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        json_object_set_new(o, compare_metric_name((compare_metric)m), json_finite(r->value[m]));
    }
    json_object_set_new(o, "tokens_per_second", json_finite(r->tokens_per_second));
    json_object_set_new(o, "unknown_tokens",
                        r->unknown < 0 ? json_null() : json_integer(r->unknown));
    json_object_set_new(o, "chosen_on_scored", json_boolean(r->tried > 0));
    return o;
}

/* Adds to the table's rows what people read below it. Rows of the table are in the order of the
 * variants, one each: their places are the same. */
static void put_variants(json_t *variants, const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        char text[COMPARE_VERDICT_BYTES];
        json_t *v = json_array_get(variants, (size_t)i), *runs = json_array();
        compare_verdict(text, c, i);
        json_object_set_new(v, "verdict", text[0] ? json_words(text) : json_null());
        for (int k = 0; k < c->variants[i].run_count; k++) {
            json_array_append_new(runs, run_json(&c->variants[i].runs[k]));
        }
        json_object_set_new(v, "runs", runs);
    }
}

static json_t *protocols_json(const comparison *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->protocol_count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o, s:i}", "protocol", json_words(c->protocols[i].words),
                                        "runs", c->protocols[i].runs));
    }
    return list;
}

/* The protocol is the first scored run's; what differs from it is in each run's own in the
 * database. */
json_t *compare_json(const comparison *c, const table *t)
{
    const compared_run *r = compare_first_scored(c);
    json_t *variants = table_json(t);
    json_t *o = json_pack(
        "{s:s, s:s, s:s?, s:s, s:s, s:f, s:o?}", "experiment", c->experiment, "description",
        c->description, "baseline", c->baseline < 0 ? NULL : c->variants[c->baseline].label,
        "split", c->split, "metric", compare_metric_name(c->metric), "confidence", STATS_CONFIDENCE,
        "protocol", r ? json_loads(r->protocol, 0, NULL) : NULL);
    json_object_set_new(o, "protocols", protocols_json(c));
    if (c->tune) {
        json_object_set_new(o, "tune", json_string(c->tune));
        json_object_set_new(o, "tuned_on", json_string("validation"));
    }
    if (c->at != AT_END) {
        json_object_set_new(o, "at", json_string(COMPARE_AT_BUDGETS[c->at]));
        json_object_set_new(o, "at_amount", json_finite(c->at_amount));
    }
    json_object_set_new(o, "comparisons", json_integer(c->comparisons));
    json_object_set_new(o, "noise_floor", json_finite(c->noise_floor));
    json_object_set_new(o, "same_text", json_boolean(c->same_text));
    put_variants(variants, c);
    json_object_set_new(o, "variants", variants);
    return o;
}
