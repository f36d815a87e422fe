#include "results/compare/compare_made.h"

#include <math.h>
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

static const char *machine(arena *a, const char *host, const char *cpu, int64_t threads,
                           int64_t ranks)
{
    text_memory m;
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
    m->machine = machine(a, query_text(q, "host", a), query_text(q, "cpu", a),
                         query_int(q, "threads", 0), query_int(q, "ranks", 1));
    m->alone = machine(a, query_text(q, "alone_host", a), query_text(q, "alone_cpu", a),
                       query_int(q, "alone_threads", 0), 1);
    return m;
}

bool compare_made_alike(const compared_run *x, const compared_run *y)
{
    const char *a = x->made->machine, *b = y->made->machine;
    return !a || !b || strcmp(a, b) == 0;
}

/* ---- sentences ---- */

static const char *build_of(const compared_run *r)
{
    return r->made->exactly;
}

static const char *machine_of(const compared_run *r)
{
    return r->made->machine;
}

static const char *alone_of(const compared_run *r)
{
    return isfinite(r->alone) ? r->made->alone : NULL;
}

/* The first two runs that count of which another word is known. */
static bool find_pair(const comparison *c, const char *(*of)(const compared_run *),
                      const compared_run *pair[2])
{
    pair[0] = NULL;
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!r->scored || !of(r)) continue;
            if (!pair[0]) pair[0] = r;
            pair[1] = r;
            if (strcmp(of(pair[0]), of(r)) != 0) return true;
        }
    }
    return false;
}

bool compare_made_alone_alike(const comparison *c)
{
    const compared_run *pair[2];
    return !find_pair(c, alone_of, pair);
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
    if (!find_pair(c, build_of, pair)) return;
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
    if (find_pair(c, alone_of, pair)) {
        fprintf(out,
                "Speeds were measured alone on different machines, or by different numbers of "
                "threads (%s; %s), and are not shown: loci bench --record measures all of them in "
                "one sitting.\n",
                alone_of(pair[0]), alone_of(pair[1]));
    }
    if (!find_pair(c, machine_of, pair)) return;
    fprintf(out,
            "Runs had different machines or threads (%s; %s): times%s and memory are not the "
            "variants' alone.\n",
            machine_of(pair[0]), machine_of(pair[1]), c->alone ? "" : ", tokens/s");
}
