#include "core/ops/gemm.h"

#include "core/base/base.h"
#include "core/base/pages.h"
#include "core/ops/gemm_kernels.h"

#include <pthread.h>
#include <stdalign.h>
#include <string.h>
#include <unistd.h>

/* The loops around the kernels, the same for all of them:
 *
 *   for 512 columns of b                     c's columns
 *     for a block of k (384 units at most)   both are packed to panels that kernels read in order
 *       pack this part of b
 *       for `rows` rows of a                 pack them
 *         for `columns` columns              one tile: c += a b, sums in registers
 *
 * A packed b of 384 x 512 floats fits a second-level cache and is read once per panel of rows; a
 * panel of a fits the first-level cache and is read once per tile. Packing costs a pass over each
 * operand and saves strided reads in the loop that counts.
 *
 * Why blocks do not show in the bits: an element's sum is a float that goes through c from block to
 * block, with beta on the first and 1 on all others. It is never wider than a float, so storing and
 * loading it loses nothing, and the chain of multiply-adds is that of one loop over k. For the same
 * reason threads may take columns or rows as they like (blas.c). Blocks of k end at multiples of
 * 32, where all chains are between two of their groups. */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Of each chain the fastest first.
 * A kernel that is slow on this processor is passed over for the next of its chain: the bits are
 * the chain's. */
static const gemm_kernel *const KERNELS[] = {
#if defined(__x86_64__)
    &GEMM_AVX512_FLOAT32, &GEMM_AVX512_BFLOAT16, &GEMM_AVX512_ROUNDED, &GEMM_AMX_TILES,
    &GEMM_AVX512_TILES,
#endif
    &GEMM_PLAIN_FLOAT32,  &GEMM_PLAIN_BFLOAT16,  &GEMM_PLAIN_TILES,    NULL};

const gemm_kernel *gemm_at(int index)
{
    return KERNELS[index];
}

bool gemm_supported(const gemm_kernel *g)
{
    return !g->supported || g->supported();
}

const gemm_kernel *gemm_best(gemm_chain chain)
{
    for (int i = 0; KERNELS[i]; i++) {
        const gemm_kernel *g = KERNELS[i];
        if (g->chain == chain && gemm_supported(g) && !(g->slow && g->slow())) return g;
    }
    CHECK(false, "no kernel for chain %d", (int)chain);
}

const gemm_kernel *gemm_smallest(gemm_chain chain)
{
    const gemm_kernel *best = gemm_best(chain);
    for (int i = 0; KERNELS[i]; i++) {
        const gemm_kernel *g = KERNELS[i];
        if (g->chain == chain && g->depth > best->depth && gemm_supported(g)) best = g;
    }
    return best;
}

/* Sets up registers and what becomes of denormals; `end` puts it back. Without x86's registers the
 * kernels flush by themselves.
 * The mode belongs to the thread and to everything that it computes, so it is put back before
 * anybody else's floats are touched: a denormal in a softmax must not depend on whether a product
 * ran before it. */
static unsigned begin(const gemm_kernel *g)
{
    if (g->begin) g->begin();
#if defined(__x86_64__)
    unsigned before = _mm_getcsr();
    const unsigned flush_to_zero = 0x8000, denormals_are_zeros = 0x0040;
    if (g->flushes) _mm_setcsr(before | flush_to_zero | denormals_are_zeros);
    return before;
#else
    return 0;
#endif
}

static void end(const gemm_kernel *g, unsigned before)
{
    if (g->end) g->end();
#if defined(__x86_64__)
    if (g->flushes) _mm_setcsr(before);
#else
    (void)before;
#endif
}

/* Packed parts of one product, small enough for a second-level cache (b) and a first (a). */
typedef struct workspace {
    alignas(64) float b[GEMM_COLUMNS * GEMM_UNITS];
    alignas(64) float a[GEMM_PANELS];
} workspace;

_Static_assert(sizeof(workspace) <= PAGES_LARGE, "a workspace is one large page");

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int64_t cache_ways = 8; /* of the first level's sets; the processor is asked once */

static void let_go(void *own)
{
    pages_unmap(own, PAGES_LARGE);
}

static void make_key(void)
{
    CHECK(pthread_key_create(&key, let_go) == 0, "no key for the workspaces of threads");
#ifdef _SC_LEVEL1_DCACHE_ASSOC
    long ways = sysconf(_SC_LEVEL1_DCACHE_ASSOC);
    if (ways > 0) cache_ways = ways;
#endif
}

/* Every thread and helper has its own, mapped by its first product and gone when it ends. One large
 * page: on its stack, which has small ones, a product took 2 to 4 % longer. */
static workspace *workspace_own(void)
{
    pthread_once(&once, make_key);
    void *own = pthread_getspecific(key);
    if (own) return own;
    size_t bytes = PAGES_LARGE;
    own = pages_map(&bytes, PAGES_PROMISED);
    CHECK(own && pthread_setspecific(key, own) == 0,
          "out of memory: a thread's products need %d MiB", PAGES_LARGE >> 20);
    return own;
}

/* Equal blocks of k rather than full ones and a sliver.
 * 400 values are 224 and 176, not 384 and 16: a tile's begin and end, loading and storing c, are
 * paid per block. */
static int64_t block_of(const gemm_kernel *g, int64_t k)
{
    int64_t most = (int64_t)GEMM_UNITS * g->depth, blocks = (k + most - 1) / most;
    int64_t each = (k + blocks - 1) / blocks;
    return (each + 31) / 32 * 32;
}

/* Rows of a panel where there are m: even ones rather than full ones and a sliver. */
static int64_t rows_of(const gemm_kernel *g, int64_t m)
{
    int64_t panels = (m + g->rows - 1) / g->rows;
    return (m + panels - 1) / panels;
}

/* Floats after which a line has the same sets as before, in any first-level cache. */
enum { PAGE = 1024 };

/* A tile's rows are read a line each and again for the next columns, beside a stream of b. Lines a
 * power of two apart share few sets of the first-level cache: 14 rows of 512 floats fill seven ways
 * of two sets. Of 12 that leaves enough for b; of 8 (Zen 4) it does not, and a product takes 1.5
 * times as long. */
static bool rows_fit(const gemm_kernel *g, int64_t stride_a)
{
    const int64_t for_b = 4;
    int64_t power = stride_a & -stride_a,
            sets = MAX(PAGE / power, 1); /* rows without one in common */
    return (g->rows + sets - 1) / sets + for_b <= cache_ways;
}

static bool can_be_unpacked(const gemm_kernel *g, bool transpose_a, int64_t n, float alpha,
                            int64_t stride_a)
{
    return g->tile_unpacked && n <= GEMM_UNPACKED && alpha == 1 &&
           (transpose_a ? stride_a % PAGE != 0 : rows_fit(g, stride_a));
}

/* Panels of `each` rows of the `rows` of a, GEMM_STRIP at most.
 * The rows of a transposed a lie side by side: of each k a stretch of all panels is read, a few k
 * at a time. Panel by panel the lines of a wide a would be read for 56 bytes each, and, as many
 * bytes apart as they are, have left the cache when the next panel wants the rest of them. */
static void pack_strip(const gemm_kernel *g, float *panels, bool transposed, int64_t each,
                       int64_t rows, int64_t k, float alpha, const float *a, int64_t stride)
{
    const int64_t at_once = transposed ? 32 : k;
    for (int64_t p = 0; p < k; p += at_once) {
        for (int64_t i = 0; i < rows; i += each) {
            g->pack_a(panels + i / each * g->panel + p / g->depth * g->step, transposed,
                      MIN(each, rows - i), MIN(at_once, k - p), alpha,
                      a + (transposed ? p * stride + i : i * stride + p), stride);
        }
    }
}

/* What a tile fetches of the `rows` of a that are packed next: its share of their lines, even ones
 * for all tiles, so that packing finds everything in the cache. */
static gemm_ahead ahead_of(bool transposed, int64_t rows, int64_t k, const float *a, int64_t stride,
                           int64_t tile, int64_t tiles)
{
    int64_t along = transposed ? rows : k, across = transposed ? k : rows;
    int64_t from = across * tile / tiles, to = across * (tile + 1) / tiles;
    /* A stretch of a transposed a begins anywhere in a line of 16 floats. */
    int64_t of = (along + 15) / 16 + transposed;
    return (gemm_ahead){.a = a + from * stride,
                        .of = of,
                        .lines = rows > 0 ? (to - from) * of : 0,
                        .step = 16,
                        .jump = stride - of * 16};
}

/* Where a product goes: rows are `stride` apart, columns `apart`, which is 1; or else whole panels
 * of columns are, so many times their columns, and inside of one they lie side by side.
 * row: sums begin as it in every row of c, not as beta c (NULL: they do not). */
typedef struct target {
    float *c;
    int64_t stride, apart;
    const float *row;
} target;

static target part_of(target to, int64_t i, int64_t j)
{
    return (target){to.c + i * to.stride + j * to.apart, to.stride, to.apart,
                    to.row ? to.row + j : NULL};
}

/* For the few rows for which there are no tiles. */
static float begin_rows(target to, int64_t rows, int64_t columns, float beta)
{
    for (int64_t i = 0; to.row && i < rows; i++) {
        memcpy(to.c + i * to.stride, to.row, (size_t)columns * sizeof *to.c);
    }
    return to.row ? 1 : beta;
}

/* The tiles of one strip: a packed, or as it lies. `after`: rows of the next strip. */
typedef struct strip {
    const gemm_kernel *g;
    bool transposed, packed;
    int64_t each, rows, after, n, k;
    const float *a, *panels;
    int64_t stride_a;
} strip;

/* What tile t fetches while it computes: the next one's rows of c, and of an a that is packed its
 * share of the next strip. Rows that lie as they are come by themselves: each is read along. */
static gemm_ahead after_tile(const strip *s, target to, int64_t t, int64_t tiles)
{
    const gemm_kernel *g = s->g;
    int64_t panels = (s->rows + s->each - 1) / s->each, all = panels * tiles;
    const float *following = s->a + s->rows * (s->transposed ? 1 : s->stride_a);
    gemm_ahead next = {0};
    if (s->packed) next = ahead_of(s->transposed, s->after, s->k, following, s->stride_a, t, all);
    int64_t i = (t + 1) / tiles * s->each, j = (t + 1) % tiles * g->columns;
    next.c = part_of(to, i, j).c;
    next.rows = MAX(MIN(s->rows + s->after - i, s->each), 0);
    next.stride_c = to.stride;
    return next;
}

static void multiply_strip(const strip *s, const float *b, int64_t apart, float beta, target to)
{
    const gemm_kernel *g = s->g;
    int64_t units = gemm_units(g, s->k), tiles = (s->n + g->columns - 1) / g->columns;
    int64_t panels = (s->rows + s->each - 1) / s->each;
    for (int64_t t = 0; t < panels * tiles; t++) {
        int64_t i = t / tiles * s->each, j = t % tiles * g->columns;
        int64_t rows = MIN(s->each, s->rows - i), columns = MIN(s->n - j, (int64_t)g->columns);
        target at = part_of(to, i, j);
        const float *from = at.row ? at.row : at.c;
        int64_t stride_from = at.row ? 0 : at.stride;
        float factor = at.row ? 1 : beta;
        gemm_ahead next = after_tile(s, to, t, tiles);
        if (s->packed) {
            g->tile(rows, columns, units, s->panels + i / s->each * g->panel, b + j * apart, factor,
                    from, stride_from, at.c, to.stride, &next);
        } else {
            g->tile_unpacked(s->transposed, rows, columns, units,
                             s->a + i * (s->transposed ? 1 : s->stride_a), s->stride_a,
                             b + j * apart, factor, from, stride_from, at.c, to.stride, &next);
        }
    }
}

/* c [m, n] = alpha op(a) b + beta c, for the part of b in packed panels that are `apart` units long
 * each; panels: room for a strip of a.
 * Panels of b are `columns` wide and apart * columns long, so column j's begins at b + j *
 * apart. */
static void multiply_rows(const gemm_kernel *g, float *panels, bool transpose_a, int64_t m,
                          int64_t n, int64_t k, float alpha, const float *a, int64_t stride_a,
                          const float *b, int64_t apart, float beta, target to)
{
    if (m == 1 && g->row && !transpose_a && to.apart == 1) {
        g->pack_few(panels, 1, k, alpha, a, stride_a);
        g->row(n, gemm_units(g, k), panels, b, apart * g->columns, begin_rows(to, 1, n, beta),
               to.c);
        return;
    }
    strip s = {.g = g,
               .transposed = transpose_a,
               .packed = !can_be_unpacked(g, transpose_a, n, alpha, stride_a),
               .each = rows_of(g, m),
               .n = n,
               .k = k,
               .panels = panels,
               .stride_a = stride_a};
    int64_t most = s.each * (transpose_a ? GEMM_STRIP / g->rows : 1);
    for (int64_t i = 0; i < m; i += most) {
        s.a = a + i * (transpose_a ? 1 : stride_a);
        s.rows = MIN(most, m - i);
        s.after = MIN(most, m - i - s.rows);
        if (s.packed) {
            pack_strip(g, panels, transpose_a, s.each, s.rows, k, alpha, s.a, stride_a);
        }
        multiply_strip(&s, b, apart, beta, part_of(to, i, 0));
    }
}

/* One row whatever b is like; several where b runs along k (weights), as a text's tokens do. */
static bool are_few(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m)
{
    return g->few && (m == 1 || (m <= GEMM_FEW && transpose_b && !transpose_a));
}

/* b is read once, and nothing but the rows is packed: with few of them, to pack it first would cost
 * more than what is computed with it. One row is gathered to lie along k, which a transposed a does
 * not. */
static void run_few(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
                    int64_t k, float alpha, const float *a, int64_t stride_a, const float *b,
                    int64_t stride_b, float beta, float *c, int64_t stride_c)
{
    alignas(64) float panel[GEMM_FEW * GEMM_STRIDE], line[GEMM_UNITS];
    for (int64_t p = 0; p < k; p += GEMM_UNITS) {
        int64_t part = MIN(k - p, (int64_t)GEMM_UNITS), apart = stride_a;
        const float *rows = a + p;
        if (transpose_a) { /* one row, spread over a's lines */
            for (int64_t i = 0; i < part; i++) {
                line[i] = a[(p + i) * stride_a];
            }
            rows = line, apart = part;
        }
        g->pack_few(panel, m, part, alpha, rows, apart);
        g->few(transpose_b, m, n, part, panel, b + p * (transpose_b ? 1 : stride_b), stride_b,
               p > 0 ? 1 : beta, c, stride_c);
    }
}

void gemm_run_heads(const gemm_kernel *g, bool transpose_b, int64_t heads, int64_t n, int64_t k,
                    float alpha, const float *a, int64_t stride_a, const float *b, int64_t stride_b,
                    int64_t apart, float *c, int64_t stride_c)
{
    if (!g->heads) {
        for (int64_t h = 0; h < heads; h++) {
            gemm_run(g, false, transpose_b, 1, n, k, alpha, a + h * stride_a, k, b + h * apart,
                     stride_b, NULL, 0, c + h * stride_c, n);
        }
        return;
    }
    alignas(64) float panel[GEMM_FEW * GEMM_STRIDE];
    unsigned before = begin(g);
    for (int64_t h = 0; h < heads; h += GEMM_FEW) {
        int64_t count = MIN(heads - h, (int64_t)GEMM_FEW);
        for (int64_t p = 0; p < k; p += GEMM_UNITS) {
            int64_t part = MIN(k - p, (int64_t)GEMM_UNITS);
            g->pack_few(panel, count, part, alpha, a + h * stride_a + p, stride_a);
            g->heads(transpose_b, count, n, part, panel,
                     b + h * apart + p * (transpose_b ? 1 : stride_b), stride_b, apart,
                     p > 0 ? 1 : 0, c + h * stride_c, stride_c);
        }
    }
    end(g, before);
}

/* b's block is packed inside of the loop over k and read by all rows of a before the next one is:
 * it is in the cache when it is used. a is packed once for each 512 columns of c. */
void gemm_run(const gemm_kernel *g, bool transpose_a, bool transpose_b, int64_t m, int64_t n,
              int64_t k, float alpha, const float *a, int64_t stride_a, const float *b,
              int64_t stride_b, const float *row, float beta, float *c, int64_t stride_c)
{
    unsigned before = begin(g);
    if (are_few(g, transpose_a, transpose_b, m)) {
        run_few(g, transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b,
                begin_rows((target){c, stride_c, 1, row}, m, n, beta), c, stride_c);
        end(g, before);
        return;
    }
    workspace *w = workspace_own();
    int64_t depth = block_of(g, k);
    for (int64_t j = 0; j < n; j += GEMM_COLUMNS) {
        int64_t width = MIN(n - j, (int64_t)GEMM_COLUMNS);
        for (int64_t p = 0; p < k; p += depth) {
            int64_t part = MIN(k - p, depth), units = gemm_units(g, part);
            g->pack_b(w->b, transpose_b, part, width,
                      b + (transpose_b ? j * stride_b + p : p * stride_b + j), stride_b);
            multiply_rows(g, w->a, transpose_a, m, width, part, alpha,
                          a + (transpose_a ? p * stride_a : p), stride_a, w->b, units,
                          p > 0 ? 1 : beta,
                          (target){c + j, stride_c, 1, row && p == 0 ? row + j : NULL});
        }
    }
    end(g, before);
}

/* ---- b packed once ---- */

static int64_t whole_parts(int64_t n)
{
    return (n + GEMM_PART - 1) / GEMM_PART * GEMM_PART;
}

/* Whole parts in both directions, so that a caller's range may be rounded up to one. */
int64_t gemm_packed_floats(const gemm_kernel *g, int64_t k, int64_t n)
{
    return gemm_units(g, whole_parts(k)) * whole_parts(n);
}

void gemm_pack(const gemm_packed *p, bool transpose_b, const float *b, int64_t stride_b)
{
    const gemm_kernel *g = p->g;
    unsigned before = begin(g);
    /* `used` units are packed by the kernel, which fills up to its own whole; the rest of the
     * panel, and panels beyond n, are zeros, whose products add nothing. */
    int64_t all = gemm_units(g, whole_parts(p->k)), used = gemm_units(g, p->k);
    for (int64_t j = 0; j < whole_parts(p->n); j += g->columns) {
        float *panel = p->panels + j * all;
        int64_t columns = MIN(p->n - j, (int64_t)g->columns), filled = 0;
        if (columns > 0) {
            g->pack_b(panel, transpose_b, p->k, columns, b + j * (transpose_b ? stride_b : 1),
                      stride_b);
            filled = used;
        }
        memset(panel + filled * g->columns, 0,
               (size_t)((all - filled) * g->columns) * sizeof *panel);
    }
    end(g, before);
}

static void run_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                       int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                       int64_t stride_a, float beta, target to)
{
    const gemm_kernel *g = b->g;
    float *panels = workspace_own()->a;
    int64_t all = gemm_units(g, whole_parts(b->k)), most = (int64_t)GEMM_UNITS * g->depth;
    unsigned before = begin(g);
    /* Column first_n's panel, and in it the unit of k: both are multiples of GEMM_PART, which every
     * kernel's columns and depth divide. */
    for (int64_t j = 0; j < n; j += GEMM_COLUMNS) {
        target columns = part_of(to, 0, j);
        for (int64_t p = 0; p < k; p += most, columns.row = NULL) {
            multiply_rows(g, panels, transpose_a, m, MIN(n - j, (int64_t)GEMM_COLUMNS),
                          MIN(k - p, most), alpha, a + p * (transpose_a ? stride_a : 1), stride_a,
                          b->panels + (first_n + j) * all + (first_k + p) / g->depth * g->columns,
                          all, p > 0 ? 1 : beta, columns);
        }
    }
    end(g, before);
}

void gemm_run_packed(const gemm_packed *b, int64_t first_k, int64_t first_n, bool transpose_a,
                     int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t stride_a,
                     const float *row, float beta, float *c, int64_t stride_c)
{
    run_packed(b, first_k, first_n, transpose_a, m, n, k, alpha, a, stride_a, beta,
               (target){c, stride_c, 1, row});
}

/* ---- results that are a packed b ---- */

/* A panel is a matrix of `columns` columns, whose rows are the values of k: where a kernel may
 * write what it later reads. */
void gemm_run_into(const gemm_packed *c, int64_t first_n, int64_t n, const gemm_packed *b,
                   float alpha, const float *a, int64_t stride_a, float beta)
{
    const gemm_kernel *g = c->g;
    int64_t all = gemm_units(g, whole_parts(c->k));
    run_packed(b, 0, first_n, true, c->k, n, b->k, alpha, a, stride_a, beta,
               (target){c->panels + first_n * all, g->columns, all, NULL});
}

void gemm_unpack(const gemm_packed *p, float *b, int64_t stride_b)
{
    const gemm_kernel *g = p->g;
    int64_t all = gemm_units(g, whole_parts(p->k));
    for (int64_t i = 0; i < p->k; i++) {
        for (int64_t j = 0; j < p->n; j += g->columns) {
            memcpy(b + i * stride_b + j, p->panels + j * all + i * g->columns,
                   (size_t)MIN(p->n - j, (int64_t)g->columns) * sizeof *b);
        }
    }
}
