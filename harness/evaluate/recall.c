#include "harness/evaluate/recall.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Looks at the head's logits through a tap while the split is evaluated as always. An answer is a
 * place that the probe says is one (document_answer); of each its rank and its loss are taken from
 * the row of logits:
 *
 *   correct   the target's logit is above every other: a tie is no answer
 *   nats      log sum_i exp(l_i) - l_target, shifted by the largest logit so that no exp overflows
 *
 * Lanes' threads come in any order, and what they add to is one table. Counts are integers, and
 * losses are added as integers, too, in steps of 2^-24 nats: integer sums have the same value in
 * every order, where floating-point sums would differ in their last bits from run to run.
 *
 * The task's own watch is called from inside of this one, with its own call, so that both see every
 * tap. It may have no other hooks: those would be dropped without a word (the CHECK in
 * recall_open). */

/* scores and losses [count] are written by all threads, under the lock; all else is fixed once it
 * is open. */
struct recall {
    const corpus_split *split;
    const layer *head;
    int count;
    recall_score scores[MAX_RECALL];
    /* In 2^-24 nats: whole numbers add up to the same in whatever order threads come. */
    int64_t losses[MAX_RECALL];
    pthread_mutex_t lock;
    const eval_watch *other; /* the task's own, which goes on watching; NULL: none */
    eval_watch watch;
};

/* One lane's call. */
typedef struct recall_call {
    recall *sums;
    eval_view view;
    void *other; /* call of the other watch; NULL: it does not look */
} recall_call;

/* The distances were listed before anything ran (list_distances), so nobody writes to `distance`
 * while the threads search. There are a few; a search from the front is enough. */
static recall_score *score_at(recall *s, int64_t distance)
{
    for (int i = 0; i < s->count; i++) {
        if (s->scores[i].distance == distance) return &s->scores[i];
    }
    return NULL;
}

/* Counts one answer: logits [vocab]. The arithmetic over the vocabulary is outside of the lock. A
 * loss above 1e6 nats, or infinite, counts as 1e6: as an integer it has to have a bound, or sums
 * overflow. */
static void judge_answer(recall *s, const recall_score *at, const real *logits, int64_t vocab,
                         int32_t target)
{
    /* In double, whatever the model computes in: a vocabulary of terms is summed. */
    double sum = 0, most = (double)logits[target];
    bool right = true;
    for (int64_t i = 0; i < vocab; i++) {
        right &= i == target || logits[i] < logits[target];
        most = MAX(most, (double)logits[i]);
    }
    for (int64_t i = 0; i < vocab; i++) {
        sum += exp((double)logits[i] - most);
    }
    pthread_mutex_lock(&s->lock);
    int64_t i = at - s->scores;
    s->scores[i].answers++;
    s->scores[i].correct += right;
    s->losses[i] += llrint(fmin(most + log(sum) - (double)logits[target], 1e6) * 0x1p24);
    s->scores[i].nats = (double)s->losses[i] * 0x1p-24;
    pthread_mutex_unlock(&s->lock);
}

/* x [rows, time, vocab] of the head; taps of all other layers are only passed on. weights > 0
 * leaves out what lies behind the limit of tokens. */
static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    recall_call *c = user;
    if (c->other && c->sums->other->tap) c->sums->other->tap(c->other, self, name, x);
    if (self != c->sums->head || strcmp(name, "logits") != 0) return;
    const eval_view *v = &c->view;
    int64_t vocab = tensor_width(x);
    for (int64_t r = 0; r < v->rows; r++) {
        if (v->document[r] < 0) continue;
        document d = split_document(c->sums->split, v->document[r]);
        for (int64_t i = 0; i < v->time; i++) {
            int64_t cell = r * v->time + i;
            if (!(v->weights[cell] > 0) || !document_answer(&d, v->begin[r] + i)) continue;
            judge_answer(c->sums, score_at(c->sums, d.distance), x->data + cell * vocab, vocab,
                         v->targets[cell]);
        }
    }
}

/* One small allocation per call, freed by end_call: calls of several threads are open at once. A
 * watch that does not care for this call gives NULL, and is told nothing more of it. */
static void *begin_call(void *user, int thread, const eval_view *view)
{
    recall_call *c = malloc(sizeof *c);
    CHECK(c, "out of memory for a call (%zu bytes)", sizeof *c);
    *c = (recall_call){.sums = user, .view = *view};
    const eval_watch *other = c->sums->other;
    if (other) c->other = other->begin(other->user, thread, view);
    return c;
}

static void end_call(void *call)
{
    recall_call *c = call;
    if (c->other) c->sums->other->end(c->other);
    free(c);
}

/* Its own counts, and what the other watch has. Both arrays are of fixed length, distances
 * included, and fit wherever the evaluation is the same one, which the file's name says
 * (eval_keep.h). */
static int keep_counts(void *user, eval_array *list, int capacity)
{
    recall *s = user;
    list[0] = (eval_array){"recall.scores", s->scores, sizeof s->scores};
    list[1] = (eval_array){"recall.losses", s->losses, sizeof s->losses};
    return 2 + (s->other ? s->other->keep(s->other->user, list + 2, capacity - 2) : 0);
}

/* The distances come back with the scores: the same as list_distances found, since answers are
 * counted by them. */
static bool are_scores(const recall *s, const char *data)
{
    for (int i = 0; i < MAX_RECALL; i++) {
        recall_score x;
        memcpy(&x, data + (size_t)i * sizeof x, sizeof x);
        bool counts = x.correct >= 0 && x.correct <= x.answers && x.answers <= (int64_t)1 << 53;
        if (x.distance != s->scores[i].distance || !counts || !(x.nats >= 0) || isinf(x.nats)) {
            return false;
        }
    }
    return true;
}

/* Half of what there is room for: what is still to come is added. */
static bool are_losses(const char *data)
{
    for (int i = 0; i < MAX_RECALL; i++) {
        int64_t x;
        memcpy(&x, data + (size_t)i * sizeof x, sizeof x);
        if (x < 0 || x > INT64_MAX / 2) return false;
    }
    return true;
}

static bool restore_counts(void *user, const char *name, const void *data, size_t bytes, bool take)
{
    recall *s = user;
    bool scores = strcmp(name, "recall.scores") == 0;
    if (!scores && strcmp(name, "recall.losses") != 0) {
        return s->other && s->other->restore(s->other->user, name, data, bytes, take);
    }
    if (bytes != (scores ? sizeof s->scores : sizeof s->losses)) return false;
    if (!(scores ? are_scores(s, data) : are_losses(data))) return false;
    if (take) memcpy(scores ? (void *)s->scores : (void *)s->losses, data, bytes);
    return true;
}

static int by_distance(const void *x, const void *y)
{
    const recall_score *a = x, *b = y;
    return a->distance < b->distance ? -1 : a->distance > b->distance;
}

/* Before the evaluation, from the table of documents: each distance there is has its row, asked or
 * not. */
static bool list_distances(recall *s, err *e)
{
    for (int64_t i = 0; s->split && i < split_documents(s->split); i++) {
        document d = split_document(s->split, i);
        if (d.answers == 0 || score_at(s, d.distance)) continue;
        if (s->count == MAX_RECALL) return err_set(e, "more than %d distances", MAX_RECALL);
        s->scores[s->count++] = (recall_score){.distance = d.distance};
    }
    qsort(s->scores, (size_t)s->count, sizeof *s->scores, by_distance);
    return true;
}

/* If the other watch cannot be kept on the way, neither is this one: half a record would go on with
 * one of them counting from the middle. */
bool recall_open(recall **r, const eval_task *task, err *e)
{
    *r = NULL;
    if (task->options->dynamic.kind != DYNAMIC_NONE) return true;
    recall *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory for the scores (%zu bytes)", sizeof *s);
    s->split = corpus_get(task->corpus, eval_options_split(task->options));
    s->head = model_head(task->model);
    s->other = task->watch;
    CHECK(!s->other || (!s->other->fired && !s->other->exchanged), "only taps are passed on");
    s->watch = (eval_watch){.user = s, .begin = begin_call, .tap = on_tap, .end = end_call};
    if (!s->other || s->other->keep) {
        s->watch.keep = keep_counts;
        s->watch.restore = restore_counts;
    }
    pthread_mutex_init(&s->lock, NULL);
    /* No distances: the corpus asks for nothing, and nobody looks on. */
    bool ok = list_distances(s, e);
    if (ok && s->count > 0) {
        *r = s;
    } else {
        recall_close(s);
    }
    return ok;
}

const eval_watch *recall_watch(const recall *r)
{
    return &r->watch;
}

int recall_scores(const recall *r, const recall_score **scores)
{
    *scores = r->scores;
    return r->count;
}

json_t *recall_record(const recall *r)
{
    json_t *list = json_array();
    for (int i = 0; i < r->count; i++) {
        const recall_score *s = &r->scores[i];
        json_t *o = json_pack("{s:I, s:I, s:I, s:o}", "distance", (json_int_t)s->distance,
                              "answers", (json_int_t)s->answers, "correct", (json_int_t)s->correct,
                              "nats", json_finite(s->nats));
        json_array_append_new(list, o);
    }
    return list;
}

void recall_close(recall *r)
{
    if (!r) return;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* For whoever asks for nothing but recall: there a corpus that asks nothing is a mistake of the
 * user's, where diagnose.c passes over it in silence. */
int recall_measure(recall_score scores[MAX_RECALL], const eval_task *task, err *e)
{
    recall *r;
    int count = -1;
    if (!recall_open(&r, task, e)) return -1;
    if (!r) {
        err_set(e,
                "the corpus asks for nothing in its %s split; give a probe: {corpus: probe, "
                "task: copy}",
                split_name(eval_options_split(task->options)));
        return -1;
    }
    eval_task own = *task;
    own.watch = &r->watch;
    evaluation done;
    if (evaluate(&done, &own, e)) {
        /* Of logits that are no numbers no answer is right: that would pass for forgetting. */
        if (isfinite(done.nats)) {
            count = r->count;
            memcpy(scores, r->scores, (size_t)count * sizeof *scores);
        } else {
            err_set(e, "the loss is not a finite number; the weights are damaged or too large");
        }
        evaluate_deinit(&done);
    }
    recall_close(r);
    return count;
}
