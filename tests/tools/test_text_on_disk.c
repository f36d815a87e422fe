/* A disk that is full, or fails to take what it is given, while a text is unpacked and tokenized
 * for the first time: that is the disk's fault, not the spec's, and no matter of usage, however
 * many specs were asked about. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/support/faults.h"
#include "tests/test.h"

static void put_packed(const char *name)
{
    char *text = corpora_text(1, 20000);
    gzFile f = gzopen(test_inside(name), "wb");
    EXPECT(f && gzwrite(f, text, (unsigned)strlen(text)) == (int)strlen(text), "%s", name);
    EXPECT(f && gzclose(f) == Z_OK, "%s", name);
    free(text);
}

static void put_spec(const char *name, const char *path)
{
    char spec[1024];
    snprintf(spec, sizeof spec,
             "name: x\ndata: {corpus: text, path: %s, tokenizer: {train: bpe, vocab: 300}}\n"
             "model: {width: 8, context: 16, blocks: [ffn: {hidden: 8}]}\n"
             "train: {budget: {steps: 1}, batch: 2}\n",
             path);
    corpora_write(name, spec, -1);
}

static void fail_calls(fault_plan *p, fault_kind kind, int error, const char *const *words)
{
    int failed = 0;
    for (p->at = 1;; p->at += (faults_stride() + 11) / 12) {
        err e = {0};
        EXPECT(file_remove_tree(test_inside("cache"), &e), "%s", e.text);
        p->kind = kind;
        p->error = error;
        p->stays = true;
        program_result r = faults_run(p, words);
        p->kind = FAULT_NONE;
        if (!p->failed[0]) break;
        failed += r.status == 1;
        const char *said = strstr(r.err, strerror(error));
        EXPECT(r.status == 0 || (r.status == 1 && said && strchr(said, '\n')), "%s: %d: %s",
               p->failed, r.status, r.err);
    }
    EXPECT(failed > 0, "the disk never failed");
}

static void of_a_spec(void)
{
    fault_plan *p = faults_new();
    if (!p) return;
    put_packed("text.gz");
    put_spec("a.yaml", "text.gz");
    put_spec("b.yaml", "text.gz");
    char a[FILE_PATH_BYTES], b[FILE_PATH_BYTES];
    snprintf(a, sizeof a, "%s", test_inside("a.yaml"));
    snprintf(b, sizeof b, "%s", test_inside("b.yaml"));
    const char *const one[] = {"check", a, NULL}, *const both[] = {"check", a, b, NULL};
    fail_calls(p, FAULT_WRITE, ENOSPC, one);
    fail_calls(p, FAULT_WRITE, EIO, both);
}

/* A packed file that cannot be read is not one that is damaged. */
static void of_a_packed_text(void)
{
    fault_plan *p = faults_new();
    if (!p) return;
    put_packed("text.gz");
    put_spec("a.yaml", "text.gz");
    char spec[FILE_PATH_BYTES];
    snprintf(spec, sizeof spec, "%s", test_inside("a.yaml"));
    int failed = 0;
    for (p->at = 1; p->at == 1 || p->failed[0]; p->at++) {
        err e = {0};
        EXPECT(file_remove_tree(test_inside("cache"), &e), "%s", e.text);
        p->kind = FAULT_READ;
        p->error = EIO;
        program_result r = FAULTY(p, "check", spec);
        p->kind = FAULT_NONE;
        if (strncmp(p->failed, "read ", 5) != 0 || !strstr(p->failed, "/text.gz")) continue;
        failed++;
        EXPECT(r.status == 1 && strstr(r.err, strerror(EIO)), "%s: %d: %s", p->failed, r.status,
               r.err);
    }
    EXPECT(failed > 0, "the text was never read");
}

const test_suite test_text_on_disk = {
    "tools/text_on_disk", {{"of_a_spec", of_a_spec}, {"of_a_packed_text", of_a_packed_text}, {0}}};
