#include "experiments/recall.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct recall_sums {
    const corpus_split *split;
    const layer *head;
    int count;
    recall_score *scores;
    pthread_mutex_t lock;
} recall_sums;

/* One lane's call. */
typedef struct recall_call {
    recall_sums *sums;
    eval_view view;
} recall_call;

static recall_score *score_at(recall_sums *s, int64_t distance)
{
    for (int i = 0; i < s->count; i++) {
        if (s->scores[i].distance == distance) return &s->scores[i];
    }
    return NULL;
}

static bool is_answer(const document *d, int64_t target)
{
    int64_t behind = d->tokens - 1 - target;
    return behind >= 0 && behind < d->answers * d->stride && behind % d->stride == 0;
}

/* Counts one answer: logits [vocab]. */
static void judge(recall_sums *s, int64_t distance, const real *logits, int64_t vocab,
                  int32_t target)
{
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
    recall_score *score = score_at(s, distance);
    score->answers++;
    score->right += right;
    score->nats += most + log(sum) - (double)logits[target];
    pthread_mutex_unlock(&s->lock);
}

static void on_tap(void *user, const layer *self, const char *name, const tensor *x)
{
    recall_call *c = user;
    if (self != c->sums->head || strcmp(name, "logits") != 0) return;
    const eval_view *v = &c->view;
    int64_t vocab = tensor_width(x);
    for (int64_t r = 0; r < v->rows; r++) {
        if (v->document[r] < 0) continue;
        document d = split_document(c->sums->split, v->document[r]);
        for (int64_t i = 0; i < v->time; i++) {
            int64_t cell = r * v->time + i;
            if (!(v->weights[cell] > 0) || !is_answer(&d, v->begin[r] + i)) continue;
            judge(c->sums, d.distance, x->data + cell * vocab, vocab, v->targets[cell]);
        }
    }
}

static void *begin_call(void *user, int thread, const eval_view *view)
{
    (void)thread;
    recall_call *c = malloc(sizeof *c);
    CHECK(c, "out of memory for a call (%zu bytes)", sizeof *c);
    *c = (recall_call){user, *view};
    return c;
}

static void end_call(void *call)
{
    free(call);
}

static int by_distance(const void *x, const void *y)
{
    const recall_score *a = x, *b = y;
    return a->distance < b->distance ? -1 : a->distance > b->distance;
}

static bool list_distances(recall_sums *s, err *e)
{
    for (int64_t i = 0; i < split_documents(s->split); i++) {
        document d = split_document(s->split, i);
        if (d.answers == 0 || score_at(s, d.distance)) continue;
        if (s->count == MAX_RECALL) return err_set(e, "more than %d distances", MAX_RECALL);
        s->scores[s->count++] = (recall_score){.distance = d.distance};
    }
    return s->count > 0 || err_set(e, "the corpus asks for nothing; give a probe: "
                                      "{corpus: probe, task: copy}");
}

int recall_measure(recall_score scores[MAX_RECALL], const eval_task *task, err *e)
{
    recall_sums s = {.split = corpus_get(task->corpus, eval_split(task->options)),
                     .head = model_head(task->model),
                     .scores = scores};
    if (!s.split) {
        err_set(e, "the corpus lacks that split");
        return -1;
    }
    if (!list_distances(&s, e)) return -1;
    pthread_mutex_init(&s.lock, NULL);
    eval_watch watch = {.user = &s, .begin = begin_call, .tap = on_tap, .end = end_call};
    eval_task own = *task;
    own.watch = &watch;
    evaluation r;
    bool done = evaluate(&r, &own, e);
    if (done) evaluation_deinit(&r);
    pthread_mutex_destroy(&s.lock);
    qsort(scores, (size_t)s.count, sizeof *scores, by_distance);
    return done ? s.count : -1;
}
