/* State dicts of other programs: everything in them is needed, nothing in them is believed. */
#include "core/base/file.h"
#include "models/import_brt.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE_DICT "tests/vectors/brt/a2b-two-reads-one-layer/weights.safetensors"

/* Imports the bytes as two recurrent layers that are read in layer 2. */
static bool imports(const char *bytes, size_t size, const int64_t read[2], err *e)
{
    brt_import how = {.block_width = 8, .reads = 2, .read = {read[0], read[1]}};
    brt_source source;
    arena *a = arena_new(0);
    safetensors *file = safetensors_parse(bytes, size, "dict", e);
    bool ok = file && import_brt_open(&source, file, &how, e);
    node *spec = ok ? import_brt_spec(a, &source, e) : NULL;
    model *m = spec ? model_build(spec, &(model_inputs){.vocab = source.vocab}, e) : NULL;
    ok = m && import_brt_values(&source, m, ARENA_NEW(a, real, model_params_const(m)->total), e);
    if (m) model_free(m);
    safetensors_close(file);
    arena_free(a);
    return ok;
}

static const int64_t SECOND[2] = {2, 2};

static char *dict(size_t *size)
{
    err e = {0};
    char *bytes = file_read(STATE_DICT, size, &e);
    if (!bytes) test_skip("no state dict: the tests run in the repository's root");
    return bytes;
}

/* A tensor under another name is unknown, whether it is missed or not. */
static void every_tensor_counts(void)
{
    size_t size;
    char *bytes = dict(&size);
    err e = {0};
    if (!bytes) return;
    EXPECT(imports(bytes, size, SECOND, &e), "%s", e.text);
    int64_t header = 0;
    memcpy(&header, bytes, sizeof header);
    int renamed = 0;
    for (char *at = bytes + 8; (at = strstr(at, "\":{\"dtype\"")) && at < bytes + 8 + header;
         at++) {
        char was = at[-1];
        at[-1] = 'Z';
        e.text[0] = 0;
        bool ok = imports(bytes, size, SECOND, &e);
        EXPECT(!ok && e.text[0], "%.*s may have another name", 30, at - 30);
        at[-1] = was;
        renamed++;
    }
    EXPECT(renamed > 30, "%d tensors", renamed);
    free(bytes);
}

/* Wrappers of PyTorch put their name before all others: the same parameters. */
static void prefixes(void)
{
    size_t size;
    err e = {0};
    char path[FILE_PATH_BYTES], *bytes = dict(&size);
    if (!bytes) return;
    safetensors *plain = safetensors_parse(bytes, size, "dict", &e);
    int n = safetensors_count(plain);
    st_entry *list = calloc((size_t)n, sizeof *list);
    char(*names)[160] = calloc((size_t)n, sizeof *names);
    for (int odd = 0; odd < 2; odd++) { /* one tensor without the prefix is of another model */
        for (int i = 0; i < n; i++) {
            const st_tensor *t = safetensors_at(plain, i);
            bool without = odd && strcmp(t->name, "to_logits.1.weight") == 0;
            snprintf(names[i], sizeof names[i], "%s%s", without ? "" : "_orig_mod.module.",
                     t->name);
            list[i] = (st_entry){names[i], t->dtype, t->rank, {0}, t->data};
            memcpy(list[i].shape, t->shape, (size_t)t->rank * sizeof *t->shape);
        }
        snprintf(path, sizeof path, "%s/with.safetensors", test_folder());
        EXPECT(safetensors_save(path, list, n, NULL, 0, NULL, &e), "%s", e.text);
        size_t with_size;
        char *with = file_read(path, &with_size, &e);
        bool ok = imports(with, with_size, SECOND, &e);
        EXPECT(ok == !odd && (ok || strstr(e.text, "does not begin with _orig_mod.module.")), "%s",
               e.text);
        free(with);
    }
    free(names);
    free(list);
    safetensors_close(plain);
    free(bytes);
}

/* The start token, which the port lacks, must train: no vector of zeros, which stays zero through
 * every norm and has a gradient of 1e14. */
static void start_trains(void)
{
    enum { TIME = 8 };
    size_t size;
    char *bytes = dict(&size);
    if (!bytes) return;
    err e = {0};
    brt_import how = {.block_width = 8, .reads = 2, .read = {2, 2}};
    brt_source source;
    arena *a = arena_new(0);
    safetensors *file = safetensors_parse(bytes, size, "dict", &e);
    bool ok = file && import_brt_open(&source, file, &how, &e);
    model *m = ok ? model_build(import_brt_spec(a, &source, &e),
                                &(model_inputs){.vocab = source.vocab}, &e)
                  : NULL;
    EXPECT(m, "%s", e.text);
    if (m) {
        const params *p = model_params_const(m);
        real *values = ARENA_NEW(a, real, p->total);
        EXPECT(import_brt_values(&source, m, values, &e), "%s", e.text);
        grads g = {.values = arena_push_zero(a, p->total, sizeof(real)),
                   .has = arena_push_zero(a, p->pieces, sizeof(bool))};
        int32_t tokens[TIME] = {(int32_t)source.vocab, 1, 2, 3, 1, 2, 3, 1};
        tape *t = tape_new();
        model_state *s = model_state_new(m, 1);
        model_begin(s, t, values, &g);
        model_call call = {.time = TIME - 1, .tokens = tokens, .targets = tokens + 1};
        model_result r = model_forward(s, &call);
        tape_backward(t, r.loss, 1);
        model_end(s);
        double largest = 0;
        for (int64_t i = 0; i < p->total; i++) {
            largest = fmax(largest, fabs((double)g.values[i]));
        }
        const param *start = &p->list[params_find(p, "embedding.start")];
        EXPECT(largest < 1e3, "a gradient of %g", largest);
        EXPECT(g.values[start->offset] != 0 && values[start->offset] != 0, "the start is frozen");
        model_state_free(s);
        tape_free(t);
        model_free(m);
    }
    if (file) safetensors_close(file);
    arena_free(a);
    free(bytes);
}

static void readers(void)
{
    static const int64_t wrong[][2] = {{3, 4}, {2, 1}, {2, 5}, {1000, 2}, {1, 1}};
    size_t size;
    char *bytes = dict(&size);
    for (size_t i = 0; bytes && i < sizeof wrong / sizeof *wrong; i++) {
        err e = {0};
        bool ok = imports(bytes, size, wrong[i], &e);
        EXPECT(!ok && strstr(e.text, "read"), "%lld, %lld: %s", (long long)wrong[i][0],
               (long long)wrong[i][1], e.text);
    }
    free(bytes);
}

/* A header alone cannot ask for memory that the file does not hold. */
static void sizes_are_checked(void)
{
    size_t size;
    char *bytes = dict(&size);
    if (!bytes) return;
    static const char *const names[] = {"token_emb.weight",
                                        "layers.0.0.to_kv.weight",
                                        "layers.0.1.3.weight",
                                        "layers.2.0.to_q.weight",
                                        "layers.2.0.state_container.init_state",
                                        "layers.3.0.state_container.state_out_to_gate.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        /* [a, b] becomes [b, a] of the same size, where the text is as long. */
        char quoted[128];
        snprintf(quoted, sizeof quoted, "\"%s\":{", names[i]);
        char *at = strstr(bytes + 8, quoted), *shape = at ? strstr(at, "\"shape\":[") : NULL;
        EXPECT(shape, "%s is not in the header", names[i]);
        if (!shape) continue;
        char was[64], swapped[64];
        long long a = 0, b = 0;
        sscanf(shape, "\"shape\":[%lld,%lld]", &a, &b);
        size_t n = (size_t)snprintf(was, sizeof was, "\"shape\":[%lld,%lld]", a, b);
        snprintf(swapped, sizeof swapped, "\"shape\":[%lld,%lld]", b, a);
        if (a == b || strncmp(shape, was, n) != 0) continue; /* a square, or other spaces */
        memcpy(shape, swapped, n);
        err e = {0};
        bool ok = imports(bytes, size, SECOND, &e);
        EXPECT(!ok && e.text[0], "%s of another shape is taken", names[i]);
        memcpy(shape, was, n);
    }
    free(bytes);
}

extern const test_suite test_import;
const test_suite test_import = {"models/import",
                                {{"every_tensor_counts", every_tensor_counts},
                                 {"prefixes", prefixes},
                                 {"start_trains", start_trains},
                                 {"readers", readers},
                                 {"sizes_are_checked", sizes_are_checked},
                                 {0}}};
