#include "core/options/option_needs.h"
#include "core/options/option_text.h"

#include <stdio.h>
#include <string.h>

/* Cuts the text before `by`; *rest is what follows it, NULL at the end. */
static char *part_before(arena *a, const char *text, const char *by, const char **rest)
{
    const char *end = strstr(text, by);
    *rest = end ? end + strlen(by) : NULL;
    return arena_strndup(a, text, end ? (size_t)(end - text) : strlen(text));
}

/* A value as a spec would write it. */
static const char *value_text(const void *options, const option *o, arena *a)
{
    const node *value = option_value(a, options, o);
    return node_is_null(value) ? "none" : value->text ? value->text : "given";
}

static const char *text_of(const void *options, const option *table, const char *name, arena *a)
{
    const option *o = option_find(table, name);
    CHECK(o, "'%s' is needed, which is no option", name);
    return value_text(options, o, a);
}

/* text > bound, a number or an option's name. */
static bool above(const void *options, const option *table, const char *text, const char *bound,
                  arena *a)
{
    double least, number;
    if (!option_text_to_real(bound, &least)) {
        bound = text_of(options, table, bound, a);
        if (!option_text_to_real(bound, &least)) return false;
    }
    return option_text_to_real(text, &number) && number > least;
}

static bool clause_met(const void *options, const option *table, const char *clause, arena *a,
                       const char **lacking)
{
    size_t n = strcspn(clause, "=>");
    const char *name = arena_strndup(a, clause, n), *text = text_of(options, table, name, a);
    bool met;
    if (clause[n] == '>') {
        met = above(options, table, text, clause + n + 1, a);
    } else if (clause[n] == '=') {
        met = option_choice(clause + n + 1, text) >= 0;
    } else {
        met = strcmp(text, "false") != 0 && strcmp(text, "none") != 0;
    }
    if (!met && lacking && !*lacking) {
        char *what = arena_push_zero(a, (int64_t)(n + strlen(text) + 3), 1);
        sprintf(what, "%s: %s", name, text);
        *lacking = what;
    }
    return met;
}

bool option_needs_met(const void *options, const option *table, const option *o, arena *a,
                      const char **lacking)
{
    if (lacking) *lacking = NULL;
    const char *alternatives = o->needs;
    while (alternatives) {
        const char *clauses = part_before(a, alternatives, " or ", &alternatives);
        bool met = true;
        while (clauses && met) {
            const char *clause = part_before(a, clauses, " and ", &clauses);
            met = clause_met(options, table, clause, a, lacking);
        }
        if (met) return true;
    }
    return !o->needs;
}

const char *option_needs_text(arena *a, const option *o)
{
    if (!o->needs) return "";
    char *text = arena_push_zero(a, 3 * (int64_t)strlen(o->needs) + 1, 1), *to = text;
    for (const char *p = o->needs; *p; p++) {
        const char *as = *p == '=' ? ": " : *p == '>' ? " above " : *p == '|' ? " or " : NULL;
        to += as ? sprintf(to, "%s", as) : sprintf(to, "%c", *p);
    }
    return text;
}
