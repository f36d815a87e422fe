#include "harness/speed/bench_against.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

/* A peer's figures are read from a file that it wrote, not measured here: this program starts no
 * other. Lines are strict where a wrong one would give a wrong ratio (no name, no rate, duplicate
 * keys) and open elsewhere: whatever else a line says goes into the JSON beside the ratio. */

struct bench_against {
    json_t *lines; /* array of the objects, in order */
};

static bool check_line(const json_t *line, const char *path, int number, err *e)
{
    if (!json_is_object(line)) {
        return err_set(e, "%s:%d: not a JSON object; each line is one", path, number);
    }
    if (!json_get_text(line, "peer")) {
        return err_set(e, "%s:%d: \"peer\" is missing: the name of who was measured", path, number);
    }
    /* Not above 0, or no number at all: NaN fails the comparison, too. */
    if (!(json_get_double(line, "tokens_per_second") > 0)) {
        return err_set(e, "%s:%d: \"tokens_per_second\" is missing or not above 0", path, number);
    }
    return true;
}

/* Blank lines are no figures. The message has line and column, as an editor counts them. */
static bool add_line(json_t *lines, const char *text, const char *path, int number, err *e)
{
    if (text[strspn(text, " \t\r")] == 0) return true;
    json_error_t wrong;
    json_auto_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
    if (!line) return err_set(e, "%s:%d:%d: %s", path, number, wrong.column, wrong.text);
    bool ok = check_line(line, path, number, e);
    /* The list takes a reference of its own. */
    if (ok) json_array_append(lines, line);
    return ok;
}

/* The text is cut into lines in place; a last line without a newline counts. */
bench_against *bench_against_read(const char *path, err *e)
{
    size_t bytes;
    text_auto *text = file_read_named(path, &bytes, e);
    if (!text) return NULL;
    json_auto_t *lines = json_array();
    bool ok = true;
    int number = 1;
    for (char *at = text; ok && at < text + bytes; number++) {
        char *end = at + strcspn(at, "\n");
        *end = 0;
        ok = add_line(lines, at, path, number, e);
        at = end + 1;
    }
    if (!ok) return NULL;
    /* An empty file is the wrong file. */
    if (json_array_size(lines) == 0) {
        return err_set(e, "%s: holds no figures; each line is a JSON object", path), NULL;
    }
    bench_against *a = calloc(1, sizeof *a);
    CHECK(a, "out of memory for %zu bytes", sizeof *a);
    a->lines = json_incref(lines);
    return a;
}

void bench_against_free(bench_against *a)
{
    if (!a) return;
    json_decref(a->lines);
    free(a);
}

/* A size that the line does not tell is taken to be ours: the default of json_get_int is our own
 * number, so that it compares equal. */
static bool is_of(const json_t *line, const bench_result *r)
{
    const struct {
        const char *key;
        int64_t ours;
    } sizes[] = {{"width", r->width},
                 {"layers", r->layers},
                 {"context", r->context},
                 {"batch", r->batch},
                 {"threads", r->threads}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (json_get_int(line, sizes[i].key, sizes[i].ours) != sizes[i].ours) return false;
    }
    return true;
}

/* Both ways of telling go through this one, so that they cannot differ in which lines are compared.
 */
json_t *bench_against_json(const bench_against *a, const bench_result *r)
{
    json_t *ratios = json_array(), *line;
    size_t i;
    json_array_foreach(a->lines, i, line)
    {
        if (!is_of(line, r)) continue;
        /* A shallow copy, the ratio added: the lines themselves stay as they were read. */
        json_t *o = json_copy(line);
        double ratio = r->tokens_per_second / json_get_double(line, "tokens_per_second");
        json_object_set_new(o, "ratio", json_finite(ratio));
        json_array_append_new(ratios, o);
    }
    return ratios;
}

/* If no line is of this model the sizes of ours are told: the user sees which one differs. */
void bench_against_print(FILE *out, const bench_against *a, const bench_result *r)
{
    json_auto_t *ratios = bench_against_json(a, r);
    json_t *o;
    size_t i, all = json_array_size(a->lines);
    if (json_array_size(ratios) == 0) {
        fprintf(out,
                "none of the peer's %zu lines is of width %lld, %lld layers, context %lld, batch "
                "%lld, %d thread(s)\n",
                all, (long long)r->width, (long long)r->layers, (long long)r->context,
                (long long)r->batch, r->threads);
    }
    json_array_foreach(ratios, i, o)
    {
        const char *precision = json_get_text(o, "precision");
        fprintf(out, "against %s%s%s%s: %.3f of its %.0f tokens/s\n", json_get_text(o, "peer"),
                precision ? ", " : "", precision ? precision : "",
                json_is_true(json_object_get(o, "compiled")) ? ", compiled" : "",
                json_get_double(o, "ratio"), json_get_double(o, "tokens_per_second"));
    }
}
