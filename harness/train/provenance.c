#include "harness/train/provenance.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/base/host.h"
#include "data/process.h"

/* ---- git ---- */

typedef struct capture {
    char text[64];
    int64_t bytes; /* of the whole output */
} capture;

static bool take_line(void *user, const char *data, int64_t bytes, err *e)
{
    (void)e;
    capture *c = user;
    for (int64_t i = 0; i < bytes; i++, c->bytes++) {
        if (c->bytes < (int64_t)sizeof c->text - 1) c->text[c->bytes] = data[i];
    }
    return true;
}

static bool run_git(capture *c, const char *const *argv)
{
    *c = (capture){0};
    process p = {.argv = argv, .package = "git", .take = take_line, .user = c};
    err ignored;
    return process_run(&p, &ignored);
}

bool provenance_git(char revision[64], bool *dirty)
{
    char folder[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (n <= 0) return false;
    folder[n] = 0;
    char *slash = strrchr(folder, '/');
    if (!slash) return false;
    *slash = 0;
    const char *const head[] = {"git", "-C", folder, "rev-parse", "HEAD", NULL};
    const char *const status[] = {
        "git", "-C", folder, "status", "--porcelain", "--untracked-files=no", NULL};
    capture c;
    if (!run_git(&c, head)) return false;
    c.text[strcspn(c.text, "\n")] = 0;
    memcpy(revision, c.text, sizeof c.text);
    if (!run_git(&c, status)) return false;
    *dirty = c.bytes > 0;
    return true;
}

static void add_git(json_t *o)
{
    char revision[64];
    bool dirty;
    bool known = provenance_git(revision, &dirty);
    json_object_set_new(o, "git_revision", known ? json_string(revision) : json_null());
    json_object_set_new(o, "git_dirty", known ? json_boolean(dirty) : json_null());
}

/* ---- machine, program, model ---- */

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
    json_object_set_new(o, "compiler", json_string(host_compiler()));
    json_object_set_new(o, "flags", json_string(host_flags()));
    json_object_set_new(o, "numerics", json_integer(LOCI_NUMERICS));
    json_object_set_new(o, "real", json_string(REAL_IS_DOUBLE ? "f64" : "f32"));
}

json_t *provenance_record(const json_t *plan, trainer *t)
{
    const workload *w = trainer_workload(t);
    model_cost cost = model_costs(w->model);
    train_length length = trainer_length(t);
    json_t *o = json_copy((json_t *)(uintptr_t)plan);
    add_host(o);
    add_git(o);
    json_object_set_new(o, "threads", json_integer(trainer_threads(t)));
    json_object_set_new(o, "params", json_integer(cost.params));
    json_object_set_new(o, "active_params", json_integer(cost.active_params));
    json_object_set_new(o, "forward_flops_per_token", json_finite(cost.forward_flops));
    json_object_set_new(o, "train_flops_per_token", json_finite(cost.train_flops));
    json_object_set_new(o, "state_bytes", json_finite(cost.state_bytes));
    json_object_set_new(o, "corpus_hash", json_string(corpus_hash(w->corpus)));
    json_object_set_new(o, "tokens_budget",
                        length.tokens ? json_integer(length.tokens) : json_null());
    json_object_set_new(o, "steps_budget", json_integer(length.steps));
    return o;
}
