#include "results/compare/compare_print.h"

#include <string.h>

#include "core/base/terminal.h"
#include "results/compare/compare_json.h"
#include "results/compare/compare_notes.h"
#include "results/compare/compare_table.h"
#include "results/compare/compare_verdict.h"

/* What is said follows from the comparison alone and in a fixed order: printed twice, it is the
 * same to the byte. */

/* Failed and diverged runs, each with its reason: never left out. With the run's id, which `loci
 * show` takes. One that many have is said once. */
static void print_failures(FILE *out, const comparison *c, const char *item)
{
    const char *said = "";
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            const compared_run *r = &c->variants[i].runs[k];
            if (!compare_is_lost(r)) continue;
            const char *why = compare_reason(r);
            fprintf(out, "%s%s, seed %lld: %s: %s (run %s)\n", item, c->variants[i].label,
                    (long long)r->seed, r->status, strcmp(why, said) == 0 ? "the same" : why,
                    r->run);
            said = why;
        }
    }
}

static bool any_failure(const comparison *c)
{
    for (int i = 0; i < c->count; i++) {
        for (int k = 0; k < c->variants[i].run_count; k++) {
            if (compare_is_lost(&c->variants[i].runs[k])) return true;
        }
    }
    return false;
}

/* Verdicts first, as they are what was asked; then what they rest on; failures last and with their
 * reasons. */
static void print_words(FILE *out, const void *about, bool markdown)
{
    const comparison *c = about;
    char text[COMPARE_VERDICT_BYTES];
    const char *item = markdown ? "- " : "  ";
    fputc('\n', out);
    for (int i = 0; i < c->count; i++) {
        compare_verdict(text, c, i);
        if (text[0]) fprintf(out, "%s%s\n", markdown ? item : "", text);
    }
    if (c->baseline < 0) fputs("The experiment names no baseline among its variants.\n", out);
    if (markdown) fputc('\n', out);
    compare_notes_print(out, c, item);
    if (!any_failure(c)) return;
    fputs("\nRuns without a result:\n", out);
    if (markdown) fputc('\n', out);
    print_failures(out, c, item);
}

/* Lines behind the first are indented: a description comes from a record, maybe a stranger's, and
 * none of its lines is to pass for one of the comparison. */
static void print_description(FILE *out, const char *text)
{
    size_t bytes = strlen(text);
    terminal_prose prose;
    while (bytes > 0 && text[bytes - 1] == '\n') {
        bytes--;
    }
    if (bytes == 0) return;
    out = terminal_prose_begin(&prose, out);
    for (size_t i = 0; i < bytes; i++) {
        fputc(text[i], out);
        if (text[i] == '\n') fputs("  ", out);
    }
    fputs("\n\n", out);
    terminal_prose_end(&prose);
}

void compare_print(FILE *out, const comparison *c, table_format format, bool colour)
{
    arena_auto *a = arena_new(1 << 16);
    table *t = compare_table(a, c);
    if (format == TABLE_JSON) {
        json_auto_t *o = compare_json(c, t);
        json_print(out, o, JSON_INDENT(1));
        fputc('\n', out);
    } else {
        if (format == TABLE_TEXT) print_description(out, c->description);
        table_print(out, t, format, colour);
        table_words(out, format, print_words, c);
    }
}
