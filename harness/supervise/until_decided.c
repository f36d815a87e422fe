#include "harness/supervise/until_decided.h"

#include <stdio.h>
#include <string.h>

#include "harness/run/experiment_runs.h"
#include "harness/supervise/supervisor.h"
#include "results/claims/claims.h"
#include "results/store/collect.h"

/* Looks and supervisors take turns. Each supervisor is given a part of the experiment
 * (experiment_runs_part) and records that part as what the experiment consists of, so that a look,
 * which reads the record, sees exactly the seeds that were planned for it, though the database may
 * hold more. That is what makes the sequence the same however often it was interrupted: it begins
 * anew each time, its finished runs are skipped within seconds, and every look finds what it found
 * before.
 *
 * It has to be so. Each look spends some of the error that the claims may make, and one that saw
 * another number of seeds than planned would spend it twice. */

typedef struct sequence {
    const experiment *x;
    const supervisor_options *o;
    int variants;
    int *seeds;    /* [variants] that each has by now */
    bool *more;    /* [variants] gets another one */
    arena *memory; /* of a look */
} sequence;

/* ---- what an open claim needs ---- */

/* runs[0..variants) are the first seed's, one per variant. */
static void need(sequence *s, const char *label)
{
    for (int v = 0; label && v < s->variants; v++) {
        if (strcmp(s->x->runs[v].label, label) == 0) s->more[v] = true;
    }
}

/* A run that starts from another one takes that one's seed along. */
static void need_sources(sequence *s)
{
    /* Until nothing is added: sources have sources. */
    for (bool changed = true; changed;) {
        changed = false;
        for (int v = 0; v < s->variants; v++) {
            int source = s->x->runs[v].source_run;
            if (!s->more[v] || source < 0 || s->more[source % s->variants]) continue;
            s->more[source % s->variants] = changed = true;
        }
    }
}

/* All that it speaks of, also what one of its statements alone would not need: seeds are paired. */
static void need_claim(sequence *s, const claim *c)
{
    for (int i = 0; i < c->count; i++) {
        const claim_statement *one = &c->statements[i];
        need(s, one->variant);
        need(s, one->other);
        for (int k = 0; k < one->count; k++) {
            need(s, one->variants[k]);
        }
    }
}

static void say_look(const sequence *s, const stated_claim *c)
{
    const claim_verdict *v = c->verdict;
    if (s->o->quiet) return;
    fprintf(stderr, "claim %s: %s after %d seeds", c->claim->name, verdict_name(v->verdict), v->n);
    if (v->looks > 0) { /* of one that is decided the one that did it */
        const claim_look *last = &v->look[v->n - c->claim->at_least];
        fprintf(stderr, " (p %.2g of %.2g, %s)", last->p, last->level,
                spending_title(c->claim->pocock ? SPEND_POCOCK : SPEND_OBRIEN_FLEMING));
    }
    fputc('\n', stderr);
}

/* Looks at the results; how many variants get a seed more, or -1 and e. Collects first: the runs'
 * files are what is true, the database follows. */
static int look(sequence *s, err *e)
{
    arena_reset(s->memory);
    memset(s->more, 0, (size_t)s->variants * sizeof *s->more);
    store *db = collect_and_open(s->o->out, NULL, e);
    const claims *c = db ? claims_load(s->memory, db, s->x->spec->name, e) : NULL;
    store_close(db);
    if (!c) return -1;
    int added = 0;
    for (int i = 0; i < c->count; i++) {
        say_look(s, &c->list[i]);
        if (!c->list[i].verdict->done) need_claim(s, c->list[i].claim);
    }
    need_sources(s);
    for (int v = 0; v < s->variants; v++) {
        /* A claim that is open at the most seeds stays undecided, and that is an answer. */
        if (!s->more[v] || s->seeds[v] >= s->x->sweep->seed_count) continue;
        s->seeds[v]++;
        added++;
    }
    return added;
}

/* Adds what a further supervisor did; it skips what the ones before it have done. */
static void add_result(supervisor_result *all, const supervisor_result *one)
{
    int before = all->done + all->skipped + all->evaluated + all->mended;
    all->done += one->done;
    /* What the parts before have trained, evaluated or skipped, this one skips: only what is beyond
     * that had been there. */
    all->skipped += MAX(0, one->skipped - before);
    all->evaluated += one->evaluated;
    all->mended += one->mended;
    all->failed = one->failed;
    all->diverged = one->diverged;
    all->stayed = one->stayed;
    all->interrupted = one->interrupted;
    all->busy = one->busy;
    all->most = MAX(all->most, one->most);
    all->gave_up = one->gave_up;
    all->gaps = one->gaps;
    all->gap = one->gap;
    /* A task's own (--task): whether anything came of it, and whether the rest is others'. */
    all->moved = all->moved || one->moved;
    all->shared = one->shared;
}

static bool run_looks(sequence *s, supervisor_result *r, err *e)
{
    int added = 1;
    while (added > 0) {
        supervisor_result one;
        if (!supervisor_run(&one, experiment_runs_part(s->x, s->seeds), s->o, e)) return false;
        add_result(r, &one);
        /* A look at runs that are not all there would not be the planned one. */
        if (one.interrupted || one.busy || one.gave_up) return true;
        added = look(s, e);
    }
    return added == 0;
}

bool until_decided_run(supervisor_result *r, const experiment *x, const supervisor_options *o,
                       err *e)
{
    if (x->sweep->at_least == 0) return supervisor_run(r, x, o, e);
    arena_auto *a = arena_new(1 << 16);
    sequence s = {
        .x = x, .o = o, .variants = experiment_runs_variants(x), .memory = arena_new(1 << 20)};
    s.seeds = ARENA_NEW(a, int, s.variants);
    s.more = ARENA_NEW(a, bool, s.variants);
    for (int v = 0; v < s.variants; v++) {
        s.seeds[v] = x->sweep->at_least;
    }
    *r = (supervisor_result){0};
    bool ok = run_looks(&s, r, e);
    arena_free(s.memory);
    return ok;
}
