/* The page about an experiment: complete, self-contained, escaped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "results/compare/compare_load.h"
#include "results/report/html.h"
#include "results/report/report.h"
#include "results/store/collect.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0.001, 842000, 51234, NULL, false},
    {"<b>long</b>", 0.039, 0.002, 942000, 40321, "failed", false}};

/* Pages without pictures ask for themselves again after so many seconds. */
enum { AGAIN = 7 };

/* Of what was written. The caller frees it. */
static char *page_of(const fake_experiment *x, const compare_options *how, const plot_report *plots)
{
    err e = {0};
    char *text = NULL;
    size_t bytes;
    store *s = collect_and_open(x->out, NULL, &e);
    arena *a = arena_new(0);
    comparison *c = s ? compare_load(a, s, x->name, how, &e) : NULL;
    FILE *f = open_memstream(&text, &bytes);
    const claims *stated = c ? claims_load(a, s, x->name, &e) : NULL;
    EXPECT(stated && report_write(f, s, c, stated, plots, plots ? 0 : AGAIN, &e), "%s", e.text);
    fclose(f);
    arena_free(a);
    store_close(s);
    return text;
}

static char *page(const plot_report *plots)
{
    const fake_experiment x = {test_folder(), "paged", 2, 3, 20, VARIANTS};
    err e = {0};
    fake_write(&x);
    char log[FILE_PATH_BYTES], id[17];
    fake_run_id(id, "paged", VARIANTS[1].label, 2);
    snprintf(log, sizeof log, "%s/runs/%s/log.txt", test_folder(), id);
    EXPECT(file_write(log, "last <words>\n", 13, &e), "%s", e.text);
    return page_of(&x, &(compare_options){0}, plots);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) {
        n++;
    }
    return n;
}

static void complete(void)
{
    char *text = page(NULL);
    static const char *const parts[] = {"Verdict",
                                        "Health",
                                        "Results",
                                        "Provenance",
                                        "Resolved specs",
                                        "<template data-name=\"LaTeX\">",
                                        "To make it again",
                                        "loci run x.yaml",
                                        "1 failed",
                                        "end of its log",
                                        "last &lt;words&gt;",
                                        "&lt;b&gt;long&lt;/b&gt;",
                                        "seems better than",
                                        "1 of 3 seeds has no result, which may be why.",
                                        "In the table below 1 run is without a result",
                                        "<meta http-equiv=\"refresh\" content=\"7\">",
                                        "5 of 6 runs done, 1 failed",
                                        "<nav></nav>"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        EXPECT(strstr(text, parts[i]), "no '%s'", parts[i]);
    }
    EXPECT(!strstr(text, "<b>") && !strstr(text, "<words>"), "text of a user is not escaped");
    EXPECT(!strstr(text, "src=\"http") && !strstr(text, "href=\"http"), "something is requested");
    char *again = page(NULL);
    EXPECT(strcmp(text, again) == 0, "the same results give another page");
    free(text);
    free(again);
}

/* What was claimed and what became of it comes first. */
static void claims_first(void)
{
    static const char text[] = "[{\"name\": \"gains\", \"says\": \"It <gains>\", \"better\": "
                               "\"long\", \"than\": \"short\"},"
                               " {\"name\": \"late\", \"better\": \"short\", \"than\": \"long\"}]";
    static const fake_variant own[] = {{"short", 0, 0.001, 842000, 51234, NULL, false},
                                       {"long", 0.039, 0.002, 842000, 51234, NULL, false}};
    const fake_experiment x = {test_folder(), "claimed", 2, 3, 20, own};
    fake_write(&x);
    fake_claim(&x, text, NULL, 0);
    char *page = page_of(&x, &(compare_options){0}, NULL);
    static const char *const parts[] = {
        "<h2>Claims</h2>", "<li class=\"better\">It &lt;gains&gt;. gains: holds: ",
        "<li class=\"worse\">late: fails: ", "AFTER THE FACT", "<h2>Verdict</h2>"};
    const char *at = page;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && at; i++) {
        const char *found = strstr(at, parts[i]);
        EXPECT(found, "no '%s' behind the parts before in %s", parts[i], page);
        at = found;
    }
    free(page);
}

/* How its variants were chosen stands in its title and beside the figures; its health is that of
 * all runs. */
static void chosen(void)
{
    static const fake_variant own[] = {
        {"short 1e-3", 0, 0.001, 842000, 51234, NULL, false},
        {"short 1e-2", -0.2, 0.001, 842000, 51234, "diverged", false},
        {"long 1e-3", 0.1, 0.001, 842000, 51234, NULL, false}};
    const fake_experiment x = {test_folder(), "tuned", 3, 3, 20, own};
    fake_write(&x);
    fake_axes(&x);
    char *text = page_of(&x, &(compare_options){.tune = "lr"}, NULL);
    static const char *const parts[] = {"<h1>tuned: validation split, lr tuned on validation</h1>",
                                        "for each variant the best of up to 2",
                                        "9 runs planned: 8 done, 0 failed, 1 diverged",
                                        "short 1e-2, seed 2: diverged", "Protocol: context 256"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        EXPECT(strstr(text, parts[i]), "no '%s' in %s", parts[i], text);
    }
    free(text);
}

/* Every element that is opened is closed. */
static void well_formed(void)
{
    static const char *const names[] = {"table", "thead", "tbody", "tr", "ul",   "li",
                                        "div",   "pre",   "h2",    "p",  "body", "html"};
    char *text = page(NULL), open[32], also[32], close[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(open, sizeof open, "<%s>", names[i]);
        snprintf(also, sizeof also, "<%s ", names[i]);
        snprintf(close, sizeof close, "</%s>", names[i]);
        int opened = count(text, open) + count(text, also), closed = count(text, close);
        EXPECT(opened == closed && opened > 0, "%s: %d opened, %d closed", names[i], opened,
               closed);
    }
    free(text);
}

/* The table has all of many variants; specs, the longest part, are those of the best ones. */
static void many_variants(void)
{
    enum { MANY_VARIANTS = 60 };
    static fake_variant many[MANY_VARIANTS];
    static char labels[MANY_VARIANTS][16];
    for (int i = 0; i < MANY_VARIANTS; i++) {
        snprintf(labels[i], sizeof labels[i], "v%d", i);
        many[i] = (fake_variant){labels[i], 0.01 * i, 0, 842000, 51234, NULL, false};
    }
    fake_experiment x = {test_folder(), "memory", MANY_VARIANTS, 1, 4, many};
    fake_write(&x);
    char *text = page_of(&x, &(compare_options){0}, NULL);
    EXPECT(text && count(text, "<td class=\"left\" data-v=\"v") == MANY_VARIANTS, "the table");
    EXPECT(count(text, "<details data-long><summary>v") == 24 && strstr(text, "<summary>v59<"),
           "specs");
    EXPECT(strstr(text, "Of the 60 variants the best 24, the baseline among them; loci show"),
           "not said");
    free(text);
}

/* Figures behind a name that is written from the right stay in their order; numbers within it have
 * no mark, and what is copied has none. */
static void from_right(void)
{
    text_memory m;
    FILE *out = text_begin(&m);
    html_element(out, "p", "", "\u05d0 1 \u05d1: 0.1, 0.2 to b");
    html_element(out, "pre", "", "\u05d0: 1");
    text_auto *text = text_end(&m);
    EXPECT(strcmp(text, "<p>\u05d0 1 \u05d1\u200E: 0.1, 0.2 to b</p>\n<pre>\u05d0: 1</pre>\n") == 0,
           "%s", text);
}

static void pictures(void)
{
    plot_report plots = {
        .count = 2, .files = {"a.png", "a.svg"}, .map = {"", "80 600 40 400 0 100 2 3 620 440"}};
    err e = {0};
    char path[FILE_PATH_BYTES];
    snprintf(plots.folder, sizeof plots.folder, "%s", test_folder());
    file_join(path, plots.folder, "a.svg", &e);
    EXPECT(file_write(path, "<svg/>", 6, &e), "%s", e.text);
    file_join(path, plots.folder, "a.gp", &e);
    static const char script[] =
        "set xlabel 'tokens'\nset ylabel 'loss '.\"\\047\".'bpb'.\"\\047\".''\n"
        "set label 1 'Line: mean over n seeds.' at 1\n";
    EXPECT(file_write(path, script, sizeof script - 1, &e), "%s", e.text);
    char *text = page(&plots);
    EXPECT(strstr(text, "data:image/svg+xml;base64,PHN2Zy8+\""), "no picture");
    EXPECT(count(text, "<img") == 1 && strstr(text, "alt=\"Line: mean over n seeds.\""),
           "no caption");
    EXPECT(strstr(text, "data-map=\"80 600 40 400 0 100 2 3 620 440\""), "no map");
    EXPECT(strstr(text, "loss 'bpb' by tokens"), "no title");
    EXPECT(strstr(text, "download=\"a.gp\""), "no script to take along");
    EXPECT(strstr(text, ".replace(/'\\.\"\\\\047\"\\.'/g,'\\x27')"), "quotes are not read back");
    EXPECT(strstr(text, "{figure{overflow-x:auto}figure img{max-width:none;"), "made to fit");
    free(text);
    static const char panels[] = "plot 0\nset multiplot layout 3,3 title 'm: how does each?'\n"
                                 "set title 'a variant'\n";
    EXPECT(file_write(path, panels, sizeof panels - 1, &e), "%s", e.text);
    text = page(&plots);
    EXPECT(strstr(text, "<figcaption>m: how does each?<a"), "panels: no title");
    EXPECT(!strstr(text, "http-equiv=\"refresh\""), "asks for itself for ever");
    free(text);
}

/* What is drawn has its map: curves lie within its values, and its pixels within the picture. */
static void maps(void)
{
    if (system("command -v gnuplot >/dev/null 2>&1") != 0) {
        test_skip("no gnuplot");
        return;
    }
    fake_experiment x = {test_folder(), "memory", 2, 3, 6, VARIANTS};
    fake_write_sliced(&x);
    err e = {0}, note = {0};
    plot_report r;
    store *s = collect_and_open(x.out, &note, &e);
    arena *a = arena_new(0);
    const comparison *c = s ? compare_load(a, s, x.name, &(compare_options){0}, &e) : NULL;
    const claims *stated = c ? claims_load(a, s, x.name, &e) : NULL;
    EXPECT(stated && plot_experiment(&r, s, c, stated, &(plot_how){x.out, true, false}, &e), "%s",
           e.text);
    int mapped = 0;
    for (int i = 0; c && i < r.count; i++) {
        double left, right, bottom, top, x0, x1, y0, y1, width, height;
        if (!r.map[i][0]) continue;
        mapped++;
        EXPECT(sscanf(r.map[i], "%lf %lf %lf %lf %lf %lf %lf %lf %lf %lf", &left, &right, &bottom,
                      &top, &x0, &x1, &y0, &y1, &width, &height) == 10,
               "%s: %s", r.files[i], r.map[i]);
        EXPECT(0 < left && left < right && right <= width && 0 < bottom && bottom < top &&
                   top <= height && x0 != x1 && y0 != y1,
               "%s: %s", r.files[i], r.map[i]);
        if (strcmp(r.files[i], "loss-tokens.svg") == 0) EXPECT(x0 == 0 && x1 > 1, "%s", r.map[i]);
    }
    EXPECT(mapped >= 4, "%d of %d pictures", mapped, r.count);
    arena_free(a);
    store_close(s);
}

/* ---- in a browser ---- */

/* Runs chromium on the page; what it printed (the caller frees it), NULL if there is none. */
static char *browse(const char *path, const char *what)
{
    char command[3 * FILE_PATH_BYTES];
    if (system("command -v chromium >/dev/null 2>&1") != 0) {
        test_skip("there is no chromium here (Debian: apt-get install chromium)");
        return NULL;
    }
    snprintf(command, sizeof command,
             "timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
             "--window-size=1280,1600 --user-data-dir=%s/profile %s file://%s 2>/dev/null",
             test_folder(), what, path);
    FILE *f = popen(command, "r");
    EXPECT(f, "%s", command);
    char *text = NULL, part[4096];
    size_t bytes, n;
    FILE *kept = open_memstream(&text, &bytes);
    while (f && (n = fread(part, 1, sizeof part, f)) > 0)
        fwrite(part, 1, n, kept);
    fclose(kept);
    int status = f ? pclose(f) : -1;
    EXPECT(status == 0, "chromium ended with status %d", status);
    return text;
}

/* The page with something to do before its end. */
static void write_page(char path[FILE_PATH_BYTES], const char *script)
{
    err e = {0};
    char *text = page(NULL), *all = NULL;
    char *end = strstr(text, "</body>");
    EXPECT(end, "the page has no end");
    if (end) *end = 0;
    EXPECT(asprintf(&all, "%s<script>%s</script></body></html>", text, script) > 0, "memory");
    file_join(path, test_folder(), "page.html", &e);
    EXPECT(file_write(path, all, strlen(all), &e), "%s", e.text);
    free(all);
    free(text);
}

/* A click on a title sorts, another one the other way round; a picture of it can be taken. */
static void in_a_browser(void)
{
    static const char sorts[] =
        "var t=document.querySelector('table.sortable'),said='';"
        "function first(){return t.tBodies[0].rows[0].cells[0].textContent}"
        "Array.from(t.querySelectorAll('th')).forEach(function(h){"
        "if(h.textContent.indexOf('bits/byte')!==0)return;"
        "h.click();said+='up:'+first()+'|'+h.getAttribute('aria-sort');"
        "h.click();said+=' down:'+first()});"
        "said+=' buttons:'+document.querySelectorAll('[data-copies] button').length;"
        "document.title=said;";
    char path[FILE_PATH_BYTES], what[FILE_PATH_BYTES], shot[FILE_PATH_BYTES];
    write_page(path, sorts);
    char *dom = browse(path, "--dump-dom");
    if (!dom) return;
    const char *title = strstr(dom, "<title>");
    static const char want[] = "<title>up:&lt;b&gt;long&lt;/b&gt;|ascending down:short (baseline) "
                               "buttons:3</title>";
    EXPECT(title && strncmp(title, want, strlen(want)) == 0, "%.200s", title ? title : dom);
    free(dom);
    file_join(shot, test_folder(), "page.png", NULL);
    snprintf(what, sizeof what, "--screenshot=%.1000s", shot);
    free(browse(path, what));
    size_t bytes = 0;
    char *png = file_read(shot, &bytes, NULL);
    EXPECT(png && bytes > 20000 && memcmp(png, "\x89PNG", 4) == 0, "%zu bytes", bytes);
    free(png);
}

const test_suite test_report = {"results/report",
                                {{"complete", complete},
                                 {"claims_first", claims_first},
                                 {"chosen", chosen},
                                 {"well_formed", well_formed},
                                 {"many_variants", many_variants},
                                 {"from_right", from_right},
                                 {"pictures", pictures},
                                 {"maps", maps},
                                 {"in_a_browser", in_a_browser},
                                 {0}}};
