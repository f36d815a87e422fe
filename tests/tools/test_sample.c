/* eval.sample: the text that a run writes after its final evaluation. */
#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SPEC[] =
    "data: {corpus: %s}\n"
    "model: {width: 8, context: 16, blocks: [{ffn: {hidden: 16}}, {attention: {heads: 2}}]}\n"
    "train: {budget: {steps: 4}, batch: 2}\n"
    "eval: {%s}\n";

static const char *spec(const char *data, const char *eval)
{
    char text[1024];
    int n = snprintf(text, sizeof text, SPEC, data, eval);
    corpora_write("x.yaml", text, n);
    return test_inside("x.yaml");
}

/* What `loci show` says from the sample on; the caller frees. */
static char *shown(const char *title)
{
    program_result r = LOCI("show", "x");
    const char *at = r.status == 0 ? strstr(r.out, "\nsample text") : NULL;
    EXPECT(r.status < 0 || at, "%s: no sample: %s%s", title, r.out, r.err);
    const char *end = at ? strstr(at, "\n\ncost") : NULL;
    return end ? strndup(at, (size_t)(end - at)) : strdup("");
}

/* The letters alone: bytes that are none are shown in other ways. */
static void only_letters(char *out, size_t bytes, const char *text)
{
    size_t n = 0;
    for (; *text && n + 1 < bytes; text++) {
        if ((*text | 32) >= 'a' && (*text | 32) <= 'z') out[n++] = *text;
    }
    out[n] = 0;
}

static void expect_generated(const char *sample, const char *generated)
{
    char a[256], b[256];
    const char *at = strstr(sample, "  | ");
    only_letters(a, sizeof a, at ? at : "");
    only_letters(b, sizeof b, generated);
    EXPECT(strlen(a) > 2 && strcmp(a, b) == 0, "'%s' and of generate '%s'", a, b);
}

static void written(void)
{
    static const char wanted[] = "rows: 2, sample: {prompt: \"a <b>\", tokens: 20}";
    char *text = corpora_text(1, 4000), *page;
    corpora_write("book.txt", text, -1);
    free(text);
    const char *data = "text, path: book.txt";
    program_result r =
        LOCI("run", spec(data, "rows: 2"), "--data", test_folder(), "--threads", "1");
    EXPECT(r.status <= 0, "%s", r.err);
    if (r.status != 0) return;
    EXPECT(!strstr(LOCI("show", "x").out, "sample text"), "nobody asked");
    /* A finished run writes it later, and is neither trained nor evaluated again. */
    r = LOCI("run", spec(data, wanted), "--data", test_folder());
    EXPECT(r.status == 0, "%s", r.err);
    char *late = shown("late");
    EXPECT(fake_ask(test_inside("out"), "SELECT count(*) FROM evaluation") == 1, "evaluations");
    EXPECT(strstr(late, "  | a <b>") && strstr(late, "20 tokens"), "%s", late);
    LOCI("report", "x", "--to", test_inside("page.html"));
    page = file_read(test_inside("page.html"), NULL, NULL);
    EXPECT(page && strstr(page, "<b>a &lt;b&gt;</b>"), "the page");
    free(page);
    r = LOCI("generate", "x", "--prompt", "a <b>", "--tokens", "20", "--seed", "1", "--data",
             test_folder());
    EXPECT(r.status == 0, "%s", r.err);
    expect_generated(late, r.out);
    LOCI("rm", "x");
    r = LOCI("run", spec(data, wanted), "--threads", "2", "--data", test_folder());
    EXPECT(r.status == 0, "%s", r.err);
    char *again = shown("two threads");
    EXPECT(strcmp(late, again) == 0, "of two threads:%s\nof one:%s", again, late);
    free(again);
    free(late);
}

/* Numbers that stand for ids: the prompt's last one and the first one drawn are two. */
static void apart(void)
{
    program_result r =
        LOCI("run", spec("markov, tokens: 2k, held_out: 1k", "rows: 2"), "--threads", "1");
    EXPECT(r.status <= 0, "%s", r.err);
    if (r.status != 0) return;
    r = LOCI("generate", "x", "--prompt", "3 1", "--tokens", "4");
    EXPECT(r.status == 0 && strncmp(r.out, "3 1 ", 4) == 0, "%s%s", r.out, r.err);
}

static void refused(void)
{
    program_result r = LOCI("check", spec("probe, task: copy", "sample: {prompt: a}"));
    EXPECT(r.status < 0 || (r.status == 2 && strstr(r.err, "x.yaml:4:") &&
                            strstr(r.err, "eval.sample: the corpus has no text")),
           "%d: %s", r.status, r.err);
    r = LOCI("check", spec("markov", "sample: yes"));
    EXPECT(r.status < 0 || (r.status == 2 && strstr(r.err, "is not a map")), "%s", r.err);
}

const test_suite test_sample = {
    "tools/sample", {{"written", written}, {"apart", apart}, {"refused", refused}, {0}}};
