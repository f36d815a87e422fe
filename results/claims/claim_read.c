#include "results/claims/claim_read.h"

#include <ctype.h>
#include <string.h>

#include "results/claims/spending.h"
#include "results/claims/statement_read.h"

/* A claim's map has keys of two tables, its own and, if it is one statement, the statement's. Each
 * table is read over the same map with the other's names to ignore, so that a key that is in
 * neither is refused once, with the nearest name, and none is looked up by hand.
 *
 * A record (no scope) is read by the same code as a spec. What differs: names are labels already,
 * and the looks stand in the claim, where a spec has them in sweep.seeds, once for all claims. */

typedef struct claim_source {
    const char *name, *says, *source, *page;
    const node *all, *looks;
} claim_source;

#define KEY(field, what)                                                                           \
    {                                                                                              \
        .name = #field, .type = OPTION_NODE, .offset = offsetof(claim_source, field), .help = what \
    }
#define TEXT(field, what)                                                                          \
    {                                                                                              \
        .name = #field, .type = OPTION_TEXT, .offset = offsetof(claim_source, field),              \
        .initial = "null", .nullable = true, .help = what                                          \
    }
static const option CLAIM_KEYS[] = {{.name = "name",
                                     .type = OPTION_TEXT,
                                     .offset = offsetof(claim_source, name),
                                     .help = "what it is called"},
                                    TEXT(says, "one sentence"),
                                    TEXT(source, "paper, table"),
                                    TEXT(page, "where it is written up"),
                                    KEY(all, "statements that are all needed"),
                                    KEY(looks, "of a record: when it is judged"),
                                    {0}};

/* A claim that is no longer in the spec is missed by its name (harness/run/claims_record.c), and
 * tables, plots and sentences call it by that: it is short, one word, and there is one of each. */
static bool check_name(claim_reader *r, const claim_list *l, const claim *c, const node *n)
{
    const node *at = node_get(n, "name");
    bool good = *c->name && strlen(c->name) <= 64;
    for (const char *p = c->name; *p; p++) {
        good = good && (isalnum((unsigned char)*p) || strchr("._-", *p));
    }
    if (!good) {
        return node_err(r->e, at,
                        "a claim's name is made of letters, digits, '.', '_' and '-' (at "
                        "most 64)");
    }
    for (int i = 0; i < l->count; i++) {
        if (strcmp(l->claims[i].name, c->name) == 0) {
            return node_err(r->e, at, "a second claim called '%s'", c->name);
        }
    }
    return true;
}

/* A record is a file that can be edited by hand: numbers outside of what a plan of looks is made
 * for (spending_plan_new checks, and would abort) are refused with their place. */
static bool read_looks(claim_reader *r, claim *c, const node *n)
{
    if (!n) return true;
    if (r->scope) return node_err(r->e, n, "looks belong to records; write sweep.seeds");
    const node *least = node_get(n, "at least"), *most = node_get(n, "at most");
    const node *how = node_get(n, "spending");
    const node *all[] = {least, most, how};
    for (int i = 0; i < 3; i++) {
        if (!all[i] || all[i]->kind != NODE_SCALAR) {
            return node_err(r->e, n, "says not when it is judged");
        }
    }
    int64_t first, last;
    bool good = option_node_to_int(least, &first) && option_node_to_int(most, &last) &&
                first >= 2 && last >= first && last <= SPENDING_SEEDS;
    if (!good) return node_err(r->e, n, "no such looks");
    c->at_least = (int)first;
    c->at_most = (int)last;
    c->pocock = strcmp(how->text, "pocock") == 0;
    return true;
}

enum { MOST_KEYS = 32 };

/* The table's keys, NULL behind them. With more keys than MOST_KEYS the last ones would be refused
 * as unknown in a claim of one statement. */
static void names_of(const char *names[MOST_KEYS + 1], const option *keys)
{
    int n = 0;
    for (; keys->name && n < MOST_KEYS; keys++) {
        names[n++] = keys->name;
    }
    names[n] = NULL;
}

/* A single statement may stand beside the claim's own keys. */
static bool read_claim(claim_reader *r, claim_list *l, const node *n)
{
    const char *of_claim[MOST_KEYS + 1], *of_statement[MOST_KEYS + 1];
    names_of(of_claim, CLAIM_KEYS);
    names_of(of_statement, STATEMENT_READ_KEYS);
    claim_source x;
    claim *c = &l->claims[l->count];
    if (n->kind != NODE_MAP) return node_err(r->e, n, "expected a claim: {name: ..., better: ...}");
    if (!options_read(&x, CLAIM_KEYS, n, of_statement, r->a, r->e)) return false;
    /* Texts that are not given become "", which prints as nothing: no caller asks for NULL. */
    *c = (claim){.name = x.name,
                 .says = x.says ? x.says : "",
                 .source = x.source ? x.source : "",
                 .page = x.page ? x.page : "",
                 .at = n};
    if (!check_name(r, l, c, n) || !read_looks(r, c, x.looks)) return false;
    if (!x.all) {
        c->statements = ARENA_NEW(r->a, claim_statement, 1);
        c->count = 1;
        if (!statement_read(r, c->statements, n, of_claim)) return false;
    } else if (x.all->kind != NODE_LIST || x.all->count == 0) {
        return node_err(r->e, x.all, "expected a list of statements");
    } else if (!options_read(&x, CLAIM_KEYS, n, NULL, r->a, r->e)) {
        /* The first reading let a statement's keys pass; beside `all` none may stand, since it
         * would be said and not judged. */
        return false; /* a statement beside `all` */
    }
    for (int i = 0; x.all && i < x.all->count; i++) {
        if (i == 0) c->statements = ARENA_NEW(r->a, claim_statement, x.all->count);
        if (!statement_read(r, &c->statements[c->count++], x.all->items[i], NULL)) return false;
    }
    l->count++;
    return true;
}

/* The list is as long as the nodes are, which bounds the claims; l->count grows as they are found
 * good. */
claim_list *claim_read(arena *a, const node *n, const claim_scope *scope, err *e)
{
    claim_reader r = {a, scope, e};
    claim_list *l = arena_push_zero(a, 1, sizeof *l);
    if (node_is_null(n)) return l;
    if (n->kind != NODE_LIST) {
        node_err(e, n, "expected a list of claims: [{name: ..., better: A, than: B}, ...]");
        return NULL;
    }
    l->claims = ARENA_NEW(a, claim, n->count);
    for (int i = 0; i < n->count; i++) {
        if (!read_claim(&r, l, n->items[i])) return NULL;
    }
    return l;
}
