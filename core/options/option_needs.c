#include "core/options/option_needs.h"
#include "core/options/option_text.h"

#include <stdio.h>
#include <string.h>

/* Conditions are text in the table, read each time they are asked: a handful of options, once per
 * part of a spec. The same text is turned into words for help and messages, so what is checked and
 * what is said cannot differ. A condition that names an option which does not exist is a bug in the
 * table (CHECK), found by whatever reads the table first.
 *
 * Values are compared as a spec writes them, not as the struct holds them: a choice by its word,
 * "none" for what is null. */

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

/* The options of the condition are read from the struct, where defaults are filled in: that a
 * neighbour was left out is no different from its default spelt out. */
static const char *text_of(const void *options, const option *table, const char *name, arena *a)
{
    const option *o = option_find(table, name);
    CHECK(o, "'%s' is needed, which is no option", name);
    return value_text(options, o, a);
}

/* text > bound, a number or an option's name.
 * What is none has no number and is above nothing. */
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
        /* "t5|rotary" is a list of choices, and is looked through as one. */
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

/* `and` binds before `or`, so the text is cut at " or " first. The first clause that fails is what
 * *lacking names: with several alternatives, that of the first. */
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
    /* The longest word, " above ", stands for a `>` with a character on either side: three for one
     * is enough. */
    char *text = arena_push_zero(a, 3 * (int64_t)strlen(o->needs) + 1, 1), *to = text;
    for (const char *p = o->needs; *p; p++) {
        const char *as = *p == '=' ? ": " : *p == '>' ? " above " : *p == '|' ? " or " : NULL;
        to += as ? sprintf(to, "%s", as) : sprintf(to, "%c", *p);
    }
    return text;
}
