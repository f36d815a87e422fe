/* Where the port's tensors stand among a model's parameters, and the parameters filled from them.
 *
 * Where an element goes is one function, import_brt_places, that knows names and orders and moves
 * nothing; tests send gradients the same way. */
#include "models/import_brt_parts.h"

#include "core/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name without it; NULL: it has another one. */
static const char *plain_name(const brt_source *s, const st_tensor *t)
{
    size_t n = strlen(s->prefix);
    return strncmp(t->name, s->prefix, n) == 0 ? t->name + n : NULL;
}

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
    int64_t d = s->head_dim, columns = import_brt_axis(t, 2, 1), first = places[0];
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
    int64_t channels = import_brt_axis(t, 3, 1), taps = import_brt_axis(t, 3, 2);
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
    const char *cls = n->unit == FFN ? "ffn" : import_brt_class(s, unit);
    int used = snprintf(name, sizeof name, "blocks.%lld.%s.", (long long)unit, cls);
    if (n->unit == READER) {
        int64_t owners[BRT_LAYERS];
        int reads = import_brt_reads(s, unit, owners), read = 0;
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
