#include "results/report/sample_view.h"

#include <string.h>

#include "core/base/text.h"
#include "results/report/html.h"
#include "results/store/query.h"

/* A sample is a text of a model's: it is shown as it is, and never taken for the program's own
 * words. */

/* A model writes whatever it likes, also what looks like the lines of this view: each of its lines
 * is marked. */
void sample_view_print(FILE *out, const json_t *sample)
{
    const char *prompt = json_get_text(sample, "prompt"), *text = json_get_text(sample, "text");
    /* Nothing was asked for, or the record lacks a part. */
    if (!prompt || !text) return;
    text_memory m;
    FILE *f = text_begin(&m);
    fprintf(f, "%s%s", prompt, text);
    text_auto *whole = text_end(&m);
    fprintf(out, "\nsample text, %lld tokens, seed %lld\n",
            (long long)json_get_int(sample, "tokens", 0),
            (long long)json_get_int(sample, "seed", 0));
    for (const char *line = whole; *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(out, "  | %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

/* What it was given is bold, what it wrote is not. pre-wrap: line breaks are the model's own, and
 * long lines still fit. */
static void put_sample(FILE *out, const char *label, const char *record)
{
    /* What is no JSON has neither prompt nor text, and shows nothing. */
    json_auto_t *sample = json_loads(record, 0, NULL);
    const char *prompt = json_get_text(sample, "prompt"), *text = json_get_text(sample, "text");
    if (!prompt || !text) return;
    fputs("<h3>", out);
    html_text(out, label);
    fputs("</h3>\n<pre style=\"white-space:pre-wrap\"><b>", out);
    html_text(out, prompt);
    fputs("</b>", out);
    html_text(out, text);
    fputs("</pre>\n", out);
}

/* Read one by one: samples are long, and the page takes them in order. */
bool sample_view_html(FILE *out, store *s, const comparison *c, err *e)
{
    bool any = false;
    for (int i = 0; i < c->count; i++) {
        query q = QUERY(s, e,
                        /* One seed's for each variant: a page is to give an impression, `loci show`
                         * has the others. */
                        "SELECT v.sample FROM plan p JOIN evaluation v USING (run) WHERE "
                        "p.experiment = ?1 AND p.label = ?2 AND v.final AND v.sample IS NOT NULL "
                        "ORDER BY p.position LIMIT 1",
                        c->experiment, c->variants[i].plan_label);
        while (query_next(&q)) {
            if (!any) html_element(out, "h2", "", "Sample text");
            any = true;
            put_sample(out, c->variants[i].label, query_peek(&q, "sample"));
        }
        if (!query_close(&q)) return false;
    }
    return true;
}
