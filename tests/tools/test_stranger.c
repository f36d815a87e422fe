/* Specs and folders of results from a stranger: what is printed of them does nothing, nothing is
 * written outside of the folder, no program is run, nothing is waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/support/draw.h"
#include "tests/support/fake_results.h"
#include "tests/support/hostile.h"
#include "tests/support/program.h"
#include "tests/support/stranger.h"
#include "tests/test.h"

/* ---- what is printed ---- */

static const fake_variant VARIANTS[] = {{"short", 0, 0.001, 842000, 51234, NULL, false},
                                        {"long", 0.04, 0.001, 842000, 40321, "failed", false},
                                        {"other", 0.01, 0.002, 842000, 30123, "diverged", false}};

static void write_hostile(const char *out, const char *name, bool hostile)
{
    const fake_experiment x = {out, name, 3, 3, 5, VARIANTS};
    err e = {0};
    fake_write(&x);
    fake_append(&x, 1, 2, "log.txt", "last words" HOSTILE_END "\n");
    EXPECT(file_write(test_inside("spec.yaml"), "name: x\n", 8, &e), "%s", e.text);
    if (hostile) hostile_write(out);
}

/* No control character but ends of lines and tabs, no turn of direction. */
static void expect_tame(const char *what, const char *text)
{
    EXPECT(!strstr(text, "\xc2\x9b") && !strstr(text, "\xe2\x80\xae"), "%s: %s", what, text);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        bool tame = (*c >= 0x20 && *c != 0x7f) || *c == '\n' || *c == '\t' || *c == '\r';
        EXPECT(tame, "%s: a character %d before '%.40s'", what, *c, (const char *)c + 1);
        if (!tame) return;
    }
}

static void printed(void)
{
    static const char *const calls[][6] = {{"ls"},
                                           {"ls", "x"},
                                           {"ls", "--format", "markdown"},
                                           {"ls", "--format", "csv"},
                                           {"ls", "--format", "json"},
                                           {"status"},
                                           {"status", "x"},
                                           {"compare", "x"},
                                           {"compare", "x", "--format", "md"},
                                           {"compare", "x", "--format", "latex"},
                                           {"compare", "x", "--format", "csv"},
                                           {"claims", "x"},
                                           {"show", "x/short/1"},
                                           {"show", "x" HOSTILE_END},
                                           {"diff", "x/a/1", "x/b/1"},
                                           {"export", "x", "--what", "runs"},
                                           {"export", "x", "--what", "metrics"},
                                           {"export", "x", "--what", "documents"},
                                           {"export", "x", "--format", "markdown"},
                                           {"export", "x", "--format", "latex"},
                                           {"compare", "x", "--where", "kind=" HOSTILE_END},
                                           {"run", "no" HOSTILE_END ".yaml"},
                                           {"check", "h.yaml"},
                                           {"no" HOSTILE_END},
                                           {"complete", "show", "x/"}};
    write_hostile(test_inside("out"), "x", true);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        program_result r = program_run(calls[i]);
        EXPECT(r.status < 4, "%s %s: %d", calls[i][0], calls[i][1], r.status);
        expect_tame(calls[i][0], r.out);
        expect_tame(calls[i][0], r.err);
    }
    char id[17], path[64];
    fake_run_id(id, "x", "long", 2);
    snprintf(path, sizeof path, "%.10s", id);
    program_result r = LOCI("show", path);
    EXPECT(r.status == 0 && strstr(r.out, "\u241b[2J"), "%s%s", r.out, r.err);
    expect_tame("show", r.out);
}

/* What is said about a stranger's words holds no line that he wrote: of errors each is one line,
 * and tables have a line a row. Elsewhere texts may have several (CSV quotes them). */
static void forged_lines(void)
{
    static const char *const calls[][8] = {
        {"status"},
        {"status", "x"},
        {"ls", "x"},
        {"compare", "x"},
        {"compare", "x", "--format", "md"},
        {"claims", "x"},
        {"show", "x/short/1"},
        {"show", "x" HOSTILE_END},
        {"compare", "x", "--where", "kind=" HOSTILE_END},
        {"run", "no" HOSTILE_END ".yaml"},
        {"run", "--no" HOSTILE_END},
        {"check", "--set", "a" HOSTILE_END, "h.yaml"},
        {"collect", "--out", "no" HOSTILE_END},
        {"merge", "no" HOSTILE_END},
        {"rm", "x" HOSTILE_END},
        {"eval", "x" HOSTILE_END, "--data", "y" HOSTILE_END},
        {"data", "no" HOSTILE_END},
        {"mv", "x", "y" HOSTILE_END},
        {"note", "x" HOSTILE_END, "text"},
        {"note", "x", "text" HOSTILE_END},
        {"note", "x"},
        {"stop", "x" HOSTILE_END},
        {"inspect", "x" HOSTILE_END},
        {"generate", "x" HOSTILE_END},
        {"report", "x" HOSTILE_END},
        {"plot", "x", "--metric", "y" HOSTILE_END},
        {"recall", "x" HOSTILE_END},
        {"diff", "x" HOSTILE_END, "x"},
        {"layers", "no" HOSTILE_END},
        {"bench", "no" HOSTILE_END ".yaml"},
        {"import", "checkpoint", "no" HOSTILE_END},
        {"export", "x", "--format", "tensorboard", "--to", "to" HOSTILE_END},
        {"worker", "no" HOSTILE_END},
        {"no" HOSTILE_END}};
    write_hostile(test_inside("out"), "x", true);
    stranger_put("h.yaml", "name: x\n");
    stranger_put("out/experiments/x.notes.jsonl",
                 "{\"at\": \"2026\\n" HOSTILE_LINE "\", \"note\": \"a\\n" HOSTILE_LINE "\"}\n"
                 "{\"at\": \"2026\", \"tag\": \"b\\n" HOSTILE_LINE "\"}\n");
    /* Words that are paths lead to the case's folder, the program's own does not. */
    char here[FILE_PATH_BYTES];
    const char *program = test_program();
    if (!program) return;
    setenv("LOCI_PROGRAM", program, 1);
    EXPECT(getcwd(here, sizeof here) && chdir(test_folder()) == 0, "%s", test_folder());
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        program_result r = program_run(calls[i]);
        EXPECT(!strstr(r.out, "\n" HOSTILE_LINE), "%s: %s", calls[i][0], r.out);
        EXPECT(!strstr(r.err, "\n" HOSTILE_LINE), "%s: %s", calls[i][0], r.err);
    }
    EXPECT(chdir(here) == 0, "%s", here);
}

/* An error about a spec says its words, too. */
static void printed_of_a_spec(void)
{
    static const char *const texts[] = {"\"a\\x1b[2Jb\": 1\n",
                                        "data: {corpus: \"\\e]0;x\\a\"}\n",
                                        "name: \"a\\u009bb\"\n",
                                        "sweep: {grid: {optimizer.lr: [\"\\x1b[2J\"]}}\n",
                                        "model: {blocks: [{\"\\x1b[1A\": 1}]}\n",
                                        "x: \x1b[2J\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        stranger_put("h.yaml", texts[i]);
        program_result r = LOCI("check", test_inside("h.yaml"));
        EXPECT(r.status == 2 && r.err[0], "%s: %d: %s", texts[i], r.status, r.err);
        expect_tame(texts[i], r.err);
        expect_tame(texts[i], r.out);
    }
}

/* Cells that a spreadsheet would compute: none, and numbers stay numbers. */
static void formulas(void)
{
    write_hostile(test_inside("out"), "x", true);
    static const char *const calls[][6] = {{"export", "x", "--what", "runs"},
                                           {"export", "x", "--what", "documents"},
                                           {"compare", "x", "--format", "csv"},
                                           {"ls", "--format", "csv"}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        program_result r = program_run(calls[i]);
        bool begins = true, quoted = false;
        EXPECT(strstr(r.out, "\"\"\"=1+1|"), "%s: no text: %s", calls[i][1], r.out);
        for (const char *c = r.out; *c; c++) {
            const char *cell = begins && *c == '"' ? c + 1 : c;
            char *end;
            strtod(cell, &end);
            bool formula = begins && strchr("=+-@\t\r", *cell) && !strchr(",\n", *end);
            EXPECT(!formula, "%s: a cell %.40s", calls[i][1], cell);
            if (*c == '"') quoted = !quoted;
            begins = !quoted && (*c == ',' || *c == '\n');
        }
    }
}

static int count(const char *text, char c)
{
    int n = 0;
    for (; *text; text++) {
        n += *text == c;
    }
    return n;
}

/* The page is made of the same elements, whatever the texts are. */
static void page(void)
{
    int of[2][3];
    static const char marks[] = "<>\"";
    for (int hostile = 0; hostile < 2; hostile++) {
        const char *out = test_inside(hostile ? "out" : "tame");
        write_hostile(out, "x", hostile);
        program_result r = LOCI("report", "x", "--no-plots", "--out", out);
        EXPECT(r.status == 0, "%s", r.err);
        char *text = file_read(test_inside(hostile ? "out/reports/x.html" : "tame/reports/x.html"),
                               NULL, NULL);
        for (int i = 0; text && i < 3; i++) {
            of[hostile][i] = count(text, marks[i]);
        }
        EXPECT(text && (!hostile || strstr(text, "&lt;script&gt;alert(1)")),
               "no texts on the page");
        EXPECT(text && !strstr(text, "\xe2\x80\xae"), "a turn of direction");
        free(text);
    }
    for (int i = 0; i < 3; i++) {
        EXPECT(of[0][i] == of[1][i], "%c: %d, with a stranger's texts %d", marks[i], of[0][i],
               of[1][i]);
    }
}

/* Pictures are drawn by another program, whose language has commands. */
static void drawn(void)
{
    write_hostile(test_inside("out"), "x", true);
    program_result r = LOCI("plot", "x", "--svg");
    if (strstr(r.err, "cannot be started")) {
        test_skip("gnuplot is not installed");
        return;
    }
    EXPECT(r.status == 0, "%s", r.err);
    EXPECT(!file_exists(test_inside("owned")) && !file_exists(test_inside("out/plots/x/owned")) &&
               !file_exists("owned"),
           "a command ran");
    arena *a = arena_new(1 << 14);
    const char *const *names = NULL;
    int64_t n = 0, svg = 0;
    file_list(test_inside("out/plots/x"), a, &names, &n, NULL);
    for (int64_t i = 0; i < n; i++) {
        char name[300];
        if (!strstr(names[i], ".svg")) continue;
        snprintf(name, sizeof name, "out/plots/x/%s", names[i]);
        char *text = file_read(test_inside(name), NULL, NULL);
        EXPECT(text && !strstr(text, "<script") && !strstr(text, "<img") &&
                   !strstr(text, "<svg on") && !strstr(text, "\xe2\x80\xae"),
               "%s", names[i]);
        free(text);
        svg++;
    }
    EXPECT(svg > 0, "no pictures");
    arena_free(a);
}

/* A program in the folder of the pictures, and "." in PATH before the system's: what a name means
 * is decided where the user is. */
static void program_beside_pictures(void)
{
    static const char *const HERE[] = {".", ""}; /* an empty part of PATH means the same */
    write_hostile(test_inside("out"), "x", false);
    if (strstr(LOCI("plot", "x", "--svg").err, "cannot be started")) {
        test_skip("gnuplot is not installed");
        return;
    }
    for (int i = 0; i < 2; i++) {
        stranger_put("out/plots/x/gnuplot", "#!/bin/sh\ntouch owned\n");
        EXPECT(chmod(test_inside("out/plots/x/gnuplot"), 0755) == 0, "a program");
        test_path(HERE[i]);
        program_result r = LOCI("plot", "x", "--svg");
        test_path(NULL);
        EXPECT(r.status == 0 && !file_exists(test_inside("out/plots/x/owned")), "%s", r.err);
    }
}

/* ---- what is written ---- */

/* A folder that a link leads to: what is in it stays, and nothing comes. */
static void put_victim(void)
{
    file_remove_tree(test_inside("victim"), NULL);
    stranger_put("victim/file", "mine\n");
    stranger_put("victim/model-1.safetensors", "mine\n");
    stranger_put("victim/x/x.gp", "# Made by loci plot. mine\n");
}

static void expect_untouched(const char *what)
{
    static const char *const files[] = {"victim/file", "victim/model-1.safetensors",
                                        "victim/x/x.gp"};
    int64_t n = 0;
    arena *a = arena_new(1 << 14);
    const char *const *names;
    for (int i = 0; i < 3; i++) {
        char *text = file_read(test_inside(files[i]), NULL, NULL);
        EXPECT(text && strstr(text, "mine\n"), "%s: %s: %s", what, files[i], text ? text : "gone");
        free(text);
    }
    EXPECT(file_list(test_inside("victim"), a, &names, &n, NULL) && n == 3,
           "%s: %d names in the folder", what, (int)n);
    EXPECT(file_list(test_inside("victim/x"), a, &names, &n, NULL) && n == 1, "%s: %d names in x",
           what, (int)n);
    arena_free(a);
}

/* Everything that writes: into a run's folder, and beside the runs. */
static void call_all(bool of_run)
{
    static const char *const inner[][5] = {
        {"gc"}, {"eval", "x", "--keep"}, {"inspect", "x"}, {"rm", "x"}, {NULL}};
    static const char *const outer[][5] = {{"plot", "x", "--svg"},
                                           {"report", "x", "--no-plots"},
                                           {"export", "x", "--format", "tensorboard"},
                                           {"mv", "x", "y"},
                                           {NULL}};
    LOCI("run", test_inside("x.yaml"));
    if (of_run) LOCI("merge", test_inside("out"), "--out", test_inside("other"));
    for (int i = 0; (of_run ? inner : outer)[i][0]; i++) {
        program_run((of_run ? inner : outer)[i]);
    }
}

static void links(void)
{
    static const struct {
        const char *at, *to;
        bool of_run;
    } list[] = {{"out/runs", "victim", false},
                {"out/experiments", "victim", false},
                {"out/reports", "victim", false},
                {"out/plots", "victim", false},
                {"out/tensorboard", "victim", false},
                {"out/loci.db", "victim/new", false},
                {"out/loci.db.lock", "victim/new", false},
                {"out/experiments/x.json", "victim/file", false},
                {"out/experiments/x.lock", "victim/new", false},
                {"", "victim", true},
                {"metrics.jsonl", "victim/file", true},
                {"log.txt", "victim/file", true},
                {"lock", "victim/file", true},
                {"checkpoint", "victim", true},
                {"inspect", "victim", true}};
    stranger_run();
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char at[FILE_PATH_BYTES], status[FILE_PATH_BYTES];
        if (!drawn_if_slow("links", list[i].at)) continue;
        put_victim();
        if (list[i].of_run) stranger_run();
        snprintf(status, sizeof status, "%s",
                 list[i].of_run ? stranger_path("status.json") : "none");
        snprintf(at, sizeof at, "%s",
                 test_inside(list[i].of_run ? stranger_path(list[i].at) : list[i].at));
        file_remove(test_inside(status), NULL); /* it is to go on */
        file_remove_tree(at, NULL);
        EXPECT(symlink(test_inside(list[i].to), at) == 0, "%s", at);
        call_all(list[i].of_run);
        expect_untouched(list[i].at);
        file_remove_tree(test_inside("other"), NULL);
        file_remove(at, NULL);
    }
}

/* An id is no path, whoever says it. */
static void ids(void)
{
    static const char *const bad[] = {"../../victim", "..", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_victim();
        stranger_run();
        json_t *x = json_read(test_inside("out/experiments/x.json"), NULL);
        json_t *run = json_array_get(json_object_get(x, "runs"), 0);
        json_object_set_new(run, "run", json_string(bad[i]));
        json_write(test_inside("out/experiments/x.json"), x, NULL);
        json_decref(x);
        LOCI("gc");
        LOCI("eval", "x");
        LOCI("rm", "x");
        expect_untouched(bad[i]);
        EXPECT(file_is_folder(test_inside("out/runs")) && file_is_folder(test_folder()), "'%s'",
               bad[i]);
    }
}

/* An experiment's name becomes those of files. */
static void names(void)
{
    static const char *const bad[] = {"../y", "/tmp/y", "a/b", "..", "a\033b", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        file_remove_tree(test_inside("out"), NULL);
        write_hostile(test_inside("out"), "x", false);
        json_t *x = json_read(test_inside("out/experiments/x.json"), NULL);
        json_object_set_new(x, "name", json_string(bad[i]));
        json_write(test_inside("out/experiments/x.json"), x, NULL);
        json_decref(x);
        program_result r = LOCI("report", "--no-plots");
        EXPECT(r.status != 0 && strstr(r.err, "name"), "'%s': %d: %s", bad[i], r.status, r.err);
        EXPECT(!file_exists(test_inside("y.html")) && !file_exists(test_inside("out/y.html")), "%s",
               bad[i]);
    }
}

/* ---- what is waited for, and read ---- */

enum { SPARSE_GIB = 3 };

static void put_odd(const char *path, int kind)
{
    file_remove_tree(path, NULL);
    if (kind == 0) EXPECT(mkfifo(path, 0600) == 0, "%s", path);
    if (kind == 1) EXPECT(symlink("/dev/zero", path) == 0, "%s", path);
    if (kind < 2) return;
    FILE *f = fopen(path, "w");
    EXPECT(f && ftruncate(fileno(f), (off_t)SPARSE_GIB << 30) == 0, "%s", path);
    if (f) fclose(f);
}

static void odd_specs(void)
{
    static const char *const specs[] = {
        "extends: odd\n", "extends: [odd]\n",
        "data: {corpus: text, path: odd}\nmodel: {width: 8, context: 8, blocks: [{ffn: {hidden: "
        "8}}]}\ntrain: {budget: {steps: 1}, batch: 1}\n",
        "data: {corpus: text, path: x.yaml, tokenizer: odd}\nmodel: {width: 8, context: 8, blocks: "
        "[{ffn: {hidden: 8}}]}\ntrain: {budget: {steps: 1}, batch: 1}\n"};
    stranger_put("x.yaml", STRANGER_SPEC);
    for (int kind = 0; kind < 3; kind++) {
        put_odd(test_inside("odd"), kind);
        program_result r = LOCI("run", test_inside("odd"));
        EXPECT(r.status == 2 && r.err[0], "a spec: kind %d: %d: %s", kind, r.status, r.err);
        for (int i = 0; i < 4; i++) {
            if (kind == 2 && i > 1) continue; /* a text of that size is no fault */
            stranger_put("s.yaml", specs[i]);
            r = LOCI("run", test_inside("s.yaml"), "--data", test_folder());
            EXPECT((r.status == 1 || r.status == 2) &&
                       strstr(r.err, kind == 1 && i > 1 ? "/dev/zero" : "odd"),
                   "%s: kind %d: %d: %s", specs[i], kind, r.status, r.err);
        }
    }
}

static void odd_runs(void)
{
    static const char *const files[] = {
        "plan.json",   "run.json",   "status.json", "final.json", "metrics.jsonl",
        "evals.jsonl", "speed.json", "log.txt",     "lock",       "checkpoint/manifest.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        stranger_run();
        for (int kind = 0; kind < (i % 5 == 4 ? 3 : 1); kind++) {
            put_odd(test_inside(stranger_path(files[i])), kind);
            program_result r = LOCI("ls");
            EXPECT(r.status < 2, "ls: %s: kind %d: %d: %s", files[i], kind, r.status, r.err);
            if (kind > 0) continue;
            r = LOCI("run", test_inside("x.yaml"));
            EXPECT(r.status < 128, "run: %s: kind %d: %d: %s", files[i], kind, r.status, r.err);
        }
    }
}

const test_suite test_stranger = {"tools/stranger",
                                  {{"forged lines", forged_lines},
                                   {"printed", printed},
                                   {"printed of a spec", printed_of_a_spec},
                                   {"formulas", formulas},
                                   {"page", page},
                                   {"drawn", drawn},
                                   {"program beside pictures", program_beside_pictures},
                                   {"links", links},
                                   {"ids", ids},
                                   {"names", names},
                                   {"odd specs", odd_specs},
                                   {"odd runs", odd_runs},
                                   {0}}};
