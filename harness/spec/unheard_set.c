#include "harness/spec/unheard_set.h"

#include <stdio.h>
#include <string.h>

/* --set changes the spec, and a sweep's axes are applied to the spec afterwards, so that a --set on
 * a path that an axis sets would change nothing, and the user would compare with a change that
 * never was. Where that is so in all variants it is refused, where in some it is said of these.
 *
 * Paths are compared as they are written, quotes and spaces aside, without parsing them: a path is
 * replaced by one that it begins with, up to a separator. */

/* The next character of a path without its quotes and spaces, which may be written or not. */
static char next_of(const char **p)
{
    while (**p == '"' || **p == '\'' || **p == ' ')
        (*p)++;
    char c = **p;
    if (c) (*p)++;
    return c;
}

/* Of ".layers[1].ffn" what is behind the number; else the same. */
static const char *behind_number(const char *p)
{
    static const char layers[] = ".layers[";
    if (strncmp(p, layers, strlen(layers)) != 0) return p;
    const char *end = p + strlen(layers);
    end += strspn(end, "0123456789");
    return end[0] == ']' && end[1] == '.' ? end + 1 : p;
}

/* A layer may be named with its number or without (block_path.h), as one of the two does here. */
static void skip_number(const char **a, const char **b)
{
    const char *x = behind_number(*a), *y = behind_number(*b);
    if ((x == *a) == (y == *b)) return;
    *a = x;
    *b = y;
}

/* Does a value at `over` replace what stands at `path` (up to '=')? So `model` replaces what --set
 * says of `model.width`, and `model.width` does; `model.widt` does not. */
static bool replaces(const char *over, const char *path)
{
    char wanted;
    do {
        skip_number(&over, &path);
        wanted = next_of(&over);
        if (wanted && next_of(&path) != wanted) return false;
    } while (wanted);
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

/* The message ends with what would work: setting the axis, or taking the sweep away. */
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

/* The first one is enough for a line; `axis` NULL: this one is heard. */
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
