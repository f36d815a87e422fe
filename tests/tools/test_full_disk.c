/* Exports and imports on a full disk, with a call that fails, and killed: what stands under its
 * final name is whole, the words name the reason and the place, and the same command then goes on
 * to the same end. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/support/draw.h"
#include "tests/support/faults.h"
#include "tests/support/tiny_sweep.h"
#include "tests/test.h"

/* A command that makes the folder `made`. `calm` is what it makes undisturbed, `before` what was
 * there before: an empty folder, or an older one of its kind. */
typedef struct making {
    fault_plan *plan;
    const char *const *words;
} making;

/* Runs shell commands in test_folder(); true if they end well. */
static bool __attribute__((format(printf, 1, 2))) shell(const char *format, ...)
{
    char script[2048], command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(script, sizeof script, format, args);
    va_end(args);
    snprintf(command, sizeof command, "cd '%.1000s' && { %s; }", test_folder(), script);
    return system(command) == 0;
}

static void begin_again(void)
{
    EXPECT(shell("rm -rf made cache && cp -a before made"), "the folder of before");
}

/* Whatever has its final name is whole, and what says that the folder is complete tells the
 * truth. */
static void expect_whole(const char *what)
{
    EXPECT(shell("cd made && find . -type f ! -name '*.tmp.*' ! -name corpus.unfinished.json | "
                 "while read -r f; do cmp -s \"$f\" ../calm/\"$f\" || cmp -s \"$f\" "
                 "../before/\"$f\" || echo \"$f\"; done >../parts; ! [ -s ../parts ]"),
           "%s: there are parts of files", what);
    EXPECT(shell("! [ -e made/corpus.json ] || ! diff -rq made calm | grep -qv '^Only in made' || "
                 "! diff -rq made before | grep -qv '^Only in made'"),
           "%s: its corpus.json tells of other shards", what);
}

/* A checkpoint's files may have other names where one was there already. */
static void expect_same_end(const char *what)
{
    EXPECT(shell("diff -rq -x '*.tmp.*' -x manifest.json -x '*.safetensors' made calm && "
                 "for x in made calm; do find $x -name '*.safetensors' -exec cat {} + >$x.model; "
                 "done; cmp made.model calm.model"),
           "after %s: another end", what);
}

/* One line that says why and where. */
static void expect_words(const fault_plan *p, program_result r)
{
    const char *end = strchr(r.err, '\n');
    bool begins = strncmp(r.err, "loci: /", 7) == 0 && strstr(r.err, test_folder()) == r.err + 6;
    EXPECT(r.status == 1 && strstr(r.err, strerror(p->error)) && begins && end && !end[1],
           "%s: %d: %s", p->failed, r.status, r.err);
}

static void fail_calls(const making *m, fault_kind kind, int error, bool stays)
{
    fault_plan *p = m->plan;
    char of[64];
    snprintf(of, sizeof of, "%.16s %d %d", m->words[0], kind, stays);
    if (!drawn_if_slow("full_disk", of)) return;
    for (p->at = 1;; p->at += (faults_stride() + 11) / 12) {
        char what[sizeof p->failed];
        begin_again();
        p->kind = kind;
        p->error = error;
        p->stays = stays;
        program_result r = faults_run(p, m->words);
        p->kind = FAULT_NONE;
        memcpy(what, p->failed, sizeof what);
        if (!what[0]) break;
        if (r.status != 0 && kind != FAULT_KILL) expect_words(p, r);
        expect_whole(what);
        r = program_run(m->words);
        EXPECT(r.status == 0, "after %s: %d: %s", what, r.status, r.err);
        expect_same_end(what);
    }
}

/* words: with test_inside("made") in them. older: those that made what is there before, into
 * `made`, too; NULL: nothing is. */
static void make_disturbed(const char *const *words, const char *const *older)
{
    making m = {faults_new(), words};
    if (!m.plan) return;
    program_result r = older ? program_run(older) : program_run(words);
    EXPECT(r.status == 0, "%s", r.err);
    EXPECT(shell(older ? "mv made before" : "mv made calm; mkdir before"), "the folder");
    if (older) {
        begin_again();
        r = program_run(words);
        EXPECT(r.status == 0 && shell("mv made calm"), "%s", r.err);
    }
    fail_calls(&m, FAULT_WRITE, ENOSPC, true);
    fail_calls(&m, FAULT_WRITE, EIO, false);
    fail_calls(&m, FAULT_KILL, 0, false);
}

static const char *text_file(const char *name, uint64_t seed, int64_t bytes)
{
    char *text = corpora_text(seed, bytes);
    corpora_write(name, text, -1);
    free(text);
    return test_inside(name);
}

static void exported(void)
{
    char data[FILE_PATH_BYTES + 64], made[FILE_PATH_BYTES];
    snprintf(made, sizeof made, "%s", test_inside("made"));
    snprintf(data, sizeof data, "{corpus: text, path: %s}", text_file("a.txt", 1, 4000));
    make_disturbed((const char *const[]){"data", "prepare", data, "--export", made, NULL}, NULL);
}

/* The older one has the same names, and one that the new one does not write. */
static void exported_over_an_older_one(void)
{
    char data[FILE_PATH_BYTES + 64], old[FILE_PATH_BYTES + 64], made[FILE_PATH_BYTES];
    snprintf(made, sizeof made, "%s", test_inside("made"));
    snprintf(data, sizeof data, "{corpus: text, path: %s, test: 0}", text_file("a.txt", 1, 4000));
    snprintf(old, sizeof old, "{corpus: text, path: %s}", text_file("b.txt", 2, 3000));
    make_disturbed((const char *const[]){"data", "prepare", data, "--export", made, NULL},
                   (const char *const[]){"data", "prepare", old, "--export", made, NULL});
}

static void imported(void)
{
    static const char dict[] = "tests/vectors/brt/a2b-two-reads-one-layer/weights.safetensors";
    char made[FILE_PATH_BYTES];
    snprintf(made, sizeof made, "%s", test_inside("made"));
    if (!file_exists(dict)) {
        test_skip("no state dict: the tests run in the repository's root");
        return;
    }
    const char *const words[] = {"import",
                                 "brt-pytorch",
                                 dict,
                                 "--block",
                                 "8",
                                 "--read",
                                 "2",
                                 "--read",
                                 "2",
                                 "--corpus",
                                 "{corpus: markov, symbols: 40, tokens: 2k, held_out: 400}",
                                 "--to",
                                 made,
                                 NULL};
    make_disturbed(words, NULL);
}

/* What was made of it is an edited model, too. */
static void imported_again(void)
{
    char made[FILE_PATH_BYTES], from[FILE_PATH_BYTES];
    static const char dict[] = "tests/vectors/brt/a2b-two-reads-one-layer/weights.safetensors";
    if (!test_program() || !file_exists(dict)) {
        test_skip("no program, or no state dict");
        return;
    }
    snprintf(made, sizeof made, "%s", test_inside("made"));
    snprintf(from, sizeof from, "%s", test_inside("one/checkpoint/model-0.safetensors"));
    program_result r = LOCI(
        "import", "brt-pytorch", dict, "--block", "8", "--read", "2", "--read", "2", "--corpus",
        "{corpus: markov, symbols: 40, tokens: 2k, held_out: 400}", "--to", test_inside("one"));
    EXPECT(r.status == 0 && file_exists(from), "%s", r.err);
    make_disturbed((const char *const[]){"import", "checkpoint", from, "--to", made, NULL}, NULL);
}

/* A limit on the size of files (ulimit -f) is a disk that takes no more: the kernel would end the
 * process for it. */
static void limited_files(void)
{
    char spec[FILE_PATH_BYTES];
    struct rlimit all, little;
    snprintf(spec, sizeof spec, "%s", tiny_sweep());
    EXPECT(getrlimit(RLIMIT_FSIZE, &all) == 0, "the limit");
    little = (struct rlimit){20000, all.rlim_max};
    fflush(NULL); /* what this process wrote may be longer */
    EXPECT(setrlimit(RLIMIT_FSIZE, &little) == 0, "the limit");
    program_result r = LOCI("run", spec, "--quiet");
    EXPECT(setrlimit(RLIMIT_FSIZE, &all) == 0, "the limit");
    program_expect(r, 3, NULL, "model-6.safetensors: cannot be written: File too large");
    program_expect(LOCI("run", spec, "--quiet", "--retry", "failed"), 0, NULL, NULL);
}

const test_suite test_full_disk = {"tools/full_disk",
                                   {{"exported", exported},
                                    {"exported_over_an_older_one", exported_over_an_older_one},
                                    {"imported", imported},
                                    {"imported_again", imported_again},
                                    {"limited_files", limited_files},
                                    {0}}};
