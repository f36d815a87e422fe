#include "tests/support/trial_specs.h"

#include <string.h>

#include "tests/test.h"

const char TRIAL_SPEC[] =
    "data: {corpus: markov, symbols: 8, order: 1, tokens: 4000, held_out: 600, length: 150}\n"
    "model:\n"
    "  width: 16\n"
    "  context: 8\n"
    "  residual: {dropout: 0.1}\n"
    "  blocks: [{repeat: 2, attention: {heads: 2, memory: 8}, ffn: {hidden: 32}}]\n"
    "optimizer: {lr: 3e-3, weight_decay: 0.1, clip: 1.0}\n"
    "schedule: {kind: cosine, warmup: 4}\n"
    "train: {budget: {steps: 10}, batch: 4, lanes: 4, segment: 16, accumulate: 2, log_every: 2,\n"
    "  eval_every: 3, checkpoint_seconds: 0}\n"
    "eval: {rows: 3}\n";

node *trial_tree(arena *a, const char *spec_text, const char *more)
{
    err e = {0};
    node *n = node_parse(a, spec_text, strlen(spec_text), "trial.yaml", &e);
    EXPECT(n, "%s", e.text);
    node *m = more ? node_parse(a, more, strlen(more), "more.yaml", &e) : NULL;
    EXPECT(!more || m, "%s", e.text);
    for (int i = 0; n && m && i < m->count; i++) {
        node_set(a, n, m->keys[i], m->items[i]);
    }
    if (n) node_repath(a, n, "");
    return n;
}

corpus_places trial_places(void)
{
    return (corpus_places){.roots = NULL, .cache = test_folder()};
}

/* The tree must outlive the workload: it lives in an arena of its own, which goes with the process.
 * (A few kilobytes a test.) */
static node *parse_for_good(const char *spec_text, const char *more)
{
    static arena *trees;
    if (!trees) trees = arena_new(1 << 20);
    return trial_tree(trees, spec_text, more);
}

bool trial_open(workload *w, const char *spec_text, const char *more, int64_t seed)
{
    err e = {0};
    corpus_places places = trial_places();
    bool ok = workload_open(w, parse_for_good(spec_text, more), seed, &places, &e);
    EXPECT(ok, "%s", e.text);
    return ok;
}

bool trial_refused(const char *spec_text, const char *more, err *e)
{
    workload w;
    corpus_places places = trial_places();
    e->text[0] = 0;
    if (!workload_open(&w, parse_for_good(spec_text, more), 1, &places, e)) return true;
    workload_close(&w);
    return false;
}
