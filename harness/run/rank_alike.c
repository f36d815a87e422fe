#include "harness/run/rank_alike.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/sha256.h"
#include "core/ops/blas.h"

/* Every rank tells all others its facts, compares theirs with rank 0's in the same order, and so
 * comes to the same words: nobody has to be told. What a program is says its file, for two builds
 * of one revision may differ in what no record names; the facts before it only say why. */

enum { FACTS = 8 };

typedef struct fact {
    char what[24];
    char is[104];
} fact;

typedef struct facts {
    char host[64];
    int64_t count;
    fact list[FACTS];
} facts;

static void add(facts *f, const char *what, const char *is)
{
    fact *x = &f->list[f->count++];
    CHECK(f->count <= FACTS, "%s is one fact too many", what);
    snprintf(x->what, sizeof x->what, "%s", what);
    snprintf(x->is, sizeof x->is, "%s", is ? is : "unknown");
}

/* By its hash. */
static void add_hashed(facts *f, const char *what, const char *text)
{
    char hex[SHA256_HEX];
    sha256_hex(hex, text ? text : "", text ? strlen(text) : 0);
    hex[12] = 0;
    add(f, what, hex);
}

/* NULL: they are the same. */
static const fact *first_other(const facts *a, const facts *b)
{
    for (int i = 0; i < FACTS; i++) {
        if (memcmp(&a->list[i], &b->list[i], sizeof(fact)) != 0) return &a->list[i];
    }
    return NULL;
}

static bool compare(const facts *all, int count, err *e)
{
    for (int i = 1; i < count; i++) {
        const fact *x = first_other(&all[0], &all[i]);
        if (!x) continue;
        const fact *theirs = &all[i].list[x - all[0].list];
        return err_set(e,
                       "rank %d (%.63s) has another %.23s (%.103s) than rank 0 (%.63s: %.103s); "
                       "together they would compute neither's result",
                       i, all[i].host, x->what, theirs->is, all[0].host, x->is);
    }
    return true;
}

static bool gather(rank_group *r, const facts *mine, err *e)
{
    int count = ranks_count(r);
    facts *all = calloc((size_t)count, sizeof *all);
    CHECK(all, "out of memory");
    bool ok = ranks_gather(r, mine, sizeof *mine, all, e) && compare(all, count, e);
    free(all);
    return ok;
}

static facts begin(void)
{
    facts f;
    host_info h;
    memset(&f, 0, sizeof f); /* sent as it lies in memory */
    host_describe(&h);
    snprintf(f.host, sizeof f.host, "%.63s", h.name);
    return f;
}

static void add_program(facts *f)
{
    char hex[SHA256_HEX];
    bool known = file_sha256_named(hex, "/proc/self/exe", NULL);
    hex[12] = 0;
    add(f, "program", known ? hex : NULL);
}

static const char *c_library(void)
{
    host_version v[8];
    int n = host_versions(v, 8);
    for (int i = 0; i < MIN(n, 8); i++) {
        if (strcmp(v[i].library, "glibc") == 0) return v[i].version;
    }
    return NULL;
}

bool rank_alike_programs(rank_group *r, err *e)
{
    bool dirty;
    char numerics[24];
    if (ranks_count(r) == 1) return true;
    facts f = begin();
    snprintf(numerics, sizeof numerics, "%d", LOCI_NUMERICS);
    add(&f, "precision", host_real());
    add(&f, "version of numerics", numerics);
    add(&f, "revision", host_revision(&dirty));
    add(&f, "compiler", host_compiler());
    add_hashed(&f, "set of compiler flags", host_flags());
    add(&f, "C library", c_library());
    add_program(&f);
    return gather(r, &f, e);
}

bool rank_alike_run(rank_group *r, const workload *w, const planned_run *p, err *e)
{
    if (ranks_count(r) == 1) return true;
    facts f = begin();
    bool library = w->train.gemm == GEMM_OPENBLAS || REAL_IS_DOUBLE;
    text_auto *plan = json_dumps(json_object_get(p->record, "spec"), JSON_SORT_KEYS | JSON_COMPACT);
    add(&f, "run", p->run);
    add_hashed(&f, "plan", plan);
    add(&f, "text", corpus_hash(w->corpus));
    add(&f, "model to start from", w->source_id ? w->source_id : "none");
    add(&f, "kind of OpenBLAS kernels", library ? blas_core() : "none");
    return gather(r, &f, e);
}
