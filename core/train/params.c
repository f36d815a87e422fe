#include "core/train/params.h"

#include "core/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* All parameters lie in one vector, each at a cache line: an optimiser step, a sum of gradients and
 * a checkpoint are then loops over one range of memory, cut where it suits threads. */
enum { FLAT_ALIGN = 16 /* elements: a cache line of floats */ };

void params_init(params *p, arena *memory)
{
    *p = (params){.memory = memory};
}

/* The list doubles in the model's arena; what it outgrew stays there until the model goes. */
static void grow(params *p)
{
    int capacity = p->capacity ? 2 * p->capacity : 64;
    param *list = ARENA_NEW(p->memory, param, capacity);
    if (p->count > 0) memcpy(list, p->list, (size_t)p->count * sizeof *list);
    p->list = list;
    p->capacity = capacity;
}

/* Defaults go by role: only matrices decay and count as products, tables are never trained. The
 * layer that declares the parameter changes what does not fit through the list's last entry. */
int params_add(params *p, const char *name, param_role role, int rank, const int64_t *shape,
               param_init init)
{
    /* Names are keys of checkpoints and of the random numbers that a parameter starts with. */
    CHECK(params_find(p, name) < 0, "two parameters named %s", name);
    /* Parameters are leaves of the tape, and have a tensor's rank. */
    CHECK(rank >= 0 && rank <= TENSOR_RANK, "%s has rank %d", name, rank);
    if (p->count == p->capacity) grow(p);
    param *q = &p->list[p->count];
    *q = (param){.name = arena_strdup(p->memory, name),
                 .role = role,
                 .rank = rank,
                 .shape = {1, 1, 1, 1},
                 .count = 1,
                 .offset = p->total,
                 .pieces = 1,
                 .first_piece = p->pieces,
                 .init = init,
                 .matmul = role == ROLE_MATRIX,
                 .active = 1,
                 .fixed = role == ROLE_TABLE,
                 .frozen = role == ROLE_TABLE,
                 .row_grads = -1,
                 .lr_scale = 1,
                 .decay_scale = role == ROLE_MATRIX ? 1 : 0};
    for (int i = 0; i < rank; i++) {
        /* 64: bytes of such a count, and a few vectors of it, still fit. */
        CHECK(shape[i] > 0 && q->count <= INT64_MAX / 64 / shape[i], "%s: axis %d is %lld", name, i,
              (long long)shape[i]);
        q->shape[i] = shape[i];
        q->count *= shape[i];
    }
    p->total += (q->count + FLAT_ALIGN - 1) / FLAT_ALIGN * FLAT_ALIGN;
    /* As if each were one piece; params_seal counts anew once layers have said how many. */
    p->pieces++;
    return p->count++;
}

/* CHECK: pieces are equal, so a place in the vector tells its piece by a division. */
void params_seal(params *p)
{
    p->pieces = 0;
    for (int i = 0; i < p->count; i++) {
        param *q = &p->list[i];
        CHECK(q->pieces >= 1 && q->count % q->pieces == 0, "%s: %lld elements in %lld pieces",
              q->name, (long long)q->count, (long long)q->pieces);
        q->first_piece = p->pieces;
        p->pieces += q->pieces;
    }
}

/* In order: a model has hundreds of names, looked up while it is built or loaded. */
int params_find(const params *p, const char *name)
{
    for (int i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].name, name) == 0) return i;
    }
    return -1;
}

/* `!(>= 0)` and the like, so that a NaN is refused. */
bool params_check(const param *q, const real *values, err *e)
{
    for (int64_t i = 0; q->choices > 0 && i < q->count; i++) {
        double x = (double)values[i];
        if (x >= 0 && x < (double)q->choices && x == floor(x)) continue;
        return err_set(e, "%s: %.9g at %lld; whole numbers from 0 to %lld stand there", q->name, x,
                       (long long)i, (long long)q->choices - 1);
    }
    return true;
}

bool params_have_pieces(const params *p)
{
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].pieces > 1) return true;
    }
    return false;
}

/* Padding is no part of any count: the figure is what a paper would give for the model. */
int64_t params_elements(const params *p)
{
    int64_t sum = 0;
    for (int i = 0; i < p->count; i++) {
        if (p->list[i].role != ROLE_TABLE) sum += p->list[i].count;
    }
    return sum;
}

/* A sum of fractions, rounded once. */
int64_t params_active(const params *p)
{
    double sum = 0;
    for (int i = 0; i < p->count; i++) {
        sum += (double)p->list[i].count * p->list[i].active;
    }
    return llround(sum);
}

/* ---- initial values ---- */

static void start_constant(real *x, int64_t count, double value)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = (real)value;
    }
}

/* Strips, since the numbers are made in double and a table may have millions. */
static void start_normal(real *x, int64_t count, double deviation, rng_key key)
{
    enum { STRIP = 4096 };
    double normals[STRIP];
    for (int64_t begin = 0; begin < count; begin += STRIP, key.row++) { /* a strip is a stream */
        int64_t n = MIN(STRIP, count - begin);
        rng_fill_normal(normals, n, key);
        for (int64_t i = 0; i < n; i++) {
            x[begin + i] = (real)(deviation * normals[i]);
        }
    }
}

/* Index i of the parameter's stream is element i: a table that is made longer keeps its first
 * rows. */
static void start_uniform(real *x, int64_t count, double bound, rng_key key)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] = (real)(bound * (2 * rng_uniform(key, (uint64_t)i) - 1));
    }
}

/* Takes the part along the earlier vectors out of vector n and makes its length 1. Twice is enough
 * (Giraud, Langou & Rozloznik 2005): the second round removes what rounding left of the first.
 * Modified Gram-Schmidt: v loses its part along u_j before the part along u_{j+1} is measured. In
 * double, so that the rounding to float afterwards is all the error that is left. */
static void orthonormalise(double *vectors, int64_t n, int64_t length)
{
    double *v = vectors + n * length;
    for (int round = 0; round < 2; round++) {
        for (int64_t j = 0; j < n; j++) {
            const double *u = vectors + j * length;
            double dot = 0;
#pragma omp simd reduction(+ : dot)
            for (int64_t i = 0; i < length; i++) {
                dot += u[i] * v[i];
            }
#pragma omp simd
            for (int64_t i = 0; i < length; i++) {
                v[i] -= dot * u[i];
            }
        }
    }
    double squares = 0;
    for (int64_t i = 0; i < length; i++) {
        squares += v[i] * v[i];
    }
    for (int64_t i = 0; i < length; i++) {
        v[i] /= sqrt(squares);
    }
}

/* x [rows, columns]: the shorter side's vectors become orthonormal, times a.
 * q [vectors, length]. Directions of normal vectors are uniform, so the result is: no sign has to
 * be mended, as it has after a library's QR. */
static void start_orthogonal(real *x, int64_t rows, int64_t columns, double a, rng_key key)
{
    int64_t vectors = MIN(rows, columns), length = MAX(rows, columns);
    arena_auto *scratch = arena_new(0);
    double *q = ARENA_NEW(scratch, double, vectors *length);
    rng_fill_normal(q, vectors * length, key);
    for (int64_t n = 0; n < vectors; n++) {
        orthonormalise(q, n, length);
    }
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            double value = rows <= columns ? q[r * length + c] : q[c * length + r];
            x[r * columns + c] = (real)(a * value);
        }
    }
}

/* Drawn by name, not one after the other: a layer that is added, or moved, changes no other's
 * start. */
static void start(const param *p, real *x, uint64_t seed)
{
    char place[512];
    /* The prefix keeps a parameter's numbers apart from draws of the same name elsewhere. */
    snprintf(place, sizeof place, "init:%s", p->name);
    rng_key key = {.seed = seed, .place = rng_place(place)};
    switch (p->init.kind) {
    case INIT_ZERO:
        start_constant(x, p->count, 0);
        return;
    case INIT_CONSTANT:
        start_constant(x, p->count, p->init.a);
        return;
    case INIT_NORMAL:
        start_normal(x, p->count, p->init.a, key);
        return;
    case INIT_UNIFORM:
        start_uniform(x, p->count, p->init.a, key);
        return;
    case INIT_GIVEN:
        CHECK(p->given, "%s has no values", p->name);
        memcpy(x, p->given, (size_t)p->count * sizeof *x);
        return;
    case INIT_ORTHOGONAL: {
        /* Leading axes hold matrices of their own. */
        int64_t columns = p->rank > 0 ? p->shape[p->rank - 1] : 1;
        int64_t rows = p->rank > 1 ? p->shape[p->rank - 2] : 1;
        for (int64_t i = 0; i < p->count / (rows * columns); i++) {
            /* Each matrix has a stream of its own. */
            key.row = (uint32_t)i;
            start_orthogonal(x + i * rows * columns, rows, columns, p->init.a, key);
        }
        return;
    }
    }
    CHECK(false, "%s: unknown kind of initialisation %d", p->name, (int)p->init.kind);
}

void params_start(const params *p, real *values, uint64_t seed)
{
    memset(values, 0, (size_t)p->total * sizeof *values); /* the gaps between parameters */
    for (int i = 0; i < p->count; i++) {
        start(&p->list[i], values + p->list[i].offset, seed);
    }
}
