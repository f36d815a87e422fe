#include "harness/run/run_figures.h"

#include "harness/evaluate/eval_calls.h"
#include "layers/layer_inspect.h"

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
        bool fires = i < n && l->cls->memories != NULL && l->cls->memories(l, &memories);
        run->memories |= fires;
        run->values |= fires && (memories.values >= 0 || memories.value);
        run->learns |= l->cls->learns;
        run->states |= l->cls->exchanges != NULL && l->cls->exchanges(l, list) > 0;
    }
}

void run_figures_note(run_plan *run, const workload *w, arena *a)
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
