#include "core/base/rng.h"
#include "harness/spec/sweep.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static sweep *expand(arena *a, const char *text, err *e)
{
    e->text[0] = 0;
    node *n = node_parse(a, text, strlen(text), "s.yaml", e);
    return n ? sweep_expand(a, n, "probe", e) : NULL;
}

/* "label[*]: path=value ...; ..." of all variants; * marks the baseline. */
static const char *describe(arena *a, const sweep *s)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    for (int i = 0; i < s->variant_count; i++) {
        const variant_plan *v = &s->variants[i];
        fprintf(f, "%s%s%s:", i ? "; " : "", v->label, v->is_baseline ? "*" : "");
        for (int k = 0; k < v->assignment_count; k++) {
            fprintf(f, " %s=%s", v->assignments[k].path,
                    node_json(a, v->assignments[k].value, false));
        }
    }
    fclose(f);
    char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}

/* Specs of sweeps and what they expand to. */
static const struct {
    const char *name, *text, *want;
} EXPANSIONS[] = {
    {"nothing", "{}", "probe*:"},
    {"one path", "grid: {optimizer.lr: [1e-3, 3e-3]}",
     "lr=1e-3*: optimizer.lr=0.001; lr=3e-3: optimizer.lr=0.003"},
    {"named alternatives",
     "baseline: long\ngrid: {memory: {short: {}, long: {\"model.blocks[0].attention.memory\": 9}}}",
     "short:; long*: model.blocks[0].attention.memory=9"},
    {"product, last fastest", "grid: {optimizer.lr: [1, 2], size: {s: {model.width: 8}, m: {}}}",
     "lr=1 size=s*: optimizer.lr=1 model.width=8; lr=1 size=m: optimizer.lr=1; "
     "lr=2 size=s: optimizer.lr=2 model.width=8; lr=2 size=m: optimizer.lr=2"},
    {"what does not vary is no label", "grid: {optimizer.lr: [1], model.width: [8, 16]}",
     "width=8*: optimizer.lr=1 model.width=8; width=16: optimizer.lr=1 model.width=16"},
    {"like endings are told apart",
     "grid: {model.a.hidden: [1, 2], model.b.hidden: [3, 4]}\nexclude: {a.hidden: 2, b.hidden: 4}",
     "a.hidden=1 b.hidden=3*: model.a.hidden=1 model.b.hidden=3; "
     "a.hidden=1 b.hidden=4: model.a.hidden=1 model.b.hidden=4; "
     "a.hidden=2 b.hidden=3: model.a.hidden=2 model.b.hidden=3"},
    {"only as far as they vary",
     "grid: {model.a.hidden: [1], model.b.hidden: [3, 4]}\nbaseline: {b.hidden: 4}",
     "hidden=3: model.a.hidden=1 model.b.hidden=3; hidden=4*: model.a.hidden=1 model.b.hidden=4"},
    {"numbers by their value", "baseline: lr=0.003\ngrid: {optimizer.lr: [1e-3, 3e-3]}",
     "lr=1e-3: optimizer.lr=0.001; lr=3e-3*: optimizer.lr=0.003"},
    {"an axis by a number's value",
     "baseline: {lr: 0.003}\ngrid: {optimizer.lr: [1e-3, 2e-3, 3e-3]}\nexclude: {lr: 1.0e-3}",
     "lr=2e-3: optimizer.lr=0.002; lr=3e-3*: optimizer.lr=0.003"},
    {"one entry keeps its label", "baseline: mine\nlist: [{label: mine, optimizer.lr: 2}]",
     "mine*: optimizer.lr=2"},
    {"one alternative can be named", "baseline: a\ngrid: {size: {a: {model.width: 8}}}",
     "probe*: model.width=8"},
    {"zip", "zip: {model.width: [8, 16], optimizer.lr: [2, 1]}\ngrid: {train.batch: [1, 2]}",
     "width=8 lr=2 batch=1*: model.width=8 optimizer.lr=2 train.batch=1; "
     "width=8 lr=2 batch=2: model.width=8 optimizer.lr=2 train.batch=2; "
     "width=16 lr=1 batch=1: model.width=16 optimizer.lr=1 train.batch=1; "
     "width=16 lr=1 batch=2: model.width=16 optimizer.lr=1 train.batch=2"},
    {"list", "list: [{model.width: 8}, {model.width: 16, optimizer.lr: 2}]",
     "width=8*: model.width=8; width=16 lr=2: model.width=16 optimizer.lr=2"},
    {"labelled list", "list: [{label: plain}, {label: wide, model.width: 16}]\nbaseline: wide",
     "plain:; wide*: model.width=16"},
    {"labelled list beside a grid",
     "- {grid: {optimizer.lr: [1, 2]}, seeds: 2}\n- list: [{label: wide, model.width: 16}]",
     "lr=1*: optimizer.lr=1; lr=2: optimizer.lr=2; wide: model.width=16"},
    {"exclude",
     "grid: {a: {x: {}, y: {model.n: 1}}, optimizer.lr: [1e-3, 2]}\n"
     "exclude: [{a: y, lr: 0.001}]",
     "a=x lr=1e-3*: optimizer.lr=0.001; a=x lr=2: optimizer.lr=2; "
     "a=y lr=2: model.n=1 optimizer.lr=2"},
    {"exclude several", "grid: {optimizer.lr: [1, 2, 3]}\nexclude: {lr: [1, 3]}",
     "probe*: optimizer.lr=2"},
    {"blocks add up",
     "- grid: {optimizer.lr: [1, 2]}\n- list: [{model.width: 8}]\n- seeds: 2\n"
     "- {}\n- baseline: width=8\n",
     "lr=1: optimizer.lr=1; lr=2: optimizer.lr=2; width=8*: model.width=8; base:"},
    {"equal variants once",
     "- grid: {optimizer.lr: [1e-3, 0.001, 2], model.width: [8]}\n"
     "- list: [{model.width: 8, optimizer.lr: 2.0}, {optimizer.lr: 3}]\n",
     "lr=1e-3 width=8*: optimizer.lr=0.001 model.width=8; "
     "lr=2 width=8: optimizer.lr=2 model.width=8; lr=3: optimizer.lr=3"},
    {"order counts where paths lie inside others",
     "- list: [{label: p, model.x: {a: 1}, model.x.b: 2}]\n"
     "- list: [{label: q, model.x.b: 2, model.x: {a: 1}}]",
     "p*: model.x={\"a\":1} model.x.b=2; q: model.x.b=2 model.x={\"a\":1}"},
    {"the order of layers counts", "grid: {model.blocks: [[{a: {}, b: {}}], [{b: {}, a: {}}]]}",
     "blocks=[{\"a\":{},\"b\":{}}]*: model.blocks=[{\"a\":{},\"b\":{}}]; "
     "blocks=[{\"b\":{},\"a\":{}}]: model.blocks=[{\"b\":{},\"a\":{}}]"},
    {"named values of a path",
     "grid: {optimizer.lr: {slow: 1, fast: 2}, train.budget: {short: {steps: 1}}}\nbaseline: fast",
     "lr=slow: optimizer.lr=1 train.budget={\"steps\":1}; "
     "lr=fast*: optimizer.lr=2 train.budget={\"steps\":1}"},
    {"layers in place of one",
     "baseline: ffn=dense\ngrid: {\"model.blocks[1].ffn\": {dense: {ffn: {hidden: 8}}, "
     "hash16: {hash_ffn: {experts: 16}}, none: {}}}",
     "ffn=dense*: model.blocks[1].ffn={\"ffn\":{\"hidden\":8}}; "
     "ffn=hash16: model.blocks[1].ffn={\"hash_ffn\":{\"experts\":16}}; "
     "ffn=none: model.blocks[1].ffn={}"},
    {"when",
     "grid: {kind: {dense: {}, hash: {model.h: 1}}, model.h.experts: [4, 16]}\n"
     "when: {experts: {kind: hash}}",
     "kind=dense*:; kind=hash experts=4: model.h=1 model.h.experts=4; "
     "kind=hash experts=16: model.h=1 model.h.experts=16"},
    {"when of when",
     "grid: {model.a: [0, 1], model.b: [0, 1], model.c: [0, 1]}\n"
     "when: {b: {a: 1}, c: {b: [1]}}\nexclude: {b: 0, a: 1}",
     "a=0*: model.a=0; a=1 b=1 c=0: model.a=1 model.b=1 model.c=0; "
     "a=1 b=1 c=1: model.a=1 model.b=1 model.c=1"},
    {"when of a zip",
     "grid: {model.a: [0, 1]}\nzip: {model.b: [1, 2], model.c: [3, 4]}\nwhen: {c: {a: 0}}",
     "a=0 b=1 c=3*: model.a=0 model.b=1 model.c=3; "
     "a=0 b=2 c=4: model.a=0 model.b=2 model.c=4; a=1: model.a=1"},
    {"big values",
     "grid: {model.blocks: [[{attention: {heads: 4, positions: rotary}}, {ffn: {}}], "
     "[{ffn: {}}]]}",
     "blocks=#1*: "
     "model.blocks=[{\"attention\":{\"heads\":4,\"positions\":\"rotary\"}},{\"ffn\":{}}]; "
     "blocks=[{\"ffn\":{}}]: model.blocks=[{\"ffn\":{}}]"},
};

static void expansions(void)
{
    for (size_t i = 0; i < sizeof EXPANSIONS / sizeof *EXPANSIONS; i++) {
        if (!test_sub("%s", EXPANSIONS[i].name)) continue;
        arena *a = arena_new(0);
        err e;
        sweep *s = expand(a, EXPANSIONS[i].text, &e);
        EXPECT(s, "%s", e.text);
        if (s) {
            const char *got = describe(a, s);
            EXPECT(strcmp(got, EXPANSIONS[i].want) == 0, "%s, expected %s", got,
                   EXPANSIONS[i].want);
        }
        arena_free(a);
    }
}

static void seeds(void)
{
    arena *a = arena_new(0);
    err e;
    sweep *s = expand(a, "seeds: 3", &e);
    EXPECT(s && s->seed_count == 3 && s->seeds[0] == 1 && s->seeds[2] == 3, "%s", e.text);
    s = expand(a, "seeds: [7, 2]", &e);
    EXPECT(s && s->seed_count == 2 && s->seeds[0] == 7 && s->seeds[1] == 2, "%s", e.text);
    s = sweep_expand(a, NULL, "x", &e);
    EXPECT(s && s->seed_count == 1 && s->seeds[0] == 1 && s->variant_count == 1, "%s", e.text);
    arena_free(a);
}

static void refuses(void)
{
    static const struct {
        const char *text, *place, *words;
    } cases[] = {
        {"gird: {}", "s.yaml:1:1:", "unknown key 'gird' (did you mean 'grid'?)"},
        {"grid: {optimzer.lr: [1]}", "s.yaml:1:8:", "did you mean 'optimizer'?"},
        {"grid: {memory: [1, 2]}", "s.yaml:1:8:", "is no path"},
        {"grid: {eval.rows: [1, 2]}", "s.yaml:1:8:", "evaluation changes no run"},
        {"grid: {eval.dynamics: [1, 2]}", "s.yaml:1:8:", "evaluation changes no run"},
        {"grid: {optimizer.lr: 1}", "s.yaml:1:22:", "a list of values"},
        {"grid: {optimizer.lr: []}", "s.yaml:1:22:", "a list of values"},
        {"grid: {m: {a: {x: 1}}}", "s.yaml:1:16:", "is no path"},
        {"grid: {m: {a: 5}}", "s.yaml:1:15:", "a map of paths"},
        {"grid: {model.w: [1, 2], m: {a: {model.w: 3}}}", "s.yaml:1:42:", "also set in line 1"},
        {"grid: {model.w: [1]}\nlist: [{model.w: 2}]", "s.yaml:2:18:", "also set in line 1"},
        {"zip: {model.w: [1, 2], model.x: [1]}", "s.yaml:1:33:", "1 values, but 'model.w' has 2"},
        {"list: [{label: a}, {model.w: 1}]", "s.yaml:1:20:", "a label, or none"},
        {"list: [{label: a, model.w: 1}, {label: a, model.w: 2}]",
         "s.yaml:1:1:", "both called 'a'"},
        {"list: []", "s.yaml:1:7:", "a list of maps"},
        {"grid: {model.w: [1, 2]}\nexclude: {x: 1}", "s.yaml:2:11:", "unknown key 'x'"},
        {"grid: {model.w: [1, 2]}\nexclude: {w: 3}", "s.yaml:2:14:", "no value of axis 'model.w'"},
        {"grid: {model.w: [1], model.x: [1, 2]}\nexclude: [{w: 1}]",
         "s.yaml:1:1:", "nothing is left"},
        {"baseline: w=3\ngrid: {model.w: [1, 2]}", "s.yaml:1:11:", "did you mean 'w=1'?"},
        {"baseline: {w: 7}\ngrid: {model.w: [1, 2]}", "s.yaml:1:11:", "no variant has these"},
        {"baseline: {v: 7}\ngrid: {model.w: [1, 2]}", "s.yaml:1:12:", "unknown key 'v'"},
        {"baseline: {w: 1}\ngrid: {model.w: [1, 2], model.x: [1, 2]}",
         "s.yaml:1:11:", "means 2 variants"},
        {"grid: {model.a: [1, 2], model.b: [1, 2]}\nwhen: {a: {b: 1}}",
         "s.yaml:2:11:", "written before 'a'"},
        {"grid: {model.a: [1, 2]}\nwhen: {x: {a: 1}}", "s.yaml:2:8:", "unknown key 'x'"},
        {"grid: {model.a: [1], model.b: [1]}\nwhen: {b: {a: 3}}",
         "s.yaml:2:15:", "no value of axis"},
        {"grid: {model.a: [1], model.b: [1]}\nwhen: {b: a}", "s.yaml:2:11:", "a map of axes"},
        {"when: [1]", "s.yaml:1:7:", "a map of axes to conditions"},
        {"grid: {\"model.blocks[0].ffn\": {a: 5}}", "s.yaml:1:35:", "in its place"},
        {"seeds: 0", "s.yaml:1:8:", "how many"},
        {"seeds: [1, 1]", "s.yaml:1:8:", "seed 1 is listed twice"},
        {"seeds: [-1]", "s.yaml:1:9:", "whole number from 0"},
        {"seeds: \"3\"", "s.yaml:1:8:", "what is in quotes is a text"},
        {"seeds: [1, \"2\"]", "s.yaml:1:12:", "what is in quotes is a text"},
        {"seeds: 2K", "s.yaml:1:8:", "did you mean '2k'?"},
        {"- seeds: 1\n- seeds: 2", "s.yaml:2:10:", "one block"},
        {"- baseline: a\n- baseline: b", "s.yaml:2:13:", "second baseline"},
        {"seeds: 1000000\ngrid: {model.w: [1, 2]}", "s.yaml:1:1:", "1,000,000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arena *a = arena_new(0);
        err e;
        sweep *s = expand(a, cases[i].text, &e);
        bool right = !s && strncmp(e.text, cases[i].place, strlen(cases[i].place)) == 0 &&
                     strstr(e.text, cases[i].words);
        EXPECT(right, "%s: %s", cases[i].text, s ? describe(a, s) : e.text);
        arena_free(a);
    }
}

/* A grid is its axes' product, every combination once, minus what is excluded. */
static void product_property(void)
{
    arena *a = arena_new(0);
    err e;
    sweep *s =
        expand(a,
               "grid: {model.a: [0, 1, 2, 3], model.b: [0, 1, 2, 3, 4], model.c: [0, 1, 2]}\n"
               /* The first leaves out what the second does, too, and counts all the same. */
               "exclude: [{a: 1, b: 2, c: 1}, {a: 1, b: [2, 3]}, {c: 2, b: 0}]",
               &e);
    EXPECT(s, "%s", e.text);
    bool seen[4][5][3] = {{{false}}};
    int expected = 0;
    for (int i = 0; s && i < s->variant_count; i++) {
        const axis_value *v = s->variants[i].axes;
        bool *one = &seen[atoi(v[0].value)][atoi(v[1].value)][atoi(v[2].value)];
        EXPECT(!*one, "%s twice", s->variants[i].label);
        *one = true;
    }
    for (int i = 0; i < 60; i++) {
        int x = i / 15, y = i / 3 % 5, z = i % 3;
        bool left_out = (x == 1 && (y == 2 || y == 3)) || (z == 2 && y == 0);
        EXPECT(seen[x][y][z] == !left_out, "%d %d %d", x, y, z);
        expected += !left_out;
    }
    EXPECT(s && s->variant_count == expected, "%d, expected %d", s ? s->variant_count : 0,
           expected);
    arena_free(a);
}

/* Sweeps drawn at random against what their words mean, counted out one by one. */
typedef struct drawn {
    int axes, size[4];           /* axis k has the values 0 .. size - 1 */
    bool when[4], only[4][4][4]; /* axis k takes part where only[k][j][value of axis j] for all j */
    bool outs, out[4][4];        /* one exclusion: all axes have one of these */
} drawn;

static drawn draw_sweep(uint64_t seed)
{
    const rng_key key = {.seed = seed, .place = rng_place("sweep")};
    uint64_t i = 0;
    drawn x = {.axes = 1 + (int)rng_below(key, i++, 4)};
    x.outs = rng_below(key, i++, 2) == 1;
    for (int k = 0; k < x.axes; k++) {
        x.size[k] = 1 + (int)rng_below(key, i++, 4);
        x.when[k] = k > 0 && rng_below(key, i++, 2) == 1;
        for (int v = 0; v < 4; v++)
            x.out[k][v] = rng_below(key, i++, 2) == 1;
        x.out[k][rng_below(key, i++, (uint64_t)x.size[k])] = true;
        for (int j = 0; j < k; j++) {
            for (int v = 0; v < 4; v++)
                x.only[k][j][v] = rng_below(key, i++, 2) == 1;
            x.only[k][j][rng_below(key, i++, (uint64_t)x.size[j])] = true;
        }
    }
    return x;
}

static void print_values(FILE *f, int axis, const bool *wanted, int size)
{
    fprintf(f, "model.a%d: [", axis);
    for (int v = 0, n = 0; v < size; v++) {
        if (wanted[v]) fprintf(f, "%s%d", n++ ? ", " : "", v);
    }
    fputs("], ", f);
}

static char *write_sweep(const drawn *x)
{
    char *text = NULL;
    size_t bytes;
    static const bool all[4] = {true, true, true, true};
    FILE *f = open_memstream(&text, &bytes);
    fputs("grid: {", f);
    for (int k = 0; k < x->axes; k++)
        print_values(f, k, all, x->size[k]);
    fputs("}\nwhen: {", f);
    for (int k = 1; k < x->axes; k++) {
        if (!x->when[k]) continue;
        fprintf(f, "model.a%d: {", k);
        for (int j = 0; j < k; j++)
            print_values(f, j, x->only[k][j], x->size[j]);
        fputs("}, ", f);
    }
    fputs("}\n", f);
    if (x->outs) {
        fputs("exclude: {", f);
        for (int k = 0; k < x->axes; k++)
            print_values(f, k, x->out[k], x->size[k]);
        fputs("}\n", f);
    }
    fclose(f);
    return text;
}

/* "a0=1 a2=0 " of what takes part, for every combination that counts; each once, in order. */
static char *count_out(const drawn *x)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    for (int code = 0; code < 256; code++) {
        int value[4] = {code >> 6 & 3, code >> 4 & 3, code >> 2 & 3, code & 3};
        bool part[4] = {false}, counts = true, out = x->outs;
        for (int k = 0; k < 4 && counts; k++) {
            if (k >= x->axes || value[k] >= x->size[k]) {
                counts = k >= x->axes && value[k] == 0;
                continue;
            }
            part[k] = true;
            for (int j = 0; x->when[k] && j < k; j++)
                part[k] = part[k] && part[j] && x->only[k][j][value[j]];
            counts = part[k] || value[k] == 0;
            out = out && part[k] && x->out[k][value[k]];
        }
        if (!counts || out) continue;
        for (int k = 0; k < x->axes; k++) {
            if (part[k]) fprintf(f, "a%d=%d ", k, value[k]);
        }
        fputs("; ", f);
    }
    fclose(f);
    return text;
}

static void random_sweeps(void)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        arena *a = arena_new(0);
        err e;
        drawn x = draw_sweep(seed);
        char *text = write_sweep(&x), *want = count_out(&x), *got = NULL;
        size_t bytes;
        sweep *s = expand(a, text, &e);
        FILE *f = open_memstream(&got, &bytes);
        for (int i = 0; s && i < s->variant_count; i++) {
            const variant_plan *v = &s->variants[i];
            for (int k = 0; k < v->axis_count; k++)
                fprintf(f, "%s=%s ", v->axes[k].axis + strlen("model."), v->axes[k].value);
            fputs("; ", f);
        }
        fclose(f);
        /* An exclusion that meets nothing, or leaves nothing, is an error by design. */
        bool refused =
            !s && (strstr(e.text, "excludes nothing") || strstr(e.text, "nothing is left"));
        EXPECT(refused || (s && strcmp(got, want) == 0), "seed %d: %s%s, expected %s (%s)",
               (int)seed, text, got, want, e.text);
        free(text);
        free(want);
        free(got);
        arena_free(a);
    }
}

#if SANITIZED
enum { AXES_OF_TEN = 4, RUNS = 10000 };
#else
enum { AXES_OF_TEN = 5, RUNS = 100000 };
#endif

/* 100,000 variants, and 10,000 with ten seeds. */
static void hundred_thousand(void)
{
    for (int axes = AXES_OF_TEN - 1; axes <= AXES_OF_TEN; axes++) {
        char text[4096];
        size_t used =
            (size_t)snprintf(text, sizeof text, "seeds: %d\ngrid:\n", axes < AXES_OF_TEN ? 10 : 1);
        for (int axis = 0; axis < axes; axis++) {
            used +=
                (size_t)snprintf(text + used, sizeof text - used,
                                 "  model.part%d.width: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", axis);
        }
        arena *a = arena_new(0);
        err e;
        clock_t from = clock(); /* of this process: neighbours do not count */
        sweep *s = expand(a, text, &e);
        double seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
        EXPECT(s && (int64_t)s->variant_count * s->seed_count == RUNS, "%s", e.text);
        EXPECT(RUNS < 100000 || test_emulated() || seconds < 1, "%.2f s", seconds);
        sweep *again = expand(a, text, &e);
        EXPECT(s && strcmp(s->variants[999].label, again->variants[999].label) == 0, "%s",
               s ? s->variants[999].label : "");
        arena_free(a);
    }
}

/* A variant's spec does not grow with the sweep, or n variants would take n times n. */
static void variants_are_small(void)
{
    static char text[200000];
    size_t n = (size_t)snprintf(text, sizeof text, "model: {width: 4}\nsweep:\n  list:\n");
    for (int i = 0; i < 3000; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "    - {label: v%d, model.width: %d}\n", i,
                              i + 1);
    }
    arena *a = arena_new(0), *own = arena_new(0);
    err e = {0};
    node *root = node_parse(a, text, n, "s.yaml", &e);
    sweep *s = root ? sweep_expand(a, node_get(root, "sweep"), "probe", &e) : NULL;
    EXPECT(s && variant_apply(own, root, &s->variants[7], &e), "%s", e.text);
    EXPECT(arena_bytes(own) < 8192, "%zu bytes", arena_bytes(own));
    arena_free(own);
    arena_free(a);
}

const test_suite test_sweep = {"harness/sweep",
                               {{"expansions/", expansions},
                                {"seeds", seeds},
                                {"refuses", refuses},
                                {"product property", product_property},
                                {"random sweeps", random_sweeps},
                                {"hundred thousand", hundred_thousand},
                                {"variants are small", variants_are_small},
                                {0}}};
