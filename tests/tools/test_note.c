/* Notes and tags: kept, shown, found, taken along. */
#include "core/base/file.h"
#include "harness/run/notes.h"
#include "tests/support/fake_results.h"
#include "tests/support/program.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

static const fake_variant VARIANTS[] = {{"short", 0, 0.01, 1500000, 51234, NULL, false},
                                        {"long", 0.04, 0.005, 1600000, 40000, NULL, false}};

static fake_experiment results(const char *out)
{
    const fake_experiment x = {test_inside(out), "noted", 2, 2, 5, VARIANTS};
    fake_write(&x);
    return x;
}

static void expect(program_result r, const char *with, const char *without)
{
    EXPECT(r.status <= 0, "%d: %s", r.status, r.err);
    EXPECT(r.status < 0 || !with || strstr(r.out, with), "no '%s' in:\n%s", with, r.out);
    EXPECT(r.status < 0 || !without || !strstr(r.out, without), "'%s' in:\n%s", without, r.out);
}

static void kept(void)
{
    const fake_experiment x = results("out");
    LOCI("note", "noted/long/2", "a <b> word\nsecond line", "--tag", "odd", "--tag", "paper");
    LOCI("note", "noted/long/2", "--untag", "odd");
    LOCI("note", "noted", "of them all");
    expect(LOCI("note", "noted/long/2"), "a <b> word\n                       | second line", "odd");
    expect(LOCI("show", "noted/long/2"), "of noted: of them all", "odd");
    expect(LOCI("show", "noted/long/1"), "of noted: of them all", "second");
    expect(LOCI("show", "noted/long/2", "--json"), "\"tag\": \"paper\"", "\"odd\"");
    expect(LOCI("ls", "--search", "WORD"), "long", "short");
    expect(LOCI("ls", "--search", "pap"), "paper", "short");
    expect(LOCI("ls", "--search", "odd"), NULL, "noted");
    expect(LOCI("ls", "--search", "them all"), "short", NULL);
    expect(LOCI("report", "noted", "--to", test_inside("page.html")), NULL, NULL);
    text_auto *page = file_read(test_inside("page.html"), NULL, NULL);
    EXPECT(!page || (strstr(page, "a &lt;b&gt; word") && !strstr(page, "<b>")), "the page");
    /* A line that was cut short spoils no other, and no result. */
    fake_append(&x, 1, 2, NOTES_FILE, "{\"at\": \"2026-");
    LOCI("note", "noted/long/2", "behind it");
    expect(LOCI("show", "noted/long/2"), "behind it", NULL);
    expect(LOCI("show", "noted/long/2"), "bits per byte", "interrupted");
}

static void refused(void)
{
    static const char *const calls[][4] = {
        {"noted", ""},           {"noted", "\xff"},          {"noted", "--tag", "two words"},
        {"noted", "--tag", ","}, {"noted", "--untag", "-x"}, {"other", "text"},
        {"noted/long", "text"}};
    results("out");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        program_result r = LOCI("note", calls[i][0], calls[i][1], calls[i][2], calls[i][3]);
        EXPECT(r.status < 0 || (r.status == 2 && r.err[0]), "call %zu: %d %s", i, r.status, r.err);
    }
    EXPECT(!file_exists(test_inside("out/experiments/noted.notes.jsonl")), "something was written");
}

/* What is written is about one run; who reads is told which of several it is. */
static void of_one(void)
{
    results("out");
    program_result r = LOCI("note", "noted/long", "text");
    EXPECT(r.status < 0 || strstr(r.err, "2 runs are called so"), "%d %s", r.status, r.err);
    r = LOCI("show", "noted/long");
    EXPECT(r.status <= 0 && (r.status < 0 || strstr(r.err, "the first of 2 runs")), "%d %s",
           r.status, r.err);
    r = LOCI("show", "noted/long/2");
    EXPECT(r.status <= 0 && !r.err[0], "%d %s", r.status, r.err);
    LOCI("note", "noted/long/1", "text");
    expect(LOCI("show", "noted/long/1"), "text", NULL);
}

/* A stranger's words keep within their lines. */
static void strange(void)
{
    const fake_experiment x = results("out");
    fake_append(&x, 0, 1, NOTES_FILE,
                "{\"at\": \"2026\", \"note\": \"one\\u001b[2J\\nstatus done\"}\nnonsense\n");
    expect(LOCI("show", "noted/short/1"), "| status done", "\033");
}

static void taken_along(void)
{
    results("out");
    results("other");
    LOCI("note", "noted", "here");
    LOCI("note", "noted/short/1", "here, too");
    LOCI("note", "noted", "there", "--tag", "theirs", "--out", test_inside("other"));
    LOCI("note", "noted/short/1", "there, too", "--out", test_inside("other"));
    for (int times = 0; times < 2; times++) {
        EXPECT(LOCI("merge", test_inside("other")).status <= 0, "merge");
        expect(LOCI("note", "noted"), "here\n", NULL);
        expect(LOCI("note", "noted"), "theirs", NULL);
        program_result r = LOCI("note", "noted/short/1");
        const char *once = r.status < 0 ? NULL : strstr(r.out, "there, too");
        EXPECT(r.status < 0 || (once && !strstr(once + 1, "there, too")), "%s", r.out);
        expect(r, "here, too", NULL);
    }
    EXPECT(LOCI("mv", "noted", "renamed").status <= 0, "mv");
    expect(LOCI("note", "renamed"), "theirs", NULL);
    EXPECT(LOCI("rm", "renamed").status <= 0, "rm");
    EXPECT(!file_exists(test_inside("out/experiments/renamed.notes.jsonl")), "the notes are there");
}

const test_suite test_note = {"tools/note",
                              {{"kept", kept},
                               {"refused", refused},
                               {"of one", of_one},
                               {"strange", strange},
                               {"taken along", taken_along},
                               {0}}};
