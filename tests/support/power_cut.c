#include "tests/support/power_cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "tests/support/faults.h"
#include "tests/test.h"

/* An entry of the log, its texts with a NUL behind. */
typedef struct change {
    fault_op op;
    const char *path, *other, *data;
    int64_t offset, bytes;
} change;

/* A file or folder, whatever it is called. */
typedef struct thing {
    bool folder;
    char *data; /* [bytes] as synced */
    int64_t bytes;
    int *writes; /* changes since */
    int write_count;
} thing;

typedef struct name {
    const char *path;
    thing *of; /* NULL: it is gone */
} name;

enum { NAMES = 512 };

typedef struct names {
    name list[NAMES];
    int count;
} names;

/* A change of names. */
typedef struct renaming {
    const change *of;
    thing *of_thing;
    bool safe;
} renaming;

struct power_cut {
    char *log;
    arena *memory; /* of the changes */
    arena *scratch;
    change *changes;
    int count;
    const char *const *roots;
    names now, safe;
    renaming *renamings; /* [count] */
    int renaming_count;
    rng_key key;
    uint64_t draws;
};

/* ---- the log ---- */

static bool below(const power_cut *p, const char *path)
{
    for (int i = 0; p->roots[i]; i++) {
        size_t n = strlen(p->roots[i]);
        if (strncmp(path, p->roots[i], n) == 0 && path[n] == '/') return true;
    }
    return false;
}

static const char *take_text(power_cut *p, const char **at, int64_t bytes)
{
    char *text = arena_push(p->memory, bytes + 1, 1);
    memcpy(text, *at, (size_t)bytes);
    text[bytes] = 0;
    *at += bytes;
    return text;
}

power_cut *power_cut_open(const char *log, const char *const *roots)
{
    err e = {0};
    size_t bytes = 0;
    power_cut *p = calloc(1, sizeof *p);
    CHECK(p, "out of memory");
    *p = (power_cut){.memory = arena_new(1 << 20), .scratch = arena_new(1 << 20), .roots = roots};
    p->log = file_read(log, &bytes, &e);
    EXPECT(p->log, "%s", e.text);
    p->changes = ARENA_NEW(p->memory, change, (int64_t)(bytes / sizeof(fault_entry)) + 1);
    for (const char *at = p->log; at && at < p->log + bytes;) {
        fault_entry x;
        memcpy(&x, at, sizeof x);
        at += sizeof x;
        change *c = &p->changes[p->count];
        *c = (change){.op = (fault_op)x.op, .offset = x.offset, .bytes = x.bytes};
        c->path = take_text(p, &at, x.path_bytes);
        c->other = take_text(p, &at, x.other_bytes);
        c->data = at;
        at += x.bytes;
        bool root = false; /* which may be synced, but is not made */
        for (int i = 0; roots[i]; i++)
            root = root || strcmp(c->path, roots[i]) == 0;
        p->count += below(p, c->path) || (root && c->op == OP_SYNC);
    }
    p->renamings = ARENA_NEW(p->memory, renaming, p->count + 1);
    return p;
}

void power_cut_close(power_cut *p)
{
    free(p->log);
    arena_free(p->memory);
    arena_free(p->scratch);
    free(p);
}

int power_cut_entries(const power_cut *p)
{
    return p->count;
}

static uint32_t draw(power_cut *p, uint32_t below_this)
{
    return (uint32_t)rng_below(p->key, p->draws++, below_this);
}

/* ---- names ---- */

static name *find(names *n, const char *path)
{
    for (int i = 0; i < n->count; i++) {
        if (n->list[i].of && strcmp(n->list[i].path, path) == 0) return &n->list[i];
    }
    return NULL;
}

static void set(names *n, const char *path, thing *of)
{
    name *there = find(n, path);
    if (there) {
        there->of = of;
        return;
    }
    CHECK(n->count < NAMES, "more than %d names", NAMES);
    n->list[n->count++] = (name){path, of};
}

static void drop(names *n, const char *path)
{
    name *there = find(n, path);
    if (there) there->of = NULL;
}

/* With all that lies below. */
static void move_names(power_cut *p, names *n, const char *from, const char *to, thing *of)
{
    size_t length = strlen(from);
    drop(n, from);
    set(n, to, of);
    for (int i = 0; i < n->count; i++) {
        name *x = &n->list[i];
        if (!x->of || strncmp(x->path, from, length) != 0 || x->path[length] != '/') continue;
        char path[FILE_PATH_BYTES];
        snprintf(path, sizeof path, "%s%s", to, x->path + length);
        x->path = arena_strdup(p->scratch, path);
    }
}

static void change_names(power_cut *p, names *n, const change *c, thing *of)
{
    switch (c->op) {
    case OP_CREATE:
    case OP_MKDIR:
        set(n, c->path, of);
        break;
    case OP_RENAME:
        move_names(p, n, c->path, c->other, of);
        break;
    case OP_REMOVE:
        drop(n, c->path);
        break;
    case OP_TRUNCATE:
    case OP_WRITE:
    case OP_SYNC:
    default:
        break;
    }
}

static bool is_in(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && !strchr(path + n + 1, '/');
}

/* ---- contents ---- */

/* Of `bytes` of the change; zeros: not its own. */
static void write_into(power_cut *p, thing *t, const change *c, int64_t bytes, bool zeros)
{
    int64_t end = c->op == OP_TRUNCATE ? c->offset : MAX(t->bytes, c->offset + bytes);
    char *data = arena_push(p->scratch, end + 1, 1);
    memset(data, 0, (size_t)end);
    memcpy(data, t->data, (size_t)MIN(t->bytes, end));
    if (c->op == OP_WRITE && !zeros) memcpy(data + c->offset, c->data, (size_t)bytes);
    t->data = data;
    t->bytes = end;
}

static void settle(power_cut *p, thing *t, cut_kind kind)
{
    int kept =
        kind == CUT_PREFIX && t->write_count ? (int)draw(p, (uint32_t)t->write_count + 1) : 0;
    for (int i = 0; i < t->write_count; i++) {
        const change *c = &p->changes[t->writes[i]];
        int64_t bytes = c->bytes;
        if (kind == CUT_LOST || (kind == CUT_ANY && draw(p, 2)) || (kind == CUT_PREFIX && i > kept))
            continue;
        if (kind == CUT_PREFIX && i == kept) bytes = draw(p, (uint32_t)bytes + 1);
        write_into(p, t, c, bytes, kind == CUT_ZEROS);
    }
    t->write_count = 0;
}

/* ---- what happened until then ---- */

static thing *thing_new(power_cut *p, bool folder)
{
    thing *t = arena_push_zero(p->scratch, 1, sizeof *t);
    t->folder = folder;
    t->data = arena_push(p->scratch, 1, 1);
    t->writes = ARENA_NEW(p->scratch, int, p->count + 1);
    return t;
}

static void sync_thing(power_cut *p, const change *c)
{
    name *n = find(&p->now, c->path);
    if (n && !n->of->folder) {
        settle(p, n->of, CUT_KEPT);
        return;
    }
    for (int i = 0; i < p->renaming_count; i++) {
        renaming *r = &p->renamings[i];
        if (is_in(r->of->path, c->path) || is_in(r->of->other, c->path)) r->safe = true;
    }
}

static void happen(power_cut *p, int at)
{
    const change *c = &p->changes[at];
    name *n = find(&p->now, c->path);
    if (c->op == OP_SYNC) {
        sync_thing(p, c);
    } else if (c->op == OP_WRITE || c->op == OP_TRUNCATE) {
        if (n) n->of->writes[n->of->write_count++] = at;
    } else {
        bool makes = c->op == OP_CREATE || c->op == OP_MKDIR;
        thing *of = makes ? thing_new(p, c->op == OP_MKDIR) : n ? n->of : NULL;
        CHECK(of, "%s is not known", c->path);
        change_names(p, &p->now, c, of);
        p->renamings[p->renaming_count++] = (renaming){c, of, false};
    }
}

/* ---- what is left ---- */

static bool reachable(power_cut *p, const char *path)
{
    char parent[FILE_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = 0;
    if (!below(p, parent)) return true; /* a root */
    return find(&p->safe, parent) && reachable(p, parent);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const name *)a)->path, ((const name *)b)->path);
}

static void put_back(power_cut *p)
{
    err e = {0};
    for (int i = 0; p->roots[i]; i++) {
        EXPECT(file_remove_tree(p->roots[i], &e) && file_make_folders(p->roots[i], &e), "%s",
               e.text);
    }
    qsort(p->safe.list, (size_t)p->safe.count, sizeof(name), by_path); /* folders first */
    for (int i = 0; i < p->safe.count; i++) {
        const name *n = &p->safe.list[i];
        if (!n->of || !reachable(p, n->path)) continue;
        bool ok = n->of->folder ? file_make_folders(n->path, &e)
                                : file_write(n->path, n->of->data, (size_t)n->of->bytes, &e);
        EXPECT(ok, "%s", e.text);
    }
}

void power_cut_happen(power_cut *p, int entries, cut_kind kind, uint64_t seed)
{
    arena_reset(p->scratch);
    p->now.count = p->safe.count = p->renaming_count = 0;
    p->key = (rng_key){.seed = seed, .place = rng_place("power cut")};
    p->draws = 0;
    for (int i = 0; i < entries; i++) {
        happen(p, i);
    }
    int kept = (int)draw(p, (uint32_t)p->renaming_count + 1);
    for (int i = 0; i < p->renaming_count; i++) {
        const renaming *r = &p->renamings[i];
        bool survives = r->safe || kind == CUT_KEPT || kind == CUT_ZEROS ||
                        (kind == CUT_PREFIX && i < kept) || (kind == CUT_ANY && draw(p, 2));
        if (survives) change_names(p, &p->safe, r->of, r->of_thing);
    }
    for (int i = 0; i < p->safe.count; i++) {
        if (p->safe.list[i].of) settle(p, p->safe.list[i].of, kind);
    }
    put_back(p);
}
