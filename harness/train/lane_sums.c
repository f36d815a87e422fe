#include "harness/train/lane_sums.h"

#include <stdlib.h>
#include <string.h>

/* Metrics are found by name and layer. Lanes tell them in the same order nearly always, so the
 * place of the last one is a good guess, and the search is for the case in which a layer told more
 * or less than usual.
 *
 * Between ranks loss and weight of all lanes go to all, for all must agree on whether the loss is a
 * number; metrics are wanted where they are written, on rank 0, and go there in one message per
 * rank:
 *
 *   sum (8 bytes), weight (8), layer\0, name\0     one behind the other, lane after lane
 *
 * How many there are of each lane stands in the heads, which come first. Texts go as texts:
 * pointers of another process mean nothing here. */

/* The counts alone: what the lists hold is written over. */
void lane_sums_clear(lane_sums *s)
{
    s->nats = s->weight = s->metric_count = 0;
}

static bool same_metric(const metric *a, const metric *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->layer, b->layer) == 0;
}

/* Its place in the list, or `count`. */
static int find_metric(const metric *list, int count, const metric *m, int guess)
{
    int i = guess < count && same_metric(&list[guess], m) ? guess : 0;
    while (i < count && !same_metric(&list[i], m)) {
        i++;
    }
    return i;
}

/* Sum and weight apart, not means: the mean over lanes is sum / weight of all, whatever each had.
 */
void lane_sums_add(lane_sums *s, const metric *m, int guess)
{
    int i = find_metric(s->metrics, s->metric_count, m, guess);
    if (i < s->metric_count) {
        s->metrics[i].sum += m->sum;
        s->metrics[i].weight += m->weight;
        return;
    }
    CHECK(s->metric_count < MAX_METRICS, "more than %d metrics", MAX_METRICS);
    s->metrics[s->metric_count++] = *m;
}

/* ---- over ranks ---- */

/* What goes to all: of a lane, and how many bytes its rank's metrics take. */
typedef struct lane_head {
    double nats, weight;
    int64_t metrics, rank_bytes;
} lane_head;

/* A metric is its two numbers and two texts, each with its 0. */
static size_t metric_bytes(const metric *m)
{
    return 2 * sizeof(double) + strlen(m->layer) + strlen(m->name) + 2;
}

static char *put(char *to, const void *data, size_t bytes)
{
    memcpy(to, data, bytes);
    return to + bytes;
}

/* + 1 byte, so that nothing of size 0 is asked for where a rank has no metrics. */
static char *pack_metrics(const lane_sums *list, rank_lanes own, size_t *bytes)
{
    *bytes = 0;
    for (int64_t i = own.first; i < own.first + own.count; i++) {
        for (int m = 0; m < list[i].metric_count; m++) {
            *bytes += metric_bytes(&list[i].metrics[m]);
        }
    }
    char *data = malloc(*bytes + 1), *at = data;
    CHECK(data, "out of memory for metrics (%zu bytes)", *bytes);
    for (int64_t i = own.first; i < own.first + own.count; i++) {
        for (int m = 0; m < list[i].metric_count; m++) {
            const metric *x = &list[i].metrics[m];
            at = put(at, &x->sum, sizeof x->sum);
            at = put(at, &x->weight, sizeof x->weight);
            at = put(at, x->layer, strlen(x->layer) + 1);
            at = put(at, x->name, strlen(x->name) + 1);
        }
    }
    return data;
}

/* The texts as they are kept here, with whose names the metric is one to be added: the lanes' lists
 * point to them until the step's line is written, and the message is freed before. After the first
 * step all names are known and nothing is taken from the arena. */
static void keep_names(metric *m, metric_names *names, int guess)
{
    int i = find_metric(names->list, names->count, m, guess);
    if (i == names->count) {
        if (names->count == names->capacity) {
            names->capacity = MAX(64, 2 * names->capacity);
            metric *grown = ARENA_NEW(names->memory, metric, names->capacity);
            if (names->count > 0) memcpy(grown, names->list, (size_t)i * sizeof *grown);
            names->list = grown;
        }
        names->list[names->count++] = (metric){.layer = arena_strdup(names->memory, m->layer),
                                               .name = arena_strdup(names->memory, m->name)};
    }
    m->layer = names->list[i].layer;
    m->name = names->list[i].name;
}

/* By memcpy, for numbers lie behind texts of any length. Returns where the next lane's begin. */
static const char *unpack_metrics(lane_sums *s, int64_t count, const char *at, metric_names *names)
{
    for (int i = 0; i < (int)count; i++) {
        metric *m = &s->metrics[i];
        memcpy(&m->sum, at, sizeof m->sum);
        memcpy(&m->weight, at + sizeof m->sum, sizeof m->weight);
        m->layer = at + 2 * sizeof(double);
        m->name = m->layer + strlen(m->layer) + 1;
        at = m->name + strlen(m->name) + 1;
        keep_names(m, names, i);
    }
    s->metric_count = (int)count;
    return at;
}

/* Every rank's metrics come to rank 0. heads: [ranks, most], a rank's first says how many bytes.
 * All messages are received in one exchange, into memory of their own; unpacked in rank order. */
static bool gather_metrics(lane_sums *list, int64_t lanes, rank_group *r, char *mine, size_t bytes,
                           const lane_head *heads, metric_names *names, err *e)
{
    int count = ranks_count(r);
    int64_t most = ranks_lanes(r, 0, lanes).count;
    if (ranks_me(r) > 0) return ranks_exchange(r, &(rank_part){0, mine, bytes}, 1, NULL, 0, e);
    rank_part *in = calloc((size_t)count, sizeof *in);
    CHECK(in, "out of memory for %d ranks", count);
    for (int i = 1; i < count; i++) {
        in[i] = (rank_part){i, NULL, (size_t)heads[i * most].rank_bytes};
        in[i].data = malloc(in[i].bytes + 1);
        CHECK(in[i].data, "out of memory for metrics (%zu bytes)", in[i].bytes);
    }
    /* in [ranks]; entry 0, rank 0's own, stays empty. */
    bool ok = ranks_exchange(r, NULL, 0, in + 1, count - 1, e);
    for (int i = 1; i < count; i++) {
        rank_lanes theirs = ranks_lanes(r, i, lanes);
        const char *at = in[i].data;
        for (int64_t k = 0; ok && k < theirs.count; k++) {
            at = unpack_metrics(&list[theirs.first + k], heads[i * most + k].metrics, at, names);
        }
        free(in[i].data);
    }
    free(in);
    return ok;
}

/* heads [ranks + 1, most]: what all ranks told, and mine at the end, which is sent. A rank of fewer
 * lanes sends heads of 0 behind its own. A rank's lanes are consecutive and ranks come in lane
 * order, so that as long as every rank before has the full `most`, heads[i] is lane i's. */
bool lane_sums_gather(lane_sums *list, int64_t lanes, rank_group *r, metric_names *names, err *e)
{
    if (ranks_count(r) == 1) return true;
    int64_t most = ranks_lanes(r, 0, lanes).count; /* the most that a rank has */
    rank_lanes own = ranks_lanes(r, ranks_me(r), lanes);
    lane_head *heads = calloc((size_t)((ranks_count(r) + 1) * most), sizeof *heads);
    CHECK(heads, "out of memory for the sums of %lld lanes", (long long)lanes);
    lane_head *mine = heads + ranks_count(r) * most;
    size_t bytes;
    char *metrics = pack_metrics(list, own, &bytes);
    for (int64_t i = 0; i < own.count; i++) {
        const lane_sums *s = &list[own.first + i];
        mine[i] = (lane_head){s->nats, s->weight, s->metric_count, 0};
    }
    /* Written even where this rank has no lane: it then has no bytes to send either. */
    mine[0].rank_bytes = (int64_t)bytes;
    bool ok = ranks_gather(r, mine, (size_t)most * sizeof *mine, heads, e);
    for (int64_t i = 0; ok && i < lanes; i++) { /* nodes lie behind each other, as lanes do */
        list[i].nats = heads[i].nats;
        list[i].weight = heads[i].weight;
    }
    ok = ok && gather_metrics(list, lanes, r, metrics, bytes, heads, names, e);
    free(metrics);
    free(heads);
    return ok;
}
