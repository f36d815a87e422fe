#include "results/compare/compare_at.h"

#include <math.h>
#include <string.h>

#include "core/base/text.h"
#include "core/options/option.h"
#include "results/compare/protocol.h"
#include "results/store/query.h"

/* A run's final result is replaced by what it had after an equal amount of training. The loss
 * between two evaluations is taken to be straight against the logarithm of the amount, as loss
 * curves nearly are (a power law is straight in both logarithms, and loss changes little between
 * two evaluations). Nothing is extrapolated: a curve that is continued by hand is a result that
 * nobody measured.
 *
 * All that follows (means over seeds, pairs, p) works on these figures as it does on final ones.
 * What belongs to one evaluation, its documents and slices, is gone where two were used. */

const char *const COMPARE_AT_BUDGETS[] = {"", "tokens", "flops", "seconds"};
enum { BUDGETS = 4 };

/* An evaluation this close to the amount stands for it: budgets in tokens end with a whole step. */
#define NEAR 0.01

/* The number is optional, the word is not; amounts may have suffixes, as budgets in specs do. */
bool compare_at_read(compare_options *o, const char *text, err *e)
{
    char name[32] = "";
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    if (n < sizeof name) memcpy(name, text, n);
    o->at = AT_END;
    for (int i = 1; i < BUDGETS; i++) {
        if (strcmp(name, COMPARE_AT_BUDGETS[i]) == 0) o->at = (compare_budget)i;
    }
    o->at_amount = (double)NAN;
    bool good = o->at != AT_END && (!equals || (option_text_to_real(equals + 1, &o->at_amount) &&
                                                isfinite(o->at_amount) && o->at_amount > 0));
    return good || err_set(e,
                           "--at %s: say tokens=2M, flops=1e15 or seconds=600; without a number: "
                           "the least that a finished run got",
                           text);
}

/* ---- the evaluations of a run ---- */

typedef struct passage {
    int64_t step;
    double cost, nats;
    const char *evaluation;
} passage;

/* Training seconds at a step: those of the logged step that is nearest, in proportion. Seconds are
 * logged with steps, evaluations have their step only. In proportion, since speed is about even
 * within a run. */
static bool seconds_at(double *seconds, store *s, const compared_run *r, int64_t step, err *e)
{
    query q = QUERY(s, e,
                    "SELECT seconds * ?2 / step AS seconds FROM step WHERE run = ?1 AND step > 0 "
                    "AND seconds IS NOT NULL ORDER BY abs(step - ?2), step LIMIT 1",
                    r->run, NULL);
    query_number(&q, 2, step);
    *seconds = query_next(&q) ? query_real(&q, "seconds") : (double)NAN;
    return query_close(&q);
}

/* What training had cost at an evaluation. FLOPs are counted, so they are tokens times a constant
 * of the model; of seconds only the log knows. */
static bool cost_at(double *cost, store *s, const compared_run *r, compare_budget at, int64_t step,
                    double tokens, err *e)
{
    *cost = at == AT_FLOPS ? tokens * r->train_flops : tokens;
    return at != AT_SECONDS || seconds_at(cost, s, r, step, e);
}

/* What a finished run got in all. */
static double cost_in_all(const compared_run *r, compare_budget at)
{
    if (at == AT_SECONDS) return r->train_seconds;
    return (double)r->trained_tokens * (at == AT_FLOPS ? r->train_flops : 1);
}

/* The two evaluations around the amount, with the split and protocol of the one that counts; or one
 * that is near enough, in both. found[].step -1: there is none. The same text in the same way, to
 * the byte of the protocol and the count of tokens, or the step from one evaluation to the next
 * would show the difference of the protocols. Index evaluation_run serves it. */
static bool around(passage found[2], arena *a, store *s, const compared_run *r, const comparison *c,
                   err *e)
{
    query q = QUERY(s, e,
                    "SELECT e.step, e.tokens_seen, e.nats, e.evaluation FROM evaluation e "
                    "JOIN evaluation f ON f.evaluation = ?1 WHERE e.run = f.run AND "
                    "e.split = f.split AND e.protocol = f.protocol AND e.tokens = f.tokens AND "
                    "e.nats IS NOT NULL ORDER BY e.step, e.final",
                    r->evaluation);
    double nearest = NEAR;
    bool close = false, ok = true;
    found[0] = found[1] = (passage){.step = -1};
    while (ok && query_next(&q)) {
        passage p = {.step = query_int(&q, "step", 0)};
        ok = cost_at(&p.cost, s, r, c->at, p.step, query_real(&q, "tokens_seen"), e);
        p.nats = query_real(&q, "nats");
        p.evaluation = query_text(&q, "evaluation", a);
        /* In logarithms, so that NEAR is a share either way. */
        double off = fabs(log(p.cost / c->at_amount));
        if (!(p.cost > 0)) continue;
        /* Once one is close enough only a closer one takes its place, and neighbours no longer
         * count: in order of steps, and at equal steps the final one last. */
        if (off <= nearest) {
            nearest = off;
            close = true;
            found[0] = found[1] = p;
        } else if (!close && p.cost < c->at_amount) {
            found[0] = p;
        } else if (!close && found[1].step < 0) {
            found[1] = p;
        }
    }
    return query_close(&q) && ok;
}

/* How most of the run's evaluations on the way were done, where none was done as the one that
 * counts; else that there are none around the amount. */
static bool say_why(const char **reason, arena *a, store *s, const compared_run *r, err *e)
{
    query q = QUERY(s, e,
                    "SELECT e.split, e.protocol, f.protocol AS own, e.split = f.split AS here, "
                    "count(*) AS n FROM evaluation e JOIN evaluation f ON f.evaluation = ?1 "
                    "WHERE e.run = f.run AND e.step < f.step GROUP BY e.split, e.protocol "
                    "ORDER BY here AND e.protocol = own DESC, n DESC, here DESC, e.protocol",
                    r->evaluation);
    text_memory m;
    FILE *out = text_begin(&m);
    fputs("has no evaluations around that amount", out);
    bool any = query_next(&q), here = any && query_int(&q, "here", 0);
    json_auto_t *own = any ? json_loads(query_peek(&q, "own"), 0, NULL) : NULL;
    json_auto_t *other = any ? json_loads(query_peek(&q, "protocol"), 0, NULL) : NULL;
    json_auto_t *difference = protocol_difference(other, own);
    if (any && !here) {
        fprintf(out, " on that split; --split %s has %lld on the way", query_peek(&q, "split"),
                (long long)query_int(&q, "n", 0));
    } else if (json_object_size(difference) > 0) {
        fprintf(out, " that were done so; %lld on the way were done otherwise (--protocol): ",
                (long long)query_int(&q, "n", 0));
        protocol_print_difference(out, other, own);
    } else {
        fputs("; train.eval_every makes some", out);
    }
    *reason = text_end_in(&m, a);
    return query_close(&q);
}

/* ---- all runs ---- */

/* At share 0 it is x, at 1 it is y; of one evaluation x and y are the same, and log(1) would divide
 * by 0. */
static void place(compared_run *r, const passage around_it[2], double amount)
{
    const passage *x = &around_it[0], *y = &around_it[1];
    double share = x->step == y->step ? 0 : log(amount / x->cost) / log(y->cost / x->cost);
    compare_set_values(r, x->nats + share * (y->nats - x->nats));
    r->from_step = x->step;
    r->to_step = y->step;
    if (x->step == y->step) {
        r->evaluation = x->evaluation;
    } else { /* no evaluation has its documents or slices */
        r->evaluation = NULL;
        r->documents = 0;
    }
}

/* So without a number every finished run reaches the amount, and the longest are cut. */
static double least_cost(const comparison *c, compare_budget at)
{
    double least = (double)INFINITY;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            double cost = cost_in_all(r, at);
            if (r->scored && cost > 0) least = fmin(least, cost);
        }
    }
    return least;
}

bool compare_at(comparison *c, arena *a, store *s, const compare_options *o, err *e)
{
    if (o->at == AT_END) return true;
    c->at = o->at;
    c->at_amount = isfinite(o->at_amount) ? o->at_amount : least_cost(c, o->at);
    for (int i = 0; isfinite(c->at_amount) && i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            compared_run *r = &c->variants[i].runs[k];
            passage found[2];
            /* A run that is not done is left as it is, without a result, even if it got that far:
             * those that finish and those that do not are not the same runs. */
            if (!r->scored) continue;
            if (!around(found, a, s, r, c, e)) return false;
            if (found[0].step >= 0 && found[1].step >= 0) {
                place(r, found, c->at_amount);
                continue;
            }
            const char *reason;
            if (!say_why(&reason, a, s, r, e)) return false;
            compare_unscore(r, reason);
        }
    }
    return true;
}
