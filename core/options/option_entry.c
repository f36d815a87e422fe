#include "core/options/option_entry.h"

#include "core/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From a field back to the node that would put it there: resolved specs, identities and the
 * default's comparison are made of it. Each case reads the field as the type that option_type
 * promises; the struct has no tags of its own, so an entry with the wrong type for its field reads
 * its neighbour. */

/* Tables have tens of entries and are looked at while a spec is read: in order is quick enough. */
const option *option_find(const option *table, const char *name)
{
    for (const option *o = table; o->name; o++) {
        if (strcmp(o->name, name) == 0) return o;
    }
    return NULL;
}

const void *option_field(const void *options, const option *o)
{
    return (const char *)options + o->offset;
}

/* ---- choices ---- */

/* Length of the choice at p; *next is the following one or NULL. */
static size_t choice_at(const char *p, const char **next)
{
    size_t n = strcspn(p, "|");
    *next = p[n] ? p + n + 1 : NULL;
    return n;
}

int64_t option_choice(const char *choices, const char *text)
{
    int64_t index = 0;
    for (const char *p = choices, *next; p; p = next, index++) {
        size_t n = choice_at(p, &next);
        if (strlen(text) == n && memcmp(p, text, n) == 0) return index;
    }
    return -1;
}

/* A field that holds another index was written past the parser: our bug. */
static const char *choice_text(arena *a, const char *choices, int64_t index)
{
    for (const char *p = choices, *next; p; p = next) {
        size_t n = choice_at(p, &next);
        if (index-- > 0) continue;
        return arena_strndup(a, p, n);
    }
    CHECK(false, "no such choice in %s", choices);
    return NULL;
}

/* ---- values ---- */

/* As few digits as read back as the same double: 0.1 stays 0.1 in a resolved spec, and 60 is 60
 * rather than 6e+01. */
static node *real_node(arena *a, double value)
{
    char text[TEXT_NUMBER_BYTES];
    bool whole = value == floor(value) && fabs(value) < 1e6;
    if (whole) snprintf(text, sizeof text, "%.0f", value);
    return node_scalar(a, whole ? text : text_number(text, value, 1), true);
}

node *option_value(arena *a, const void *options, const option *o)
{
    const void *value = option_field(options, o);
    switch (o->type) {
    case OPTION_INT: {
        int64_t v = *(const int64_t *)value;
        /* -1 is none only where none is allowed: elsewhere it is a number like others. */
        return o->nullable && v == -1 ? node_scalar(a, "null", true) : node_int(a, v);
    }
    case OPTION_REAL: {
        double v = *(const double *)value;
        return o->nullable && v == -1 ? node_scalar(a, "null", true) : real_node(a, v);
    }
    case OPTION_BOOL:
        return node_scalar(a, *(const bool *)value ? "true" : "false", true);
    /* Not plain: a choice named `none` or `off` is a word, and stays one when the spec is read
     * again. */
    case OPTION_CHOICE:
        return node_scalar(a, choice_text(a, o->choices, *(const int64_t *)value), false);
    /* In quotes where it is printed, if it looks like a number or a boolean: it stays a text. */
    case OPTION_TEXT: {
        const char *text = *(const char *const *)value;
        return text ? node_scalar(a, text, false) : node_scalar(a, "null", true);
    }
    /* A copy, which the caller may change. */
    case OPTION_NODE: {
        const node *n = *(const node *const *)value;
        return n ? node_copy(a, n) : NULL;
    }
    }
    CHECK(false, "type %d", o->type);
    return NULL;
}
