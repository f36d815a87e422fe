#include "harness/train/train_kernels.h"

#include <string.h>

/* From two options to the kernels of a model's products. What cannot be had is refused (fit)
 * instead of being served by something near: the kernels decide the bits of a run, and its identity
 * says which they were. */

/* At the option's own place where the spec wrote it, else at the section. */
static bool misfit(err *e, const node *train, const char *key, const char *text)
{
    const node *n = train ? node_get(train, key) : NULL;
    if (n || train) return node_err(e, n ? n : train, "%s", text);
    return err_set(e, "train.%s: %s", key, text);
}

/* bfloat16 rounds operands to float32's upper half: nothing of it is left in a program of doubles.
 */
static bool fit(const train_options *o, const node *train, err *e)
{
    bool rounds = o->precision == PRECISION_BFLOAT16;
    if (rounds && REAL_IS_DOUBLE) {
        return misfit(e, train, "precision",
                      "this program computes in double, for checks of gradients; bfloat16 needs "
                      "one in float");
    }
    if (rounds && o->gemm == GEMM_OPENBLAS) {
        return misfit(e, train, "gemm", "OpenBLAS serves float32 only; choose own or tiles");
    }
    if (!rounds && o->gemm == GEMM_IN_TILES) {
        return misfit(e, train, "gemm", "tiles serve `precision: bfloat16` only; choose own");
    }
    return true;
}

/* No kernel (NULL) is BLAS. gemm_best gives the fastest form of one chain of additions that this
 * processor has: forms of a chain agree in every bit. */
static tape_kernels kernels_of(const train_options *o)
{
    tape_kernels k = {0};
    if (o->gemm == GEMM_OPENBLAS) return k;
    k.products = k.exact = gemm_best(GEMM_FLOAT32);
    if (o->precision == PRECISION_BFLOAT16) {
        k.products = gemm_best(o->gemm == GEMM_IN_TILES ? GEMM_TILES : GEMM_BFLOAT16);
    }
    return k;
}

/* Only these two: a model is used long after other options have gone, and the spec of an old
 * checkpoint may hold some that this program would refuse. */
bool train_kernels_read(tape_kernels *k, const node *train, arena *a, err *e)
{
    static const char *const keys[] = {"precision", "gemm"};
    train_options o = {0};
    node *said = node_map(a);
    for (int i = 0; i < 2; i++) {
        node *n = train ? node_get(train, keys[i]) : NULL;
        if (n) node_set(a, said, keys[i], n);
    }
    if (!options_read(&o, TRAIN_OPTIONS, said, NULL, a, e) || !fit(&o, train, e)) return false;
    *k = kernels_of(&o);
    return true;
}

/* The trained `gemm` goes along unless it cannot serve the other precision: tiles have no float32,
 * OpenBLAS no bfloat16. */
bool train_kernels_at(tape_kernels *k, const node *train, const char *precision, arena *a, err *e)
{
    const node *gemm = train ? node_get(train, "gemm") : NULL;
    const char *other = strcmp(precision, "float32") == 0 ? "tiles" : "openblas";
    node *changed = node_map(a);
    node_set(a, changed, "precision", node_scalar(a, precision, true));
    if (gemm && strcmp(gemm->text, other) != 0) {
        node_set(a, changed, "gemm", node_scalar(a, gemm->text, true));
    }
    node_repath(a, changed, "train");
    return train_kernels_read(k, changed, a, e);
}

/* Into the spec itself, so that all that read it later (records, another import) agree on what it
 * was. */
void train_kernels_complete(node *spec, arena *a)
{
    node *train = node_get(spec, "train");
    if (!train || node_get(train, "gemm")) return;
    node_set(a, train, "gemm", node_scalar(a, TRAIN_KERNELS_UNSAID, true));
}

const char *train_kernels_name(const train_options *o)
{
    tape_kernels k = kernels_of(o);
    return k.products && !REAL_IS_DOUBLE ? k.products->name : "openblas";
}
