/* The port's state dict says almost everything by which tensors there are and by their shapes: a
 * layer with init_state is recurrent, one with q_scale normalises its queries, mem_manager's
 * kernels mean compressed memory. The block width is in no shape, and neither is which layer reads
 * which state; these come from the caller, and the second is checked against the inputs of each
 * to_out.
 *
 * The model is then an ordinary spec, built by the ordinary builder, with the options that make
 * layers compute what the port does (partial: flush, gate_form: port, xpos, ...); where the tensors
 * go says import_brt_places.c.
 *
 * The file may come from anybody: every shape that becomes a size is compared with the others
 * first. */
#include "models/import_brt_parts.h"

#include "core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sizes, from the shapes of tensors ---- */

static const st_tensor *find(const brt_source *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const st_tensor *find(const brt_source *s, const char *format, ...)
{
    char name[256];
    int used = snprintf(name, sizeof name, "%s", s->prefix);
    va_list args;
    va_start(args, format);
    vsnprintf(name + used, sizeof name - (size_t)used, format, args);
    va_end(args);
    return safetensors_find(s->file, name);
}

/* Whatever stands before the embedding's name stands before all.
 * Whole parts only, up to a dot: "my_token_emb.weight" is another tensor. */
static void find_prefix(brt_source *s)
{
    static const char known[] = "token_emb.weight";
    for (int i = 0; i < safetensors_count(s->file); i++) {
        const char *name = safetensors_at(s->file, i)->name;
        size_t n = strlen(name), prefix = n - MIN(n, sizeof known - 1);
        if (strcmp(name + prefix, known) != 0 || prefix >= sizeof s->prefix) continue;
        if (prefix > 0 && name[prefix - 1] != '.') continue;
        snprintf(s->prefix, sizeof s->prefix, "%.*s", (int)prefix, name);
        return;
    }
}

/* Every tensor whose size the model takes from others must be there: a model is then no larger than
 * a small multiple of the file, whatever the file says. */
static bool check_matrix(const brt_source *s, const char *part, int64_t l, int64_t rows,
                         int64_t columns, err *e)
{
    char name[128];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)l, part);
    const st_tensor *t = find(s, "%s", name);
    if (import_brt_axis(t, 2, 0) == rows && import_brt_axis(t, 2, 1) == columns) return true;
    return err_set(e, "%s: missing, or not [%lld, %lld] as other tensors want it", name,
                   (long long)rows, (long long)columns);
}

static bool check_layer(const brt_source *s, int64_t l, err *e)
{
    static const char state[] = "0.state_container.";
    /* Rows and columns as PyTorch keeps a linear layer, [outputs, inputs]. Keys and values have one
     * head that all queries share, hence 2 head_dim; the feed-forward layer is gated, hence 2
     * hidden. */
    int64_t width = s->width, queries = s->heads * s->head_dim, keys = 2 * s->head_dim;
    const struct {
        const char *name;
        int64_t rows, columns;
        bool of_state;
    } list[] = {{"0.to_q.weight", queries, width, false},
                {"0.to_kv.weight", keys, width, false},
                {"1.1.weight", 2 * s->hidden, width, false},
                {"1.3.weight", width, s->hidden, false},
                {"init_state", s->states, width, true},
                {"state_to_kv.weight", keys, width, true},
                {"to_state_out.weight", width, 2 * queries, true},
                {"state_out_to_gate.weight", width, width, true}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char name[96];
        if (list[i].of_state && !s->recurrent[l]) continue;
        snprintf(name, sizeof name, "%s%s", list[i].of_state ? state : "", list[i].name);
        if (!check_matrix(s, name, l, list[i].rows, list[i].columns, e)) return false;
    }
    return true;
}

static bool check_shapes(const brt_source *s, err *e)
{
    for (int64_t l = 0; l < s->depth; l++) {
        if (!check_layer(s, l, e)) return false;
        const st_tensor *kernel = find(s, "mem_manager.layers.%lld.1.1.weight", (long long)l);
        if (s->factor > 0 && (import_brt_axis(kernel, 3, 0) != 2 * s->head_dim ||
                              import_brt_axis(kernel, 3, 1) != s->head_dim ||
                              import_brt_axis(kernel, 3, 2) != s->factor)) {
            return err_set(e,
                           "mem_manager.layers.%lld.1.1.weight: missing, or not [2 head_dim, "
                           "head_dim, factor] as in layer 0",
                           (long long)l);
        }
    }
    return true;
}

static bool read_shape(brt_source *s, err *e)
{
    const st_tensor *embedding = find(s, "token_emb.weight");
    s->vocab = import_brt_axis(embedding, 2, 0);
    s->width = import_brt_axis(embedding, 2, 1);
    for (; s->depth < BRT_LAYERS; s->depth++) {
        int l = (int)s->depth;
        /* Layers are counted from 0 without a gap; a dict with more than BRT_LAYERS of them has
         * tensors left over, which no layer takes and copy_tensor refuses. */
        if (!find(s, "layers.%d.0.to_q.weight", l)) break;
        const st_tensor *start = find(s, "layers.%d.0.state_container.init_state", l);
        s->recurrent[l] = start != NULL;
        if (start) s->states = import_brt_axis(start, 2, 0);
        s->qk_norm[l] = find(s, "layers.%d.0.attn.q_scale", l) != NULL;
    }
    s->head_dim = import_brt_axis(find(s, "layers.0.0.to_kv.weight"), 2, 0) / 2;
    int64_t queries = import_brt_axis(find(s, "layers.0.0.to_q.weight"), 2, 0);
    s->hidden = import_brt_axis(find(s, "layers.0.1.3.weight"), 2, 1);
    s->factor = import_brt_axis(find(s, "mem_manager.layers.0.1.1.weight"), 3, 2);
    /* Each of these is 0 where its tensor is missing or of another rank. */
    if (s->vocab < 1 || s->width < 1 || s->depth < 1 || s->head_dim < 1 || s->hidden < 1 ||
        queries % s->head_dim != 0 || queries < 1) {
        return err_set(e, "not a state dict of the block-recurrent transformer: token_emb.weight, "
                          "layers.0.0.to_q.weight, .to_kv.weight or layers.0.1.3.weight is missing "
                          "or has another shape");
    }
    s->heads = queries / s->head_dim;
    return check_shapes(s, e);
}

static bool read_readers(brt_source *s, const brt_import *how, err *e)
{
    int recurrent = 0;
    int64_t owners[BRT_LAYERS];
    for (int64_t l = 0; l < s->depth; l++) {
        if (!s->recurrent[l]) continue;
        s->reader[l] = how->reads > recurrent ? how->read[recurrent] - 1 : l;
        recurrent++;
        if (s->reader[l] < 0 || s->reader[l] >= s->depth) {
            return err_set(e, "layer %lld cannot read a state: there are %lld layers, from 1",
                           (long long)s->reader[l] + 1, (long long)s->depth);
        }
    }
    if (how->reads > 0 && how->reads != recurrent) {
        return err_set(e, "%d layers are recurrent, but %d readers are given; give one for each",
                       recurrent, how->reads);
    }
    for (int64_t l = 0; l < s->depth; l++) {
        int64_t inputs =
            import_brt_axis(find(s, "layers.%lld.0.to_out.weight", (long long)l), 2, 1);
        /* Own attention and one more set of heads per state that is read, side by side. */
        int64_t wanted = s->heads * s->head_dim * (1 + import_brt_reads(s, l, owners));
        if (inputs == wanted) continue;
        return err_set(e,
                       "layers.%lld.0.to_out.weight has %lld inputs, not %lld: layer %lld reads "
                       "other states; say which layer reads each recurrent layer's state, as "
                       "read_recurrent_layers does in the port",
                       (long long)l, (long long)inputs, (long long)wanted, (long long)l + 1);
    }
    return true;
}

bool import_brt_open(brt_source *s, const safetensors *file, const brt_import *how, err *e)
{
    CHECK(how->reads <= BRT_LAYERS && how->block_width > 0, "%d reads", how->reads);
    *s = (brt_source){.file = file, .block_width = how->block_width};
    find_prefix(s);
    return read_shape(s, e) && read_readers(s, how, e);
}

/* ---- the spec ---- */

typedef struct text {
    char *at;
    size_t used, size;
} text;

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->used, t->size - t->used, format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < t->size - t->used, "a spec of %zu bytes", t->size);
    t->used += (size_t)n;
}

static void put_layer(text *t, const brt_source *s, int64_t l)
{
    const char *cls = import_brt_class(s, l);
    put(t, "{%s: {heads: %lld, kv_heads: 1, head_dim: %lld, memory: %lld, positions: xpos, ", cls,
        (long long)s->heads, (long long)s->head_dim, (long long)s->block_width);
    put(t, "qk_norm: %s", s->qk_norm[l] ? "l2" : "none");
    if (s->factor > 0) {
        put(t, ", compressed: %lld, factor: %lld", (long long)(s->block_width / 2),
            (long long)s->factor);
    }
    if (strcmp(cls, "block_recurrent") == 0) {
        int64_t owners[BRT_LAYERS];
        int reads = import_brt_reads(s, l, owners);
        if (s->recurrent[l]) put(t, ", states: %lld, gate_form: port", (long long)s->states);
        put(t, ", state_scale: none, write: %s, reads: [", s->recurrent[l] ? "true" : "false");
        for (int i = 0; i < reads; i++) {
            put(t, "%s%lld", i ? ", " : "", (long long)owners[i]);
        }
        put(t, "]");
    }
    put(t, "}, ffn: {hidden: %lld, activation: geglu, bias: false}}", (long long)s->hidden);
}

node *import_brt_spec(arena *a, const brt_source *s, err *e)
{
    /* A layer's options take less than a kilobyte, reads of BRT_LAYERS states included; put()
     * aborts rather than cut them. */
    size_t size = 512 + 1024 * (size_t)s->depth;
    text t = {arena_push(a, (int64_t)size, 1), 0, size};
    put(&t, "{width: %lld, context: %lld, partial: flush, norm: {bias: false}, blocks: [",
        (long long)s->width, (long long)s->block_width);
    for (int64_t l = 0; l < s->depth; l++) {
        if (l) put(&t, ", ");
        put_layer(&t, s, l);
    }
    put(&t, "]}");
    return node_parse(a, t.at, t.used, "imported model", e);
}
