#include "harness/supervise/kernel_kind.h"

#include <string.h>
#include <strings.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/ops/blas.h"
#include "harness/run/run_folder.h"

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
    if (strcasecmp(kind, "SkylakeX") == 0) return __builtin_cpu_supports("avx512f");
    for (size_t i = 0; i < sizeof avx2 / sizeof *avx2; i++) {
        if (strcasecmp(kind, avx2[i]) == 0) return __builtin_cpu_supports("avx2");
    }
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        if (strcasecmp(kind, any[i]) == 0) return true;
    }
#endif
    return false;
}

static const char *begun_with(arena *a, const char *out, const run_plan *p)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    err none;
    if (!run_folder_path(folder, out, p->id, &none) || !file_join(path, folder, "run.json", &none))
        return NULL;
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
