#include "results/compare/compare_made.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

/* Bits depend on precision and numerics, and on where a compiler makes one multiply-add of a
 * product and a sum, which its version and flags decide (harness/README.md). The first pair that
 * differs is enough to warn; whoever needs all asks the database. */

/* Warnings, what a debugger is told and what hardens change no sum. */
static bool is_arithmetic(const char *flag, size_t n)
{
    static const char *const other[] = {"-W", "-g", "-U", "-std", "-D_F", "-fstack", "-fPI"};
    bool is = n > 0;
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        is = is && strncmp(flag, other[i], strlen(other[i])) != 0;
    }
    return is;
}

static void put_flags(FILE *out, const char *flags)
{
    while (flags && *flags) {
        size_t n = strcspn(flags, " ");
        if (is_arithmetic(flags, n)) fprintf(out, " %.*s", (int)n, flags);
        flags += n + strspn(flags + n, " ");
    }
}

/* NULL: nobody knows. */
static const char *exact_build(arena *a, const char *precision, int64_t numerics,
                               const char *compiler, const char *flags)
{
    text_memory m;
    if (!precision || !compiler) return NULL;
    FILE *out = text_begin(&m);
    fprintf(out, "%s, numerics %lld, %s", precision, (long long)numerics, compiler);
    put_flags(out, flags);
    return text_end_in(&m, a);
}

/* Up to the flags, and the usual numerics are not named. */
static const char *short_build(arena *a, const char *precision, const char *compiler)
{
    text_memory m;
    if (!precision || !compiler) return NULL;
    fprintf(text_begin(&m), "%s, %s", precision, compiler);
    return text_end_in(&m, a);
}

/* The first build among its sittings that is another than the last. */
static const char *build_before(arena *a, const char *sittings, const char *last)
{
    json_auto_t *list = sittings ? json_loads(sittings, 0, NULL) : NULL;
    for (size_t i = 0; last && i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        const char *precision = json_get_text(o, "real"), *compiler = json_get_text(o, "compiler");
        const char *build = exact_build(a, precision, json_get_int(o, "numerics", 0), compiler,
                                        json_get_text(o, "flags"));
        if (build && strcmp(build, last) != 0) return short_build(a, precision, compiler);
    }
    return NULL;
}

static const char *machine_of(arena *a, query *q)
{
    text_memory m;
    int64_t threads = query_int(q, "threads", 0), ranks = query_int(q, "ranks", 1);
    const char *host = query_text(q, "host", a), *cpu = query_text(q, "cpu", a);
    if (!host || threads == 0) return NULL;
    FILE *out = text_begin(&m);
    fprintf(out, "%s (%s), %lld thread%s", host, cpu ? cpu : "unknown", (long long)threads,
            threads == 1 ? "" : "s");
    if (ranks > 1) fprintf(out, " of each of %lld ranks", (long long)ranks);
    return text_end_in(&m, a);
}

const compared_made *compare_made_of(query *q, arena *a)
{
    compared_made *m = arena_push_zero(a, 1, sizeof *m);
    const char *precision = query_text(q, "real", a), *compiler = query_text(q, "compiler", a);
    m->build = short_build(a, precision, compiler);
    m->exactly =
        exact_build(a, precision, query_int(q, "numerics", 0), compiler, query_text(q, "flags", a));
    m->before = build_before(a, query_text(q, "sittings", a), m->exactly);
    m->machine = machine_of(a, q);
    return m;
}

bool compare_made_alike(const compared_run *x, const compared_run *y)
{
    const char *a = x->made->machine, *b = y->made->machine;
    return !a || !b || strcmp(a, b) == 0;
}

/* ---- sentences ---- */

static bool same_build(const compared_run *x, const compared_run *y)
{
    const char *a = x->made->exactly, *b = y->made->exactly;
    return !a || !b || strcmp(a, b) == 0;
}

/* The first two runs that count and are not alike; a word of the first is known. */
static bool find_pair(const comparison *c,
                      bool (*alike)(const compared_run *, const compared_run *),
                      const compared_run *pair[2])
{
    pair[0] = NULL;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored || !r->made->exactly || !r->made->machine) continue;
            if (!pair[0]) pair[0] = r;
            pair[1] = r;
            if (!alike(pair[0], r)) return true;
        }
    }
    return false;
}

/* Runs that one build began and another ended have the bits of neither. */
static void print_in_turn(FILE *out, const comparison *c)
{
    int more = -1;
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        for (int k = 0; k < v->run_count; k++) {
            const compared_run *r = &v->runs[k];
            if (!r->scored || !r->made->before || more++ >= 0) continue;
            fprintf(out, "'%s', seed %lld was computed by several builds in turn (%s; %s%s)",
                    v->label, (long long)r->seed, r->made->before, r->made->build,
                    strcmp(r->made->before, r->made->build) == 0 ? " with other flags" : "");
        }
    }
    if (more > 0) fprintf(out, ", and so were %d more", more);
    if (more >= 0) fputs(": another time it would end otherwise.\n", out);
}

void compare_made_builds(FILE *out, const comparison *c)
{
    const compared_run *pair[2];
    print_in_turn(out, c);
    if (!find_pair(c, same_build, pair)) return;
    const char *one = pair[0]->made->build, *other = pair[1]->made->build;
    bool flags = strcmp(one, other) == 0;
    fprintf(out,
            "Runs were computed by several builds (%s; %s%s), which round differently: runs of one "
            "seed began alike and were not trained alike.\n",
            one, other, flags ? " with other flags or numerics" : "");
}

/* Seeds of a variant that were given the same seconds. */
static void print_steps(FILE *out, const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        const compared_variant *v = &c->variants[i];
        int64_t least = INT64_MAX, most = 0;
        for (int k = 0; k < v->run_count; k++) {
            if (!v->runs[k].scored) continue;
            least = MIN(least, v->runs[k].last_step);
            most = MAX(most, v->runs[k].last_step);
        }
        if (least >= most) continue;
        fprintf(out,
                "Seeds of '%s' were trained for %lld to %lld steps: what they could in the same "
                "time.\n",
                v->label, (long long)least, (long long)most);
        return;
    }
}

void compare_made_machines(FILE *out, const comparison *c)
{
    const compared_run *pair[2];
    print_steps(out, c);
    if (c->alone || !find_pair(c, compare_made_alike, pair)) return;
    fprintf(out,
            "Runs had different machines or threads (%s; %s): times, tokens/s and memory are not "
            "the variants' alone.\n",
            pair[0]->made->machine, pair[1]->made->machine);
}
