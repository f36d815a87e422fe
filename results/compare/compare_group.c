#include "results/compare/compare_group.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "results/compare/compare.h"
#include "results/store/query.h"

/* A value may be a whole section, so nothing here has a bound: two groups that are cut to the same
 * text would be one, and the figures of one variant stand under another's name. */

static void put_word(FILE *out, const char *word, const char *sign, const char *value)
{
    fprintf(out, "%s%s%s%s", ftell(out) > 0 ? " " : "", word, sign, value);
}

/* The name has "AXIS=value" where the label has it so, the value alone where values have names.
 * Keys are equal as texts, so the order of axes must be fixed: by position. */
bool compare_group_read(compare_group *x, arena *a, store *s, const compare_grouping *by,
                        const char *label, err *e)
{
    text_memory keys, names, values;
    FILE *key = text_begin(&keys), *name = text_begin(&names), *chosen = text_begin(&values);
    const char *oracle = compare_oracle(label);
    int differing = 0;
    query q = QUERY(
        s, e, "SELECT axis, value FROM axis WHERE experiment = ?1 AND label = ?2 ORDER BY position",
        by->experiment, label);
    x->number = (double)NAN;
    while (query_next(&q)) {
        const char *axis = query_text(&q, "axis", a), *value = query_text(&q, "value", a);
        const char *dot = strrchr(axis, '.'), *last = dot ? dot + 1 : axis;
        if (!by->differs(by->user, axis)) {
            bool named = compare_label_names(label, axis, value);
            fprintf(key, "%s\x1f%s\x1e", axis, value);
            put_word(name, named ? last : "", named ? "=" : "", value);
            continue;
        }
        char *end;
        put_word(chosen, last, "=", value);
        x->number = strtod(value, &end);
        /* The whole text must be a number: "2x" is a name. And of two axes none is the number. */
        if (*end || end == value || differing++ > 0) x->number = (double)NAN;
    }
    if (ftell(name) == 0) fputs(by->otherwise, name);
    if (*oracle) put_word(name, oracle, "", "");
    fputs(oracle, key);
    x->key = text_end_in(&keys, a);
    x->name = text_end_in(&names, a);
    x->chosen = text_end_in(&values, a);
    return query_close(&q);
}

void compare_group_join(compare_group *list, int count)
{
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < i && (list[k].first != k || strcmp(list[k].key, list[i].key) != 0))
            k++;
        list[i].first = k;
    }
}
