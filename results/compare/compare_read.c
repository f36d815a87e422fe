#include "results/compare/compare_read.h"

#include <math.h>
#include <string.h>

#include "core/base/json.h"
#include "results/compare/compare_alike.h"
#include "results/compare/compare_made.h"
#include "results/compare/protocol.h"
#include "results/store/experiment.h"
#include "results/store/query.h"

/* One query gives a row for each planned run, whatever became of it: LEFT JOINs from the plan, so
 * that a run without a folder, or one that failed before its first evaluation, is a row with NULLs
 * and not a row that is missing. Labels come in the order of the plan, which is that of the spec,
 * and all tables keep it.
 *
 * Which evaluation counts is decided before (evaluation_choice.c), of all runs together. Each run
 * costs a look into index evaluation_run; the sub-queries for routing and documents are ranges of
 * their tables' keys. */

/* What routed layers did, over the last tenth of training: a single batch's loads are mostly that
 * batch. m.layer <> '': of layers only; averages over all of them and over the steps of the last
 * tenth. Index: the key of metric begins with run and name. */
#define LATE(name)                                                                                 \
    "(SELECT avg(m.value) FROM metric m WHERE m.run = p.run AND m.name = '" name "' AND "          \
    "m.layer <> '' AND m.step > 0.9 * (SELECT max(t.step) FROM step t WHERE t.run = p.run)) "      \
    "AS " name ", "

/* A row for each planned run, with its evaluation that counts, one of the list ?2. blas_core is
 * NULL where loci's own kernel multiplied: OpenBLAS's choice of kernels then changed no bit.
 * `falling` is of the schedule's kind: a constant rate can be cut anywhere. A record of an earlier
 * version does not say the tokenizer: the spec does, unless it learned from a text. */
static const char RUNS[] =
    "SELECT p.label, p.variant, p.baseline, p.run, p.seed, coalesce(r.status, 'planned') AS "
    "status, r.reason, s.bits_per_byte, s.word_perplexity, s.perplexity, s.tokens, s.bytes, "
    "s.words, s.unknown_tokens, r.tokens AS trained_tokens, " STORE_RUN_SPEED
    " AS tokens_per_second, "
    "r.corpus_hash, coalesce(r.tokenizer, CASE json_type(r.spec, '$.data.tokenizer') WHEN 'object' "
    "THEN NULL ELSE coalesce(json_extract(r.spec, '$.data.tokenizer'), 'bytes') END) AS tokenizer, "
    "r.peak_anon_bytes, s.protocol, s.split, r.params, r.active_params, r.state_bytes, "
    "r.forward_flops_per_token, (SELECT count(*) FROM document d WHERE d.evaluation = "
    "s.evaluation) AS documents, s.evaluation, r.alone_tokens_per_second, s.step, "
    "r.train_flops_per_token, r.train_seconds, s.flops_per_token, "
    "s.seconds / nullif(s.tokens, 0) AS seconds_per_token, s.anon_bytes, s.dynamic_rate, "
    "s.dynamic_decay, r.step AS last_step, "
    "json_extract(r.spec, '$.train.budget.steps') AS budget_steps, "
    "CASE coalesce(json_extract(r.spec, '$.train.gemm'), 'openblas') WHEN 'openblas' THEN "
    "r.blas_core END AS blas_core, " COMPARE_MADE ", "
    "coalesce(json_extract(r.spec, '$.schedule.kind'), '') IN ('linear', 'cosine') AS "
    "falling, CASE WHEN s.evaluation IS NULL THEN (SELECT count(*) FROM evaluation o WHERE o.run = "
    "p.run AND o.split = ?3) END AS otherwise, " LATE("load_entropy") LATE(
        "dropped") "(SELECT avg(m.value) FROM evaluation e JOIN evaluation_metric m USING "
                   "(evaluation) "
                   " WHERE e.run = p.run AND m.name = 'changed' GROUP BY e.evaluation "
                   " HAVING count(m.value) > 0 ORDER BY e.step DESC, e.evaluation LIMIT 1) AS "
                   "changed "
                   "FROM plan p LEFT JOIN run r USING (run) LEFT JOIN score s ON s.evaluation = "
                   /* +: by the run's index, not id after id of the list. */
                   "(SELECT e.evaluation FROM evaluation e WHERE e.run = p.run AND "
                   " +e.evaluation IN (SELECT value FROM json_each(?2))) "
                   "WHERE p.experiment = ?1 ORDER BY p.position";

/* What was chosen by the text that it is scored on is too good there. */
static int tried_here(const compared_run *r)
{
    if (!r->scored || !isfinite(r->eval.rate) || strcmp(r->split, "validation") != 0) return 0;
    json_auto_t *protocol = json_loads(r->protocol, 0, NULL);
    return protocol_choices(protocol);
}

/* -1 and NaN are what the columns' NULLs become, by type; compare.h says which. */
static compared_run read_run(query *q, arena *a)
{
    compared_run r = {.run = query_text(q, "run", a),
                      .seed = query_int(q, "seed", 0),
                      .status = query_text(q, "status", a),
                      .reason = query_text(q, "reason", a),
                      .tokens = query_int(q, "tokens", -1),
                      .bytes = query_int(q, "bytes", -1),
                      .words = query_int(q, "words", -1),
                      .unknown = query_int(q, "unknown_tokens", -1),
                      .trained_tokens = query_int(q, "trained_tokens", -1),
                      .budget_steps = query_int(q, "budget_steps", -1),
                      .tokens_per_second = query_real(q, "tokens_per_second"),
                      .peak_bytes = query_int(q, "peak_anon_bytes", -1),
                      .protocol = query_text(q, "protocol", a),
                      .split = query_text(q, "split", a),
                      .corpus = query_text(q, "corpus_hash", a),
                      .tokenizer = query_text(q, "tokenizer", a),
                      .params = query_int(q, "params", -1),
                      .active_params = query_int(q, "active_params", -1),
                      .state_bytes = query_int(q, "state_bytes", -1),
                      .flops = query_real(q, "forward_flops_per_token"),
                      .documents = (int)query_int(q, "documents", 0),
                      .evaluation = query_text(q, "evaluation", a),
                      .alone = query_real(q, "alone_tokens_per_second"),
                      .step = query_int(q, "step", -1),
                      .last_step = query_int(q, "last_step", -1),
                      .blas_core = query_text(q, "blas_core", a),
                      .made = compare_made_of(q, a),
                      .falling = query_int(q, "falling", 0) != 0,
                      .train_flops = query_real(q, "train_flops_per_token"),
                      .train_seconds = query_real(q, "train_seconds"),
                      .eval = {.flops = query_real(q, "flops_per_token"),
                               .seconds = query_real(q, "seconds_per_token"),
                               .anon_bytes = query_real(q, "anon_bytes"),
                               .rate = query_real(q, "dynamic_rate"),
                               .decay = query_real(q, "dynamic_decay")},
                      .routing = {[ROUTING_ENTROPY] = query_real(q, "load_entropy"),
                                  [ROUTING_DROPPED] = query_real(q, "dropped"),
                                  [ROUTING_CHANGED] = query_real(q, "changed")}};
    /* A run that is going on has no result yet, whatever it evaluated on its way. */
    r.scored = strcmp(r.status, "done") == 0 && r.protocol;
    r.tried = tried_here(&r);
    for (int m = 1; m < COMPARE_METRIC_COUNT; m++) {
        r.value[m] = r.scored ? query_real(q, compare_metric_name((compare_metric)m)) : (double)NAN;
    }
    return r;
}

/* By the plan's label: on one line two of them may look alike. */
static compared_variant *find_variant(comparison *c, const char *label)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->variants[i].plan_label, label) == 0) return &c->variants[i];
    }
    return NULL;
}

/* Adds one to a list that doubles where it is full. An arena gives nothing back, so the lists
 * before it stay behind, together as long as the last one. */
static void *grown(arena *a, void *list, int count, size_t size)
{
    if (count & (count - 1)) return list; /* not a power of two: there is room */
    void *longer = arena_push_zero(a, MAX(2 * count, 1), size);
    if (count > 0) memcpy(longer, list, (size_t)count * size);
    return longer;
}

/* A label may hold line breaks and tabs, a table's row and a sentence may not. */
static const char *on_one_line(arena *a, const char *label)
{
    char *text = arena_strdup(a, label);
    for (char *x = text; *x; x++) {
        if ((unsigned char)*x < 0x20) *x = ' ';
    }
    return text;
}

/* Rows of one label need not be neighbours: seeds that are added later stand at the plan's end. */
static void add_row(comparison *c, arena *a, query *q)
{
    const char *label = query_text(q, "label", a);
    compared_variant *v = find_variant(c, label);
    if (!v) {
        c->variants = grown(a, c->variants, c->count, sizeof *v);
        v = &c->variants[c->count++];
        v->plan_label = label;
        v->label = on_one_line(a, label);
        v->variant = query_text(q, "variant", a);
        v->is_baseline = query_int(q, "baseline", 0) != 0;
    }
    v->runs = grown(a, v->runs, v->run_count, sizeof *v->runs);
    compared_run *r = &v->runs[v->run_count++];
    *r = read_run(q, a);
    /* Counted here, from the status as it is recorded; a run that is planned and nothing else is in
     * none of the other counts. */
    v->planned++;
    v->done += strcmp(r->status, "done") == 0;
    v->failed += strcmp(r->status, "failed") == 0;
    v->diverged += strcmp(r->status, "diverged") == 0;
    v->running += strcmp(r->status, "running") == 0;
    v->interrupted += strcmp(r->status, "interrupted") == 0;
    if (strcmp(r->status, "done") == 0 && !r->scored && query_int(q, "otherwise", 0) > 0) {
        r->reason = "was evaluated here before its end or by another protocol only";
    }
}

comparison *compare_read_as(arena *a, store *s, const evaluation_request *r, err *e)
{
    comparison *c = arena_push_zero(a, 1, sizeof *c);
    c->experiment = arena_strdup(a, r->experiment);
    c->description = c->split = "";
    c->split_asked = r->split != NULL;
    c->protocol_asked = r->protocol ? arena_strdup(a, r->protocol) : NULL;
    /* Else a misspelt name would be an experiment without runs. */
    if (!experiment_check(s, r->experiment, e)) return NULL;
    query head =
        QUERY(s, e, "SELECT description FROM experiment WHERE experiment = ?1", r->experiment);
    if (query_next(&head)) c->description = query_text(&head, "description", a);
    if (!query_close(&head)) return NULL;
    const char *evaluations = evaluation_choice(c, a, s, r, e);
    if (!evaluations) return NULL;
    query runs = QUERY(s, e, RUNS, r->experiment, evaluations, r->split);
    while (query_next(&runs)) {
        add_row(c, a, &runs);
    }
    if (!query_close(&runs)) return NULL;
    compare_alike(c, a);
    if (r->split) c->split = arena_strdup(a, r->split);
    return c;
}

comparison *compare_read(arena *a, store *s, const char *experiment, const char *split, err *e)
{
    const evaluation_request own = {.experiment = experiment, .split = split, .protocol = "own"};
    comparison *c = compare_read_as(a, s, &own, e);
    if (c) c->protocol_asked = NULL;
    return c;
}
