#include "tools/changed_file.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/one_line.h"
#include "core/base/text.h"
#include "results/store/query.h"

/* Who asks for results by a spec's file gets those of the experiment of that name, and may have
 * edited the file since. Nothing is refused: the results are what they are. But that they are of
 * another spec has to be said where they are shown, with what differs. It goes to stderr, so that a
 * table on stdout stays one. */

enum { SHOWN = 12, VALUE = 60 };

typedef struct teller {
    FILE *out;
    int count;
} teller;

/* A value on one line, short enough to be read. A value may be a whole paragraph (a description) or
 * come from a stranger's record: one line, without control characters, and not cut in the middle of
 * a character of UTF-8, whose later bytes are 10xxxxxx. */
static void put_value(FILE *out, const char *text)
{
    int n = 0;
    for (; text && text[n] && (n < VALUE || ((unsigned char)text[n] & 0xC0) == 0x80); n++) {
        fputc((unsigned char)text[n] < 0x20 ? ' ' : text[n], out);
    }
    fputs(!text ? "nothing" : text[n] ? " ..." : "", out);
}

static void put_difference(void *user, const char *path, const char *ran, const char *says)
{
    teller *t = user;
    /* All are counted, so that it can be said how many are not shown. */
    if (t->count++ >= SHOWN) return;
    fprintf(t->out, "  %s: ", path);
    put_value(t->out, ran);
    fputs(" then, ", t->out);
    put_value(t->out, says);
    fputs(" in the file\n", t->out);
}

/* The two are compared as trees, after extends and --set: a comment or the order of keys is no
 * change. */
static void say_differences(const spec *file, const char *ran_file, const json_t *ran,
                            const json_t *says)
{
    text_memory m;
    teller t = {.out = text_begin(&m)};
    /* Into memory first: whether there is anything to say is known at the end. */
    json_differences(ran, says, "", put_difference, &t);
    text_auto *text = text_end(&m);
    if (t.count > 0) {
        one_line_print(stderr,
                       "loci: %s is not what '%s' was run with; these are the results of that (%s "
                       "as it was then, with what it extended and --set):",
                       file->file, file->name, ran_file);
        fputs(text, stderr);
        if (t.count > SHOWN) fprintf(stderr, "  and %d more\n", t.count - SHOWN);
    }
}

/* The spec that the experiment was run with. An older record has but the file's text. */
static json_t *spec_then(query *q, arena *a, const spec *file)
{
    /* What the file extended then cannot be had from its text; a file that does not parse alone is
     * passed over. */
    const char *tree = query_text(q, "spec", a), *text = query_text(q, "spec_text", a);
    if (tree) return json_loads(tree, 0, NULL);
    spec *then = spec_parse(text, strlen(text), file->file, NULL, NULL);
    json_t *x = then ? json_loads(node_json(a, then->root, false), 0, NULL) : NULL;
    spec_free(then);
    return x;
}

void changed_file_say(store *s, const spec *file)
{
    arena_auto *a = arena_new(1 << 16);
    /* Forgiving throughout: a record that cannot be read says nothing, and hides no result. */
    query q =
        QUERY(s, NULL, "SELECT spec_file, spec_text, spec FROM experiment WHERE experiment = ?1",
              file->name);
    if (query_next(&q)) {
        json_auto_t *ran = spec_then(&q, a, file);
        json_auto_t *says = json_loads(node_json(a, file->root, false), 0, NULL);
        if (ran && says) say_differences(file, query_text(&q, "spec_file", a), ran, says);
    }
    query_close(&q);
}
