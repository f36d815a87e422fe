/* Finds, runs and judges reference cases: see reference.h. */
#include "tests/reference/reference.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const reference_entry *const SYSTEMS[] = {
    REFERENCE_BASICS, REFERENCE_BRT,   REFERENCE_OPTIM, REFERENCE_FWL, REFERENCE_HASH,
    REFERENCE_DYN,    REFERENCE_KVMEM, REFERENCE_DELTA, REFERENCE_TTT, REFERENCE_ENGRAM};
enum { SYSTEM_COUNT = sizeof SYSTEMS / sizeof SYSTEMS[0], MAX_DEPTH = 4 };

static reference_checker find_checker(const char *system, const char *name)
{
    for (int i = 0; i < SYSTEM_COUNT; i++) {
        for (const reference_entry *x = SYSTEMS[i]; x->system; x++) {
            if (strcmp(x->system, system) == 0 && (!x->name || strcmp(x->name, name) == 0)) {
                return x->check;
            }
        }
    }
    return NULL;
}

void reference_fail(reference_case *c, const char *format, ...)
{
    if (c->failure.text[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->failure.text, sizeof c->failure.text, format, args);
    va_end(args);
}

/* ---- tensors ---- */

static const st_tensor *find(reference_case *c, const char *name, bool touch)
{
    const char *colon = strchr(name, ':');
    const char *bare = colon ? colon + 1 : name;
    for (int i = 0; i < c->file_count; i++) {
        reference_file *f = &c->files[i];
        if (colon && strncmp(f->name, name, (size_t)(colon - name)) != 0) continue;
        for (int k = 0; k < safetensors_count(f->data); k++) {
            const st_tensor *t = safetensors_at(f->data, k);
            if (strcmp(t->name, bare) != 0) continue;
            if (touch) f->touched[k] = true;
            return t;
        }
    }
    return NULL;
}

bool reference_has(reference_case *c, const char *name)
{
    return find(c, name, false) != NULL;
}

const st_tensor *reference_get(reference_case *c, const char *name)
{
    const st_tensor *t = find(c, name, true);
    if (!t) reference_fail(c, "no tensor %s in the case's files", name);
    return t;
}

void reference_drop(reference_case *c, const char *name)
{
    reference_get(c, name);
}

real *reference_real(reference_case *c, const char *name)
{
    const st_tensor *t = reference_get(c, name);
    real *values = ARENA_NEW(c->memory, real, t ? t->count : 1);
    memset(values, 0, (size_t)(t ? t->count : 1) * sizeof *values);
    err e = {0};
    if (t && !safetensors_copy(values, t, &e)) reference_fail(c, "%s", e.text);
    return values;
}

int64_t *reference_int(reference_case *c, const char *name)
{
    const st_tensor *t = reference_get(c, name);
    int64_t *values = ARENA_NEW(c->memory, int64_t, t ? t->count : 1);
    memset(values, 0, (size_t)(t ? t->count : 1) * sizeof *values);
    err e = {0};
    if (t && !safetensors_copy_int(values, t, &e)) reference_fail(c, "%s", e.text);
    return values;
}

tensor *reference_leaf(reference_case *c, tape *t, const char *name, bool needs_grad)
{
    const st_tensor *x = reference_get(c, name);
    real *values = reference_real(c, name);
    static const int64_t one[] = {1};
    if (!x || x->rank == 0) return tape_leaf(t, values, 1, one, needs_grad);
    if (x->rank > TENSOR_RANK) {
        reference_fail(c, "%s has %d axes", name, x->rank);
        return tape_leaf(t, values, 1, one, needs_grad);
    }
    return tape_leaf(t, values, x->rank, x->shape, needs_grad);
}

/* ---- config ---- */

double reference_number(reference_case *c, const char *key)
{
    const json_t *value = json_object_get(c->config, key);
    if (!json_is_number(value)) reference_fail(c, "manifest.json: config has no number %s", key);
    return json_number_value(value);
}

int64_t reference_size(reference_case *c, const char *key)
{
    const json_t *value = json_object_get(c->config, key);
    if (!json_is_integer(value)) reference_fail(c, "manifest.json: config has no integer %s", key);
    return json_integer_value(value);
}

/* ---- judging ---- */

void reference_close(reference_case *c, const char *what, const real *got, const real *expected,
                     int64_t n, double rtol, double atol)
{
    double squares = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += (double)expected[i] * (double)expected[i];
        double off = fabs((double)got[i] - (double)expected[i]);
        if (!(off <= worst)) { /* a NaN must not pass */
            worst = off;
            at = i;
        }
    }
    double allowed = atol + rtol * sqrt(squares / (double)MAX(n, 1));
    if (worst <= allowed) return;
    reference_fail(c, "%s: element %lld of %lld is %.9g, not %.9g (off by %.3g, allowed %.3g)",
                   what, (long long)at, (long long)n, (double)got[at], (double)expected[at], worst,
                   allowed);
}

void reference_expect_close(reference_case *c, const char *name, const real *got, double rtol,
                            double atol)
{
    const st_tensor *t = reference_get(c, name);
    if (t) reference_close(c, name, got, reference_real(c, name), t->count, rtol, atol);
}

void reference_expect(reference_case *c, const char *name, const real *got, const char *kind)
{
    const json_t *tolerance = json_object_get(json_object_get(c->manifest, "tolerance"), kind);
    double rtol = json_number_value(json_object_get(tolerance, "rtol"));
    double atol = json_number_value(json_object_get(tolerance, "atol"));
    if (rtol <= 0) reference_fail(c, "manifest.json: no tolerance for %s", kind);
    reference_expect_close(c, name, got, rtol, atol);
}

void reference_expect_tensor(reference_case *c, const char *name, const tensor *got,
                             const char *kind)
{
    const st_tensor *t = reference_get(c, name);
    if (!t) return;
    if (tensor_count(got) != t->count) {
        reference_fail(c, "%s: %lld elements, not %lld", name, (long long)tensor_count(got),
                       (long long)t->count);
        return;
    }
    reference_expect(c, name, got->data, kind);
}

void reference_expect_grad(reference_case *c, const char *name, const tensor *leaf)
{
    if (!leaf->has_grad) {
        reference_fail(c, "%s: no gradient arrived", name);
        return;
    }
    reference_expect(c, name, leaf->grad, "grads");
}

void reference_expect_int(reference_case *c, const char *name, const int64_t *got)
{
    const st_tensor *t = reference_get(c, name);
    const int64_t *expected = reference_int(c, name);
    for (int64_t i = 0; t && i < t->count; i++) {
        if (got[i] == expected[i]) continue;
        reference_fail(c, "%s: element %lld is %lld, not %lld", name, (long long)i,
                       (long long)got[i], (long long)expected[i]);
        return;
    }
}

/* ---- one case ---- */

static bool open_files(reference_case *c, err *e)
{
    const char *name;
    json_t *list;
    json_object_foreach(json_object_get(c->manifest, "files"), name, list)
    {
        if (c->file_count == REFERENCE_FILES) return err_set(e, "more than 8 files");
        char path[FILE_PATH_BYTES];
        if (!file_join(path, c->folder, name, e)) return false;
        safetensors *data = safetensors_open(path, e);
        if (!data) return false;
        bool *touched = arena_push_zero(c->memory, safetensors_count(data) + 1, sizeof *touched);
        c->files[c->file_count++] = (reference_file){name, data, touched};
    }
    return true;
}

static void demand_all_touched(reference_case *c)
{
    for (int i = 0; i < c->file_count; i++) {
        const reference_file *f = &c->files[i];
        for (int k = 0; k < safetensors_count(f->data); k++) {
            if (f->touched[k]) continue;
            reference_fail(c, "%s: %s is neither used nor compared", f->name,
                           safetensors_at(f->data, k)->name);
        }
    }
}

static void run_case(const char *folder, json_t *manifest, const reference_listener *listener)
{
    const char *system = json_get_text(manifest, "system");
    const char *name = json_get_text(manifest, "case");
    if (!system) system = "?";
    if (!name) name = folder;
    if (!listener->begin(listener->user, system, name)) return;
    reference_checker check = find_checker(system, name);
    if (!check) {
        listener->end(listener->user, system, name, REFERENCE_SKIP, "no checker for it");
        return;
    }
    reference_case c = {.folder = folder,
                        .system = system,
                        .name = name,
                        .manifest = manifest,
                        .config = json_object_get(manifest, "config"),
                        .memory = arena_new(0)};
    if (open_files(&c, &c.failure)) {
        check(&c);
        demand_all_touched(&c);
    }
    listener->end(listener->user, system, name, c.failure.text[0] ? REFERENCE_FAIL : REFERENCE_PASS,
                  c.failure.text);
    for (int i = 0; i < c.file_count; i++)
        safetensors_close(c.files[i].data);
    arena_free(c.memory);
}

/* Runs what is in the folder and below; returns how many cases there were, -1 on failure. */
static int walk(const char *folder, int depth, arena *a, const reference_listener *listener, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "manifest.json", e)) return -1;
    if (file_exists(path)) {
        json_t *manifest = json_read(path, e);
        if (!manifest) return -1;
        run_case(folder, manifest, listener);
        json_decref(manifest);
        return 1;
    }
    if (depth == MAX_DEPTH) return 0;
    const char *const *names;
    int64_t n;
    if (!file_list(folder, a, &names, &n, e)) return -1;
    int cases = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!file_join(path, folder, names[i], e)) return -1;
        if (!file_is_folder(path)) continue;
        int got = walk(arena_strdup(a, path), depth + 1, a, listener, e);
        if (got < 0) return -1;
        cases += got;
    }
    return cases;
}

bool reference_run(const char *folder, const reference_listener *listener, err *e)
{
    arena *a = arena_new(0);
    int cases = walk(folder, 0, a, listener, e);
    arena_free(a);
    if (cases == 0)
        return err_set(e, "%s: there is no <system>/<case>/manifest.json below", folder);
    return cases > 0;
}
