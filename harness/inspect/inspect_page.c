/* A page for people: the figures, and a sample of keys with their triggers and values.
 *
 * One file without scripts or anything fetched, so that it can be sent or kept. It is made in
 * memory and written at the end: a failure leaves the page of before. Layers are columns and
 * figures rows, since one figure over the layers is what is looked at; the words beside it say what
 * it means. Keys are sampled by the run's seed: the same run shows the same keys. */

#include "harness/inspect/inspect_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/base/text.h"
#include "harness/inspect/page_html.h"
#include "harness/inspect/page_reading.h"
#include "harness/inspect/served.h"
#include "results/store/inspect_words.h"

/* What is shown of each layer; the JSON lines have every key and its first ten triggers. */
enum { PAGE_KEYS = 6, PAGE_TRIGGERS = 8, PAGE_TOKENS = 5, PAGE_SERVED = 12 };

static const char STYLE[] =
    "body{font:15px/1.45 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:.6em 0 1.4em}td,th{padding:.15em .7em;text-align:right;"
    "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}th:first-child,td:first-child,"
    ".t{text-align:left}h3{margin:1.6em 0 .2em;font-size:1em}.note{color:#666}"
    "mark{background:#ffe08a;padding:0 .1em}.hit{color:#0a6b2d;font-weight:bold}"
    "code{background:#f3f3f3;padding:0 .2em}";

/* ---- figures ---- */

/* Figures are listed layer by layer, so that a name comes as often as there are layers; a row is
 * made of the first. */
static bool first_of_its_name(const inspection *x, int index)
{
    for (int i = 0; i < index; i++) {
        const inspect_figure *f = &x->figures[i];
        if (f->part == x->figures[index].part && strcmp(f->name, x->figures[index].name) == 0) {
            return false;
        }
    }
    return true;
}

/* How many bins the figure has in some layer: 1, or a curve's. In some layer: a figure whose first
 * layers have one bin and another a curve is a curve. */
static int bins_of(const inspection *x, const inspect_figure *of)
{
    int most = 0;
    for (int i = 0; i < x->figure_count; i++) {
        const inspect_figure *f = &x->figures[i];
        if (f->part == of->part && strcmp(f->name, of->name) == 0) most = MAX(most, f->bin);
    }
    return most + 1;
}

static void put_value(FILE *out, double value)
{
    if (isnan(value)) {
        fputs("<td>-</td>", out);
    } else {
        fprintf(out, fabs(value) >= 100 ? "<td>%.0f</td>" : "<td>%.4g</td>", value);
    }
}

/* A figure is a row if no layer has more than one bin of it. A layer without the figure has NaN,
 * shown as a dash. */
static void put_rows(FILE *out, const inspection *x, int part, const layer *const *list, int n)
{
    for (int i = 0; i < x->figure_count; i++) {
        const inspect_figure *f = &x->figures[i];
        if (f->part != part || !f->layer || !first_of_its_name(x, i) || bins_of(x, f) > 1) continue;
        fprintf(out, "<tr><td>%s</td>", f->name);
        for (int l = 0; l < n; l++) {
            put_value(out, inspection_figure(x, part, list[l], f->name, 0));
        }
        fprintf(out, "<td class='t note'>%s</td></tr>\n",
                inspect_words(inspection_part_name(part), f->name));
    }
}

/* A layer's curves: a row each, bin after bin. */
static void put_curves(FILE *out, const inspection *x, int part, const layer *l)
{
    for (int i = 0; i < x->figure_count; i++) {
        const inspect_figure *f = &x->figures[i];
        int n = f->part == part && f->layer == l && f->bin == 0 ? bins_of(x, f) : 1;
        if (n == 1) continue;
        fprintf(out, "<p class=note>%s, %s: %s</p>\n<table><tr>", l->name, f->name,
                inspect_words(inspection_part_name(part), f->name));
        for (int bin = 0; bin < n; bin++) {
            put_value(out, inspection_figure(x, part, l, f->name, bin));
        }
        fputs("</tr></table>\n", out);
    }
}

/* What is no layer's: a line each, bin after bin. Figures of the model as a whole (layer NULL) have
 * no column to stand in; a figure of several bins gets its bin's number before each value. */
static void put_overall(FILE *out, const inspection *x, int part)
{
    for (int i = 0; i < x->figure_count; i++) {
        const inspect_figure *f = &x->figures[i];
        if (f->part != part || f->layer || !first_of_its_name(x, i)) continue;
        fprintf(out, "<p><span class=note>%s: %s</span><br>", f->name,
                inspect_words(inspection_part_name(part), f->name));
        bool curve = bins_of(x, f) > 1;
        for (int k = i; k < x->figure_count; k++) {
            const inspect_figure *g = &x->figures[k];
            if (g->part != part || g->layer || strcmp(g->name, f->name) != 0) continue;
            if (curve) fprintf(out, "[%d] ", g->bin);
            fprintf(out, "%.4g ", g->value);
        }
        fputs("</p>\n", out);
    }
}

static void put_part(FILE *out, const inspection *x, int part)
{
    const layer *list[INSPECT_LAYERS];
    int n = inspection_part_layers(x, part, list);
    fprintf(out, "<h2>%s</h2>\n<table><tr><th></th>", inspection_part_name(part));
    for (int l = 0; l < n; l++) {
        fprintf(out, "<th>%s</th>", list[l]->name);
    }
    fputs("</tr>\n", out);
    put_rows(out, x, part, list, n);
    fputs("</table>\n", out);
    for (int l = 0; l < n; l++) {
        put_curves(out, x, part, list[l]);
    }
    put_overall(out, x, part);
}

/* ---- experts ---- */

static void put_experts(FILE *out, const inspection *x, const inspected_layer *l)
{
    if (!l->served) return;
    fputs("<h3>what each expert serves</h3>\n<table><tr><th>expert</th><th>tokens</th>"
          "<th class=t>most often</th></tr>\n",
          out);
    for (int64_t g = 0; g < l->memories.groups; g++) {
        const int64_t *served = l->served + g * x->text.vocab;
        int32_t list[PAGE_SERVED];
        int64_t total;
        int n = served_tokens(list, PAGE_SERVED, served, x->text.vocab, &total);
        fprintf(out, "<tr><td>%lld</td><td>%lld</td><td class=t>", (long long)g, (long long)total);
        for (int i = 0; i < n; i++) {
            page_html_token(out, &x->text, list[i]);
            fprintf(out, " %lld ", (long long)served[list[i]]);
        }
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

/* ---- keys ---- */

/* `hit` marks that the value's top token is what followed: the page's reader sees agreement without
 * counting. */
static void put_trigger(FILE *out, const inspection *x, const trigger *t, int32_t top, arena *a)
{
    fprintf(out, "<tr><td>%.3f</td><td class=t>", (double)t->coefficient);
    page_html_prefix(out, &x->text, t->token, a);
    fprintf(out, "</td><td class='t%s'>", t->next == top ? " hit" : "");
    page_html_token(out, &x->text, t->next);
    fputs("</td></tr>\n", out);
}

static void put_pattern(FILE *out, const key_pattern *p)
{
    fprintf(out, "last token shared by %.0f %%, last word by %.0f %%", 100 * p->gram[0],
            100 * p->word);
    for (int i = 0; i < PATTERN_WORDS && p->topics[i]; i++) {
        fputs(i ? ", <i>" : "; words: <i>", out);
        page_html_text(out, p->topics[i]);
        fprintf(out, "</i> (%.0f %%)", 100 * p->topic[i]);
    }
}

/* why: how it came to be shown. Patterns and values only where those parts were made; a reading of
 * a small vocabulary ends with -1. */
static void put_key(FILE *out, const inspection *x, const inspected_layer *l, int64_t memory,
                    const char *why, arena *a)
{
    int32_t top = l->values ? l->values[memory].tokens[0] : -1;
    fprintf(out, "<h3>%s, key %lld (%s)</h3>\n<div class=note>", l->layer->name, (long long)memory,
            why);
    if (l->patterns) put_pattern(out, &l->patterns[memory]);
    if (l->values) {
        fputs("<br>its value says", out);
        for (int i = 0; i < PAGE_TOKENS && l->values[memory].tokens[i] >= 0; i++) {
            fputc(' ', out);
            page_html_token(out, &x->text, l->values[memory].tokens[i]);
            fprintf(out, " %.3g", (double)l->values[memory].probabilities[i]);
        }
    }
    fputs("</div>\n<table>", out);
    for (int64_t i = 0; i < MIN(l->triggers.sizes[memory], (int32_t)PAGE_TRIGGERS); i++) {
        put_trigger(out, x, triggers_of(&l->triggers, memory) + i, top, a);
    }
    fputs("</table>\n", out);
}

/* The key whose value agrees with most of its triggers, then some at random: the first shows what
 * there is to find, the others what is usual. best stays -1 without agreements. */
static void put_keys(FILE *out, const inspection *x, const inspected_layer *l, arena *a)
{
    int64_t n = l->memories.count, *order = ARENA_NEW(a, int64_t, n), best = -1;
    rng_key key = {.seed = (uint64_t)x->task->loaded->seed, .place = rng_place(l->layer->name)};
    rng_permutation(order, n, key);
    for (int64_t i = 0; l->agreements && i < n; i++) {
        if (best < 0 || l->agreements[i].matches > l->agreements[best].matches) best = i;
    }
    int shown = 0;
    if (best >= 0) {
        put_key(out, x, l, best, "its value agrees with most triggers", a);
        shown++;
    }
    /* Keys that nothing triggered have nothing to show. */
    for (int64_t i = 0; i < n && shown < PAGE_KEYS; i++) {
        if (order[i] == best || l->triggers.sizes[order[i]] == 0) continue;
        put_key(out, x, l, order[i], "at random", a);
        shown++;
    }
}

/* What the figures are of: a page without it would be read as the paper's protocol. */
static void put_protocol(FILE *out, const inspection *x)
{
    const inspect_options *o = x->task->options;
    fprintf(out, "<p class=note>step %lld", (long long)x->task->loaded->step);
    if (x->text.tokens) {
        fprintf(out,
                "; triggers in %lld tokens of %s; shares of triggers with something in common are "
                "automatic statistics, no human labels; behind each trigger what came next, green "
                "where the value's top token says so",
                (long long)x->text.tokens, split_name((split_kind)o->split));
    }
    if (x->sample_text.tokens) {
        fprintf(out, "; %lld tokens of %s", (long long)x->sample_text.tokens,
                split_name((split_kind)o->sample_split));
    }
    if (x->sample_count) fprintf(out, ", %lld prefixes of them", (long long)x->sample_count);
    fputs("</p>\n", out);
}

/* The arena is emptied per layer: texts of prefixes are read for the page only. */
bool inspect_page(const inspection *x, const char *folder, const char *title, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, "inspect/index.html", e)) return false;
    text_memory m;
    FILE *out = text_begin(&m);
    fputs("<!doctype html><html lang=en><meta charset=utf-8><title>", out);
    page_html_text(out, title);
    fprintf(out, "</title><style>%s</style>\n<h1>", STYLE);
    page_html_text(out, title);
    fputs("</h1>\n", out);
    put_protocol(out, x);
    /* Parts are bits, in the order in which they are made. */
    for (int part = 1; part < INSPECT_ALL; part *= 2) {
        if (x->parts & part) put_part(out, x, part);
    }
    arena_auto *a = arena_new(0);
    page_reading_changes(out, x, a);
    page_reading_states(out, x, a);
    for (int l = 0; l < x->layer_count && x->text.tokens; l++) {
        arena_reset(a);
        fprintf(out, "<h2>%s</h2>\n", x->layers[l].layer->name);
        put_experts(out, x, &x->layers[l]);
        put_keys(out, x, &x->layers[l], a);
    }
    fputs("</html>\n", out);
    text_auto *text = text_end(&m);
    return file_write(path, text, m.bytes, e);
}
