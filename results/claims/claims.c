#include "results/claims/claims.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "results/claims/claim_read.h"
#include "results/claims/evidence.h"
#include "results/compare/compare_made.h"
#include "results/compare/protocol.h"
#include "results/compare/stats.h"
#include "results/store/query.h"
#include "results/table/table.h"

/* Claims come from the database, as they were recorded when the experiment was run, never from the
 * spec as it is now: what is judged is what was promised, and who edits the spec afterwards has to
 * run it again, which records the change with its date. All claims of an experiment are loaded
 * together even if one is asked for, since each one's p is corrected for the others. */

/* ---- as they were recorded ---- */

/* The rows of the experiment lie together, in the order of its claims: (experiment, position) is
 * the table's primary key. The window's count sizes the list before the first claim is read;
 * withdrawn ones are in it, so there may be room left. */
static bool read_recorded(claims *out, arena *a, store *s, node *list, err *e)
{
    query q = QUERY(s, e,
                    "SELECT name, claim, recorded_at, after_the_fact, changed, seeds, withdrawn, "
                    "count(*) OVER () AS n FROM claim WHERE experiment = ?1 ORDER BY position",
                    out->experiment);
    /* Names beyond its end are cut; `withdrawn` counts all of them. */
    char withdrawn[512] = "";
    while (query_next(&q)) {
        if (!out->list) out->list = arena_push_zero(a, query_int(&q, "n", 0), sizeof *out->list);
        if (query_int(&q, "withdrawn", 0)) {
            size_t used = strlen(withdrawn);
            snprintf(withdrawn + used, sizeof withdrawn - used, "%s'%.64s'",
                     out->withdrawn++ ? ", " : "", query_peek(&q, "name"));
            continue;
        }
        const char *text = query_text(&q, "claim", a);
        /* JSON is read as the YAML that it is, by the parser that specs have: claim_read needs
         * nodes with places. */
        node *n = node_parse(a, text, strlen(text), "a recorded claim", e);
        if (!n) break;
        node_append(a, list, n);
        out->list[out->count++] =
            (stated_claim){.recorded_at = query_text(&q, "recorded_at", a),
                           .after_the_fact = query_int(&q, "after_the_fact", 0) != 0,
                           .changed = query_text(&q, "changed", a),
                           .seeds_then = (int)query_int(&q, "seeds", 0)};
    }
    out->withdrawn_names = arena_strdup(a, withdrawn);
    return query_close(&q) && list->count == out->count;
}

/* ---- what is shown beside a verdict ---- */

/* Sizes are the same for every seed; times are not, so they are a mean, over the runs that count.
 * Of FLOPs those of the evaluation that was scored come first: a model that learns while it is
 * evaluated costs more than its forward pass. */
static claim_cost cost_of(arena *a, const compared_variant *v)
{
    const compared_run *any = v ? compare_scored(v) : NULL;
    claim_cost c = {(double)NAN, (double)NAN, (double)NAN};
    if (!any) return c;
    double *seconds = ARENA_NEW(a, double, v->run_count);
    for (int i = 0; i < v->run_count; i++) {
        seconds[i] = v->runs[i].scored ? v->runs[i].train_seconds : (double)NAN;
    }
    c.params = any->params < 0 ? (double)NAN : (double)any->params;
    c.flops = isfinite(any->eval.flops) ? any->eval.flops : any->flops;
    c.train_seconds = stats_mean(seconds, v->run_count, STATS_CONFIDENCE).mean;
    return c;
}

/* The two sides of a statement; of a trend along an axis its ends. Costs are shown of these. */
static void sides_of(const char *side[2], const claim_statement *s)
{
    side[0] = s->variant ? s->variant : s->variants[0];
    side[1] = s->other ? s->other : s->count ? s->variants[s->count - 1] : NULL;
}

/* Two figures under different protocols (context, stride, resets) are not the same figure; both are
 * printed then, so that a reader sees it. */
static const char *protocol_words(arena *a, const compared_variant *const *v)
{
    text_memory text;
    FILE *f = text_begin(&text);
    const char *before = NULL;
    for (int i = 0; i < 2; i++) {
        const compared_run *r = v[i] ? compare_scored(v[i]) : NULL;
        if (!r || !r->protocol || (before && strcmp(before, r->protocol) == 0)) continue;
        json_auto_t *protocol = json_loads(r->protocol, 0, NULL);
        if (before) fputs("; the other: ", f);
        protocol_print(f, protocol);
        if (r->tried) {
            fprintf(f,
                    " (chosen, of %d, on the text that is scored: too good by as much as that "
                    "choice found by luck)",
                    r->tried);
        }
        before = r->protocol;
    }
    return text_end_in(&text, a);
}

/* Pairs count that differ in one side, and then this one is no second training in any of them. */
static void put_models(FILE *f, const compared_variant *v)
{
    int seeds = 0, again = 0;
    for (int i = 0; v && i < v->run_count; i++) {
        seeds += v->runs[i].scored;
        again += compare_repeats(v, NULL, i);
    }
    if (again == 0) return;
    int n = seeds - again;
    fprintf(f, "%s'%s' is %d model%s in %d seeds", ftell(f) ? "; " : "", v->label, n,
            n == 1 ? "" : "s", seeds);
}

/* A figure of a model that read twice as much is not only the model's. judged: on how many seeds;
 * of one the verdict's own words say what the others are. */
static const char *training_words(arena *a, const compared_variant *const *v, int judged)
{
    text_memory text;
    FILE *f = text_begin(&text);
    if (v[0] && v[1] && compare_unlike_training(v[0], v[1])) {
        char own[16], other[16];
        table_si(own, (double)compare_scored(v[0])->trained_tokens);
        table_si(other, (double)compare_scored(v[1])->trained_tokens);
        fprintf(f, "trained on %s tokens, the other on %s", own, other);
    }
    for (int i = 0; judged > 1 && i < 2; i++) {
        put_models(f, v[i]);
    }
    return text_end_in(&text, a);
}

/* Of the statement that decides the claim, or is furthest from it: the verdict's numbers are
 * its. */
static bool describe(stated_claim *c, evidence_source *x, err *e)
{
    const claim_statement *s = &c->claim->statements[c->verdict->worst];
    const comparison *runs = evidence_runs(x, s->split, e);
    if (!runs) return false;
    const char *side[2];
    sides_of(side, s);
    const compared_variant *v[2] = {compare_find(runs, side[0]),
                                    side[1] ? compare_find(runs, side[1]) : NULL};
    const claim_figure *figure = evidence_figure(runs, s);
    c->cost = cost_of(x->memory, v[0]);
    c->other_cost = cost_of(x->memory, v[1]);
    c->protocol = protocol_words(x->memory, v);
    c->training = figure->kind == FIGURE_RUN ? "" : training_words(x->memory, v, c->verdict->n);
    c->figure = figure->title;
    c->unit = s->kind == STATEMENT_AT_MOST ? "times" : s->relative ? "%" : figure->unit;
    /* Shares are shown in %; of "at most" the estimate is a factor. */
    c->scale = s->relative && s->kind != STATEMENT_AT_MOST ? 100 : 1;
    return true;
}

static const char *made_words(arena *a, const comparison *runs)
{
    text_memory m;
    compare_made_builds(text_begin(&m), runs);
    return text_end_in(&m, a);
}

/* In two passes, since no verdict is known before every claim's p is. */
claims *claims_load(arena *a, store *s, const char *experiment, err *e)
{
    claims *out = arena_push_zero(a, 1, sizeof *out);
    out->experiment = experiment;
    node *list = node_list(a);
    if (!read_recorded(out, a, s, list, e)) return NULL;
    claim_list *read = claim_read(a, list, NULL, e);
    if (!read) return NULL;
    evidence_source x = {.memory = a, .db = s, .experiment = experiment};
    claim_evidence *evidence = ARENA_NEW(a, claim_evidence, out->count);
    claim_verdict *verdicts = ARENA_NEW(a, claim_verdict, out->count);
    for (int i = 0; i < out->count; i++) {
        if (!evidence_read(&evidence[i], &x, &read->claims[i], e)) return NULL;
    }
    verdict_judge(a, verdicts, evidence, out->count);
    for (int i = 0; i < out->count; i++) {
        stated_claim *c = &out->list[i];
        c->claim = &read->claims[i];
        c->verdict = &verdicts[i];
        c->seeds_now = evidence[i].statements[0].seeds;
        if (!describe(c, &x, e)) return NULL;
    }
    const comparison *runs = out->count > 0 ? evidence_runs(&x, NULL, e) : NULL;
    if (out->count > 0 && (!runs || !flatness_read(&out->flat, a, s, runs, e))) return NULL;
    out->made = runs ? made_words(a, runs) : "";
    return out;
}
