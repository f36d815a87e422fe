#include "tests/support/option_values.h"

#include <stdio.h>
#include <string.h>

static int numbers_of(const option *o, char values[OPTION_VALUES][OPTION_VALUE_CHARS])
{
    const double list[] = {2, 0.3, 3, 1, 0.5, 5, 0, 4, 6, 64, 32, 8, o->max, o->min};
    int n = sizeof list / sizeof *list, count = 0;
    for (int i = 0; i < n; i++) {
        bool whole = o->type == OPTION_INT, big = whole && list[i] > 64;
        bool in = list[i] >= o->min && list[i] <= o->max;
        if (!in || big || (whole && list[i] != (double)(int64_t)list[i])) continue;
        snprintf(values[count++], OPTION_VALUE_CHARS, "%.12g", list[i]);
    }
    return count;
}

int option_values(const option *o, char values[OPTION_VALUES][OPTION_VALUE_CHARS])
{
    int count = 0;
    switch (o->type) {
    case OPTION_INT:
    case OPTION_REAL:
        return numbers_of(o, values);
    case OPTION_BOOL:
        strcpy(values[count++], "true");
        strcpy(values[count++], "false");
        break;
    case OPTION_CHOICE:
        for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|') {
            snprintf(values[count++], OPTION_VALUE_CHARS, "%.*s", (int)strcspn(p, "|"), p);
        }
        break;
    case OPTION_TEXT:
    case OPTION_NODE:
        break;
    }
    return count;
}

bool option_values_initial(const option *o, const char *value)
{
    double a, b;
    if (!o->initial || strcmp(value, o->initial) == 0) return o->initial != NULL;
    return option_text_to_real(value, &a) && option_text_to_real(o->initial, &b) && a == b;
}
