#include "results/compare/protocol.h"

#include <stdint.h>
#include <string.h>

#include "core/base/base.h"
#include "core/base/json.h"
#include "core/base/text.h"

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

/* ---- learning in evaluation ---- */

/* "rate 0.1" or "the best of rates 0.1, 0.2". A single one that changes nothing is not said. */
static void print_choice(FILE *out, const char *name, const json_t *values)
{
    size_t i, count = json_array_size(values);
    const json_t *x;
    if (count == 1 && json_number_value(json_array_get(values, 0)) == 0) return;
    fprintf(out, count == 1 ? ", %s" : ", the best of %ss", name);
    json_array_foreach(values, i, x)
    {
        char text[TEXT_NUMBER_BYTES];
        fprintf(out, "%s %s", i ? "," : "", text_number(text, json_number_value(x), 6));
    }
}

/* Items of a kind that the words have no place for are said by their key. */
static bool has_words(const char *key)
{
    static const char *const KEYS[] = {"kind",  "rates", "decays",      "segment",
                                       "match", "carry", "grid_tokens", NULL};
    int i = 0;
    while (KEYS[i] && strcmp(KEYS[i], key) != 0) {
        i++;
    }
    return KEYS[i] != NULL;
}

/* "learning by sgd every 64 tokens, rate 0.0001": all that tells two ways of learning apart, but
 * for what is so unless it is said. */
static void print_learning(FILE *out, const json_t *d)
{
    const char *key, *match = json_get_text(d, "match");
    json_t *value;
    int64_t tokens = json_get_int(d, "grid_tokens", -1);
    fprintf(out, "learning by %s every ", json_get_text(d, "kind"));
    int64_t segment = json_get_int(d, "segment", 0);
    if (segment > 0) {
        fprintf(out, "%lld tokens", (long long)segment);
    } else { /* of models of any context */
        fputs("block", out);
    }
    print_choice(out, "rate", json_object_get(d, "rates"));
    print_choice(out, "decay", json_object_get(d, "decays"));
    if (tokens > 0) fprintf(out, ", chosen on %lld tokens", (long long)tokens);
    if (match && strcmp(match, "*") != 0) fprintf(out, ", parameters %s", match);
    if (json_is_true(json_object_get(d, "carry"))) fputs(", kept across documents", out);
    json_object_foreach((json_t *)(uintptr_t)d, key, value)
    {
        if (has_words(key)) continue;
        fprintf(out, ", %s ", key);
        print_value(out, key, value);
    }
}

/* Written by the program itself, but a folder of results may be a stranger's. */
static bool is_learning(const char *key, const json_t *value)
{
    return strcmp(key, "dynamic") == 0 && json_get_text(value, "kind") &&
           json_is_array(json_object_get(value, "rates")) &&
           json_is_array(json_object_get(value, "decays"));
}

/* ---- items ---- */

void protocol_print_item(FILE *out, const char *key, const json_t *value)
{
    const struct limit *l = limit_of(key, value);
    long long n = json_integer_value(value);
    if (is_learning(key, value)) {
        print_learning(out, value);
    } else if (!l) {
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

void protocol_print_difference(FILE *out, const json_t *own, const json_t *first)
{
    json_auto_t *difference = protocol_difference(own, first);
    const char *key, *comma = "";
    json_t *value;
    json_object_foreach(difference, key, value)
    {
        fputs(comma, out);
        comma = "; ";
        if (json_is_null(value)) {
            fprintf(out, "no %s", strcmp(key, "dynamic") == 0 ? "learning" : key);
        } else {
            protocol_print_item(out, key, value);
        }
    }
}

json_t *protocol_difference(const json_t *own, const json_t *first)
{
    json_t *difference = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)own, key, value)
    {
        if (!json_equal(value, json_object_get(first, key))) {
            json_object_set(difference, key, value);
        }
    }
    json_object_foreach((json_t *)(uintptr_t)first, key, value)
    {
        if (!json_object_get(own, key)) json_object_set_new(difference, key, json_null());
    }
    return difference;
}

json_t *protocol_changed(const json_t *first, const json_t *difference)
{
    json_t *own = json_copy((json_t *)(uintptr_t)first), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)difference, key, value)
    {
        if (json_is_null(value)) {
            json_object_del(own, key);
        } else {
            json_object_set(own, key, value);
        }
    }
    return own;
}

int protocol_choices(const json_t *protocol)
{
    const json_t *d = json_object_get(protocol, "dynamic");
    size_t n = json_array_size(json_object_get(d, "rates")) *
               json_array_size(json_object_get(d, "decays"));
    return n > 1 ? (int)MIN(n, 1000000) : 0;
}
