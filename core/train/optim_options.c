/* Options of the optimisers, and parameter groups.
 *
 * Reading has two halves that lie apart in time. A spec is read without a model: kinds, rates, the
 * form of groups. Which parameters a group matches is known when the model is built, and a group
 * that matches none, or changes nothing, is a mistake in the spec that would otherwise train
 * something else than its name says. Parameters carry the outcome (frozen, lr_scale, decay_scale);
 * the optimiser never sees a pattern. */
#include "core/train/optim.h"

#include <fnmatch.h>
#include <math.h>

#define AT(field) offsetof(optim_options, field)

const option OPTIM_OPTIONS[] = {
    {"kind", OPTION_CHOICE, AT(kind), .initial = "adamw", .choices = "adamw|adam|adafactor|sgd",
     .help = "update rule"},
    {"lr", OPTION_REAL, AT(lr), .initial = "1e-3", .min = 0, .max = 1e6,
     .help = "learning rate, before the schedule; unless given, adafactor: 0.1, sgd: 0.3"},
    {"beta1", OPTION_REAL, AT(beta1), .initial = "0.9", .min = 0, .max = 0.999999,
     .needs = "kind=adamw|adam", .help = "decay of the mean gradient"},
    {"beta2", OPTION_REAL, AT(beta2), .initial = "0.99", .min = 0, .max = 0.999999,
     .needs = "kind=adamw|adam", .help = "decay of the mean squared gradient"},
    {"eps", OPTION_REAL, AT(eps), .initial = "1e-8", .min = 1e-30, .max = 1,
     .needs = "kind=adamw|adam", .help = "added to the root of the mean squared gradient"},
    {"momentum", OPTION_REAL, AT(momentum), .initial = "0.9", .min = 0, .max = 0.999999,
     .needs = "kind=sgd", .help = "decay of the added-up gradients; 0: none"},
    {"nesterov", OPTION_BOOL, AT(nesterov), .initial = "false", .needs = "kind=sgd and momentum>0",
     .help = "look-ahead momentum"},
    {"eps1", OPTION_REAL, AT(eps1), .initial = "1e-30", .min = 1e-36, .max = 1,
     .needs = "kind=adafactor", .help = "added to squared gradients"},
    {"eps2", OPTION_REAL, AT(eps2), .initial = "1e-3", .min = 0, .max = 1,
     .needs = "kind=adafactor and scale_parameter",
     .help = "lowest size of a parameter that the rate is scaled by"},
    {"decay_power", OPTION_REAL, AT(decay_power), .initial = "0.8", .min = 0, .max = 2,
     .needs = "kind=adafactor", .help = "beta2 of step t is 1 - t^-decay_power"},
    {"update_clip", OPTION_REAL, AT(update_clip), .initial = "1", .min = 1e-6, .max = 1e6,
     .needs = "kind=adafactor", .help = "largest root mean square of an update"},
    {"relative_step", OPTION_BOOL, AT(relative_step), .initial = "true", .needs = "kind=adafactor",
     .help = "the rate is at most 1/sqrt(step)"},
    {"scale_parameter", OPTION_BOOL, AT(scale_parameter), .initial = "true",
     .needs = "kind=adafactor", .help = "rate times the parameter's root mean square"},
    {"weight_decay", OPTION_REAL, AT(weight_decay), .initial = "0", .min = 0, .max = 1e3,
     .help =
         "of matrices, and of what `groups` say; adamw, adafactor: decoupled; adam, sgd: added to "
         "the gradient"},
    {"clip", OPTION_REAL, AT(clip), .initial = "1", .min = 0, .max = 1e9,
     .help = "largest norm of the whole gradient; 0: no clipping, adafactor's unless given"},
    {"lazy", OPTION_BOOL, AT(lazy), .initial = "false",
     .needs = "kind=adamw|adam|adafactor or momentum>0 or weight_decay>0",
     .help = "leave pieces (experts, rows of tables) alone in steps that give them no gradient"},
    {"groups", OPTION_NODE, AT(groups),
     .help =
         "list of {match, lr, decay, freeze}: parameters by name, * and ? match any characters"},
    {0}};

const option OPTIM_GROUP_OPTIONS[] = {
    {"match", OPTION_TEXT, offsetof(optim_group, match),
     .help = "names of parameters; * and ? match any characters"},
    {"lr", OPTION_REAL, offsetof(optim_group, lr), .initial = "1", .min = 0, .max = 1e6,
     .help = "factor of the learning rate"},
    {"decay", OPTION_BOOL, offsetof(optim_group, decay), .initial = "true",
     .help = "true: decays, embeddings and biases too; false: does not"},
    {"freeze", OPTION_BOOL, offsetof(optim_group, freeze), .initial = "false",
     .help = "true: not trained"},
    {0}};

/* A group that gives nothing but a pattern was meant to do something: told, not ignored. */
static bool read_group(optim_group *g, const node *n, arena *a, err *e)
{
    if (n->kind != NODE_MAP)
        return node_err(e, n, "is not a map; write {match: \"*.bias\", lr: 0.5}");
    if (!options_read(g, OPTIM_GROUP_OPTIONS, n, NULL, a, e)) return false;
    if (node_get(n, "lr") || node_get(n, "decay") || node_get(n, "freeze")) return true;
    return node_err(e, n, "changes nothing; give lr, decay or freeze");
}

/* A rate for one kind is none for another. After 300 steps of a model of width 48 on the King James
 * Bible (batch 8 x 64, constant batches, cosine), bits per byte at rates of
 *   adafactor  1e-3 7.28   1e-2 (the paper's) 3.50   0.1 2.91   0.3 3.01   1 3.79
 *   sgd        1e-3 5.27   0.03 3.45   0.1 3.38   0.3 3.20   1 3.29
 * and AdamW has 3.31 at its 1e-3. Adafactor's updates have a length of their own, so that clipping
 * gradients before is no part of it (2.94 at 0.1 without). */
static void kind_defaults(optim_options *o, const node *n)
{
    bool rate = node_get(n, "lr"), clip = node_get(n, "clip");
    if (o->kind == OPTIM_ADAFACTOR && !rate) o->lr = 0.1;
    if (o->kind == OPTIM_ADAFACTOR && !clip) o->clip = 0;
    if (o->kind == OPTIM_SGD && !rate) o->lr = 0.3;
}

bool optim_read(optim_options *o, const node *n, arena *a, err *e)
{
    if (!options_read(o, OPTIM_OPTIONS, n, NULL, a, e)) return false;
    if (n) kind_defaults(o, n);
    if (!o->groups) return true;
    if (o->groups->kind != NODE_LIST) return node_err(e, o->groups, "is not a list of groups");
    for (int i = 0; i < o->groups->count; i++) {
        optim_group group = {0};
        if (!read_group(&group, o->groups->items[i], a, e)) return false;
    }
    return true;
}

/* A decay that was 0 and stays 0, or the like, would only rename the run. */
static bool check_decay(const optim_options *o, const node *n, bool changes, err *e)
{
    const node *decay = node_get(n, "decay");
    if (!decay || (changes && o->weight_decay > 0)) return true;
    if (o->weight_decay <= 0) return node_err(e, decay, "has no effect with `weight_decay: 0`");
    return node_err(e, decay, "has no effect: all that is matched decays as it says; remove it");
}

/* Later groups come later and overwrite: that is all there is to "later entries win key by key". */
static bool apply_group(params *p, const optim_options *o, const optim_group *g, const node *n,
                        err *e)
{
    int matched = 0;
    bool changes = false;
    for (int i = 0; i < p->count; i++) {
        param *q = &p->list[i];
        if (fnmatch(g->match, q->name, 0) != 0) continue;
        matched++;
        /* Only keys that are given: the defaults in g would undo what an earlier group said. */
        if (node_get(n, "lr")) q->lr_scale = g->lr;
        if (node_get(n, "decay")) {
            changes |= !q->frozen && (q->decay_scale > 0) != g->decay;
            q->decay_scale = g->decay ? 1 : 0;
        }
        /* Routing tables stay frozen whatever a pattern like "*" says: nothing flows into them. */
        if (node_get(n, "freeze")) q->frozen = q->fixed || g->freeze;
    }
    if (matched > 0) return check_decay(o, n, changes, e);
    return node_err(e, node_get(n, "match"), "'%s' matches no parameter; the first of %d is %s",
                    g->match, p->count, p->count > 0 ? p->list[0].name : "none");
}

/* Where a row without gradient is left alone: see optim.h. */
static bool leaves_rows(const optim_options *o, const param *q)
{
    if (o->kind == OPTIM_ADAMW || o->kind == OPTIM_ADAM) return o->lazy;
    return o->kind == OPTIM_SGD && !(o->momentum > 0) && !(o->weight_decay * q->decay_scale > 0);
}

/* After the groups: a table that is frozen, or decays, is an ordinary one. */
static void choose_rows(params *p, const optim_options *o)
{
    p->row_tables = 0;
    for (int i = 0; i < p->count; i++) {
        param *q = &p->list[i];
        bool by_rows = q->by_rows && !q->frozen && leaves_rows(o, q);
        q->row_grads = by_rows ? p->row_tables++ : -1;
    }
}

bool optim_apply_groups(params *p, const optim_options *o, arena *a, err *e)
{
    for (int i = 0; o->groups && i < o->groups->count; i++) {
        const node *n = o->groups->items[i];
        optim_group group = {0};
        if (!read_group(&group, n, a, e) || !apply_group(p, o, &group, n, e)) return false;
    }
    choose_rows(p, o);
    return true;
}

/* ---- one spelling ---- */

/* The parameters of `list` as groups leave them that the layers declared; errors were told before.
 * p's own list is left as it is; the copy shares names and shapes. */
static void apply_anew(param *list, const params *p, const optim_options *o, arena *a)
{
    params copy = *p;
    copy.list = list;
    for (int i = 0; i < p->count; i++) {
        list[i] = p->list[i];
        list[i].frozen = list[i].fixed;
        list[i].lr_scale = 1;
        list[i].decay_scale = list[i].role == ROLE_MATRIX ? 1 : 0;
    }
    for (int i = 0; o->groups && i < o->groups->count; i++) {
        const node *n = o->groups->items[i];
        optim_group group;
        CHECK(options_read(&group, OPTIM_GROUP_OPTIONS, n, NULL, a, NULL), "group %d", i);
        apply_group(&copy, o, &group, n, NULL);
    }
}

/* Of frozen ones rates and decay do not matter. `!(a > 0)` for numbers that are equal or not. */
static bool trained_alike(const param *x, const param *y, double weight_decay)
{
    if (x->frozen || y->frozen) return x->frozen && y->frozen;
    double decay = weight_decay * fabs(x->decay_scale - y->decay_scale);
    return !(fabs(x->lr_scale - y->lr_scale) > 0) && !(decay > 0);
}

/* Whether the groups do to all parameters what p says that they do. */
static bool groups_do(const params *p, const optim_options *o, arena *a)
{
    param *list = ARENA_NEW(a, param, p->count);
    apply_anew(list, p, o, a);
    for (int i = 0; i < p->count; i++) {
        if (!trained_alike(&list[i], &p->list[i], o->weight_decay)) return false;
    }
    return true;
}

/* Takes the keys that change nothing out of the groups of o; whether there was any.
 * Each key is tried alone, last group first: whatever the parameters become without it decides, not
 * what the key looks like. Trying is cheap, as it happens once, and no rule about overlapping
 * patterns has to be right. */
static bool drop_idle(optim_options *o, node *groups, const params *p, arena *a)
{
    static const char *const KEYS[] = {"lr", "decay", "freeze"};
    bool dropped = false;
    for (int i = groups->count - 1; i >= 0; i--) {
        for (size_t k = 0; k < sizeof KEYS / sizeof *KEYS; k++) {
            node *whole = groups->items[i];
            if (!node_get(whole, KEYS[k])) continue;
            groups->items[i] = node_copy(a, whole);
            node_remove(groups->items[i], KEYS[k]);
            if (groups_do(p, o, a)) {
                dropped = true;
            } else {
                groups->items[i] = whole;
            }
        }
    }
    return dropped;
}

/* Groups without lr: 1 and the like, and without what later groups overrule.
 * Again until nothing drops: without one key another may be idle. A group left with `match` alone
 * goes. */
static const node *groups_that_do(const params *p, const optim_options *o, arena *a)
{
    optim_options trial = *o;
    node *groups = node_copy(a, o->groups), *left = node_list(a);
    trial.groups = groups;
    while (drop_idle(&trial, groups, p, a)) {
    }
    for (int i = 0; i < groups->count; i++) {
        if (groups->items[i]->count > 1) node_append(a, left, groups->items[i]);
    }
    return left->count ? left : NULL;
}

void optim_settle(optim_options *o, const params *p, arena *a)
{
    bool decays = false;
    for (int i = 0; i < p->count; i++) {
        decays |= !p->list[i].frozen && o->weight_decay * p->list[i].decay_scale > 0;
    }
    /* A decay that reaches no trained parameter is none. */
    if (!decays) o->weight_decay = 0;
    /* They differ in where decay goes. */
    if (!decays && o->kind == OPTIM_ADAM) o->kind = OPTIM_ADAMW;
    if (o->groups) o->groups = groups_that_do(p, o, a);
}
