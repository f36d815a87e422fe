#include "results/claims/statement_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "results/store/inspect_words.h"

/* ---- margins ---- */

/* Says what would be right here: the figure's own unit if it is known which is meant. */
static bool unknown_unit(claim_reader *r, const claim_statement *s, const node *n, const char *unit)
{
    if (s->on && *s->on->unit) {
        return node_err(r->e, n, "'%.40s' is no unit of %s; write '%s' or '%%'", unit, s->on->name,
                        s->on->unit);
    }
    if (s->on) return node_err(r->e, n, "a margin of %s is given in %%", s->on->name);
    return node_err(r->e, n, "no figure has the unit '%.40s'; write 0.02 bits/byte, or 2 %%", unit);
}

/* "0.02 bits/byte", "2 %", "0". Its unit says which figure is meant, if nothing else does. */
bool statement_parts_margin(claim_reader *r, claim_statement *s, const node *n)
{
    if (n->kind != NODE_SCALAR) return node_err(r->e, n, "expected a margin, like 0.02 bits/byte");
    char *number = arena_strdup(r->a, n->text);
    /* Cut where no character of a number is left, k, M, G and _ among them (10k, 1_000); a figure's
     * unit may therefore begin with none of these. */
    char *unit = number + strspn(number, "+-.0123456789eE_kMG");
    const char *given = arena_strdup(r->a, unit + strspn(unit, " "));
    *unit = 0;
    bool good = option_text_to_real(number, &s->margin) && s->margin >= 0;
    if (!good || (!*given && !option_node_to_real(n, &s->margin))) {
        return node_err(r->e, n, "'%.40s' is no margin; one looks like 0.02 bits/byte, or 2 %%",
                        n->text);
    }
    /* A share needs no figure's unit: it is of the same figure of `other`, whichever that is. */
    if (strcmp(given, "%") == 0) {
        s->relative = true;
        s->margin /= 100;
        return true;
    }
    if (!*given) {
        /* 0 is 0 in any unit. Any other number alone is refused: 0.02 bits per byte and 2 % look
         * alike when they are small, and differ by what the baseline has. */
        if (!(s->margin > 0)) return true;
        return node_err(r->e, n, "a margin has a unit: %.40s %s, or a share of the other's in %%",
                        n->text, s->on && *s->on->unit ? s->on->unit : "bits/byte");
    }
    if (!s->on) s->on = claim_figure_of_unit(given);
    return (s->on && claim_figure_has_unit(s->on, given)) || unknown_unit(r, s, n, given);
}

bool statement_parts_factor(claim_reader *r, claim_statement *s, const node *n)
{
    char meant[OPTION_MEANT_BYTES];
    if (option_node_to_real(n, &s->margin) && s->margin > 0) return true;
    return node_err(r->e, n,
                    "expected a factor above 0, such as 1.1 or 0.33: times what `of` has%s",
                    option_node_meant(meant, n));
}

/* ---- figures and slices ---- */

/* A record may name what loci inspect found once and finds no more. */
static bool check_inspected(claim_reader *r, const claim_figure *f, const node *n)
{
    const char *names[INSPECT_WORDS];
    if (!r->scope || *inspect_words(f->part, f->found)) return true;
    const char *near = option_nearest(f->found, inspect_words_names(names, f->part), names);
    return node_err(
        r->e, n, "loci inspect finds no '%.60s' among %s%s%s%s; loci help spec lists them",
        f->found, f->part, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

bool statement_parts_figure(claim_reader *r, const claim_figure **f, const node *n)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int count = 0;
    if (n->kind != NODE_SCALAR) return node_err(r->e, n, "expected a figure's name");
    *f = claim_figure_find(n->text);
    if (*f) return true;
    *f = claim_figure_inspect(r->a, n->text);
    if (*f) return check_inspected(r, *f, n);
    for (const claim_figure *k = CLAIM_FIGURES; k->name && count < MOST; k++) {
        names[count++] = k->name;
    }
    /* Names of an inspection are not among those that are proposed: they begin with "inspect." and
     * have errors of their own. */
    const char *near = option_nearest(n->text, count, names);
    return node_err(r->e, n, "no figure '%.60s'%s%s%s; loci help spec lists them", n->text,
                    near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Slices are recorded as 0, 1, 2-3, 4-7 ...: no others can be told apart. A range that cuts a slice
 * could not be summed up from what was recorded, and to round it to whole slices would judge
 * another claim than was made. */
static bool is_bound(int64_t x)
{
    return x == 0 || (x & (x - 1)) == 0;
}

/* Digits alone, which sscanf would take blanks and signs before, and of a number that is too large
 * make the greatest that there is. What follows them; NULL: there are none, or too many. */
static const char *read_bound(const char *text, long long *value)
{
    char *end;
    if (!isdigit((unsigned char)*text)) return NULL;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno ? NULL : end;
}

/* "512-1023", "512-", or one value, which is_bound then allows for 0 and 1 only. */
static bool read_range(const char *text, long long *low, long long *high)
{
    const char *rest = read_bound(text, low);
    *high = *low;
    if (!rest || !*rest) return rest != NULL;
    if (*rest++ != '-') return false;
    *high = INT64_MAX;
    if (!*rest) return true;
    rest = read_bound(rest, high);
    return rest && !*rest && *high >= *low;
}

bool statement_parts_slice(claim_reader *r, claim_statement *s, const node *n)
{
    long long low = 0, high;
    if (n->kind != NODE_MAP || n->count != 1 || claim_slices(n->keys[0]) == BY_NOTHING ||
        n->items[0]->kind != NODE_SCALAR) {
        return node_err(r->e, n,
                        "expected one of position, block, frequency and repetition with a range, "
                        "such as {position: 512-}");
    }
    s->by = claim_slices(n->keys[0]);
    if (!read_range(n->items[0]->text, &low, &high)) {
        return node_err(r->e, n->items[0], "expected a range: 0, 512-1023, or 512- for all above");
    }
    if (!is_bound(low) || (high != INT64_MAX && !is_bound(high + 1))) {
        return node_err(r->e, n->items[0],
                        "slices are 0, 1, 2-3, 4-7 and so on: a range begins at 0 or a power of "
                        "two, and ends before one");
    }
    s->low = low;
    s->high = high;
    return true;
}
