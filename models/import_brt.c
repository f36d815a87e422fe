/* The port's state dict says almost everything by which tensors there are and by their shapes: a
 * layer with init_state is recurrent, one with q_scale normalises its queries, mem_manager's
 * kernels mean compressed memory. The block width is in no shape, and neither is which layer reads
 * which state; these come from the caller, and the second is checked against the inputs of each
 * to_out.
 *
 * The model is then an ordinary spec, built by the ordinary builder, with the options that make
 * layers compute what the port does (partial: flush, gate_form: port, xpos, ...). Where an element
 * goes is one function, import_brt_places, that knows names and orders and moves nothing; tests
 * send gradients the same way.
 *
 * The file may come from anybody: every shape that becomes a size is compared with the others
 * first. */
#include "models/import_brt.h"

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

/* The name without it; NULL: it has another one. */
static const char *plain_name(const brt_source *s, const st_tensor *t)
{
    size_t n = strlen(s->prefix);
    return strncmp(t->name, s->prefix, n) == 0 ? t->name + n : NULL;
}

/* Axis `axis` of a tensor of that rank; 0 if it is missing, empty or of another rank. */
static int64_t axis_of(const st_tensor *t, int rank, int axis)
{
    return t && t->rank == rank && t->count > 0 ? t->shape[axis] : 0;
}

/* Every tensor whose size the model takes from others must be there: a model is then no larger than
 * a small multiple of the file, whatever the file says. */
static bool check_matrix(const brt_source *s, const char *part, int64_t l, int64_t rows,
                         int64_t columns, err *e)
{
    char name[128];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)l, part);
    const st_tensor *t = find(s, "%s", name);
    if (axis_of(t, 2, 0) == rows && axis_of(t, 2, 1) == columns) return true;
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
        if (s->factor > 0 &&
            (axis_of(kernel, 3, 0) != 2 * s->head_dim || axis_of(kernel, 3, 1) != s->head_dim ||
             axis_of(kernel, 3, 2) != s->factor)) {
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
    s->vocab = axis_of(embedding, 2, 0);
    s->width = axis_of(embedding, 2, 1);
    for (; s->depth < BRT_LAYERS; s->depth++) {
        int l = (int)s->depth;
        /* Layers are counted from 0 without a gap; a dict with more than BRT_LAYERS of them has
         * tensors left over, which no layer takes and copy_tensor refuses. */
        if (!find(s, "layers.%d.0.to_q.weight", l)) break;
        const st_tensor *start = find(s, "layers.%d.0.state_container.init_state", l);
        s->recurrent[l] = start != NULL;
        if (start) s->states = axis_of(start, 2, 0);
        s->qk_norm[l] = find(s, "layers.%d.0.attn.q_scale", l) != NULL;
    }
    s->head_dim = axis_of(find(s, "layers.0.0.to_kv.weight"), 2, 0) / 2;
    int64_t queries = axis_of(find(s, "layers.0.0.to_q.weight"), 2, 0);
    s->hidden = axis_of(find(s, "layers.0.1.3.weight"), 2, 1);
    s->factor = axis_of(find(s, "mem_manager.layers.0.1.1.weight"), 3, 2);
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

/* Owners whose states layer l reads, increasing; returns how many. */
static int reads_of(const brt_source *s, int64_t l, int64_t owners[BRT_LAYERS])
{
    int n = 0;
    for (int64_t owner = 0; owner < s->depth; owner++) {
        if (s->recurrent[owner] && s->reader[owner] == l) owners[n++] = owner;
    }
    return n;
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
        int64_t inputs = axis_of(find(s, "layers.%lld.0.to_out.weight", (long long)l), 2, 1);
        /* Own attention and one more set of heads per state that is read, side by side. */
        int64_t wanted = s->heads * s->head_dim * (1 + reads_of(s, l, owners));
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

/* A layer that only reads another's state is block_recurrent as well, with write: false. */
static const char *class_of(const brt_source *s, int64_t l)
{
    int64_t owners[BRT_LAYERS];
    if (s->recurrent[l] || reads_of(s, l, owners) > 0) return "block_recurrent";
    return s->factor > 0 ? "compressed_memory" : "attention";
}

static void put_layer(text *t, const brt_source *s, int64_t l)
{
    const char *cls = class_of(s, l);
    put(t, "{%s: {heads: %lld, kv_heads: 1, head_dim: %lld, memory: %lld, positions: xpos, ", cls,
        (long long)s->heads, (long long)s->head_dim, (long long)s->block_width);
    put(t, "qk_norm: %s", s->qk_norm[l] ? "l2" : "none");
    if (s->factor > 0) {
        put(t, ", compressed: %lld, factor: %lld", (long long)(s->block_width / 2),
            (long long)s->factor);
    }
    if (strcmp(cls, "block_recurrent") == 0) {
        int64_t owners[BRT_LAYERS];
        int reads = reads_of(s, l, owners);
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

/* ---- where tensors go ---- */

/* How the port's elements are ordered among ours. */
typedef enum brt_order {
    AS_IS,
    BEHIND_QUERIES, /* rows behind as many as there are query columns */
    HEAD_PAIRS, /* columns: per head (of states, of tokens); ours: all of states, all of tokens */
    KERNEL,     /* [out, channel, tap]; ours [out, tap, channel], keys' and values' apart */
    KERNEL_BIAS /* keys' and values' apart */
} brt_order;

/* Whose parameter it is. */
typedef enum brt_unit { ATTENTION, FFN, READER } brt_unit;

typedef struct brt_name {
    const char *theirs; /* behind "layers.<l>." */
    const char *ours;   /* behind the unit's name; reader: behind "read.<i>." */
    brt_unit unit;
    brt_order order;
} brt_name;

#define STATE "0.state_container."
/* The last MEMORY_NAMES stand behind "mem_manager.layers.<l>.", where the same names mean other
 * tensors; so they are looked up apart. */
static const brt_name NAMES[] = {
    {"0.norm.gamma", "norm.gain", ATTENTION, AS_IS},
    {"0.to_q.weight", "qkv.weight", ATTENTION, AS_IS},
    {"0.to_kv.weight", "qkv.weight", ATTENTION, BEHIND_QUERIES},
    {"0.attn.q_scale", "q_norm.gain", ATTENTION, AS_IS},
    {"0.attn.k_scale", "k_norm.gain", ATTENTION, AS_IS},
    {"0.to_out.weight", "out.weight", ATTENTION, AS_IS},
    {STATE "init_state", "state.start", ATTENTION, AS_IS},
    {STATE "state_pos_ids", "state.ids", ATTENTION, AS_IS},
    {STATE "learned_ema_beta", "state.gate.balance", ATTENTION, AS_IS},
    {STATE "state_norm.gamma", "state.norm.gain", ATTENTION, AS_IS},
    {STATE "q_to_state.weight", "q.weight", READER, AS_IS},
    {STATE "state_to_q.weight", "state.q.weight", ATTENTION, AS_IS},
    {STATE "q_from_state.weight", "state.q.weight", ATTENTION, BEHIND_QUERIES},
    {STATE "state_to_kv.weight", "state.kv.weight", ATTENTION, AS_IS},
    {STATE "to_state_out.weight", "state.out.weight", ATTENTION, HEAD_PAIRS},
    {STATE "to_state_cross_attn.q_scale", "q_norm.gain", READER, AS_IS},
    {STATE "to_state_cross_attn.k_scale", "k_norm.gain", READER, AS_IS},
    {STATE "state_self_attn.q_scale", "state.self_q.gain", ATTENTION, AS_IS},
    {STATE "state_self_attn.k_scale", "state.self_k.gain", ATTENTION, AS_IS},
    {STATE "from_state_cross_attn.q_scale", "state.tokens_q.gain", ATTENTION, AS_IS},
    {STATE "from_state_cross_attn.k_scale", "state.tokens_k.gain", ATTENTION, AS_IS},
    {STATE "state_out_to_gate.weight", "state.gate.weight", ATTENTION, AS_IS},
    {STATE "state_out_to_gate.bias", "state.gate.bias", ATTENTION, AS_IS},
    {"1.0.gamma", "norm.gain", FFN, AS_IS},
    {"1.1.weight", "keys.weight", FFN, AS_IS},
    {"1.3.weight", "values.weight", FFN, AS_IS},
    {"1.1.weight", "compress_k.weight", ATTENTION, KERNEL}, /* of mem_manager */
    {"1.1.bias", "compress_k.bias", ATTENTION, KERNEL_BIAS}};
enum { NAME_COUNT = sizeof NAMES / sizeof NAMES[0], MEMORY_NAMES = 2 };

/* Element `begin` and so many behind it of our parameter. */
static bool place(const model *m, const st_tensor *t, const char *name, int64_t first,
                  int64_t begin, int64_t count, int64_t *places, err *e)
{
    const params *all = model_params_const(m);
    int index = params_find(all, name);
    if (index < 0) return err_set(e, "%s: the model has no %s for it", t->name, name);
    const param *q = &all->list[index];
    /* places are indexes into the caller's vector: none may leave the parameter. */
    if (first + count > q->count) {
        return err_set(e, "%s: %lld numbers do not fit into %s", t->name, (long long)count, name);
    }
    for (int64_t i = 0; i < count; i++) {
        places[begin + i] = q->offset + first + i;
    }
    return true;
}

/* Theirs: column (head, half, j) of a row; ours: (half, head, j). */
static bool order_pairs(const brt_source *s, const st_tensor *t, int64_t *places, err *e)
{
    /* One attention's outputs stand beside the other's per head there, per attention here. */
    int64_t d = s->head_dim, columns = axis_of(t, 2, 1), first = places[0];
    if (columns != 2 * s->heads * d) return err_set(e, "%s: not 2 heads head_dim inputs", t->name);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t h = i % columns / (2 * d), half = i / d % 2;
        places[i] = first + i / columns * columns + (half * s->heads + h) * d + i % d;
    }
    return true;
}

/* Theirs: (channel, tap) of an output; ours: (tap, channel). places stand as in `place`. */
static bool order_taps(const brt_source *s, const st_tensor *t, int64_t *places, err *e)
{
    int64_t channels = axis_of(t, 3, 1), taps = axis_of(t, 3, 2);
    if (channels != s->head_dim || taps != s->factor || t->shape[0] != 2 * channels) {
        return err_set(e, "%s: not [2 head_dim, head_dim, factor]", t->name);
    }
    /* Their kernel is a convolution's; ours is the matrix of a product over `taps` entries laid
     * side by side. */
    int64_t size = channels * taps;
    for (int64_t out = 0; out < t->shape[0]; out++) {
        int64_t first = places[out * size];
        for (int64_t i = 0; i < size; i++) {
            places[out * size + i] = first + i % taps * channels + i / taps;
        }
    }
    return true;
}

static bool place_named(const brt_source *s, const model *m, const brt_name *n, int64_t l,
                        const st_tensor *t, int64_t *places, err *e)
{
    char name[128];
    int64_t unit = n->unit == READER ? s->reader[l] : l, half = t->count / 2;
    const char *cls = n->unit == FFN ? "ffn" : class_of(s, unit);
    int used = snprintf(name, sizeof name, "blocks.%lld.%s.", (long long)unit, cls);
    if (n->unit == READER) {
        int64_t owners[BRT_LAYERS];
        int reads = reads_of(s, unit, owners), read = 0;
        while (read < reads && owners[read] != l) {
            read++;
        }
        used += snprintf(name + used, sizeof name - (size_t)used, "read.%d.", read);
    }
    snprintf(name + used, sizeof name - (size_t)used, "%s", n->ours);
    if (n->order == KERNEL || n->order == KERNEL_BIAS) {
        if (!place(m, t, name, 0, 0, half, places, e)) return false;
        /* One convolution makes keys and values there; the first half of its outputs are keys. */
        name[used + (int)strlen("compress_")] = 'v';
        if (!place(m, t, name, 0, half, t->count - half, places, e)) return false;
        return n->order == KERNEL_BIAS || order_taps(s, t, places, e);
    }
    int64_t first = n->order == BEHIND_QUERIES ? s->heads * s->head_dim * s->width : 0;
    if (!place(m, t, name, first, 0, t->count, places, e)) return false;
    return n->order != HEAD_PAIRS || order_pairs(s, t, places, e);
}

/* Buffers of the port: zero biases of norms, tables of its rotary positions, masks.
 * They are the same in every model, or follow from its sizes; ours are not parameters. */
static bool is_constant(const char *name)
{
    return text_ends(name, ".beta") || strncmp(name, "rotary_pos_emb.", 15) == 0 ||
           text_ends(name, "cached_causal_attn_mask") || text_ends(name, ".inv_freq");
}

bool import_brt_places(const brt_source *s, const model *m, const st_tensor *t, int64_t *places,
                       err *e)
{
    static const char memory[] = "mem_manager.";
    for (int64_t i = 0; i < t->count; i++) {
        places[i] = -1;
    }
    const char *full = plain_name(s, t);
    if (!full) return err_set(e, "%s: its name does not begin with %s", t->name, s->prefix);
    if (is_constant(full)) return true;
    if (strcmp(full, "token_emb.weight") == 0) {
        return place(m, t, "embedding.weight", 0, 0, t->count, places, e);
    }
    if (strcmp(full, "to_logits.0.gamma") == 0) {
        return place(m, t, "final_norm.gain", 0, 0, t->count, places, e);
    }
    if (strcmp(full, "to_logits.1.weight") == 0) {
        return place(m, t, "head.weight", 0, 0, t->count, places, e);
    }
    bool of_memory = strncmp(full, memory, sizeof memory - 1) == 0;
    long long l = -1;
    int used = 0;
    const char *rest = full + (of_memory ? sizeof memory - 1 : 0);
    /* used stays 0 where the name has another form, and nothing is found then. */
    sscanf(rest, "layers.%lld.%n", &l, &used);
    rest += used;
    const brt_name *names = of_memory ? NAMES + NAME_COUNT - MEMORY_NAMES : NAMES;
    int count = of_memory ? MEMORY_NAMES : NAME_COUNT - MEMORY_NAMES;
    for (int i = 0; i < count && used > 0 && l >= 0 && l < s->depth; i++) {
        if (strcmp(names[i].theirs, rest) == 0) {
            return place_named(s, m, &names[i], l, t, places, e);
        }
    }
    return err_set(e, "%s: no such tensor is known in the PyTorch port", t->name);
}

/* ---- values ---- */

static bool copy_tensor(const brt_source *s, const model *m, const st_tensor *t, real *values,
                        bool *filled, err *e)
{
    size_t count = (size_t)MAX(t->count, 1);
    int64_t *places = calloc(count, sizeof *places);
    real *theirs = malloc(count * sizeof *theirs);
    bool done = places && theirs;
    if (!done) err_set(e, "out of memory for %s", t->name);
    done = done && import_brt_places(s, m, t, places, e) && safetensors_copy(theirs, t, e);
    for (int64_t i = 0; done && i < t->count; i++) {
        if (places[i] < 0) continue;
        values[places[i]] = theirs[i];
        filled[places[i]] = true;
    }
    free(places);
    free(theirs);
    return done;
}

static bool all_filled(const params *p, const bool *filled, err *e)
{
    for (int i = 0; i < p->count; i++) {
        const param *q = &p->list[i];
        /* The one parameter that the port has not; fill_start makes it. */
        if (strcmp(q->name, "embedding.start") == 0) continue;
        for (int64_t k = 0; k < q->count; k++) {
            if (!filled[q->offset + k]) return err_set(e, "the state dict lacks %s", q->name);
        }
    }
    return true;
}

/* The port begins a text without a start token. A vector of zeros would stay zero through every
 * norm of a model without biases, and never train: ours begins as the mean embedding. */
static void fill_start(const params *p, real *values)
{
    const param *start = &p->list[params_find(p, "embedding.start")];
    const param *table = &p->list[params_find(p, "embedding.weight")];
    int64_t width = start->count, rows = table->count / width;
    for (int64_t c = 0; c < width; c++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) {
            sum += (double)values[table->offset + r * width + c];
        }
        values[start->offset + c] = (real)(sum / (double)rows);
    }
}

bool import_brt_values(const brt_source *s, const model *m, real *values, err *e)
{
    const params *p = model_params_const(m);
    bool *filled = calloc((size_t)p->total, sizeof *filled);
    if (!filled) return err_set(e, "out of memory for %lld parameters", (long long)p->total);
    memset(values, 0, (size_t)p->total * sizeof *values);
    bool done = true;
    for (int i = 0; done && i < safetensors_count(s->file); i++) {
        const st_tensor *t = safetensors_at(s->file, i);
        const char *name = plain_name(s, t);
        if (name && is_constant(name)) continue; /* masks may be of any type */
        done = copy_tensor(s, m, t, values, filled, e);
    }
    done = done && all_filled(p, filled, e);
    if (done) fill_start(p, values);
    free(filled);
    return done;
}
