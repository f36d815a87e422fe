#include "harness/train/provenance.h"

#include "core/base/host.h"
#include "harness/train/train_kernels.h"

/* All that could explain a difference between two runs of one spec: machine, libraries with
 * versions, compiler and flags, source revision and whether it was changed, kernels, threads,
 * ranks; and what the run costs by its shapes. Nothing here decides anything: results must not
 * depend on it but where numerics or kernels differ, which identities know. */

/* The revision is that of the source which this program was built from, and unknown (null) where it
 * was not built in a checkout. */
static void add_host(json_t *o)
{
    enum { MOST = 32 };
    host_info h;
    host_version v[MOST];
    char utc[32];
    host_describe(&h);
    host_utc(utc, host_wall_s());
    json_object_set_new(o, "created_at", json_string(utc));
    json_object_set_new(o, "host", json_string(h.name));
    if (h.job[0]) json_object_set_new(o, "job", json_string(h.job));
    json_object_set_new(o, "system", json_string(h.system));
    json_object_set_new(o, "cpu", json_string(h.cpu));
    json_object_set_new(o, "cores", json_integer(h.cores));
    json_object_set_new(o, "memory_bytes", json_integer(h.memory_bytes));
    json_object_set_new(o, "blas", json_string(h.blas));
    json_object_set_new(o, "blas_core", json_string(h.blas_core));
    json_t *versions = json_object();
    int n = host_versions(v, MOST);
    for (int i = 0; i < MIN(n, (int)MOST); i++) {
        json_object_set_new(versions, v[i].library, json_string(v[i].version));
    }
    json_object_set_new(o, "versions", versions);
    /* A changed tree is another source than the revision says: both are told. */
    bool dirty;
    const char *revision = host_revision(&dirty);
    json_object_set_new(o, "git_revision", revision ? json_string(revision) : json_null());
    json_object_set_new(o, "git_dirty", revision ? json_boolean(dirty) : json_null());
    json_object_set_new(o, "compiler", json_string(host_compiler()));
    json_object_set_new(o, "flags", json_string(host_flags()));
    json_object_set_new(o, "numerics", json_integer(LOCI_NUMERICS));
    json_object_set_new(o, "real", json_string(host_real()));
}

/* What the shapes and the text say, wherever it is trained. Budgets are what the budget became:
 * seconds are steps by then. */
static void add_costs(json_t *o, const workload *w, train_length length)
{
    model_cost cost = model_costs(w->model);
    json_object_set_new(o, "kernels", json_string(train_kernels_name(&w->train)));
    json_object_set_new(o, "params", json_integer(cost.params));
    json_object_set_new(o, "active_params", json_integer(cost.active_params));
    json_object_set_new(o, "forward_flops_per_token", json_finite(cost.forward_flops));
    json_object_set_new(o, "train_flops_per_token", json_finite(cost.train_flops));
    json_object_set_new(o, "state_bytes", json_finite(cost.state_bytes));
    json_object_set_new(o, "corpus_hash", json_string(corpus_hash(w->corpus)));
    json_object_set_new(o, "tokenizer", json_string(corpus_tokenizer(w->corpus)));
    json_object_set_new(o, "tokens_budget",
                        length.tokens ? json_integer(length.tokens) : json_null());
    json_object_set_new(o, "steps_budget", json_integer(length.steps));
}

/* What a sitting says of who computed: where bits, or times, may be others. */
static const char *const SITTING[] = {"host",    "job",          "cpu",      "threads", "ranks",
                                      "kernels", "blas_core",    "numerics", "real",    "compiler",
                                      "flags",   "git_revision", "git_dirty"};

static json_t *sitting_of(const json_t *record)
{
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof SITTING / sizeof *SITTING; i++) {
        json_t *value = json_object_get(record, SITTING[i]);
        if (value) json_object_set(o, SITTING[i], value);
    }
    return o;
}

static bool same_sitting(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < sizeof SITTING / sizeof *SITTING; i++) {
        const json_t *x = json_object_get(a, SITTING[i]), *y = json_object_get(b, SITTING[i]);
        if (x != y && !json_equal(x, y)) return false;
    }
    return true;
}

/* Of a version that kept the last one alone, that is known. */
static json_t *sittings_before(const json_t *before, int64_t step)
{
    json_t *list = step > 0 ? json_deep_copy(json_object_get(before, "sittings")) : NULL;
    if (list) return list;
    list = json_array();
    if (step > 0 && before) json_array_append_new(list, sitting_of(before));
    return list;
}

void provenance_sittings(json_t *record, const json_t *before, int64_t step)
{
    json_t *list = sittings_before(before, step), *now = sitting_of(record);
    size_t n = json_array_size(list);
    /* A run that is stopped every hour and goes on as it was has one. */
    if (n == 0 || !same_sitting(json_array_get(list, n - 1), now)) {
        json_object_set_new(now, "from_step", json_integer(step));
        json_array_append(list, now);
    }
    json_decref(now);
    json_object_set_new(record, "sittings", list);
}

/* A copy of the plan with all that was found out by the run itself: who reads run.json needs no
 * second file. */
json_t *provenance_record(const json_t *plan, trainer *t)
{
    const workload *w = t->w;
    json_t *o = json_copy((json_t *)(uintptr_t)plan);
    add_host(o);
    json_object_set_new(o, "threads", json_integer(t->threads));
    if (w->ranks) json_object_set_new(o, "ranks", json_integer(ranks_count(w->ranks)));
    add_costs(o, w, t->length);
    return o;
}

/* The numerics are a part of the run's identity, and known. The plan's command and threads are
 * those of who wrote it last, which may have been for this. */
json_t *provenance_remade(const json_t *plan, const workload *w, train_length length)
{
    static const char *const UNKNOWN[] = {"command",  "threads",   "created_at",   "host",
                                          "system",   "cpu",       "cores",        "memory_bytes",
                                          "blas",     "blas_core", "git_revision", "git_dirty",
                                          "compiler", "flags",     "real"};
    char utc[32];
    json_t *o = json_copy((json_t *)(uintptr_t)plan);
    for (size_t i = 0; i < sizeof UNKNOWN / sizeof *UNKNOWN; i++) {
        json_object_set_new(o, UNKNOWN[i], json_null());
    }
    json_object_set_new(o, "versions", json_object());
    json_object_set_new(o, "numerics", json_integer(LOCI_NUMERICS));
    add_costs(o, w, length);
    host_utc(utc, host_wall_s());
    json_object_set_new(o, "remade_at", json_string(utc));
    return o;
}
