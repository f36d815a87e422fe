#include "harness/supervise/kernel_kind.h"

#include <string.h>
#include <strings.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/ops/blas.h"
#include "harness/run/run_folder.h"

/* OpenBLAS picks its kernels when it is loaded, by the processor, and different kernels add in
 * different orders. A difference between two runs of an experiment would then be one of machines as
 * well. OPENBLAS_CORETYPE, in the environment of the worker, asks for another kind than the
 * processor's own. Kernels of our own do not need this: their bits are the same everywhere.
 *
 * Which kind is the experiment's is not written down anywhere: it is what run.json of the first run
 * that was begun says, in the experiment's order. Two machines that begin the first two runs at the
 * same moment may each think that there is none yet, and `compare` tells of such mixtures. */

static bool is_library(const run_plan *p)
{
    const node *gemm = node_at(p->resolved, "train.gemm");
    return gemm && gemm->kind == NODE_SCALAR && strcmp(gemm->text, "openblas") == 0;
}

/* What OpenBLAS calls kernels, and what they need: it takes whatever it is told, and would end at
 * the first instruction that is missing. */
static bool can_run(const char *kind)
{
#if defined(__x86_64__)
    static const char *const avx2[] = {"Haswell", "Zen", "Excavator"};
    static const char *const any[] = {"Prescott", "Core2", "Nehalem", "Penryn", "Dunnington"};
    /* Not in the lists: no other kind of ours needs AVX-512. */
    if (strcasecmp(kind, "SkylakeX") == 0) return __builtin_cpu_supports("avx512f");
    for (size_t i = 0; i < sizeof avx2 / sizeof *avx2; i++) {
        if (strcasecmp(kind, avx2[i]) == 0) return __builtin_cpu_supports("avx2");
    }
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        if (strcasecmp(kind, any[i]) == 0) return true;
    }
#endif
    (void)kind; /* on other processors */
    /* A kind that is not listed may run or not; the sweep is not bet on it. */
    return false;
}

static const char *begun_with(arena *a, const char *out, const run_plan *p)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err none;
    if (!run_folder_path(folder, out, p->id, &none) || !file_join(path, folder, "run.json", &none))
        return NULL;
    /* A run without a record has not been begun, one without this entry did not multiply by
     * OpenBLAS. */
    json_t *o = file_exists(path) ? json_read(path, &none) : NULL;
    const char *kind = o ? json_get_text(o, "blas_core") : NULL;
    if (kind) kind = arena_strdup(a, kind);
    json_decref(o);
    return kind;
}

bool kernel_kind_find(const char **kind, arena *a, const experiment *x, const run_plan *run,
                      const char *out, err *e)
{
    *kind = NULL;
    if (!is_library(run)) return true;
    for (int i = 0; i < x->run_count && !*kind; i++) {
        if (is_library(&x->runs[i])) *kind = begun_with(a, out, &x->runs[i]);
    }
    if (!*kind || strcasecmp(*kind, blas_core()) == 0) {
        *kind = NULL;
        return true;
    }
    return can_run(*kind) ||
           err_set(e,
                   "%s: its runs multiply with OpenBLAS's kernels for %s, which are not known to "
                   "run on this processor (%s): their bits would differ; go on where they run, or "
                   "choose `train.gemm: own`",
                   x->spec->name, *kind, blas_core());
}
