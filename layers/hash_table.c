#include "layers/hash_table.h"

#include "core/base/file.h"
#include "layers/kmeans.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A table is made once, at build time, from the run's seed and counts of the corpus, and is then a
 * parameter that never moves: it lies in the checkpoint, so a model that is loaded routes as it was
 * trained, whatever the corpus looks like by then. */

/* Hashes differ by the key's row, uses by its place: numbers of one are independent of the
 * other's. */
static rng_key key_of(const hash_table_shape *s, int64_t m, const char *use)
{
    rng_key key = s->key;
    key.row = (uint32_t)m;
    key.place += rng_place(use);
    return key;
}

void hash_table_random(int32_t *table, const hash_table_shape *s)
{
    for (int64_t m = 0; m < s->hashes; m++) {
        rng_key key = key_of(s, m, "random");
        for (int64_t id = 0; id <= s->vocab; id++) {
            *table++ = (int32_t)rng_below(key, (uint64_t)id, (uint64_t)s->experts);
        }
    }
}

/* Digits of one number: with two hashes the pair of experts is unique for experts^2 ids in a row,
 * though neighbours share digits. */
void hash_table_modulo(int32_t *table, const hash_table_shape *s)
{
    for (int64_t m = 0; m < s->hashes; m++) {
        for (int64_t id = 0; id <= s->vocab; id++) {
            int64_t rest = id;
            for (int64_t i = 0; i < m; i++) {
                rest /= s->experts;
            }
            *table++ = (int32_t)(rest % s->experts);
        }
    }
}

/* ---- balanced ---- */

typedef struct counted {
    int64_t count;
    int32_t id;
} counted;

static int by_count(const void *a, const void *b)
{
    const counted *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* Shuffles list[0, n) with numbers from index `at` on.
 * Fisher and Yates, from the end. */
static void shuffle(counted *list, int64_t n, rng_key key, int64_t at)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t k = (int64_t)rng_below(key, (uint64_t)(at + i), (uint64_t)i + 1);
        counted swap = list[i];
        list[i] = list[k];
        list[k] = swap;
    }
}

/* By looking at all: ids times experts steps in all, once per run. */
static int64_t least(const double *load, int64_t n)
{
    int64_t best = 0;
    for (int64_t e = 1; e < n; e++) {
        if (load[e] < load[best]) best = e;
    }
    return best;
}

void hash_table_balanced(int32_t *table, double *load, const int64_t *counts,
                         const hash_table_shape *s)
{
    arena_auto *a = arena_new((size_t)1 << 16);
    int64_t ids = s->vocab + 1;
    counted *order = ARENA_NEW(a, counted, ids);
    for (int64_t m = 0; m < s->hashes; m++, table += ids, load += s->experts) {
        for (int64_t id = 0; id < ids; id++) {
            order[id] = (counted){id < s->vocab ? counts[id] : 0, (int32_t)id};
        }
        /* The start token stays last: it is no word of the text. */
        qsort(order, (size_t)s->vocab, sizeof *order, by_count);
        rng_key key = key_of(s, m, "balanced");
        /* The first hash is the published order. Further ones may not be the same table again:
         * shuffling within `experts` ids of nearly the same count changes who shares an expert and
         * leaves the loads balanced. */
        for (int64_t i = 0; m > 0 && i < ids; i += s->experts) {
            shuffle(order + i, MIN(s->experts, ids - i), key, i);
        }
        memset(load, 0, (size_t)s->experts * sizeof *load);
        for (int64_t i = 0; i < ids; i++) {
            int64_t e = least(load, s->experts);
            table[order[i].id] = (int32_t)e;
            load[e] += (double)order[i].count;
        }
    }
}

/* ---- by similarity ---- */

/* Clusters are of all sizes: loads are not balanced here. */
void hash_table_clustered(int32_t *table, const double *points, int64_t width,
                          const hash_table_shape *s)
{
    int64_t ids = s->vocab + 1;
    for (int64_t m = 0; m < s->hashes; m++) {
        kmeans(table + m * ids, points, ids, width, s->experts, key_of(s, m, "clusters"));
    }
}

/* Deals the members of one cluster, in random order, to experts; every round of `experts` members
 * begins at another expert, so that small clusters do not all go to the first ones.
 * Two members of one round never share an expert. */
static void deal(int32_t *table, const counted *members, int64_t n, int64_t experts, rng_key key)
{
    for (int64_t i = 0; i < n; i += experts) {
        int64_t first = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)experts);
        for (int64_t k = 0; k < MIN(experts, n - i); k++) {
            table[members[i + k].id] = (int32_t)((first + k) % experts);
        }
    }
}

void hash_table_dispersed(int32_t *table, const double *points, int64_t width, int64_t clusters,
                          const hash_table_shape *s)
{
    arena_auto *a = arena_new((size_t)1 << 16);
    int64_t ids = s->vocab + 1;
    int32_t *cluster = ARENA_NEW(a, int32_t, ids);
    counted *members = ARENA_NEW(a, counted, ids);
    for (int64_t m = 0; m < s->hashes; m++, table += ids) {
        kmeans(cluster, points, ids, width, clusters, key_of(s, m, "clusters"));
        rng_key key = key_of(s, m, "deal");
        for (int64_t c = 0; c < clusters; c++) {
            int64_t n = 0;
            for (int64_t id = 0; id < ids; id++) {
                if (cluster[id] == c) members[n++] = (counted){0, (int32_t)id};
            }
            /* Streams of their own for each cluster's order and for where its rounds begin. */
            key.step = (uint32_t)(2 * c);
            shuffle(members, n, key, 0);
            key.step++;
            deal(table, members, n, s->experts, key);
        }
    }
}

/* ---- from a file ---- */

/* Reads one whole number at *p into *value; false: there is none.
 * A number too large for an expert stops growing and is refused by its size: digits without end do
 * not overflow. */
static bool next_number(const char **p, const char *end, int64_t *value)
{
    while (*p < end && (**p == ' ' || **p == '\t' || **p == ',' || **p == '\r')) {
        (*p)++;
    }
    if (*p == end || !isdigit((unsigned char)**p)) return false;
    *value = 0;
    for (; *p < end && isdigit((unsigned char)**p); (*p)++) {
        if (*value < INT32_MAX) *value = 10 * *value + (**p - '0');
    }
    return true;
}

/* Line `id` of the file: one expert per hash. */
static bool read_line(int32_t *table, int64_t id, const char *p, const char *end, const char *path,
                      const hash_table_shape *s, const node *at, err *e)
{
    int64_t value = 0;
    for (int64_t m = 0; m < s->hashes; m++) {
        if (!next_number(&p, end, &value)) {
            return node_err(e, at, "%s:%lld: expected %lld expert number(s) for token %lld", path,
                            (long long)id + 1, (long long)s->hashes, (long long)id);
        }
        if (value >= s->experts) {
            return node_err(e, at, "%s:%lld: expert %lld of token %lld is out of range 0 to %lld",
                            path, (long long)id + 1, (long long)value, (long long)id,
                            (long long)s->experts - 1);
        }
        table[m * (s->vocab + 1) + id] = (int32_t)value;
    }
    /* Neither another number nor anything else may follow. */
    if (!next_number(&p, end, &value) && p == end) return true;
    return node_err(e, at, "%s:%lld: more than %lld expert number(s) for token %lld", path,
                    (long long)id + 1, (long long)s->hashes, (long long)id);
}

static bool read_lines(int32_t *table, const char *text, size_t bytes, const char *path,
                       const hash_table_shape *s, const node *at, err *e)
{
    const char *p = text, *end = text + bytes;
    int64_t id = 0;
    for (; p < end; id++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        if (id > s->vocab) {
            return node_err(e, at,
                            "%s:%lld: more lines than the %lld token ids and the start token", path,
                            (long long)id + 1, (long long)s->vocab);
        }
        if (!read_line(table, id, p, stop, path, s, at, e)) return false;
        p = stop < end ? stop + 1 : end;
    }
    if (id >= s->vocab) return true;
    return node_err(e, at, "%s: %lld lines; the vocabulary has %lld token ids", path, (long long)id,
                    (long long)s->vocab);
}

bool hash_table_read(int32_t *table, const char *path, const hash_table_shape *s, const node *at,
                     err *e)
{
    err why = {0};
    memset(table, 0, (size_t)(s->hashes * (s->vocab + 1)) * sizeof *table);
    size_t bytes;
    text_auto *text = file_read_named(path, &bytes, &why);
    if (!text) return node_err_of(e, at, &why);
    return read_lines(table, text, bytes, path, s, at, e);
}
