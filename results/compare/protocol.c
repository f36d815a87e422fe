#include "results/compare/protocol.h"

#include <stdint.h>
#include <string.h>

#include "core/base/base.h"

/* The protocol is whatever the evaluation recorded: items that this file does not know are printed
 * by their key, so that a new option cannot be silently left out of the sentence. Limits alone have
 * words, because 0 means none of them. */

/* Items that are limits in tokens; 0: none. */
static const struct limit {
    const char *key, *before, *after, *none;
} LIMITS[] = {
    {"tokens", "the first ", " tokens", "all tokens"},
    {"document_tokens", "the first ", " tokens of each document", "whole documents"},
    {"span", "state forgotten every ", " tokens", "state kept to the end of the document"},
};

/* Only whole numbers: "span" of another kind is printed as it is. */
static const struct limit *limit_of(const char *key, const json_t *value)
{
    for (size_t i = 0; i < sizeof LIMITS / sizeof LIMITS[0]; i++) {
        if (strcmp(LIMITS[i].key, key) == 0 && json_is_integer(value)) return &LIMITS[i];
    }
    return NULL;
}

/* Anything that is not a text as compact JSON. */
static void print_value(FILE *out, const char *key, const json_t *value)
{
    if (json_is_string(value)) {
        /* A hash of the data tells texts apart by its first 12 digits. */
        fprintf(out, "%.*s", strcmp(key, "data") == 0 ? 12 : 200, json_string_value(value));
        return;
    }
    text_auto *text =
        /* 15 digits give back what a person wrote: 0.1, not 0.10000000000000001. */
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    fputs(text ? text : "-", out);
}

void protocol_print_item(FILE *out, const char *key, const json_t *value)
{
    const struct limit *l = limit_of(key, value);
    long long n = json_integer_value(value);
    if (!l) {
        fprintf(out, "%s ", key);
        print_value(out, key, value);
    } else if (n > 0) {
        fprintf(out, "%s%lld%s", l->before, n, l->after);
    } else {
        fputs(l->none, out);
    }
}

void protocol_print(FILE *out, const json_t *protocol)
{
    const char *key, *comma = "";
    json_t *value;
    /* jansson's macro takes no const; nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)protocol, key, value)
    {
        if (limit_of(key, value) && json_integer_value(value) == 0) continue;
        fputs(comma, out);
        protocol_print_item(out, key, value);
        comma = "; ";
    }
}
