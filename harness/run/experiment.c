#include "harness/run/experiment.h"

#include <stdlib.h>
#include <string.h>

#include "harness/evaluate/eval_calls.h"
#include "harness/run/doubt.h"
#include "harness/run/run_memory.h"
#include "harness/spec/sweep_sibling.h"
#include "harness/spec/unheard_set.h"
#include "harness/train/workload.h"
#include "layers/layer_inspect.h"

/* From a file to runs in two steps, because the first needs nothing but the file:
 *
 *   load      reads, expands the sweep, makes a run of every variant and seed: labels and axes are
 *             known, so a wrong sweep fails before gigabytes are opened
 *   resolve   opens each variant once, with the first seed: corpus, model, what it starts from;
 *             finds its cost, its figures and its id. Further seeds share what was found
 *             (complete_run), since no option of a variant depends on the seed
 *
 * While resolving, x->runs[0..variants) are the first seed's runs and stand for the variants;
 * runs[v] is variant v. After complete_run repeated variants are gone and the index means nothing
 * any more: run->variant_index and x->labels lead back.
 *
 * All errors carry a place in the file. A value may be wrong in one variant only, so the label is
 * added (blame_source). */

experiment *experiment_load(const char *path, const char *const *sets, err *e)
{
    spec *s = spec_load(path, sets, e);
    if (!s) return NULL;
    arena *a = s->memory;
    sweep *all = sweep_expand(a, node_get(s->root, "sweep"), s->name, e);
    /* A --set that no variant hears would be an experiment other than what its command says. */
    if (!all || !unheard_set_check(all, sets, e)) {
        spec_free(s);
        return NULL;
    }
    experiment *x = arena_push_zero(a, 1, sizeof *x);
    *x = (experiment){.spec = s, .sweep = all, .memory = a, .duplicates = all->duplicates};
    x->run_count = all->variant_count * all->seed_count;
    x->runs = arena_push_zero(a, x->run_count, sizeof *x->runs);
    for (int i = 0; i < x->run_count; i++) {
        /* Seed by seed: long before the end every variant has a figure. */
        int v = i % all->variant_count;
        const variant_plan *plan = &all->variants[v];
        x->runs[i] = (run_plan){.label = plan->label,
                                .seed = all->seeds[i / all->variant_count],
                                .is_baseline = plan->is_baseline,
                                .axis_count = plan->axis_count,
                                .axes = plan->axes,
                                .variant_index = v,
                                .doubt = unheard_set_of(a, plan, sets),
                                .source_run = -1,
                                .source_variant = -1};
        if (plan->is_baseline) x->baseline = plan->label;
    }
    return x;
}

void experiment_free(experiment *x)
{
    if (x) spec_free(x->spec);
}

const node *experiment_spec(experiment *x, int index, err *e)
{
    run_plan *run = &x->runs[index];
    if (run->spec) return run->spec;
    /* The first seed's runs are in the order of the variants and come first. */
    run_plan *first = &x->runs[run->variant_index];
    if (!first->spec) {
        const variant_plan *v = &x->sweep->variants[run->variant_index];
        /* Copies of the tree, in the spec's arena: nodes keep their places in the file, so an error
         * in a variant points at its line. */
        first->spec = variant_apply(x->memory, x->spec->root, v, e);
    }
    run->spec = first->spec;
    return run->spec;
}

/* ---- corpora that runs share ---- */

typedef struct opened {
    const node *data;
    corpus *corpus;
} opened;

typedef struct shelf {
    opened *items; /* [variants] */
    int count;
} shelf;

/* A sweep of a thousand variants mostly has one corpus: opening it may mean hashing gigabytes. */
static corpus *shared_corpus(shelf *s, const node *data, const corpus_places *places, err *e)
{
    for (int i = 0; i < s->count; i++) {
        /* By what is written, not by what it means: two spellings of one corpus are opened twice,
         * which costs time alone. */
        if (data ? node_equal(s->items[i].data, data) : !s->items[i].data) {
            return s->items[i].corpus;
        }
    }
    corpus *c = corpus_open(data, places, e);
    if (c) s->items[s->count++] = (opened){data, c};
    return c;
}

/* ---- what variants start from ---- */

typedef enum progress_mark { UNTOUCHED, BEGUN, RESOLVED } progress_mark;

typedef struct resolver {
    experiment *x;
    shelf shelf;
    const corpus_places *places;
    progress_mark *marks; /* [variants] */
    int failed;           /* the variant that e is about */
} resolver;

static bool resolve_variant(resolver *r, int v, err *e);

/* Index of the variant that init_from names, resolved; -2 on failure, -1 if it names none. */
static int resolve_source(resolver *r, int v, const node *own, err *e)
{
    const experiment *x = r->x;
    const node *init = node_get(own, "init_from"), *label = node_get(init, "variant");
    /* What is no scalar fails when the options are read, with the better words. */
    if (node_is_null(label) || label->kind != NODE_SCALAR) return -1;
    int variants = x->sweep->variant_count, source = 0;
    while (source < variants && strcmp(x->runs[source].label, label->text) != 0) {
        source++;
    }
    if (source == variants) {
        const char **labels = ARENA_NEW(x->memory, const char *, variants);
        for (int i = 0; i < variants; i++) {
            labels[i] = x->runs[i].label;
        }
        const char *near = option_nearest(label->text, variants, labels);
        node_err(e, label, "no variant '%s' in the sweep%s%s%s", label->text,
                 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        return -2;
    }
    /* The recursion is still inside of it: a circle, of one variant perhaps. */
    if (r->marks[source] == BEGUN) {
        node_err(e, label,
                 source == v ? "a variant cannot start from itself; say init_from in the "
                               "other variants only"
                             : "variants start from each other in a circle");
        return -2;
    }
    return resolve_variant(r, source, e) ? source : -2;
}

/* Whether the source's parameters have their places, before anything is trained. */
static bool check_source(resolver *r, const workload *w, int source, const char **taken, err *e)
{
    const node *theirs = experiment_spec(r->x, source, e);
    corpus *c = theirs ? shared_corpus(&r->shelf, node_get(theirs, "data"), r->places, e) : NULL;
    /* A model without values: shapes alone decide, and the source may not be trained yet. What
     * cannot fit is refused here, not after the source has taken its days. */
    workload from;
    if (!c || !workload_open_on(&from, theirs, w->seed, c, e)) return false;
    const params *p = model_params_const(from.model);
    init_tensor *list = arena_push_zero(w->memory, p->count, sizeof *list);
    int *target = ARENA_NEW(w->memory, int, p->count);
    for (int i = 0; i < p->count; i++) {
        list[i] = (init_tensor){.name = p->list[i].name, .rank = p->list[i].rank};
        memcpy(list[i].shape, p->list[i].shape, sizeof list[i].shape);
    }
    /* Ids of tokens mean other texts then, however well the shapes fit. */
    bool ok = model_vocab(from.model) == model_vocab(w->model) ||
              node_err(e, w->init.at, "the source has a vocabulary of %lld, this model of %lld",
                       (long long)model_vocab(from.model), (long long)model_vocab(w->model));
    const params *own = model_params_const(w->model);
    ok = ok && init_from_match(target, &w->init, list, p->count, own, e);
    if (ok) *taken = init_from_summary(r->x->memory, target, p->count, own);
    workload_close(&from);
    return ok;
}

/* The same of a checkpoint. */
static bool check_checkpoint(resolver *r, const workload *w, const char **taken, err *e)
{
    /* It is there already: its file is asked, not its spec. */
    trained_source *s = trained_model_source_open(&w->init, NULL, r->places, e);
    const char *text =
        s ? trained_model_source_summary(s, &w->init, model_params_const(w->model), e) : NULL;
    if (text) *taken = arena_strdup(r->x->memory, text);
    trained_model_source_close(s);
    return text != NULL;
}

/* Which documents are scored (as eval_calls_tokens counts them), how long they are, and at which
 * distances a probe asks in them. */
static void note_documents(run_plan *run, const corpus_split *split, const eval_options *o,
                           arena *a)
{
    enum { MOST = 256 }; /* distances: a claim is about one of a handful */
    int64_t all = split ? split_documents(split) : 0, before = 0;
    run->distance = ARENA_NEW(a, int64_t, MOST);
    for (int64_t i = 0; i < all && (o->tokens == 0 || before < o->tokens); i++) {
        const document d = split_document(split, i);
        int64_t read = stream_document_tokens(split, i, o->most);
        int k = 0;
        /* The last document may be scored in part, and counts as one. */
        if (o->tokens > 0) read = MIN(read, o->tokens - before);
        before += read;
        run->documents++;
        run->longest = MAX(run->longest, read);
        while (k < run->distances && run->distance[k] != d.distance)
            k++;
        /* Beyond so many a claim would be refused though its distance is asked. */
        if (d.answers == 0 || k < run->distances || k == MOST) continue;
        run->distance[run->distances++] = d.distance;
    }
}

/* What loci inspect asks layers for (find_layers of harness/inspect/inspect.c): the head is asked
 * for all but memories of keys and values. */
static void note_layers(run_plan *run, const model *m)
{
    const layer *const *layers, *head = model_head(m);
    int n = model_layers(m, &layers);
    for (int i = 0; i <= n; i++) {
        const layer *l = i < n ? layers[i] : head;
        layer_memories memories;
        layer_exchange list[MAX_EXCHANGES];
        run->memories |= i < n && l->cls->memories != NULL && l->cls->memories(l, &memories);
        run->learns |= l->cls->learns;
        run->states |= l->cls->exchanges != NULL && l->cls->exchanges(l, list) > 0;
    }
}

/* What its final evaluation will tell. */
static void note_figures(run_plan *run, const workload *w, arena *a)
{
    const corpus_split *split = corpus_get(w->corpus, eval_options_split(&w->eval));
    bool any = split && split_documents(split) > 0;
    note_documents(run, split, &w->eval, a);
    note_layers(run, w->model);
    run->context = model_context(w->model);
    run->has_bytes = corpus_lossless(w->corpus);
    /* Of a document that is cut nobody counts the words. */
    bool cut = false;
    if (any) eval_calls_tokens(split, w->eval.tokens, w->eval.most, &cut);
    run->has_words = corpus_has_words(w->corpus) && !cut;
    run->has_recall = any && split_document(split, 0).answers > 0;
    run->has_slices = !any || !split_document(split, 0).answers_only;
}

static bool resolve_opened(resolver *r, int v, const node *own, corpus *c, err *e)
{
    experiment *x = r->x;
    run_plan *run = &x->runs[v];
    workload w;
    if (!workload_open_on(&w, own, run->seed, c, e)) return false;
    /* The model first, so that all of its options are right; then whether its source fits. */
    int source = run->source_variant;
    bool good = source >= 0         ? check_source(r, &w, source, &run->taken, e)
                : w.init.checkpoint ? check_checkpoint(r, &w, &run->taken, e)
                                    : true;
    if (!good) {
        workload_close(&w);
        return false;
    }
    run->oracle = model_oracle(w.model);
    run->cost = model_costs(w.model);
    /* What a guide costs at each token is the guided model's cost, too. */
    if (source >= 0 && (model_needs(node_get(own, "model")) & NEEDS_PREDICTIONS)) {
        model_cost_add_guide(&run->cost, &x->runs[source].cost); /* it is not there yet */
    }
    run->memory_bytes = run_memory_estimate(&w, &run->cost);
    run->lanes = w.shape.lanes;
    run->lane_rows = w.shape.lane_rows;
    run->amount = run_amount_of(&w, run->cost.train_flops);
    if (!run->doubt) run->doubt = doubt_of(x->memory, &w);
    run->corpus_hash = arena_strdup(x->memory, corpus_hash(c));
    note_figures(run, &w, x->memory);
    /* The workload's arena goes in a moment. */
    run->resolved = node_copy(x->memory, identity_resolved(w.memory, &w)); /* copies are compact */
    /* Last, with the source's id, which resolve_variant has made sure of. */
    identity_variant(run->variant, &w, source >= 0 ? x->runs[source].variant : NULL);
    workload_close(&w);
    return true;
}

/* What cannot be left out, while the file that lacks it is known. */
static bool has_sections(const node *own, err *e)
{
    /* Everything else has defaults that make an experiment. */
    static const char *const needed[] = {"data", "model", "train"};
    for (int i = 0; i < 3; i++) {
        if (!node_is_null(node_get(own, needed[i]))) continue;
        return node_err(e, own, "the section `%s` is missing; loci help spec tells what it says",
                        needed[i]);
    }
    return true;
}

/* A variant's id contains that of the one it starts from, so the source is resolved first, by
 * recursion; a mark that is still BEGUN when it is met again is a circle. */
static bool resolve_variant(resolver *r, int v, err *e)
{
    if (r->marks[v] == RESOLVED) return true;
    r->marks[v] = BEGUN;
    const node *own = experiment_spec(r->x, v, e);
    bool good = own && has_sections(own, e) &&
                /* Siblings that are named by axis values become labels before anybody looks for
                 * them. */
                (own = sweep_sibling_name(r->x->memory, r->x->sweep, v, own, e));
    if (good) r->x->runs[v].spec = own;
    int source = good ? resolve_source(r, v, own, e) : -2;
    if (source == -2) {
        /* The first, innermost one: e speaks of it, not of those that start from it. */
        if (r->failed < 0) r->failed = v;
        return false;
    }
    r->x->runs[v].source_variant = source;
    corpus *c = shared_corpus(&r->shelf, node_get(own, "data"), r->places, e);
    if (!c || !resolve_opened(r, v, own, c, e)) {
        if (r->failed < 0) r->failed = v;
        return false;
    }
    r->marks[v] = RESOLVED;
    return true;
}

/* ---- all of them ---- */

/* The message names the variant, unless there is only one: a value may be fine in another. */
static bool blame_source(const experiment *x, int index, err *e)
{
    /* Written behind what e says, as far as there is room. */
    if (!e || x->sweep->variant_count == 1) return false;
    size_t used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, " (in variant '%s')", x->runs[index].label);
    return false;
}

static int by_variant(const void *x, const void *y)
{
    const run_plan *a = *(const run_plan *const *)x, *b = *(const run_plan *const *)y;
    /* Of equals the first in the file comes first, and stays. */
    int order = strcmp(a->variant, b->variant);
    return order ? order : a->variant_index - b->variant_index;
}

/* original[v]: the first variant that says the same as v; v itself unless it is a repetition. */
static int *find_repetitions(const experiment *x)
{
    int variants = x->sweep->variant_count;
    int *original = ARENA_NEW(x->memory, int, variants);
    const run_plan **order = ARENA_NEW(x->memory, const run_plan *, variants);
    for (int v = 0; v < variants; v++)
        order[v] = &x->runs[v];
    /* Sorted, for a thousand variants would be half a million comparisons otherwise. */
    qsort(order, (size_t)variants, sizeof *order, by_variant);
    for (int i = 0; i < variants; i++) {
        bool again = i > 0 && strcmp(order[i]->variant, order[i - 1]->variant) == 0;
        int v = order[i]->variant_index;
        original[v] = again ? original[order[i - 1]->variant_index] : v;
    }
    return original;
}

/* In the resolved spec the variant it starts from is a run. */
static void name_source(experiment *x, run_plan *run, const int *original)
{
    if (run->source_variant < 0) return;
    run->source_variant = original[run->source_variant];
    /* Same seed as its source, so that seeds stay pairs. The name of a variant is this
     * experiment's; the worker, which knows no experiment, needs the run. */
    identity_run(run->source, x->runs[run->source_variant].variant, run->seed);
    node *own = node_copy(x->memory, run->resolved);
    node *init = node_get(own, "init_from");
    node_set(x->memory, init, "variant", node_scalar(x->memory, "null", true));
    node_set(x->memory, init, "run", node_scalar(x->memory, run->source, false));
    /* Places are those of the resolved spec, where a worker's errors point. */
    node_repath(x->memory, own, "");
    run->resolved = own;
}

static int by_id(const void *x, const void *y)
{
    const run_plan *a = *(const run_plan *const *)x, *b = *(const run_plan *const *)y;
    return strcmp(a->id, b->id);
}

/* Where each run's source stands among the runs; `init_from: {run: ID}` may name one, too. */
static void find_sources(experiment *x)
{
    const run_plan **order = ARENA_NEW(x->memory, const run_plan *, x->run_count);
    for (int i = 0; i < x->run_count; i++) {
        order[i] = &x->runs[i];
    }
    qsort(order, (size_t)x->run_count, sizeof *order, by_id);
    for (int i = 0; i < x->run_count; i++) {
        run_plan *run = &x->runs[i], key = {.source_run = -1};
        const node *named = node_at(run->resolved, "init_from.run");
        /* An id of another length is no id of ours; the worker says so when it opens it. */
        if (node_is_null(named) || strlen(named->text) >= IDENTITY_CHARS) continue;
        snprintf(key.id, sizeof key.id, "%s", named->text);
        const run_plan *wanted = &key;
        const run_plan *const *found =
            bsearch(&wanted, order, (size_t)x->run_count, sizeof *order, by_id);
        /* A run of another experiment: it is there, or the worker says that it is not. */
        if (!found || *found == run) continue;
        run->source_run = (int)(*found - x->runs);
        snprintf(run->source, sizeof run->source, "%s", key.id);
    }
}

/* No figure of a model that looks at the future may pass for an honest one. */
static void mark_oracles(experiment *x)
{
    for (int v = 0; v < x->sweep->variant_count; v++) {
        run_plan *run = &x->runs[v];
        if (!run->oracle) continue;
        size_t size = strlen(run->label) + sizeof " (oracle)";
        char *label = arena_push(x->memory, (int64_t)size, 1);
        snprintf(label, size, "%s (oracle)", run->label);
        /* By pointer: the same string, whatever other labels say. */
        if (x->baseline == run->label) x->baseline = label;
        run->label = label;
    }
}

/* Gives the runs of further seeds what the first seed's found, and drops repeated variants. */
static void complete_run(experiment *x)
{
    int variants = x->sweep->variant_count, kept = 0;
    int *original = find_repetitions(x);
    mark_oracles(x);
    for (int v = 0; v < variants; v++) {
        if (original[v] == v) continue;
        x->duplicates++;
        if (!x->runs[v].is_baseline) continue;
        /* The baseline says the same as an earlier variant: that one is it, in all its seeds. */
        for (int i = original[v]; i < x->run_count; i += variants)
            x->runs[i].is_baseline = true;
        x->baseline = x->runs[original[v]].label;
    }
    x->labels = ARENA_NEW(x->memory, const char *, variants);
    for (int v = 0; v < variants; v++) {
        x->labels[v] = x->runs[original[v]].label;
    }
    run_plan *runs = arena_push_zero(x->memory, x->run_count, sizeof *runs);
    for (int i = 0; i < x->run_count; i++) {
        int v = i % variants;
        if (original[v] != v) continue;
        run_plan *run = &runs[kept++];
        /* Before repeated ones are left out the first seed's runs are at v. */
        *run = x->runs[v];
        run->seed = x->runs[i].seed;
        run->is_baseline = x->runs[i].is_baseline;
        identity_run(run->id, run->variant, run->seed);
        name_source(x, run, original);
    }
    x->runs = runs;
    x->run_count = kept;
    find_sources(x);
}

bool experiment_resolve(experiment *x, const corpus_places *places, err *e)
{
    int variants = x->sweep->variant_count;
    resolver r = {.x = x, .places = places, .failed = -1};
    r.shelf.items = ARENA_NEW(x->memory, opened, variants);
    r.marks = arena_push_zero(x->memory, variants, sizeof *r.marks);
    bool good = true;
    for (int v = 0; v < variants && good; v++) {
        good = resolve_variant(&r, v, e) || blame_source(x, r.failed, e);
    }
    /* Only hashes and figures are kept; workers open the text on their own. */
    for (int i = 0; i < r.shelf.count; i++)
        corpus_close(r.shelf.items[i].corpus);
    if (good) complete_run(x);
    return good;
}

int experiment_variants(const experiment *x)
{
    return x->run_count / x->sweep->seed_count; /* those that say the same are dropped */
}

const experiment *experiment_part(const experiment *x, const int *seeds)
{
    int variants = experiment_variants(x);
    experiment *part = arena_push_zero(x->memory, 1, sizeof *part);
    *part = *x;
    part->runs = ARENA_NEW(x->memory, run_plan, x->run_count);
    part->run_count = 0;
    for (int i = 0; i < x->run_count; i++) {
        /* Runs lie seed by seed: i / variants counts the seed, i % variants is the variant. */
        if (i / variants >= seeds[i % variants]) continue;
        run_plan *run = &part->runs[part->run_count++];
        *run = x->runs[i];
        run->source_run = -1; /* it stands elsewhere here */
    }
    find_sources(part);
    return part;
}

void experiment_few_seeds(FILE *out, const experiment *x)
{
    /* With two seeds a 95 % interval reaches 12.7 standard errors to each side; with one there is
     * none. */
    enum { ENOUGH = 3 };
    int seeds = x->sweep->seed_count;
    if (seeds >= ENOUGH || x->sweep->variant_count < 2) return;
    fprintf(
        out,
        "loci: warning: %s: of %d seed%s a difference between variants is hardly ever told from "
        "luck; sweep.seeds: %d or more\n",
        x->spec->name, seeds, seeds == 1 ? "" : "s", ENOUGH);
}

void experiment_doubts(FILE *out, const experiment *x)
{
    bool one = x->sweep->variant_count == 1;
    /* The first seed's: the others say the same. */
    for (int i = 0; i < x->run_count && x->runs[i].seed == x->runs[0].seed; i++) {
        const run_plan *run = &x->runs[i];
        const char *lines[] = {run->doubt, run->taken};
        for (int k = 0; k < 2; k++) {
            if (!lines[k]) continue;
            fprintf(out, "loci: %s%s", k == 0 ? "warning: " : "", lines[k]);
            if (!one) fprintf(out, " (in variant '%s')", run->label);
            fputc('\n', out);
        }
    }
}
