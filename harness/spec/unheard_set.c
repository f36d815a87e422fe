#include "harness/spec/unheard_set.h"

#include <stdio.h>

/* The next character of a path without its quotes and spaces, which may be written or not. */
static char next_of(const char **p)
{
    while (**p == '"' || **p == '\'' || **p == ' ')
        (*p)++;
    return **p ? *(*p)++ : 0;
}

/* Does a value at `over` replace what stands at `path` (up to '=')? */
static bool replaces(const char *over, const char *path)
{
    char wanted;
    while ((wanted = next_of(&over))) {
        if (next_of(&path) != wanted) return false;
    }
    char rest = next_of(&path);
    return rest == '=' || rest == '.' || rest == '[';
}

/* The axis of the variant whose value replaces what `set` says; NULL if none does. */
static const char *axis_over(const variant_plan *v, const char *set)
{
    for (int i = 0; i < v->assignment_count; i++) {
        const assignment *own = &v->assignments[i];
        if (replaces(own->path, set)) return v->axes[own->axis].axis;
    }
    return NULL;
}

bool unheard_set_check(const sweep *s, const char *const *sets, err *e)
{
    for (; sets && *sets; sets++) {
        const char *axis = NULL;
        int heard = 0;
        for (int i = 0; i < s->variant_count; i++) {
            const char *over = axis_over(&s->variants[i], *sets);
            if (over) axis = over;
            heard += !over;
        }
        if (heard) continue;
        return err_set(e,
                       "--set %s: changes nothing: the sweep's axis '%s' sets it in every variant; "
                       "set the axis instead (--set 'sweep.grid.\"%s\"=[VALUE]'), or take the "
                       "sweep away (--set sweep=null)",
                       *sets, axis, axis);
    }
    return true;
}

const char *unheard_set_of(arena *a, const variant_plan *v, const char *const *sets)
{
    for (; sets && *sets; sets++) {
        const char *axis = axis_over(v, *sets);
        char text[512];
        if (!axis) continue;
        snprintf(text, sizeof text,
                 "--set %.200s: changes nothing here: the sweep's axis '%.100s' "
                 "sets it",
                 *sets, axis);
        return arena_strdup(a, text);
    }
    return NULL;
}
