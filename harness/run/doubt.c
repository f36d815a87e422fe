#include "harness/run/doubt.h"

/* A doubt is no error: somebody may want just that (a test of the warm-up itself). What cannot be
 * meant at all is refused where options are read. It is said once per variant, before hours are
 * spent, and the run goes ahead. */

static const char *sentence(arena *a, const node *at, const char *text)
{
    err e;
    if (!at) return arena_strdup(a, text);
    node_err(&e, at, "%s", text);
    return arena_strdup(a, e.text);
}

static const char *few_spans(arena *a, const workload *w)
{
    const corpus_split *split = corpus_get(w->corpus, SPLIT_TRAIN);
    const stream_options how = workload_stream(w);
    int64_t spans = split ? stream_spans(split, &how) : how.rows;
    if (spans >= how.rows) return NULL;
    char text[256];
    snprintf(text, sizeof text,
             "%lld rows, but the training text has %lld %s%s: rows read the same text at the same "
             "time; a smaller batch, more text%s",
             (long long)how.rows, (long long)spans, how.span ? "span" : "document",
             spans == 1 ? "" : "s", how.span ? ", or a shorter data.span" : "");
    return sentence(a, node_at(w->spec, "train.batch"), text);
}

/* steps: 0 where the budget has no length yet. */
static const char *long_warmup(arena *a, const workload *w, int64_t steps)
{
    /* Integer halves: a run of three steps with a warm-up of one is left in peace. */
    if (steps == 0 || w->schedule.warmup <= steps / 2) return NULL;
    char text[256];
    snprintf(text, sizeof text,
             "the run has %s%lld steps, %s; shorten the warm-up, or lengthen the run",
             w->train.budget.kind == BUDGET_STEPS ? "" : "about ", (long long)steps,
             w->schedule.warmup >= steps ? "so that it ends before the warm-up does"
                                         : "most of which are warm-up");
    return sentence(a, node_at(w->spec, "schedule.warmup"), text);
}

/* Parameters that the source lacks start as the seed has it, and which ones these are is not known
 * here: where some are named the variant is believed. */
static const char *one_model(arena *a, const workload *w, int seeds)
{
    const init_options *o = &w->init;
    if (seeds < 2 || !(o->run || o->checkpoint) || o->only || o->skip) return NULL;
    char text[256];
    snprintf(text, sizeof text,
             "nothing is trained, and all %d seeds start from one model: where it has every "
             "parameter they are that model, and count as one; `init_from: {variant: ...}` has one "
             "for each",
             seeds);
    return sentence(a, o->at, text);
}

const char *doubt_of(arena *a, const workload *w, int seeds)
{
    double flops = model_costs(w->model).train_flops;
    bool known = w->train.budget.kind != BUDGET_SECONDS;
    int64_t steps = known ? train_options_length(&w->train.budget, &w->shape, flops).steps : 0;
    const char *doubt = known && steps == 0 ? one_model(a, w, seeds) : few_spans(a, w);
    return doubt ? doubt : long_warmup(a, w, steps);
}
