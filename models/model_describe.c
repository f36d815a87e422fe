/* What a built model says of itself: its spec, and its costs.
 *
 * The spec comes in two forms. Resolved: every option of every layer with the value that it has,
 * blocks as they were written; for people, and to build the same model from again. Changed: only
 * what differs from the defaults, in one spelling; what identities are hashed from. The second is
 * why an option can be added later without renaming the runs that do not use it, and why writing a
 * default out is the same run. */
#include <string.h>

#include "models/model_parts.h"

/* ---- the spec, spelt out ---- */

typedef node *(*print_options)(arena *a, const void *options, const option *table);

typedef node *(*print_layer)(arena *a, const layer *l);

static node *layer_options(arena *a, const layer *l)
{
    return options_node(a, l->options, l->cls->options);
}

/* What identities are hashed from: the options that differ, and what they do not say. */
static node *layer_changed(arena *a, const layer *l)
{
    /* On a copy: the layer itself goes on with its options as they were given. */
    void *settled = arena_push(a, 1, l->cls->options_bytes);
    memcpy(settled, l->options, l->cls->options_bytes);
    if (l->cls->settle) l->cls->settle(settled, l);
    node *n = options_changed(a, settled, l->cls->options);
    /* A file's name says nothing about what is in it: with other content it is another model, under
     * another name the same one. */
    const char *content = l->cls->content ? l->cls->content(l, a) : NULL;
    if (content) node_set(a, n, "content", node_scalar(a, content, false));
    return n;
}

/* [{attention: {...}}, ...] */
static node *layer_list(const model *m, arena *a, int first, int count, print_layer print)
{
    node *list = node_list(a);
    for (int i = 0; i < count; i++) {
        const layer *l = m->layers[first + i];
        node *n = node_map(a);
        node_set(a, n, l->cls->name, print(a, l));
        node_append(a, list, n);
    }
    return list;
}

/* As written: [{repeat: 4, layers: [...]}]. The long form, since it survives sorted keys. */
static node *blocks_resolved(const model *m, arena *a)
{
    node *list = node_list(a);
    for (int i = 0, unit = 0; i < m->block_count; i++) {
        const model_block *b = &m->blocks[i];
        node *n = node_map(a);
        node_set(a, n, "repeat", node_int(a, b->repeat));
        node_set(a, n, "layers", layer_list(m, a, unit, b->layers, layer_options));
        node_append(a, list, n);
        unit += (int)b->repeat * b->layers;
    }
    return list;
}

/* One list per block, repeats written out: two ways to write a model have one identity. */
static node *blocks_changed(const model *m, arena *a)
{
    node *list = node_list(a);
    for (int i = 0, unit = 0; i < m->block_count; i++) {
        for (int64_t r = 0; r < m->blocks[i].repeat; r++, unit += m->blocks[i].layers) {
            node_append(a, list, layer_list(m, a, unit, m->blocks[i].layers, layer_changed));
        }
    }
    return list;
}

/* In one spelling: a single layer's share of the stream is divided by 1. */
static model_options settled_options(const model *m)
{
    model_options o = m->options;
    /* `flat` is `gpt2` without the division by sqrt(layers), so with one layer they are the same
     * model. */
    if (m->unit_count <= 1 && o.init.scheme == INIT_FLAT) o.init.scheme = INIT_GPT2;
    return o;
}

/* The options of the nested maps; those without content are left out if only changes are asked. */
static node *options_of(const model_options *options, arena *a, print_options print, bool all)
{
    node *root = node_map(a);
    for (const model_table *t = MODEL_TABLES; t->name; t++) {
        node *n = print(a, options, t->options);
        if (!t->name[0]) {
            root = n;
        } else if (all || n->count > 0) {
            node_set(a, root, t->name, n);
        }
    }
    return root;
}

static node *head_node(const model *m, arena *a, print_layer print)
{
    node *n = node_map(a);
    node *options = print(a, &m->head);
    node_set(a, n, "kind", node_scalar(a, m->head.cls->name, true));
    for (int i = 0; i < options->count; i++) {
        node_set(a, n, options->keys[i], options->items[i]);
    }
    return n;
}

node *model_resolved(const model *m, arena *a)
{
    node *n = options_of(&m->options, a, options_node, true);
    node_set(a, n, "blocks", blocks_resolved(m, a));
    node_set(a, n, "head", head_node(m, a, layer_options));
    return n;
}

node *model_changed(const model *m, arena *a)
{
    const model_options options = settled_options(m);
    node *n = options_of(&options, a, options_changed, false);
    node_set(a, n, "blocks", blocks_changed(m, a));
    node_set(a, n, "head", head_node(m, a, layer_changed));
    return n;
}

int model_option_tables(const char **names, const option **tables, int capacity)
{
    int n = 0;
    for (const model_table *t = MODEL_TABLES; t->name && n < capacity; t++, n++) {
        names[n] = t->name;
        tables[n] = t->options;
    }
    return n;
}

/* ---- figures ---- */

params *model_params(model *m)
{
    return &m->params;
}

const params *model_params_const(const model *m)
{
    return &m->params;
}

int64_t model_width(const model *m)
{
    return m->options.width;
}

void model_set_kernels(model *m, tape_kernels kernels)
{
    m->kernels = kernels;
}

tape_kernels model_kernels(const model *m)
{
    return m->kernels;
}

int64_t model_context(const model *m)
{
    return m->options.context;
}

int64_t model_vocab(const model *m)
{
    return m->vocab;
}

int model_layers(const model *m, const layer *const **layers)
{
    *layers = m->layers;
    return m->unit_count;
}

const layer *model_head(const model *m)
{
    return &m->head;
}

bool model_oracle(const model *m)
{
    return m->oracle;
}

bool model_whole_call(const model *m)
{
    /* A call that ends a block moves positions on, for every layer and what is embedded. */
    if (m->options.partial == PARTIAL_FLUSH) return true;
    /* What comes next is known in the middle of a call, and not at its end. */
    if (m->oracle) return true;
    for (int i = 0; i < m->unit_count; i++) {
        if (m->units[i].layer.whole_call) return true;
    }
    return m->head.whole_call;
}

/* Backward is two products for each one of forward, hence the factor 3, unless the layer knows
 * better (second order, routers). Elements of an unfinished block are in the slots' maximal lengths
 * and are taken out here: they are not carried from block to block. */
static void add_cost(model_cost *sum, const layer *l)
{
    layer_cost c = l->cls->cost(l);
    sum->forward_flops += c.forward_flops;
    sum->train_flops += c.train_flops > 0 ? c.train_flops : 3 * c.forward_flops;
    sum->bench_flops += c.bench_flops;
    sum->state_bytes -= (double)l->unfinished * sizeof(real);
}

/* It runs forward only, in training too. */
void model_cost_add_guide(model_cost *cost, const model_cost *guide)
{
    cost->forward_flops += guide->forward_flops;
    cost->train_flops += guide->forward_flops;
    cost->state_bytes += guide->state_bytes;
}

model_cost model_costs(const model *m)
{
    model_cost sum = {.params = params_elements(&m->params),
                      .active_params = params_active(&m->params)};
    for (int i = 0; i < m->unit_count; i++) {
        add_cost(&sum, m->layers[i]);
    }
    add_cost(&sum, &m->head);
    for (int i = 0; i < m->params.count; i++) {
        const param *p = &m->params.list[i];
        /* The convention of benchmarks: 6 FLOPs per parameter of a product and token, 2 forward and
         * 4 backward (Kaplan et al. 2020, arXiv:2001.08361, sec. 2.1); of experts only the share
         * that a token uses. */
        if (!p->matmul) continue;
        sum.matmul_params += p->count;
        sum.bench_flops += 6 * (double)p->count * p->active;
    }
    for (int i = 0; i < m->slot_count; i++) {
        const state_slot *s = &m->slots[i];
        /* Not carried on beyond its segment. */
        if (s->segment) continue;
        sum.state_bytes += (double)s->max_length * (double)s->width * sizeof(real);
    }
    if (m->guide) {
        model_cost guide = model_costs(m->guide);
        model_cost_add_guide(&sum, &guide);
    }
    return sum;
}
