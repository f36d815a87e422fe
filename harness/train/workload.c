#include "harness/train/workload.h"

#include <string.h>

#include "harness/evaluate/rank_calls.h"
#include "harness/train/checkpoint_files.h"
#include "harness/train/spec_model.h"

/* Opens what a spec names, in the order in which each needs the one before: options, corpus
 * (vocabulary), source (tensors that layers are built from), model, the model for evaluation,
 * parameter groups, shape of a step. Training, planning and benchmarks go through the same steps
 * (open_rest), so that what is refused is refused before anything is trained.
 *
 * Whatever fails, workload_close takes back: it looks at what is there. */

static bool same_params(const model *a, const model *b, const node *at, err *e)
{
    if (spec_model_same_params(a, b)) return true;
    static const char *const text = SPEC_MODEL_CONTEXT_TEXT "; leave eval.context out";
    return at ? node_err(e, at, "%s", text) : err_set(e, "eval.context: %s", text);
}

/* Called twice where evaluation has other sizes; each model gets a guide of its own context. */
static model *open_model(workload *w, const model_sizes *sizes, err *e)
{
    /* While a sweep is planned its source is not trained yet: the shapes of what it will give
     * are known, the values promised. */
    const tensor_source promised = {0};
    const tensor_source *tensors = w->source ? trained_model_source_tensors(w->source) : &promised;
    model *m = spec_model(w->memory, w->spec, sizes, w->corpus, w->seed, tensors, e);
    bool guided = w->source && (model_needs(node_get(w->spec, "model")) & NEEDS_PREDICTIONS);
    if (!m || !guided || trained_model_source_guide(w->source, m, e)) return m;
    model_free(m);
    return NULL;
}

/* eval_model is another model object over the same values: contexts and stores are sizes of the
 * graph, not parameters. Where nothing differs it is the same pointer, which workload_close relies
 * on. */
static bool open_models(workload *w, err *e)
{
    if (!(w->model = open_model(w, NULL, e))) return false;
    w->eval_model = w->model;
    bool same_context = w->eval.context == 0 || w->eval.context == model_context(w->model);
    if (same_context && w->eval.stored == 0) return true;
    /* Another context, or more stored positions, in evaluation alone: another model over the
     * same parameters. */
    const model_sizes sizes = {.context = w->eval.context, .stored = w->eval.stored};
    w->eval_model = open_model(w, &sizes, e);
    return w->eval_model &&
           same_params(w->model, w->eval_model, node_at(w->spec, "eval.context"), e);
}

/* All sections are read before anything is opened: a slip in the last one costs no pass over a
 * corpus. */
static bool read_options(workload *w, err *e)
{
    const node *s = w->spec;
    return init_from_read(&w->init, node_get(s, "init_from"), w->memory, e) &&
           train_options_read(&w->train, node_get(s, "train"), w->memory, e) &&
           eval_options_read(&w->eval, node_get(s, "eval"), w->memory, e) &&
           optim_read(&w->optim, node_get(s, "optimizer"), w->memory, e) &&
           schedule_read(&w->schedule, node_get(s, "schedule"), w->memory, e);
}

/* Part of the variant's identity: a run that started from other weights is another run. Of
 * `variant` the sweep knows the id, when it has planned the source. */
static bool find_source_id(workload *w, err *e)
{
    const init_options *o = &w->init;
    w->source_id = o->run;
    if (!o->checkpoint) return true;
    /* A checkpoint is no variant of anything here: its content says which one it is. */
    err why = {0};
    w->source_id = checkpoint_files_hash(w->memory, o->checkpoint, &why);
    return w->source_id || node_err_of(e, o->at, &why);
}

/* The training text's order hangs on the run's seed: seeds differ in what they read when, as well
 * as in their values. */
stream_options workload_stream(const workload *w)
{
    return (stream_options){.rows = w->train.batch,
                            .time = w->shape.context,
                            .block = w->shape.context,
                            .span = corpus_span(w->corpus),
                            .seed = (uint64_t)w->seed,
                            .shuffle = true};
}

/* targets_per_step is what a step weighs on average, padding and unscored answers taken off: what
 * turns budgets in tokens into steps. */
static bool find_shape(workload *w, err *e)
{
    const node *at = node_get(w->spec, "train");
    if (!train_options_shape(&w->shape, &w->train, at, model_context(w->model), e)) return false;
    const corpus_split *split = corpus_get(w->corpus, SPLIT_TRAIN);
    stream_options how = workload_stream(w);
    if (split) w->shape.targets_per_step *= stream_share(split, &how);
    return true;
}

/* An option that does nothing is refused, or somebody compares lazy with not lazy and finds no
 * difference. */
static bool check_lazy(const workload *w, err *e)
{
    const params *p = model_params_const(w->model);
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].pieces > 1 || p->list[i].by_rows) return true;
    }
    return !w->optim.lazy ||
           node_err(e, node_at(w->spec, "optimizer.lazy"),
                    "has no effect: no layer has pieces, such as experts, or tables");
}

/* Groups write into a model's own parameters what is frozen and whose rate differs: also into those
 * of the model for evaluation, which may learn while it reads. */
static bool apply_groups(workload *w, err *e)
{
    return optim_apply_groups(model_params(w->model), &w->optim, w->memory, e) &&
           (w->eval_model == w->model ||
            optim_apply_groups(model_params(w->eval_model), &w->optim, w->memory, e));
}

/* Completes a workload whose corpus is open. */
static bool open_rest(workload *w, err *e)
{
    return find_source_id(w, e) && open_models(w, e) && apply_groups(w, e) && check_lazy(w, e) &&
           sample_check(&w->eval.sample, w->corpus, e) && find_shape(w, e);
}

bool workload_open(workload *w, const node *spec, int64_t seed, const corpus_places *places, err *e)
{
    return workload_open_beside(w, spec, seed, places, NULL, e);
}

static bool open_source(workload *w, const corpus_places *places, const char *runs, err *e)
{
    return !w->init.at ||
           (w->source = trained_model_source_open(&w->init, runs, places, e)) != NULL;
}

bool workload_open_beside(workload *w, const node *spec, int64_t seed, const corpus_places *places,
                          const char *runs, err *e)
{
    *w = (workload){.memory = arena_new(1 << 16),
                    .spec = spec,
                    .places = places,
                    .seed = seed,
                    .owns_corpus = true};
    bool ok = read_options(w, e) && (w->corpus = corpus_open(node_get(spec, "data"), places, e)) &&
              open_source(w, places, runs, e) && open_rest(w, e);
    if (!ok) workload_close(w);
    return ok;
}

bool workload_open_on(workload *w, const node *spec, int64_t seed, corpus *c, err *e)
{
    *w = (workload){.memory = arena_new(1 << 16), .spec = spec, .seed = seed, .corpus = c};
    bool ok = read_options(w, e) && open_rest(w, e);
    if (!ok) workload_close(w);
    return ok;
}

static bool text_stands(const workload *w, err *e)
{
    if (!corpus_touched(w->corpus)) return true;
    corpus *c = corpus_open(node_get(w->spec, "data"), w->places, e);
    if (!c) return false;
    bool same = strcmp(corpus_hash(c), corpus_hash(w->corpus)) == 0; /* it was moved, or copied */
    corpus_close(c);
    return same ||
           err_set(e, "data: the text was replaced while it was read; the last checkpoint is "
                      "of the text before: put that back and run again with --retry failed");
}

/* Ranks may have texts of their own. */
bool workload_text_stands(const workload *w, err *e)
{
    if (!rank_calls_ask(w->ranks, RANK_TEXT, e)) return false;
    bool stands = text_stands(w, e);
    if (!stands && ranks_me(w->ranks) > 0) err_prefix(e, "rank %d", ranks_me(w->ranks));
    return ranks_agree(w->ranks, stands, e);
}

/* lanes, seed and ranks are the training's: an evaluation on the way and one afterwards, in another
 * process, cut the rows alike and so have the same bits. */
eval_task workload_evaluation(const workload *w, const real *values, int threads,
                              const volatile sig_atomic_t *stop)
{
    return (eval_task){.model = w->eval_model,
                       .values = values,
                       .corpus = w->corpus,
                       .options = &w->eval,
                       .threads = threads,
                       .lanes = w->shape.lanes,
                       .seed = (uint64_t)w->seed,
                       .stop = stop,
                       .ranks = w->ranks};
}

/* Fresh values of all parameters first, and the source's over them: what is not taken has what it
 * would have had without a source, for the numbers of a parameter depend on seed and name only. */
bool workload_start(const workload *w, real *values, err *e)
{
    const params *p = model_params_const(w->model);
    params_start(p, values, (uint64_t)w->seed);
    return !w->source || trained_model_source_start(w->source, &w->init, p, values, e);
}

/* Guides belong to the source and are used by the models: models go first. */
void workload_close(workload *w)
{
    if (w->eval_model != w->model) model_free(w->eval_model);
    if (w->model) model_free(w->model);
    trained_model_source_close(w->source);
    if (w->corpus && w->owns_corpus) corpus_close(w->corpus);
    arena_free(w->memory);
    *w = (workload){0};
}
