#include "core/ops/blas.h"

#include "core/base/crew.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Every product of the program passes blas_gemm, whatever computes it: here sizes are checked,
 * multiply-adds counted, work shared among helpers, empty products handled. Kernels and libraries
 * may then rely on at least one row, column and value of k, and on strides that are long enough. */

/* The one place where 64 bits become BLAS's 32: a larger size would wrap to another product. */
static int narrow(int64_t size)
{
    CHECK(size >= 0 && size <= INT_MAX, "%lld does not fit BLAS's integers", (long long)size);
    return (int)size;
}

static CBLAS_TRANSPOSE transposed(bool yes)
{
    return yes ? CblasTrans : CblasNoTrans;
}

/* A double counts exactly up to 2^53 operations, and beyond as well as is needed. */
static _Thread_local double flops;

double blas_flops(void)
{
    return flops;
}

/* OpenBLAS maps 128 MiB for each calling thread, and asks for them for ever where they are refused;
 * so they are asked for here first, where `ulimit -v` could refuse them, with what the thread needs
 * beside them.
 * Once per thread; a thread that has its buffer keeps it. */
static void expect_room_for_buffer(void)
{
    static const size_t BUFFER = (size_t)160 << 20;
    static _Thread_local bool known;
    struct rlimit space;
    if (known) return;
    known = true;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY) return;
    void *room = mmap(NULL, BUFFER, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(room != MAP_FAILED, "out of address space: OpenBLAS needs a buffer of 128 MiB for each "
                              "thread, which the limit on it (ulimit -v) does not leave");
    munmap(room, BUFFER);
}

#if REAL_IS_DOUBLE
#define GEMM cblas_dgemm
#define GEMV cblas_dgemv
#else
#define GEMM cblas_sgemm
#define GEMV cblas_sgemv
#endif

/* BLAS may return early, before it scales c, where a product is empty.
 * A sum over no terms is 0: what is left of alpha a b + beta c is beta c. */
static void scale_rows(real *c, int64_t m, int64_t n, int64_t stride, real beta)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            c[i * stride + j] = beta == 0 ? 0 : beta * c[i * stride + j];
        }
    }
}

/* One row (a generated token): a matrix by a vector, which reads b once and packs nothing.
 * c = b^T a for a column vector: hence the transposition turned over. With beta 0 c is zeroed and
 * added to, so nothing depends on what the library does with a NaN that c held. */
static void one_row(bool transpose_a, bool transpose_b, int64_t n, int64_t k, real alpha,
                    const real *a, int64_t stride_a, const real *b, int64_t stride_b, real beta,
                    real *c)
{
    if (beta == 0) memset(c, 0, (size_t)n * sizeof *c);
    int64_t rows = transpose_b ? n : k, columns = transpose_b ? k : n;
    GEMV(CblasRowMajor, transposed(!transpose_b), narrow(rows), narrow(columns), alpha, b,
         narrow(stride_b), a, transpose_a ? narrow(stride_a) : 1, beta == 0 ? 1 : beta, c, 1);
}

/* One thread: the process runs with OMP_NUM_THREADS=1, and helpers are not asked here. */
static void by_library(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                       real alpha, const real *a, int64_t stride_a, const real *b, int64_t stride_b,
                       real beta, real *c, int64_t stride_c)
{
    expect_room_for_buffer();
    if (m == 1) {
        one_row(transpose_a, transpose_b, n, k, alpha, a, stride_a, b, stride_b, beta, c);
        return;
    }
    GEMM(CblasRowMajor, transposed(transpose_a), transposed(transpose_b), narrow(m), narrow(n),
         narrow(k), alpha, a, narrow(stride_a), b, narrow(stride_b), beta, c, narrow(stride_c));
}

/* A function of the sizes alone, apart from the crew: and no bit depends on its answer. */
int blas_hands(int64_t m, int64_t n, int64_t k)
{
    /* Multiply-adds (20 microseconds) below which calling helpers takes longer than they save; an
     * element of b, which is read and packed once, counts as so many rows. */
    static const double WORTH = 1 << 20, READING = 31;
    return ((double)m + READING) * (double)n * (double)k < WORTH ? 1 : crew_hands();
}

/* What kernels do; there are none for double. */
#if REAL_IS_DOUBLE
static bool by_kernel(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m,
                      int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      const real *b, int64_t stride_b, const real *row, real beta, real *c,
                      int64_t stride_c)
{
    (void)g, (void)row, (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k,
        (void)alpha;
    (void)a, (void)stride_a, (void)b, (void)stride_b, (void)beta, (void)c, (void)stride_c;
    return false;
}

void blas_pack(const gemm_packed *p, bool transpose_b, const real *b, int64_t stride_b)
{
    (void)p, (void)transpose_b, (void)b, (void)stride_b;
    CHECK(false, "nothing packs doubles");
}

static void by_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                      int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      const real *row, real beta, real *c, int64_t stride_c)
{
    (void)row, (void)b, (void)first_k, (void)first_n, (void)transpose_a, (void)m, (void)n, (void)k,
        (void)alpha, (void)a;
    (void)stride_a, (void)beta, (void)c, (void)stride_c;
    CHECK(false, "nothing packs doubles");
}

void blas_gemm_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                      int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      real beta, real *c, int64_t stride_c)
{
    by_packed(b, first_k, first_n, transpose_a, m, n, k, alpha, a, stride_a, NULL, beta, c,
              stride_c);
}

void blas_gemm_into(const gemm_packed *c, const gemm_packed *room, int64_t k, real alpha,
                    const real *a, int64_t stride_a, const real *b, int64_t stride_b, real beta)
{
    (void)c, (void)room, (void)k, (void)alpha, (void)a, (void)stride_a, (void)b, (void)stride_b;
    (void)beta;
    CHECK(false, "nothing packs doubles");
}

void blas_unpack(const gemm_packed *p, real *b, int64_t stride_b)
{
    (void)p, (void)b, (void)stride_b;
    CHECK(false, "nothing packs doubles");
}
#else
/* A product whose columns, or rows, are shared among the thread and its helpers. */
/* Read by all, written by nobody, while the crew works. */
typedef struct shared_product {
    const gemm_kernel *g;
    bool transpose_a, transpose_b;
    int64_t m, n, k, stride_a, stride_b, stride_c;
    real alpha, beta;
    const real *a, *b, *row;
    real *c;
    int64_t rows, columns; /* of a part */
    int across;            /* parts side by side */
} shared_product;

/* Parts are rectangles of c: nobody writes another's elements, and all read a and b. */
static void multiply_part(void *arg, int part)
{
    const shared_product *s = arg;
    int64_t i = part / s->across * s->rows, j = part % s->across * s->columns;
    int64_t m = MIN(s->rows, s->m - i), n = MIN(s->columns, s->n - j);
    gemm_run(s->g, s->transpose_a, s->transpose_b, m, n, s->k, s->alpha,
             s->a + (s->transpose_a ? i : i * s->stride_a), s->stride_a,
             s->b + (s->transpose_b ? j * s->stride_b : j), s->stride_b, s->row ? s->row + j : NULL,
             s->beta, s->c + i * s->stride_c + j, s->stride_c);
}

/* Whole tiles of what is longer; returns how many parts that makes.
 * Only for speed: a part that ends inside of a tile would compute the rest of it for nothing. */
static int share(shared_product *s, int hands)
{
    int64_t whole = s->n >= s->m ? s->g->columns : s->g->rows, all = MAX(s->n, s->m);
    int64_t each = (all + hands * whole - 1) / (hands * whole) * whole;
    int parts = (int)((all + each - 1) / each);
    s->across = s->n >= s->m ? parts : 1;
    s->columns = s->n >= s->m ? each : s->n;
    s->rows = s->n >= s->m ? s->m : each;
    return parts;
}

static bool by_kernel(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m,
                      int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      const real *b, int64_t stride_b, const real *row, real beta, real *c,
                      int64_t stride_c)
{
    if (!g) return false;
    int hands = blas_hands(m, n, k);
    if (hands == 1) {
        gemm_run(g, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, row, beta,
                 c, stride_c);
        return true;
    }
    shared_product s = {.g = g,
                        .transpose_a = transpose_a,
                        .transpose_b = transpose_b,
                        .m = m,
                        .n = n,
                        .k = k,
                        .stride_a = stride_a,
                        .stride_b = stride_b,
                        .stride_c = stride_c,
                        .alpha = alpha,
                        .beta = beta,
                        .a = a,
                        .b = b,
                        .row = row,
                        .c = c};
    crew_run(multiply_part, &s, share(&s, hands));
    return true;
}

/* The same of a packed b, columns in whole parts. */
typedef struct shared_packed {
    const gemm_packed *b;
    bool transpose_a;
    int64_t first_k, first_n, m, n, k, stride_a, stride_c, columns;
    real alpha, beta;
    const real *a, *row;
    real *c;
} shared_packed;

static void multiply_packed_part(void *arg, int part)
{
    const shared_packed *s = arg;
    int64_t j = part * s->columns;
    gemm_run_packed(s->b, s->first_k, s->first_n + j, s->transpose_a, s->m,
                    MIN(s->columns, s->n - j), s->k, s->alpha, s->a, s->stride_a,
                    s->row ? s->row + j : NULL, s->beta, s->c + j, s->stride_c);
}

void blas_pack(const gemm_packed *p, bool transpose_b, const real *b, int64_t stride_b)
{
    gemm_pack(p, transpose_b, b, stride_b);
}

static void by_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                      int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      const real *row, real beta, real *c, int64_t stride_c)
{
    CHECK(first_k % GEMM_PART == 0 && first_n % GEMM_PART == 0 && first_k + k < b->k + GEMM_PART &&
              first_n + n < b->n + GEMM_PART && stride_a >= (transpose_a ? m : k) && stride_c >= n,
          "%lld x %lld from %lld, %lld of %lld x %lld", (long long)k, (long long)n,
          (long long)first_k, (long long)first_n, (long long)b->k, (long long)b->n);
    /* Of queries that see no key there is nothing to share out. */
    if (m == 0 || n == 0) return;
    /* What lies beyond b is zeros and does not count. By the calling thread: helpers run kernels
     * and do not come through here. */
    flops += 2 * (double)m * (double)MIN(n, b->n - first_n) * (double)MIN(k, b->k - first_k);
    if (k == 0) {
        CHECK(!row, "a row and no product to add to it");
        scale_rows(c, m, n, stride_c, beta);
        return;
    }
    int64_t whole = (int64_t)blas_hands(m, n, k) * GEMM_PART;
    shared_packed s = {.b = b,
                       .transpose_a = transpose_a,
                       .first_k = first_k,
                       .first_n = first_n,
                       .m = m,
                       .n = n,
                       .k = k,
                       .stride_a = stride_a,
                       .stride_c = stride_c,
                       .columns = (n + whole - 1) / whole * GEMM_PART,
                       .alpha = alpha,
                       .beta = beta,
                       .a = a,
                       .row = row,
                       .c = c};
    crew_run(multiply_packed_part, &s, (int)((n + s.columns - 1) / s.columns));
}

void blas_gemm_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                      int64_t m, int64_t n, int64_t k, real alpha, const real *a, int64_t stride_a,
                      real beta, real *c, int64_t stride_c)
{
    by_packed(b, first_k, first_n, transpose_a, m, n, k, alpha, a, stride_a, NULL, beta, c,
              stride_c);
}

typedef struct shared_into {
    const gemm_packed *c, *b;
    int64_t stride_a, columns;
    real alpha, beta;
    const real *a;
} shared_into;

static void multiply_into_part(void *arg, int part)
{
    const shared_into *s = arg;
    int64_t j = part * s->columns;
    gemm_run_into(s->c, j, MIN(s->columns, s->c->n - j), s->b, s->alpha, s->a, s->stride_a,
                  s->beta);
}

void blas_gemm_into(const gemm_packed *c, const gemm_packed *room, int64_t k, real alpha,
                    const real *a, int64_t stride_a, const real *b, int64_t stride_b, real beta)
{
    CHECK(c->g->chain == GEMM_FLOAT32 && k > 0 && stride_a >= c->k && stride_b >= c->n,
          "%lld x %lld x %lld by %s", (long long)c->k, (long long)k, (long long)c->n, c->g->name);
    flops += 2 * (double)c->k * (double)c->n * (double)k;
    gemm_packed packed = {c->g, k, c->n, room->panels};
    gemm_pack(&packed, false, b, stride_b);
    int64_t whole = (int64_t)blas_hands(c->k, c->n, k) * GEMM_PART;
    shared_into s = {.c = c,
                     .b = &packed,
                     .stride_a = stride_a,
                     .columns = (c->n + whole - 1) / whole * GEMM_PART,
                     .alpha = alpha,
                     .beta = beta,
                     .a = a};
    crew_run(multiply_into_part, &s, (int)((c->n + s.columns - 1) / s.columns));
}

void blas_unpack(const gemm_packed *p, real *b, int64_t stride_b)
{
    gemm_unpack(p, b, stride_b);
}
#endif

/* Without panels it still tells the kernel and the sizes. */
gemm_packed blas_packed(arena *m, const gemm_kernel *g, int64_t k, int64_t n)
{
    gemm_packed p = {g, k, n, NULL};
    if (g && !REAL_IS_DOUBLE) p.panels = ARENA_NEW(m, float, gemm_packed_floats(g, k, n));
    return p;
}

/* Every row of c as sums begin; returns the beta with which the product is then added to it. */
static real begin_rows(const real *row, int64_t m, int64_t n, real beta, real *c, int64_t stride_c)
{
    for (int64_t i = 0; row && i < m; i++) {
        memcpy(c + i * stride_c, row, (size_t)n * sizeof *c);
    }
    return row ? 1 : beta;
}

/* blas_gemm; with a row [n] it is that, and not beta c, to which the product is added. */
static void multiply(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                     int64_t k, real alpha, const real *a, int64_t stride_a, const real *b,
                     int64_t stride_b, const real *row, real beta, real *c, int64_t stride_c)
{
    /* Before anything else: strides are checked against sizes that are sizes. */
    CHECK(m >= 0 && n >= 0 && k >= 0, "a product of %lld x %lld x %lld", (long long)m, (long long)k,
          (long long)n);
    /* A stride shorter than a row would make rows overlap, and c's rows overwrite each other. */
    CHECK(stride_a >= (transpose_a ? m : k) && stride_b >= (transpose_b ? k : n) && stride_c >= n,
          "strides %lld, %lld, %lld for %lld x %lld x %lld", (long long)stride_a,
          (long long)stride_b, (long long)stride_c, (long long)m, (long long)k, (long long)n);
    if (m == 0 || n == 0) return;
    flops += 2 * (double)m * (double)n * (double)k;
    if (k > 0 && by_kernel(g, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b,
                           row, beta, c, stride_c))
        return;
    beta = begin_rows(row, m, n, beta, c, stride_c);
    if (k == 0) {
        scale_rows(c, m, n, stride_c, beta);
    } else {
        by_library(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c,
                   stride_c);
    }
}

void blas_gemm(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
               int64_t k, real alpha, const real *a, int64_t stride_a, const real *b,
               int64_t stride_b, real beta, real *c, int64_t stride_c)
{
    multiply(g, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, NULL, beta, c,
             stride_c);
}

void blas_gemm_heads(const gemm_kernel *g, bool transpose_b, int64_t heads, int64_t n, int64_t k,
                     real alpha, const real *a, int64_t stride_a, const real *b, int64_t stride_b,
                     real *c, int64_t stride_c)
{
    int64_t apart = transpose_b ? k : n;
    CHECK(g && heads > 0 && n >= 0 && k >= 0 && stride_a >= k && stride_b >= heads * apart &&
              stride_c >= n,
          "%lld heads of %lld x %lld, strides %lld, %lld, %lld", (long long)heads, (long long)k,
          (long long)n, (long long)stride_a, (long long)stride_b, (long long)stride_c);
    /* Of a query that sees no key. */
    if (n == 0) return;
    if (k == 0) {
        scale_rows(c, heads, n, stride_c, 0);
        return;
    }
#if REAL_IS_DOUBLE
    for (int64_t h = 0; h < heads; h++) {
        blas_gemm(g, false, transpose_b, 1, n, k, alpha, a + h * stride_a, stride_a, b + h * apart,
                  stride_b, 0, c + h * stride_c, stride_c);
    }
#else
    flops += 2 * (double)heads * (double)n * (double)k;
    gemm_run_heads(g, transpose_b, heads, n, k, alpha, a, stride_a, b, stride_b, apart, c,
                   stride_c);
#endif
}

enum { STALE, BEING_PACKED, HELD };

void blas_kept_room(blas_kept *kept, arena *m, const gemm_kernel *g, int64_t n, int64_t k)
{
    *kept = (blas_kept){.packed = {blas_packed(m, g, n, k), blas_packed(m, g, k, n)}};
}

void blas_kept_changed(blas_kept *kept)
{
    for (int i = 0; i < 2; i++) {
        atomic_store_explicit(&kept->held[i], STALE, memory_order_relaxed);
    }
}

/* Several rows of floats that a kernel multiplies without packing anything are best left to it
 * where that is fast. What has to be rounded each time is not: 1.2 to 1.4 times as fast by packed
 * pairs. */
static bool best_as_it_lies(const gemm_kernel *g)
{
    return g->few && g->chain == GEMM_FLOAT32 && !(g->few_are_slow && g->few_are_slow());
}

/* By whoever comes first. Who comes while another packs multiplies without, rather than wait: the
 * bits are the same. */
static bool shared(blas_kept *kept, const gemm_kernel *g, bool transpose_w, int64_t m,
                   const real *w, int64_t stride_w)
{
    const gemm_packed *packed = &kept->packed[transpose_w];
    atomic_int *held = &kept->held[transpose_w];
    bool few = transpose_w && m <= GEMM_FEW && best_as_it_lies(g);
    if (!packed->panels || packed->g != g || few) return false;
    int expected = STALE;
    if (atomic_load_explicit(held, memory_order_acquire) == HELD) return true;
    if (!atomic_compare_exchange_strong(held, &expected, BEING_PACKED)) return false;
    blas_pack(packed, transpose_w, w, stride_w);
    atomic_store_explicit(held, HELD, memory_order_release);
    return true;
}

/* With rows as few as texts that step together, reading w is what a product costs: once packed it
 * is read in the order in which it lies, in as few bytes as a kernel of its chain takes. */
static bool alone(blas_kept *kept, const gemm_kernel *g, bool transpose_w, int64_t m, int64_t n,
                  int64_t k, const real *w, int64_t stride_w)
{
    gemm_packed *packed = &kept->packed[transpose_w];
    /* Packing costs a few readings, of which one use saves a part. */
    enum { WORTH = 16 };
    if (!transpose_w || (m > 1 && best_as_it_lies(g))) return false;
    if (kept->uses < WORTH && ++kept->uses == WORTH) {
        *packed = blas_packed(kept->memory, gemm_smallest(g->chain), k, n);
        if (packed->panels) blas_pack(packed, true, w, stride_w);
    }
    return packed->panels && packed->g->chain == g->chain;
}

void blas_gemm_kept(blas_kept *kept, const gemm_kernel *g, bool transpose_w, int64_t m, int64_t n,
                    int64_t k, const real *a, int64_t stride_a, const real *w, const real *row,
                    real beta, real *c, int64_t stride_c)
{
    int64_t stride_w = transpose_w ? k : n;
    bool packed = kept && g &&
                  (kept->memory ? alone(kept, g, transpose_w, m, n, k, w, stride_w)
                                : shared(kept, g, transpose_w, m, w, stride_w));
    if (packed) {
        by_packed(&kept->packed[transpose_w], 0, 0, false, m, n, k, 1, a, stride_a, row, beta, c,
                  stride_c);
    } else {
        multiply(g, false, transpose_w, m, n, k, 1, a, stride_a, w, stride_w, row, beta, c,
                 stride_c);
    }
}

const char *blas_core(void)
{
    return openblas_get_corename();
}
