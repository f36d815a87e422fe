#include <stdlib.h>

#include "core/base/pages.h"
#include "core/train/optim_parts.h"

/* Moments lie in one mapping, in the order of the parameters: what was never touched costs no
 * memory. A checkpoint holds them as they are. */

static int64_t state_count(const params *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->count; i++) {
        n += p->list[i].pieces * adafactor_state_count(adafactor_shape_of(&p->list[i]));
    }
    return n;
}

/* How many reals of first and second moments the kind keeps.
 * Frozen parameters have theirs as well, untouched: places in m and v are those in the flat
 * vector. */
static void moments(int64_t *m, int64_t *v, const optim_options *o, const params *p)
{
    bool adam = o->kind == OPTIM_ADAMW || o->kind == OPTIM_ADAM;
    *m = adam || (o->kind == OPTIM_SGD && o->momentum > 0) ? p->total : 0;
    *v = adam ? p->total : o->kind == OPTIM_ADAFACTOR ? state_count(p) : 0;
}

int64_t optim_bytes(const optim_options *o, const params *p)
{
    int64_t m, v;
    moments(&m, &v, o, p);
    return (m + v) * (int64_t)sizeof(real);
}

/* Ranges do not cross pieces, so that one either has a gradient or has none. Adafactor's means run
 * over a piece's rows and columns: it gets wholes.
 *
 * Lists pieces of parameters that are trained, cut after `most` elements; returns how many parts
 * there are. list NULL: only counts.
 * `state` counts all pieces, frozen ones too, so that a checkpoint's second moments stay in their
 * places when a group freezes something else. */
static int64_t list_ranges(range *list, const params *p, int64_t most)
{
    int64_t n = 0, state = 0;
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        int64_t size = q->count / q->pieces;
        int64_t state_size = adafactor_state_count(adafactor_shape_of(q));
        for (int64_t k = 0; k < q->pieces; k++, state += state_size) {
            for (int64_t at = 0; at < size && !q->frozen && q->row_grads < 0; at += most, n++) {
                if (!list) continue;
                list[n] = (range){.p = q,
                                  .piece = q->first_piece + k,
                                  .begin = q->offset + k * size + at,
                                  .count = MIN(most, size - at),
                                  .state = state};
            }
        }
    }
    return n;
}

static bool reserve(optim *m, err *e)
{
    const params *p = m->p;
    int64_t first, second;
    moments(&first, &second, &m->o, p);
    m->range_count = list_ranges(NULL, p, RANGE);
    m->whole_count = m->o.kind == OPTIM_ADAFACTOR ? list_ranges(NULL, p, INT64_MAX / 2) : 0;
    m->ranges = calloc((size_t)m->range_count + 1, sizeof *m->ranges);
    m->wholes = calloc((size_t)m->whole_count + 1, sizeof *m->wholes);
    m->sums = calloc((size_t)m->range_count + 1, sizeof *m->sums);
    m->touched = calloc((size_t)p->pieces + 1, sizeof *m->touched);
    m->rows = calloc((size_t)p->row_tables + 1, sizeof *m->rows);
    /* Not written: a piece costs memory when it is first touched. + 1: SGD has no moments. */
    m->memory_bytes = (size_t)(first + second + 1) * sizeof(real);
    m->memory = pages_map(&m->memory_bytes, PAGES_PROMISED);
    if (!m->memory || !m->ranges || !m->wholes || !m->sums || !m->touched || !m->rows) {
        return err_set(e, "no memory for %zu bytes of the optimiser's moments; use a smaller model",
                       m->memory_bytes);
    }
    /* m [first], then v [second]. */
    real *all = m->memory;
    m->m = first > 0 ? all : NULL;
    m->v = second > 0 ? all + first : NULL;
    m->v_count = second;
    list_ranges(m->ranges, p, RANGE);
    if (m->whole_count > 0) list_ranges(m->wholes, p, INT64_MAX / 2);
    return true;
}

optim *optim_new(const optim_options *o, const params *p, err *e)
{
    optim *m = calloc(1, sizeof *m);
    if (!m) return err_set(e, "no memory for an optimiser"), NULL;
    m->o = *o;
    m->p = p;
    if (reserve(m, e)) return m;
    optim_free(m);
    return NULL;
}

void optim_free(optim *m)
{
    if (!m) return;
    pages_unmap(m->memory, m->memory_bytes);
    free(m->ranges);
    free(m->wholes);
    free(m->sums);
    for (int i = 0; m->rows && i < m->p->row_tables; i++) {
        row_sums_deinit(&m->rows[i]);
    }
    free(m->rows);
    free(m->touched);
    free(m);
}

int optim_views(optim *m, optim_view *views, int capacity)
{
    const optim_view all[] = {
        {"optimizer.steps", ST_I64, 1, &m->steps},
        {"optimizer.touched", ST_U8, m->p->pieces, m->touched},
        {"optimizer.m", ST_REAL, m->m ? m->p->total : 0, m->m},
        {"optimizer.v", ST_REAL, m->v_count, m->v},
    };
    /* Kinds without a moment save none of it; a checkpoint of one kind has not the arrays of
     * another. */
    int n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].count == 0) continue;
        if (n < capacity) views[n] = all[i];
        n++;
    }
    return n;
}

/* The views were overwritten with bytes of a file: what is used as a number of steps or a flag is
 * looked at. Moments may be anything that a run could have had. */
bool optim_loaded(optim *m, err *e)
{
    if (m->steps < 0) {
        return err_set(e, "optimizer.steps: is %lld; the checkpoint is damaged",
                       (long long)m->steps);
    }
    for (int64_t i = 0; i < m->p->pieces; i++) {
        if (m->touched[i] > 1) {
            return err_set(e, "optimizer.touched: value %d at %lld; the checkpoint is damaged",
                           m->touched[i], (long long)i);
        }
    }
    return true;
}
