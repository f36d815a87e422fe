#include "results/claims/verdict.h"

#include <math.h>
#include <stdio.h>

#include "results/compare/stats.h"

/* From statements to verdicts, in three steps. One claim: its statements are combined to one p and
 * one direction. Seeds: either all that are planned are judged at once, or, where a claim has
 * looks, every number of seeds from the least on, each of which has its own p; spending_p makes one
 * of these that counts as one test. By document (verdict.h) the units of the test are the
 * documents, each with its mean over seeds, and seeds only have to agree. All claims: Holm's
 * correction over their p, then the verdict.
 *
 * Whether a claim may be judged is settled before its figures are looked at. Seeds that are missing
 * are not missing by chance: the slower variant's come last, the unstable one's fail. So a claim
 * waits for its planned seeds, and never takes those that are there. */

static const double LEVEL = 1 - STATS_CONFIDENCE;

const char *verdict_name(verdict v)
{
    static const char *const names[] = {"undecided", "holds", "fails"};
    return names[v];
}

/* ---- one claim on some seeds ---- */

/* Seeds that are one model are one unit: as often as it is asked, it says the same. */
static bool counts(const statement_evidence *s, int seed)
{
    return s->state[seed] == SEED_HERE && !(s->same && s->same[seed]);
}

/* How many of the first `seeds` seeds are there. */
static int seeds_there(const statement_evidence *s, int seeds)
{
    int n = 0;
    for (int k = 0; k < MIN(seeds, s->seeds); k++) {
        n += counts(s, k);
    }
    return n;
}

/* Why seeds that are there are not enough of them; "": they are. */
static const char *one_model(arena *a, const claim_evidence *x, int seeds)
{
    char text[120];
    for (int i = 0; i < x->claim->count; i++) {
        const statement_evidence *s = &x->statements[i];
        if (MIN(seeds, s->seeds) < 2 || seeds_there(s, seeds) > 1) continue;
        snprintf(
            text, sizeof text,
            "its %d seeds are one model, as their losses are the same, and one decides nothing",
            MIN(seeds, s->seeds));
        return arena_strdup(a, text);
    }
    return "";
}

/* The units of the statement, from those of the first `seeds` seeds that are there: the seeds, or
 * the documents with their means over seeds. The mean over seeds makes a document one unit: its
 * seeds are not independent looks at other text, and to count each would make n as large as one
 * likes. */
static judge_data units_of(arena *a, const statement_evidence *s, int seeds)
{
    int n = seeds_there(s, seeds), units = s->documents ? s->documents : n, at = 0;
    double *va = arena_push_zero(a, MAX(units, 1), sizeof *va);
    double *vb = arena_push_zero(a, MAX(units, 1), sizeof *vb);
    for (int k = 0; k < MIN(seeds, s->seeds); k++) {
        if (!counts(s, k)) continue;
        for (int d = 0; d < s->documents; d++) {
            va[d] += s->a[k * s->documents + d] / n;
            vb[d] += s->b[k * s->documents + d] / n;
        }
        if (s->documents) continue;
        va[at] = s->a[k];
        vb[at++] = s->b[k];
    }
    return (judge_data){.n = n > 0 ? units : 0, .measured = s->measured, .a = va, .b = vb};
}

/* The statements on the first `seeds` seeds, those that are there. Seeds that are not there are
 * skipped, which matters for what is shown alone: obstacle and seeds_here see to it that no verdict
 * rests on such a set. */
static void judge_statements(judgement *out, arena *a, const claim_evidence *x, int seeds,
                             double confidence)
{
    for (int i = 0; i < x->claim->count; i++) {
        const statement_evidence *s = &x->statements[i];
        const judge_data d = units_of(a, s, seeds);
        out[i] = judge_statement(&x->claim->statements[i], s->higher, &d, confidence);
    }
}

/* Over documents the models of one training can differ as surely as if it were the variant that
 * does it: seeds that contradict each other show that it is not. Each seed by itself, by the sign
 * of its estimate over all documents. */
static bool seeds_agree(const claim_statement *c, const statement_evidence *s, direction towards)
{
    for (int k = 0; k < s->seeds && s->documents; k++) {
        if (s->state[k] != SEED_HERE) continue;
        const size_t from = (size_t)k * (size_t)s->documents;
        const judge_data own = {s->documents, s->measured, s->a + from, s->b + from};
        if (judge_statement(c, s->higher, &own, STATS_CONFIDENCE).towards != towards) return false;
    }
    return true;
}

typedef struct combined {
    direction towards;
    double p;
    int worst;
} combined;

/* All are needed: one that speaks against the claim speaks for its failing, else the weakest one
 * counts. */
static combined combine(const judgement *j, int count)
{
    combined c = {.towards = TOWARDS_HOLDS, .p = 0};
    for (int i = 0; i < count; i++) {
        /* Once one speaks against, only others that do count, the strongest of them. */
        bool against = j[i].towards == TOWARDS_FAILS, first = c.towards != TOWARDS_FAILS;
        if (against && (first || j[i].p < c.p)) c = (combined){TOWARDS_FAILS, j[i].p, i};
        if (against || c.towards == TOWARDS_FAILS) continue;
        /* Of one seed p is NaN, which would lose every comparison and so pass for the strongest. */
        double p = isfinite(j[i].p) ? j[i].p : 1;
        if (j[i].towards == TOWARDS_NOTHING) c.towards = TOWARDS_NOTHING;
        if (i == 0 || p > c.p) {
            c.p = p;
            c.worst = i;
        }
    }
    /* That all hold is tested by the weakest alone; that one of several fails, by the strongest
     * of so many tries (Bonferroni). */
    if (c.towards == TOWARDS_FAILS) c.p = fmin(1, c.p * count);
    /* A claim that leans nowhere still counts among the tests of its experiment. */
    if (c.towards == TOWARDS_NOTHING) c.p = 1;
    return c;
}

/* How many of the first seeds are there in every statement, before one that is not; `stop`: the
 * state of that one. Looks are at the first n seeds in the order in which they were added. One that
 * is there behind a missing one does not count yet, or which seeds a look has would depend on how
 * fast runs were. */
static int seeds_here(const claim_evidence *x, seed_state *stop, const char **trouble)
{
    int least = INT32_MAX;
    *stop = SEED_HERE;
    *trouble = NULL;
    for (int i = 0; i < x->claim->count; i++) {
        const statement_evidence *s = &x->statements[i];
        int here = 0;
        while (here < s->seeds && s->state[here] == SEED_HERE)
            here++;
        /* The statement that is furthest behind says what is waited for. */
        if (here >= least) continue;
        least = here;
        *stop = here < s->seeds ? s->state[here] : SEED_AWAITED;
        *trouble = here < s->seeds ? s->trouble : NULL;
    }
    return least;
}

/* A look or a verdict needs the seed in every statement: the statement that has the fewest
 * decides. */
static int planned(const claim_evidence *x)
{
    int least = INT32_MAX;
    for (int i = 0; i < x->claim->count; i++) {
        least = MIN(least, x->statements[i].seeds);
    }
    return least;
}

/* ---- at once ---- */

static int count_state(const claim_evidence *x, seed_state state, const char **trouble)
{
    int most = 0;
    for (int i = 0; i < x->claim->count; i++) {
        const statement_evidence *s = &x->statements[i];
        int n = 0;
        for (int k = 0; k < s->seeds; k++) {
            n += s->state[k] == state;
        }
        if (n > 0 && !*trouble) *trouble = s->trouble;
        most = MAX(most, n);
    }
    return most;
}

/* Why the planned seeds may not be judged; "": they may. A run that is lost comes first: to wait
 * for others would not help. */
static const char *obstacle(arena *a, const claim_evidence *x, const judgement *j)
{
    const char *trouble = NULL;
    int all = planned(x);
    if (count_state(x, SEED_LOST, &trouble) || count_state(x, SEED_WITHOUT, &trouble)) {
        return trouble ? trouble : "a run has no figure";
    }
    int awaited = count_state(x, SEED_AWAITED, &trouble);
    char text[64];
    snprintf(text, sizeof text, "%d of %d seeds are done", all - awaited, all);
    if (awaited) return arena_strdup(a, text);
    for (int i = 0; i < x->claim->count; i++) {
        if (seeds_agree(&x->claim->statements[i], &x->statements[i], j[i].towards)) continue;
        return "its seeds do not agree";
    }
    return all < 2 ? "one seed decides nothing" : one_model(a, x, all);
}

static void judge_at_once(claim_verdict *v, arena *a, const claim_evidence *x)
{
    v->confidence = STATS_CONFIDENCE;
    judge_statements(v->statements, a, x, INT32_MAX, v->confidence);
    combined c = combine(v->statements, x->claim->count);
    v->why = obstacle(a, x, v->statements);
    v->towards = c.towards;
    v->worst = c.worst;
    v->n = seeds_there(&x->statements[c.worst], INT32_MAX);
    v->documents = x->statements[c.worst].documents;
    /* 1, not NaN: an undecided claim stays a member of the family, so that the others' corrected p
     * do not rise when it can be judged at last. */
    v->p = *v->why ? 1 : c.p;
    v->done = true;
}

/* ---- look by look ---- */

/* What the seeds up to a look say; at < 0: before the first one. A look that has decided shows the
 * interval at its own level, wider than 95 %: of a claim alone that one lies beyond the edge just
 * where the look decided. Before the first look there is no level; v->n is what is there. */
static void show_look(claim_verdict *v, arena *a, const claim_evidence *x, int at)
{
    v->confidence = at < 0 ? STATS_CONFIDENCE : 1 - v->look[at].level;
    if (at >= 0) v->n = v->look[at].seeds;
    judge_statements(v->statements, a, x, v->n, v->confidence);
    combined c = combine(v->statements, x->claim->count);
    v->towards = c.towards;
    v->worst = c.worst;
}

/* The plan of x[i]'s looks, that of a claim before it if it is looked at alike, as claims of one
 * sweep are: it takes long to make. NULL: there are no looks. plans [i]. A claim may have been
 * recorded under other looks than the sweep's present ones, hence not simply one plan. */
static const spending_plan *plan_of(arena *a, const spending_plan *const *plans,
                                    const claim_evidence *x, int i)
{
    const claim *c = x[i].claim;
    if (c->at_least == 0) return NULL;
    for (int k = 0; k < i; k++) {
        const claim *d = x[k].claim;
        if (d->at_least == c->at_least && d->at_most == c->at_most && d->pocock == c->pocock) {
            return plans[k];
        }
    }
    spending how = c->pocock ? SPEND_POCOCK : SPEND_OBRIEN_FLEMING;
    return spending_plan_new(a, how, c->at_least, c->at_most);
}

static void judge_looks(claim_verdict *v, arena *a, const claim_evidence *x,
                        const spending_plan *plan)
{
    const claim *c = x->claim;
    seed_state stop;
    const char *trouble;
    double p[SPENDING_SEEDS], level[SPENDING_SEEDS];
    /* Seeds beyond the last look were added when the sweep was made longer; the claim was stated
     * for at_most, where all of its level is spent. */
    int here = MIN(seeds_here(x, &stop, &trouble), c->at_most);
    v->n = here;
    v->looks = MAX(0, here - c->at_least + 1);
    v->look = ARENA_NEW(a, claim_look, MAX(v->looks, 1));
    spending_levels(level, plan, LEVEL, v->looks);
    for (int k = 0; k < v->looks; k++) {
        judge_statements(v->statements, a, x, c->at_least + k, STATS_CONFIDENCE);
        /* The confidence that is passed is that of the interval, which is not used here. */
        p[k] = combine(v->statements, c->count).p;
        v->look[k] = (claim_look){c->at_least + k, p[k], level[k]};
    }
    /* Not the least p of the looks, which would decide wrongly far more often than at the level. */
    v->p = v->looks ? spending_p(plan, p, v->looks) : 1;
    show_look(v, a, x, v->looks - 1);
    /* A lost run stops the sequence where it is: the looks until then count, and no seed is added
     * to make up for it. */
    bool lost = stop == SEED_LOST || stop == SEED_WITHOUT;
    const char *same = here < c->at_least ? "" : one_model(a, x, here);
    v->done = lost || here >= c->at_most || *same; /* further ones would be it again */
    char text[96];
    snprintf(text, sizeof text,
             here < c->at_least ? "%d of at least %d seeds are done"
                                : "%d of at most %d seeds are done",
             here, here < c->at_least ? c->at_least : c->at_most);
    v->why = *same     ? same
             : !lost   ? arena_strdup(a, text)
             : trouble ? trouble
                       : "a run has no figure";
}

/* Of a claim that is decided: what the look said that decided it. Seeds that were added for other
 * claims come too late. */
static void settle_look(claim_verdict *v, arena *a, const claim_evidence *x,
                        const spending_plan *plan)
{
    double p[SPENDING_SEEDS];
    for (int k = 0; k < v->looks; k++) {
        p[k] = v->look[k].p;
    }
    /* p_holm is p times the tests that were left, so this is the level divided by them. The
     * sequence is asked again at that level, and finds the look at which p_holm went below
     * LEVEL. */
    double level = LEVEL * fmin(1, v->p / v->p_holm); /* that Holm's method left to it */
    int at = spending_decides(plan, level, p, v->looks);
    /* Should a larger level decide less by a cell's rounding: at v->p one has decided. */
    if (at < 0) at = spending_decides(plan, v->p, p, v->looks);
    show_look(v, a, x, at);
}

/* ---- all of them ---- */

static int needed_of(const judgement *j, double level)
{
    return j->alike ? judge_signs_needed(level) : stats_enough(j->lead, level);
}

/* Seeds, or documents, that would decide it the way it leans: every statement that has to, of those
 * with the unit of the one that is furthest from it. At the level that Holm's method leaves to the
 * claim, and of one that seems to fail the share of it that each statement has by Bonferroni.
 * Holding takes every statement, so the most of them; failing takes the worst alone. */
static int units_needed(const claim_verdict *v, const claim_evidence *x)
{
    double factor = v->p > 0 && v->p < 1 ? v->p_holm / v->p : 1;
    double level = LEVEL / fmax(1, factor);
    if (v->towards == TOWARDS_NOTHING || (v->documents && *v->why)) return 0;
    if (v->towards == TOWARDS_FAILS) {
        return needed_of(&v->statements[v->worst], level / v->claim->count);
    }
    int most = 0;
    for (int i = 0; i < v->claim->count; i++) {
        if (x->statements[i].documents != v->documents) continue;
        int n = needed_of(&v->statements[i], level);
        if (n == 0) return 0;
        most = MAX(most, n);
    }
    return most;
}

void verdict_judge(arena *a, claim_verdict *out, const claim_evidence *x, int count)
{
    double *p = ARENA_NEW(a, double, count), *holm = ARENA_NEW(a, double, count);
    const spending_plan **plans = ARENA_NEW(a, const spending_plan *, count);
    for (int i = 0; i < count; i++) {
        out[i] = (claim_verdict){.claim = x[i].claim, .why = ""};
        out[i].statements = arena_push_zero(a, x[i].claim->count, sizeof(judgement));
        /* Claims of one sweep mostly share their looks, and a plan takes longer to make than all
         * the rest. */
        plans[i] = plan_of(a, plans, x, i);
        if (plans[i]) {
            judge_looks(&out[i], a, &x[i], plans[i]);
        } else {
            judge_at_once(&out[i], a, &x[i]);
        }
        p[i] = out[i].p; /* of one that may not be judged 1: it counts among the claims */
    }
    /* All claims of the experiment are in it, those that wait with their 1. */
    stats_holm(holm, p, count);
    for (int i = 0; i < count; i++) {
        claim_verdict *v = &out[i];
        v->p_holm = holm[i];
        bool decided = v->p_holm < LEVEL && v->n > 1;
        if (decided && v->looks) settle_look(v, a, &x[i], plans[i]);
        /* A direction is needed beside a small p: p is two-sided, and tells how surely, not where
         * to. Of looks it is that of the one which decided: the seeds behind it may lean nowhere.
         */
        decided = decided && v->towards != TOWARDS_NOTHING;
        if (decided) v->verdict = v->towards == TOWARDS_HOLDS ? VERDICT_HOLDS : VERDICT_FAILS;
        if (decided) {
            v->done = true;
            v->why = "";
        } else {
            v->needed = units_needed(v, &x[i]);
        }
    }
}
