/* No option of a layer is accepted and then looked at by nobody: in every context of the class (its
 * variants), an option that is given changes what is trained, or is refused. And what is trained
 * alike has one identity, however it is spelt. */
#include "core/ops/ops.h"
#include "tests/support/draw.h"
#include "tests/support/layer_variants.h"
#include "tests/support/model_check.h"
#include "tests/support/option_values.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = CHECK_ROWS };

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

/* ---- contexts ---- */

/* What switches others off: choices, switches, zeros and ones (a chunk of one position), and
 * combinations; other numbers do not, and what says the default is no other context. */
static bool is_context(const layer_variant *v)
{
    char name[64], value[64];
    if (strchr(v->options, ',') || sscanf(v->options, "{%63[^:]: %63[^}]}", name, value) != 2) {
        return true;
    }
    const option *o = option_find(v->cls->options, name);
    if (o && option_values_initial(o, value)) return false;
    double number;
    return !option_text_to_real(value, &number) || number == 0 ||
           (number == 1 && o && o->type == OPTION_INT);
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

/* What a variant trains, and under which identity. */
typedef struct training {
    uint64_t hash; /* 0: refused */
    const char *identity;
} training;

static training training_of(arena *a, const layer_variant *v)
{
    err e;
    model_run *r = layer_variant_try(v, ROWS, &e);
    training t = {0};
    if (r) t = (training){trained(r), node_json(a, model_changed(r->model, a), true)};
    model_run_free(r);
    return t;
}

static bool one_training(training x, training y)
{
    return x.hash == y.hash;
}

static bool one_identity(training x, training y)
{
    return x.identity && y.identity && strcmp(x.identity, y.identity) == 0;
}

/* Of the option in that context; *kept: a value that was accepted and changed nothing but the
 * identity. The context itself may be refused: it may lack just that option. */
static effect effect_of(const layer_variant *v, const option *o, training plain,
                        char kept[OPTION_VALUE_CHARS], arena *a)
{
    char values[OPTION_VALUES][OPTION_VALUE_CHARS];
    int count = option_values(o, values);
    effect found = REFUSED;
    for (int i = 0; i < count; i++) {
        layer_variant with = with_option(v, o->name, values[i]);
        if (option_values_initial(o, values[i])) continue;
        training t = training_of(a, &with);
        if (!t.hash || one_identity(t, plain)) continue;
        if (!one_training(t, plain)) return EFFECT;
        found = NO_EFFECT;
        memcpy(kept, values[i], OPTION_VALUE_CHARS);
    }
    return found;
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

/* ---- identities ---- */

/* Trained alike within this text, and another model nevertheless: longer contexts or other calls
 * tell. */
static bool tells_later(const option *o)
{
    static const char *const names[] = {"chunk",
                                        "window",
                                        "memory",
                                        "length",
                                        "live",
                                        "picks",
                                        "compressed",
                                        "segment_blocks",
                                        "clear_state",
                                        "t5_buckets",
                                        "t5_max_distance",
                                        "order",
                                        "top",
                                        "assignment", /* auto: by the size of the call */
                                        "capacity",
                                        "iterations", /* where few tokens crowd or converge */
                                        "memory_dropout",
                                        "state_dropout"};
    /* by the draw */ /* by the draw */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(o->name, names[i]) == 0) return true;
    }
    return false;
}

enum { SOME = 6 }; /* values in contexts of one option */

/* Values that are trained as the context is are that context, and others are others. The ends of
 * ranges take long and say no more. */
static void spelt(const layer_variant *v, const option *o, training plain, arena *a)
{
    char values[OPTION_VALUES][OPTION_VALUE_CHARS];
    int count = option_values(o, values), ends = o->type <= OPTION_REAL ? 2 : 0;
    bool all = strncmp(v->options, "{}", 2) == 0 || strchr(v->options, ',');
    count = all ? count - ends : MIN(count - ends, SOME);
    for (int i = 0; i < count; i++) {
        layer_variant with = with_option(v, o->name, values[i]);
        training t = training_of(a, &with);
        if (!t.hash) continue;
        bool same = one_training(t, plain), one = one_identity(t, plain);
        EXPECT(same || !one, "%s %s: %s: %s is another training of the same identity", v->cls->name,
               v->options, o->name, values[i]);
        EXPECT(one || !same || tells_later(o),
               "%s %s: %s: %s is the same training of another identity", v->cls->name, v->options,
               o->name, values[i]);
    }
}

static void every_option(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    for (int i = 0; i < count; i++) {
        const layer_variant small = made_small(&list[i], NULL), *v = &small;
        if (!is_context(&list[i]) || !layer_variant_drawn(&list[i], "option_effect")) continue;
        if (!test_sub("%s %s", v->cls->name, v->options)) continue;
        arena *a = arena_new(1 << 16);
        training plain = training_of(a, v);
        for (const option *o = v->cls->options; o->name; o++) {
            char kept[OPTION_VALUE_CHARS] = "";
            if (names(v, o) || needs_more(o)) continue;
            EXPECT(effect_of(v, o, plain, kept, a) != NO_EFFECT, "%s %s: %s: %s changes nothing",
                   v->cls->name, v->options, o->name, kept);
            if (plain.hash) spelt(v, o, plain, a);
        }
        arena_free(a);
    }
}

/* Not refused everywhere: each option has a context in which it is looked at. */
static void works_somewhere(void)
{
    int count;
    const layer_variant *list = layer_variants(&count);
    arena *a = arena_new(1 << 16);
    for (int i = 0; i < count; i++) {
        if (strcmp(list[i].options, "{}") != 0) continue;
        if (!drawn_if_slow("works_somewhere", list[i].cls->name)) continue;
        for (const option *o = list[i].cls->options; o->name; o++) {
            bool tried = o->type != OPTION_TEXT && o->type != OPTION_NODE;
            bool works = !tried || needs_more(o);
            for (int k = 0; k < count && !works; k++) {
                char kept[OPTION_VALUE_CHARS];
                const layer_variant v = made_small(&list[k], o);
                if (v.cls != list[i].cls || names(&v, o)) continue;
                works = effect_of(&v, o, training_of(a, &v), kept, a) == EFFECT;
            }
            EXPECT(works, "%s: %s works nowhere", list[i].cls->name, o->name);
        }
    }
    arena_free(a);
}

extern const test_suite test_option_effect;
const test_suite test_option_effect = {
    "layers/option_effect",
    {{"every_option/", every_option}, {"works_somewhere", works_somewhere}, {0}}};
