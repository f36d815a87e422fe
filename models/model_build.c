/* From the `model:` node to a model.
 *
 * Options are tables (core/options/option.h): the model's own, one per nested map, one per layer
 * class. The first thing that is wrong ends the build with its file, line and column; nothing has
 * to be undone, since all of the model lies in one arena.
 *
 * Entries of `blocks:` are read twice: once to count, so that `units` has its final size and
 * pointers into it stay good, and once to build. An entry becomes repeat * layers units. Parameters
 * are declared in the order of the stack, which fixes their places in the flat vector of values:
 * sums over all of them (the norm of a gradient) have that order, and bits with it. What a seed
 * draws for a parameter depends on its name alone. */
#include "layers/registry.h"
#include "models/model_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- options ---- */

/* All tables fill one struct, so that a nested map needs no struct of its own. */
#define OPTION_AT(field) offsetof(model_options, field)

static const option MODEL[] = {
    {"width", OPTION_INT, OPTION_AT(width), .initial = NULL, .min = 1, .max = 65536,
     .help = "size of the residual stream"},
    {"context", OPTION_INT, OPTION_AT(context), .initial = NULL, .min = 1, .max = 1e8,
     .help = "positions of a block: the grid that layers' windows and memories are cut by"},
    {"partial", OPTION_CHOICE, OPTION_AT(partial), .initial = "keep", .choices = "keep|flush",
     .help = "a call that ends inside a block: the next goes on there, or begins a new block"},
    {0}};

static const option EMBEDDING[] = {
    {"positions", OPTION_CHOICE, OPTION_AT(embedding.positions), .initial = "none",
     .choices = "none|learned", .help = "learned: a vector per position of the block is added"},
    {"scale", OPTION_REAL, OPTION_AT(embedding.scale), .initial = "1", .min = 1e-6, .max = 1e6,
     .help = "factor on the embedded tokens"},
    {"dropout", OPTION_REAL, OPTION_AT(embedding.dropout), .initial = "0", .min = 0, .max = 0.95,
     .help = "probability of dropping an element while training"},
    {"tied", OPTION_BOOL, OPTION_AT(embedding.tied), .initial = "false",
     .help = "the head's matrix is the embedding's"},
    {0}};

static const option NORM[] = {
    {"kind", OPTION_CHOICE, OPTION_AT(norm.kind), .initial = "layernorm",
     .choices = "layernorm|rmsnorm|none", .help = "normalisation, with learned gain (and bias)"},
    {"bias", OPTION_BOOL, OPTION_AT(norm.bias), .initial = "true", .needs = "kind=layernorm",
     .help = "a learned bias"},
    {"place", OPTION_CHOICE, OPTION_AT(norm.place), .initial = "pre", .choices = "pre|post",
     .needs = "kind=layernorm|rmsnorm", .help = "of a layer's input, or of the sum after it"},
    {"eps", OPTION_REAL, OPTION_AT(norm.eps), .initial = "1e-5", .min = 1e-12, .max = 1,
     .needs = "kind=layernorm|rmsnorm", .help = "added to the variance"},
    {"final", OPTION_BOOL, OPTION_AT(norm.final), .initial = "true",
     .needs = "kind=layernorm|rmsnorm", .help = "one more before the head"},
    {0}};

static const option RESIDUAL[] = {
    {"scale", OPTION_REAL, OPTION_AT(residual.scale), .initial = "1", .min = -1e3, .max = 1e3,
     .help = "factor on what a layer adds to the stream"},
    {"dropout", OPTION_REAL, OPTION_AT(residual.dropout), .initial = "0", .min = 0, .max = 0.95,
     .help = "probability of dropping an element of a layer's output while training"},
    {0}};

static const option INIT[] = {
    {"scheme", OPTION_CHOICE, OPTION_AT(init.scheme), .initial = "gpt2",
     .choices = "gpt2|flat|fan_in",
     .help = "std of matrices: std, std everywhere, inputs^-1/2; gpt2 and fan_in divide those that "
             "end in the stream by sqrt(layers)"},
    {"std", OPTION_REAL, OPTION_AT(init.std), .initial = "0.02", .min = 0, .max = 10,
     .help = "standard deviation of initial embeddings and matrices"},
    {0}};

const model_table MODEL_TABLES[] = {{"", MODEL, "the stream and its grid"},
                                    {"embedding", EMBEDDING, "tokens to vectors"},
                                    {"norm", NORM, "normalisation around layers"},
                                    {"residual", RESIDUAL, "what layers add to the stream"},
                                    {"init", INIT, "how parameters start"},
                                    {0}};

/* Keys of `model:` that its own table must not refuse: each has a reader of its own. */
static const char *const NESTED[] = {"embedding", "norm", "residual", "init",
                                     "blocks",    "head", NULL};

static bool read_options(model *m, const node *spec, err *e)
{
    if (!spec) return err_set(e, "model: missing; give at least width, context and blocks");
    for (const model_table *t = MODEL_TABLES; t->name; t++) {
        bool own = !t->name[0];
        const node *n = own ? spec : node_get(spec, t->name);
        /* `norm:` with nothing behind it is a map of defaults. */
        if (node_is_null(n)) n = NULL;
        if (!options_read(&m->options, t->options, n, own ? NESTED : NULL, m->memory, e)) {
            return false;
        }
    }
    return true;
}

/* ---- the list of blocks ---- */

typedef struct block_options {
    int64_t repeat;
    const node *layers;
} block_options;

static const option BLOCK[] = {
    {"repeat", OPTION_INT, offsetof(block_options, repeat), .initial = "1", .min = 1, .max = 4096,
     .help = "how many such blocks follow each other"},
    {"layers", OPTION_NODE, offsetof(block_options, layers),
     .help = "a list of layers, instead of keys of the block: [{attention: {...}}, ...]"},
    {0}};

/* One layer as written: its class and options; spec NULL if it has none. */
typedef struct layer_spec {
    const layer_class *cls;
    const node *at, *spec;
} layer_spec;

enum { MAX_BLOCK_LAYERS = 64, MAX_CLASSES = 128 };

/* Room for any sensible block; counts beyond it are refused, not cut. The struct is on the stack of
 * the functions that read blocks, and nothing points into it afterwards. */
typedef struct block_spec {
    block_options options;
    int count;
    layer_spec layers[MAX_BLOCK_LAYERS];
} block_spec;

/* With the end that option_unknown and option_nearest want. */
static int class_names(const char *names[MAX_CLASSES], const layer_class *const *classes, int count)
{
    CHECK(count < MAX_CLASSES, "%d classes", count);
    for (int i = 0; i < count; i++) {
        names[i] = classes[i]->name;
    }
    names[count] = NULL;
    return count;
}

/* The place of a layer is its options', which is where a reader looks for what is wrong.
 * `attention:` without options has a null node there, which still has a place. */
static bool add_layer_spec(block_spec *b, const node *map, int key, err *e)
{
    const char *names[MAX_CLASSES];
    int count;
    const layer_class *const *classes = registry_layers(&count);
    const layer_class *cls = registry_layer(map->keys[key]);
    if (!cls) return option_unknown(e, map, key, class_names(names, classes, count), names);
    if (b->count == MAX_BLOCK_LAYERS) {
        return node_err(e, map, "more than %d layers in a block", MAX_BLOCK_LAYERS);
    }
    const node *spec = map->items[key];
    b->layers[b->count++] = (layer_spec){cls, spec, node_is_null(spec) ? NULL : spec};
    return true;
}

static bool read_layer_list(block_spec *b, const node *list, err *e)
{
    if (list->kind != NODE_LIST) {
        return node_err(e, list, "expected a list of layers: [{attention: {...}}, {ffn: {...}}]");
    }
    for (int i = 0; i < list->count; i++) {
        const node *n = list->items[i];
        if (n->kind != NODE_MAP || n->count != 1) {
            return node_err(e, n, "expected one layer with its options: {attention: {...}}");
        }
        if (!add_layer_spec(b, n, 0, e)) return false;
    }
    return true;
}

static bool read_block(block_spec *b, const node *n, arena *a, err *e)
{
    *b = (block_spec){.count = 0};
    const char *names[MAX_CLASSES];
    int count;
    const layer_class *const *classes = registry_layers(&count);
    class_names(names, classes, count);
    if (n->kind != NODE_MAP) {
        return node_err(e, n, "expected a block of layers: {attention: {...}, ffn: {...}}");
    }
    if (!options_read(&b->options, BLOCK, n, names, a, e)) return false;
    for (int i = 0; i < n->count; i++) {
        /* What is neither a layer nor `repeat` or `layers` was refused by options_read already,
         * with the nearest name. */
        if (!registry_layer(n->keys[i])) continue;
        if (!add_layer_spec(b, n, i, e)) return false;
    }
    if (b->options.layers && b->count > 0) {
        return node_err(e, n, "layers both as keys and in `layers`; use one of the forms");
    }
    if (b->options.layers && !read_layer_list(b, b->options.layers, e)) return false;
    if (b->count == 0) return node_err(e, n, "no layers; a block needs one, such as attention: {}");
    return true;
}

/* Reads entry i of `blocks:`. */
static bool block_at(block_spec *b, const node *blocks, int i, arena *a, err *e)
{
    return read_block(b, blocks->items[i], a, e);
}

static bool count_units(model *m, const node *spec, const node *blocks, err *e)
{
    if (node_is_null(blocks)) {
        return node_err(e, spec, "missing key 'blocks': a list such as [{attention: {}, ffn: {}}]");
    }
    if (blocks->kind != NODE_LIST) return node_err(e, blocks, "expected a list of blocks");
    if (blocks->count == 0)
        return node_err(e, blocks, "no blocks; a model needs one layer at least");
    m->block_count = blocks->count;
    m->blocks = ARENA_NEW(m->memory, model_block, blocks->count);
    block_spec b;
    for (int i = 0; i < blocks->count; i++) {
        if (!block_at(&b, blocks, i, m->memory, e)) return false;
        m->blocks[i] = (model_block){b.options.repeat, b.count};
        /* At most 4096 * 64 per entry, and the sum is checked at each: no overflow on the way to
         * the bound. */
        m->unit_count += (int)b.options.repeat * b.count;
        if (m->unit_count > 65536) {
            return node_err(e, blocks->items[i], "more than 65536 layers in all");
        }
    }
    return true;
}

/* ---- layers ---- */

/* Gain and bias are given weight decay and learning rates by their roles, so a norm says which is
 * which. RMS norm has no bias by its definition (Zhang & Sennrich 2019, arXiv:1910.07467). */
static norm_params add_norm(model *m, const char *prefix)
{
    norm_params norm = {-1, -1};
    char name[512];
    int64_t width = m->options.width;
    if (m->options.norm.kind == NORM_NONE) return norm;
    snprintf(name, sizeof name, "%s.gain", prefix);
    norm.gain = params_add(&m->params, name, ROLE_GAIN, 1, &width, (param_init){INIT_CONSTANT, 1});
    if (m->options.norm.kind == NORM_RMSNORM || !m->options.norm.bias) return norm;
    snprintf(name, sizeof name, "%s.bias", prefix);
    norm.bias = params_add(&m->params, name, ROLE_BIAS, 1, &width, (param_init){INIT_ZERO, 0});
    return norm;
}

/* Options, check, build. `ignore`: keys of the node that are not the class's. */
static bool build_layer(layer_build *b, layer *self, const layer_spec *spec,
                        const char *const *ignore, err *e)
{
    void *options = arena_push_zero(b->memory, 1, MAX(spec->cls->options_bytes, 1));
    if (!options_read(options, spec->cls->options, spec->spec, ignore, b->memory, e)) return false;
    self->cls = spec->cls;
    self->options = options;
    /* check may look at what build has not yet declared; link runs later and needs the place, too.
     */
    self->at = spec->at;
    if (spec->cls->check && !spec->cls->check(options, &self->dims, spec->at, e)) return false;
    spec->cls->build(b, self);
    return true;
}

/* How often the class stands earlier in its block.
 * The second attention of a block is attention_2, so that names stay unique and adding a layer of
 * another class renames nothing. */
static int repeats_before(const block_spec *b, int index)
{
    int n = 0;
    for (int i = 0; i < index; i++) {
        n += b->layers[i].cls == b->layers[index].cls;
    }
    return n;
}

/* What a layer may know of the model around it. depth of depths is for initialisation and for
 * layers that differ by depth; the head stands behind the last. */
static layer_dims dims_of(const model *m, int depth)
{
    return (layer_dims){.width = m->options.width,
                        .vocab = m->vocab,
                        .block = m->options.context,
                        .flush = m->options.partial == PARTIAL_FLUSH,
                        .depth = depth,
                        .depths = m->unit_count};
}

static bool build_unit(model *m, layer_build *b, const block_spec *block, int index,
                       int block_index, int depth, err *e)
{
    model_unit *u = &m->units[depth];
    const layer_spec *spec = &block->layers[index];
    char name[256], norm[280];
    int again = repeats_before(block, index);
    snprintf(name, sizeof name, "blocks.%d.%s", block_index, spec->cls->name);
    if (again) {
        snprintf(name, sizeof name, "blocks.%d.%s_%d", block_index, spec->cls->name, again + 1);
    }
    /* The name is the layer's identity: parameters, slots, metrics and random keys are all derived
     * from it. */
    u->layer.name = arena_strdup(m->memory, name);
    u->layer.dims = dims_of(m, depth);
    snprintf(norm, sizeof norm, "%s.norm", name);
    u->norm = add_norm(m, norm);
    m->layers[depth] = &u->layer;
    return build_layer(b, &u->layer, spec, NULL, e);
}

static bool build_stack(model *m, layer_build *b, const node *blocks, err *e)
{
    m->units = arena_push_zero(m->memory, m->unit_count, sizeof *m->units);
    m->layers = ARENA_NEW(m->memory, const layer *, m->unit_count);
    int depth = 0, block_index = 0;
    block_spec block;
    for (int i = 0; i < blocks->count; i++) {
        if (!block_at(&block, blocks, i, m->memory, e)) return false;
        for (int64_t r = 0; r < block.options.repeat; r++, block_index++) {
            for (int k = 0; k < block.count; k++, depth++) {
                if (!build_unit(m, b, &block, k, block_index, depth, e)) return false;
            }
        }
    }
    return true;
}

static bool unknown_head(const node *kind, err *e)
{
    const char *names[MAX_CLASSES], *near = NULL;
    int count;
    const layer_class *const *classes = registry_heads(&count);
    if (kind->kind != NODE_SCALAR) return node_err(e, kind, "expected the name of a head");
    near = option_nearest(kind->text, class_names(names, classes, count), names);
    if (!near) return node_err(e, kind, "unknown head '%s'", kind->text);
    return node_err(e, kind, "unknown head '%s' (did you mean '%s'?)", kind->text, near);
}

/* n: the `head:` node or NULL. */
static bool head_spec(layer_spec *spec, const node *n, err *e)
{
    *spec = (layer_spec){.at = n, .spec = node_is_null(n) ? NULL : n};
    const node *kind = spec->spec ? node_get(n, "kind") : NULL;
    /* A `kind` that is no scalar finds no head, and unknown_head says what was wrong with it. */
    spec->cls = registry_head(!kind ? "linear" : kind->kind == NODE_SCALAR ? kind->text : "");
    if (!spec->cls && kind) unknown_head(kind, e);
    return spec->cls != NULL;
}

static bool build_head(model *m, layer_build *b, const node *n, err *e)
{
    static const char *const ignore[] = {"kind", NULL};
    layer_spec spec;
    if (!head_spec(&spec, n, e)) return false;
    /* Declared with the head, behind the stack, which is where it is used. */
    if (m->options.norm.final) m->final_norm = add_norm(m, "final_norm");
    m->head.name = "head";
    m->head.dims = dims_of(m, m->unit_count);
    return build_layer(b, &m->head, &spec, ignore, e);
}

/* ---- the whole ---- */

/* Active: of the tokens' vectors a token uses one. A tied table is a product besides, all of it. */
static void add_embedding(model *m)
{
    int64_t width = m->options.width;
    param_init start = {INIT_NORMAL, m->options.init.std};
    m->embedding = params_add(&m->params, "embedding.weight", ROLE_EMBEDDING, 2,
                              (int64_t[]){m->vocab, width}, start);
    /* A tied embedding is the head's product, too. */
    m->params.list[m->embedding].matmul = m->options.embedding.tied;
    if (!m->options.embedding.tied) {
        m->params.list[m->embedding].active = 1 / (double)m->vocab;
    }
    /* The vector that stands before the first token of a document: without it the first token could
     * not be predicted, and would not count. A state, not an embedding: it belongs to no token. */
    m->start = params_add(&m->params, "embedding.start", ROLE_STATE, 1, &width, start);
    if (m->options.embedding.positions == POSITIONS_LEARNED) {
        m->positions = params_add(&m->params, "embedding.positions", ROLE_STATE, 2,
                                  (int64_t[]){m->options.context, width}, start);
        m->params.list[m->positions].active = 1 / (double)m->options.context;
    }
}

/* Layers name each other by block and class, and a reader may stand before what it reads: so only
 * when all are built. */
static bool link_layer(model *m, const layer_build *b, layer *self, err *e)
{
    m->blockwise |= self->blockwise;
    m->oracle |= self->oracle;
    return !self->cls->link || self->cls->link(b, self, e);
}

static bool build(model *m, const node *spec, const model_inputs *inputs, err *e)
{
    if (!read_options(m, spec, e)) return false;
    const node *blocks = node_get(spec, "blocks");
    if (!count_units(m, spec, blocks, e)) return false;
    /* What layers may ask for while they declare themselves. It ends with this function; what it
     * points to lives in the model's arena. */
    layer_build b = {.params = &m->params,
                     .memory = m->memory,
                     .token_counts = inputs->token_counts,
                     .source = inputs->source,
                     .token_text = inputs->token_text,
                     .seed = inputs->seed,
                     .scheme = (init_scheme)m->options.init.scheme,
                     .std = m->options.init.std,
                     .tied = m->options.embedding.tied};
    add_embedding(m);
    if (!build_stack(m, &b, blocks, e) || !build_head(m, &b, node_get(spec, "head"), e)) {
        return false;
    }
    /* From here on parameters have offsets, and none can be added: link may look at all, declare
     * nothing. */
    params_seal(&m->params);
    b.layers = m->layers;
    b.layer_count = m->unit_count;
    m->slots = b.slots;
    m->slot_count = b.slot_count;
    for (int i = 0; i < m->unit_count; i++) {
        if (!link_layer(m, &b, &m->units[i].layer, e)) return false;
    }
    return link_layer(m, &b, &m->head, e);
}

model *model_build(const node *spec, const model_inputs *inputs, err *e)
{
    CHECK(inputs->vocab > 0, "a vocabulary of %lld", (long long)inputs->vocab);
    model *m = calloc(1, sizeof *m);
    CHECK(m, "out of memory for a model (%zu bytes)", sizeof *m);
    m->memory = arena_new((size_t)1 << 18);
    m->vocab = inputs->vocab;
    m->embedding = m->start = m->positions = -1;
    m->final_norm = (norm_params){-1, -1};
    /* The fastest float32 products; training sets others by model_set_kernels before the model is
     * used. */
    m->kernels.products = m->kernels.exact = gemm_best(GEMM_FLOAT32);
    params_init(&m->params, m->memory);
    if (build(m, spec, inputs, e)) return m;
    model_free(m);
    return NULL;
}

void model_free(model *m)
{
    if (!m) return;
    arena_free(m->memory);
    free(m);
}

/* ---- before building ---- */

static unsigned layer_needs(const layer_spec *spec, const char *const *ignore, arena *a)
{
    if (!spec->cls->needs) return 0;
    void *options = arena_push_zero(a, 1, MAX(spec->cls->options_bytes, 1));
    /* Errors go nowhere: model_build will find the same one, and tell. */
    if (!options_read(options, spec->cls->options, spec->spec, ignore, a, NULL)) return 0;
    return spec->cls->needs(options);
}

/* Read off the options alone: what a layer needs (counts, another run's tensors) costs a pass over
 * the corpus or a dependency between runs, and must be known before anything is built. */
unsigned model_needs(const node *spec)
{
    static const char *const ignore[] = {"kind", NULL};
    const node *blocks = spec ? node_get(spec, "blocks") : NULL;
    if (!blocks || blocks->kind != NODE_LIST) return 0;
    arena_auto *a = arena_new((size_t)1 << 16);
    unsigned needs = 0;
    block_spec block;
    for (int i = 0; i < blocks->count; i++) {
        if (!block_at(&block, blocks, i, a, NULL)) continue;
        for (int k = 0; k < block.count; k++) {
            needs |= layer_needs(&block.layers[k], NULL, a);
        }
    }
    layer_spec head;
    if (head_spec(&head, node_get(spec, "head"), NULL)) needs |= layer_needs(&head, ignore, a);
    return needs;
}
