#include "results/compare/evaluation_choice.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"
#include "results/compare/protocol.h"
#include "results/store/query.h"

/* At the step of the final evaluation: one on the way is of a model that learned on, and what was
 * copied from a shorter run is that run's. The final one first, whose protocol is the run's own;
 * it may be on another split, and then is no candidate (`here` is 0). */
static const char CANDIDATES[] =
    "SELECT p.position, p.label, e.evaluation, e.protocol, e.tokens, "
    "e.split = coalesce(?2, f.split) AS here FROM plan p JOIN run r USING (run) "
    "JOIN evaluation f ON f.run = p.run AND f.final "
    "JOIN evaluation e ON e.run = f.run AND e.step = f.step "
    "WHERE p.experiment = ?1 AND r.status = 'done' "
    "AND (e.final OR e.split = coalesce(?2, f.split)) "
    "ORDER BY p.position, e.final DESC, e.evaluation";

#define OWN "own"

typedef struct candidate {
    struct candidate *next;
    const char *evaluation, *key; /* key: the difference as text, one for one content */
    json_t *protocol, *difference;
    int64_t tokens;
} candidate;

/* A planned run that is done. */
typedef struct evaluated_run {
    struct evaluated_run *next;
    int64_t position;
    bool counts; /* in the choice */
    const char *own_text;
    json_t *own;
    candidate *list;
} evaluated_run;

typedef struct protocol_option {
    struct protocol_option *next;
    const char *key, *words;
    const json_t *difference;
    bool plain;      /* the model learns, and its products are rounded, as in the own evaluation */
    int runs, votes; /* that have it; of those that count */
    int64_t tokens;
} protocol_option;

typedef struct chooser {
    arena *memory;
    json_t *kept; /* all that is borrowed by the structs above */
    evaluated_run *runs, **runs_end;
    protocol_option *options;
    int run_count;
} chooser;

static json_t *keep(chooser *x, json_t *value)
{
    json_array_append_new(x->kept, value);
    return value;
}

/* A segment that is the context is said of models of any context. */
static json_t *protocol_of(chooser *x, const char *text)
{
    json_t *p = keep(x, json_loads(text, 0, NULL));
    json_t *dynamic = json_object_get(p, "dynamic");
    if (json_equal(json_object_get(dynamic, "segment"), json_object_get(p, "context"))) {
        json_object_del(dynamic, "segment");
    }
    return p;
}

static const char *key_of(chooser *x, const json_t *difference)
{
    text_auto *text = json_dumps(difference, JSON_COMPACT | JSON_SORT_KEYS);
    return arena_strdup(x->memory, text ? text : "");
}

static void add_candidate(chooser *x, evaluated_run *r, query *q)
{
    candidate *c = arena_push_zero(x->memory, 1, sizeof *c);
    const char *text = query_peek(q, "protocol");
    c->evaluation = query_text(q, "evaluation", x->memory);
    c->tokens = query_int(q, "tokens", 0);
    /* Mostly it is the own one: there is nothing to read then. */
    c->protocol = strcmp(text, r->own_text) == 0 ? r->own : protocol_of(x, text);
    c->difference = keep(x, protocol_difference(c->protocol, r->own));
    c->key = key_of(x, c->difference);
    c->next = r->list;
    r->list = c;
}

static bool is_asked(const evaluation_request *r, const char *label)
{
    bool found = r->label_count == 0;
    for (int i = 0; i < r->label_count && !found; i++) {
        found = strcmp(r->labels[i], label) == 0;
    }
    return found;
}

static bool read_candidates(chooser *x, store *s, const evaluation_request *r, err *e)
{
    query q = QUERY(s, e, CANDIDATES, r->experiment, r->split);
    evaluated_run *run = NULL;
    while (query_next(&q)) {
        int64_t position = query_int(&q, "position", 0);
        if (!run || run->position != position) {
            run = *x->runs_end = arena_push_zero(x->memory, 1, sizeof *run);
            x->runs_end = &run->next;
            run->position = position;
            run->counts = is_asked(r, query_peek(&q, "label"));
            run->own_text = query_text(&q, "protocol", x->memory);
            run->own = protocol_of(x, run->own_text);
            x->run_count++;
        }
        if (query_int(&q, "here", 0)) add_candidate(x, run, &q);
    }
    return query_close(&q);
}

/* ---- the protocols that there are ---- */

/* The own one first, the others in the order of their words: no hash decides what is printed. */
static void insert_option(chooser *x, protocol_option *o)
{
    protocol_option **at = &x->options;
    while (*at && (at == &x->options || strcmp((*at)->words, o->words) < 0)) {
        at = &(*at)->next;
    }
    o->next = *at;
    *at = o;
}

/* own and c NULL: nothing is otherwise. */
static void note_option(chooser *x, const json_t *own, const candidate *c)
{
    const char *key = c ? c->key : "{}";
    const json_t *difference = c ? c->difference : keep(x, json_object());
    for (const protocol_option *o = x->options; o; o = o->next) {
        if (strcmp(o->key, key) == 0) return;
    }
    text_memory m;
    protocol_option *o = arena_push_zero(x->memory, 1, sizeof *o);
    *o = (protocol_option){.key = key, .words = OWN, .difference = difference};
    o->plain = !json_object_get(difference, "dynamic") && !json_object_get(difference, "precision");
    if (c && json_object_size(difference) > 0) {
        protocol_print_difference(text_begin(&m), c->protocol, own);
        o->words = text_end_in(&m, x->memory);
    }
    insert_option(x, o);
}

/* The run's evaluation of that protocol; NULL: it has none. A run whose own protocol has that
 * already (bfloat16, another context) has it in its own evaluation. */
static const candidate *find(const evaluated_run *r, const protocol_option *o)
{
    for (const candidate *c = r->list; c; c = c->next) {
        if (strcmp(c->key, o->key) == 0) return c;
    }
    if (json_object_size(o->difference) == 0) return NULL;
    json_auto_t *wanted = protocol_changed(r->own, o->difference);
    for (const candidate *c = r->list; c; c = c->next) {
        if (json_equal(c->protocol, wanted)) return c;
    }
    return NULL;
}

/* The runs' own is one of them, whether any run has it or not. */
static void list_options(chooser *x)
{
    note_option(x, NULL, NULL);
    for (const evaluated_run *r = x->runs; r; r = r->next) {
        for (const candidate *c = r->list; c; c = c->next) {
            note_option(x, r->own, c);
        }
    }
    for (protocol_option *o = x->options; o; o = o->next) {
        for (const evaluated_run *r = x->runs; r; r = r->next) {
            const candidate *c = find(r, o);
            if (!c) continue;
            o->runs++;
            o->votes += r->counts;
            o->tokens = MAX(o->tokens, c->tokens);
        }
    }
}

/* ---- which of them ---- */

static bool is_own(const protocol_option *o)
{
    return json_object_size(o->difference) == 0;
}

/* In the order of what header says, where an own one that all have is one that most have; then the
 * own one, that of the most text, and by the words, so that no hash and no order of evaluations
 * decides. */
static bool is_better(const protocol_option *a, const protocol_option *b)
{
    if ((a->votes > 0) != (b->votes > 0)) return a->votes > 0;
    if (a->plain != b->plain) return a->plain;
    if (a->votes != b->votes) return a->votes > b->votes;
    if (is_own(a) != is_own(b)) return is_own(a);
    if (a->tokens != b->tokens) return a->tokens > b->tokens;
    return strcmp(a->key, b->key) < 0;
}

static protocol_option *best_option(const chooser *x)
{
    protocol_option *best = x->options;
    for (protocol_option *o = best->next; o; o = o->next) {
        if (is_better(o, best)) best = o;
    }
    return best;
}

/* "'own' (9 of 9 runs), 'rows 8' (3 of 9 runs)" */
static const char *all_words(const chooser *x)
{
    text_memory m;
    FILE *f = text_begin(&m);
    const char *comma = "";
    for (const protocol_option *o = x->options; o; o = o->next) {
        if (!o->runs) continue;
        fprintf(f, "%s'%s' (%d of %d runs)", comma, o->words, o->runs, x->run_count);
        comma = ", ";
    }
    if (!*comma) fputs("none", f);
    return text_end_in(&m, x->memory);
}

/* All of the words, else a part of those, or of their keys, of one protocol only. */
static protocol_option *option_asked(const chooser *x, const evaluation_request *r, err *e)
{
    protocol_option *found = NULL;
    int hits = 0;
    for (protocol_option *o = x->options; o; o = o->next) {
        if (!o->runs && !is_own(o)) continue;
        if (strcmp(o->words, r->protocol) == 0) return o;
        bool part = strstr(o->words, r->protocol) || strstr(o->key, r->protocol);
        if (!*r->protocol || is_own(o) || !part) continue;
        found = o;
        hits++;
    }
    if (hits == 1) return found;
    err_set(e, "--protocol %.100s: %s told so; there are%s%s%s: %s", r->protocol,
            hits ? "several are" : "none is", r->split ? ", on the " : "", r->split ? r->split : "",
            r->split ? " split" : "", all_words(x));
    return NULL;
}

/* The chosen one first. */
static void tell_options(comparison *c, const chooser *x, const protocol_option *chosen)
{
    int n = 1;
    for (const protocol_option *o = x->options; o; o = o->next)
        n++;
    compared_protocol *list = ARENA_NEW(x->memory, compared_protocol, n);
    list[0] = (compared_protocol){chosen->words, chosen->runs};
    n = 1;
    for (const protocol_option *o = x->options; o; o = o->next) {
        if (o != chosen && o->runs) list[n++] = (compared_protocol){o->words, o->runs};
    }
    c->protocols = list;
    c->protocol_count = n;
    c->evaluated = x->run_count;
}

static const char *ids_of(const chooser *x, const protocol_option *chosen)
{
    json_auto_t *ids = json_array();
    for (const evaluated_run *r = x->runs; r; r = r->next) {
        const candidate *c = find(r, chosen);
        if (c) json_array_append_new(ids, json_string(c->evaluation));
    }
    text_auto *text = json_dumps(ids, JSON_COMPACT);
    return arena_strdup(x->memory, text ? text : "[]");
}

const char *evaluation_choice(comparison *c, arena *a, store *s, const evaluation_request *r,
                              err *e)
{
    json_auto_t *kept = json_array();
    chooser x = {.memory = a, .kept = kept};
    x.runs_end = &x.runs;
    if (!read_candidates(&x, s, r, e)) return NULL;
    list_options(&x);
    const protocol_option *chosen = r->protocol ? option_asked(&x, r, e) : best_option(&x);
    if (!chosen) return NULL;
    tell_options(c, &x, chosen);
    return ids_of(&x, chosen);
}
