/* No option of a layer is accepted and then looked at by nobody: in every context of the class (its
 * variants), an option that is given changes what is trained, or is refused. */
#include "core/ops/ops.h"
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = CHECK_ROWS, MAX_VALUES = 16, VALUE_CHARS = 48 };

/* ---- what training is, in one figure ---- */

static uint64_t add_bytes(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * 0x100000001B3u;
    }
    return hash;
}

/* Of a segment of three blocks, after one that was read; a document ends within it. */
static double train_segment(model_run *r, const int32_t *tokens)
{
    enum { TIME = CHECK_BLOCK, CALLS = 3 };
    model_state_clear(r->state);
    model_run_read(r, tokens, CHECK_LENGTH, 0, TIME, NULL);
    model_begin(r->state, r->tape, r->values, &r->grads);
    tensor *loss = NULL;
    for (int i = 1; i <= CALLS; i++) {
        if (i == CALLS) model_state_reset_row(r->state, 1, 0);
        /* The arrays are read as [rows, time] from here on: what they hold does not matter. */
        model_call call = {.time = TIME,
                           .tokens = tokens + i * TIME,
                           .targets = tokens + i * TIME + 1,
                           .total_weight = 7,
                           .mode = MODE_TRAIN,
                           .seed = 5};
        tensor *one = model_forward(r->state, &call).loss;
        loss = loss ? op_add(r->tape, loss, one) : one;
    }
    double value = (double)*loss->data;
    tape_backward(r->tape, loss, 1);
    model_end(r->state);
    return value;
}

/* How parameters start, their gradients over a segment and what is predicted. */
static uint64_t trained(model_run *r)
{
    static real logits[CHECK_LOGITS];
    const params *p = model_params_const(r->model);
    int32_t tokens[ROWS * CHECK_LENGTH];
    fill_tokens(tokens, ROWS * CHECK_LENGTH, 8);
    double loss = train_segment(r, tokens);
    read_in_cuts(r, tokens, 7, logits);
    uint64_t hash = add_bytes(0xcbf29ce484222325u, &loss, sizeof loss);
    hash = add_bytes(hash, r->values, (size_t)p->total * sizeof(real));
    hash = add_bytes(hash, r->grads.values, (size_t)p->total * sizeof(real));
    return add_bytes(hash, logits, sizeof logits);
}

/* ---- values ---- */

static void numbers_of(const option *o, char values[MAX_VALUES][VALUE_CHARS], int *count)
{
    /* The ends last: the finest precision takes long. */
    const double list[] = {2, 0.3, 3, 1, 0.5, 5, 0, 4, 6, 64, o->max, o->min};
    int n = sizeof list / sizeof *list;
    for (int i = 0; i < n; i++) {
        bool whole = o->type == OPTION_INT, big = whole && list[i] > 64;
        bool in = list[i] >= o->min && list[i] <= o->max;
        if (!in || big || (whole && list[i] != (double)(int64_t)list[i])) continue;
        snprintf(values[(*count)++], VALUE_CHARS, "%.12g", list[i]);
    }
}

/* Values to try, as they are written; returns how many. */
static int values_of(const option *o, char values[MAX_VALUES][VALUE_CHARS])
{
    int count = 0;
    switch (o->type) {
    case OPTION_INT:
    case OPTION_REAL:
        numbers_of(o, values, &count);
        break;
    case OPTION_BOOL:
        strcpy(values[count++], "true");
        strcpy(values[count++], "false");
        break;
    case OPTION_CHOICE:
        for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|') {
            snprintf(values[count++], VALUE_CHARS, "%.*s", (int)strcspn(p, "|"), p);
        }
        break;
    case OPTION_TEXT:
    case OPTION_NODE:
        break;
    }
    return count;
}

/* ---- contexts ---- */

static bool is_initial(const option *o, const char *value)
{
    double a, b;
    if (!o->initial || strcmp(value, o->initial) == 0) return o->initial != NULL;
    return option_text_to_real(value, &a) && option_text_to_real(o->initial, &b) && a == b;
}

/* What switches others off: choices, switches, zeros, and combinations; other numbers do not, and
 * what says the default is no other context. */
static bool is_context(const layer_variant *v)
{
    char name[64], value[64];
    if (strchr(v->options, ',') || sscanf(v->options, "{%63[^:]: %63[^}]}", name, value) != 2) {
        return true;
    }
    const option *o = option_find(v->cls->options, name);
    if (o && is_initial(o, value)) return false;
    double number;
    return !option_text_to_real(value, &number) || number == 0;
}

static bool names(const layer_variant *v, const option *o)
{
    char key[64];
    snprintf(key, sizeof key, "%s:", o->name);
    for (const char *p = strstr(v->options, key); p; p = strstr(p + 1, key)) {
        if (p[-1] == '{' || p[-1] == ' ') return true;
    }
    return false;
}

/* What it takes for a text of a few tokens to show the others: where a class has the option and the
 * context does not name it. */
static const char *const SMALL[][3] = {
    {"heads", "", "2"}, /* a head of 2 numbers has one wavelength */
    {"picks", "", "2"},
    {"length", "", "6"},
    {"t5_buckets", "positions: t5", "4"}};

static layer_variant with_option(const layer_variant *v, const char *name, const char *value)
{
    layer_variant with = *v;
    bool alone = strcmp(v->options, "{}") == 0;
    snprintf(with.options, sizeof with.options, "%.*s%s%.40s: %.40s}", (int)strlen(v->options) - 1,
             v->options, alone ? "" : ", ", name, value);
    return with;
}

/* `tried` stays as it is; NULL: none. */
static layer_variant made_small(const layer_variant *v, const option *tried)
{
    layer_variant small = *v;
    for (size_t i = 0; i < sizeof SMALL / sizeof *SMALL; i++) {
        const option *o = option_find(v->cls->options, SMALL[i][0]);
        if (!o || o == tried || names(v, o) || !strstr(v->options, SMALL[i][1])) continue;
        small = with_option(&small, o->name, SMALL[i][2]);
    }
    return small;
}

typedef enum effect { REFUSED, NO_EFFECT, EFFECT } effect;

/* Of the option in that context; *kept: a value that was accepted and changed nothing. */
static effect effect_of(const layer_variant *v, const option *o, uint64_t plain,
                        char kept[VALUE_CHARS])
{
    char values[MAX_VALUES][VALUE_CHARS];
    int count = values_of(o, values);
    effect found = REFUSED;
    for (int i = 0; i < count; i++) {
        layer_variant with = with_option(v, o->name, values[i]);
        if (is_initial(o, values[i])) continue;
        err e;
        model_run *r = layer_variant_try(&with, ROWS, &e);
        if (!r) continue;
        bool same = trained(r) == plain;
        model_run_free(r);
        if (!same) return EFFECT;
        found = NO_EFFECT;
        memcpy(kept, values[i], VALUE_CHARS);
    }
    return found;
}

/* 0: the context itself is refused; it may lack just the option that is tried. */
static uint64_t trained_as(const layer_variant *v)
{
    err e;
    model_run *r = layer_variant_try(v, ROWS, &e);
    uint64_t hash = r ? trained(r) : 0;
    model_run_free(r);
    return hash;
}

/* What this model of no text and no source cannot show. */
static bool needs_more(const option *o)
{
    static const char *const names[] = {
        "clusters", /* takes the embeddings of another model */
        "fold"};    /* looks at the texts of tokens; corpora without any refuse it */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(o->name, names[i]) == 0) return true;
    }
    return false;
}

static void every_option(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        const layer_variant small = made_small(&list[i], NULL), *v = &small;
        if (!is_context(&list[i]) || !test_sub("%s %s", v->cls->name, v->options)) continue;
        uint64_t plain = trained_as(v);
        for (const option *o = v->cls->options; o->name; o++) {
            char kept[VALUE_CHARS] = "";
            if (names(v, o) || needs_more(o)) continue;
            EXPECT(effect_of(v, o, plain, kept) != NO_EFFECT, "%s %s: %s: %s changes nothing",
                   v->cls->name, v->options, o->name, kept);
        }
    }
}

/* Not refused everywhere: each option has a context in which it is looked at. */
static void works_somewhere(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].options, "{}") != 0) continue;
        for (const option *o = list[i].cls->options; o->name; o++) {
            bool tried = o->type != OPTION_TEXT && o->type != OPTION_NODE;
            bool works = !tried || needs_more(o);
            for (int k = 0; k < count && !works; k++) {
                char kept[VALUE_CHARS];
                const layer_variant v = made_small(&list[k], o);
                if (v.cls != list[i].cls || names(&v, o)) continue;
                works = effect_of(&v, o, trained_as(&v), kept) == EFFECT;
            }
            EXPECT(works, "%s: %s works nowhere", list[i].cls->name, o->name);
        }
    }
}

extern const test_suite test_option_effect;
const test_suite test_option_effect = {
    "layers/option_effect",
    {{"every_option/", every_option}, {"works_somewhere", works_somewhere}, {0}}};
