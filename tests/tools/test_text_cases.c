/* Texts that people really have, from the spec to the table: what is scored, counted and said. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "data/words.h"
#include "tests/support/corpora.h"
#include "tests/support/program.h"
#include "tests/test.h"

/* Runs a spec of a tiny model, with these lines for its data and sweep. */
static bool run_spec(const char *name, const char *data, const char *sweep)
{
    char spec[4096], file[64];
    snprintf(file, sizeof file, "%s.yaml", name);
    snprintf(spec, sizeof spec,
             "name: %s\ndata: %s\n"
             "model:\n  width: 16\n  context: 64\n  blocks:\n    - ffn: {hidden: 32}\n"
             "train: {budget: {steps: 20}, batch: 4}\n%s",
             name, data, sweep);
    corpora_write(file, spec, -1);
    program_result r = LOCI("run", test_inside(file), "--jobs", "1");
    EXPECT(r.status <= 0, "status %d: %s", r.status, r.err);
    return r.status == 0;
}

/* What was printed is all nats, those of the blank document too, over all words. */
static void expect_word_perplexity(const char *out, int64_t words)
{
    const char *loss = strstr(out, "\nloss "), *word = strstr(out, "\nword perplexity ");
    double per_token, perplexity, tokens;
    bool read = loss && word && sscanf(out, "split validation, %lf tokens", &tokens) == 1 &&
                sscanf(loss, " loss %lf", &per_token) == 1 &&
                sscanf(word, " word perplexity %lf", &perplexity) == 1;
    /* The loss is printed with four digits. */
    EXPECT(read && fabs(log(perplexity) * (double)words - per_token * tokens) < 5.1e-5 * tokens,
           "%lld words: %s", (long long)words, out);
}

/* No words is no words: the rest of the split keeps its word perplexity. */
static void blank_document(void)
{
    char *text = corpora_text(1, 6000);
    bool inside = false;
    int64_t words =
        words_count((const unsigned char *)text + 4000, (int64_t)strlen(text + 4000), &inside);
    corpora_write("text/train/a.txt", text, -1);
    corpora_write("text/validation/a.txt", text + 4000, -1);
    corpora_write("text/validation/z.txt", "\n", -1);
    free(text);
    if (!run_spec("blank", "{corpus: text, path: text}", "")) return;
    program_result r = LOCI("eval", "blank", "--documents");
    EXPECT(r.status == 0, "%s%s", r.out, r.err);
    expect_word_perplexity(r.out, words);
    r = LOCI("compare", "blank", "--metric", "word_perplexity");
    EXPECT(r.status == 0 && !strstr(r.out, "nan"), "%s%s", r.out, r.err);
    r = LOCI("eval", "blank", "--tokens", "2001"); /* into the blank one, whole */
    EXPECT(r.status == 0 && strstr(r.out, "word perplexity"), "%s%s", r.out, r.err);
}

/* A tokenizer that lacks letters of the text: said where it is prepared, scored and compared. */
static void unknown_pieces(void)
{
    if (!corpora_program("spm_train")) return;
    char command[3 * FILE_PATH_BYTES], *text = corpora_text(3, 60000);
    corpora_write("sample.txt", text, -1);
    snprintf(command, sizeof command,
             "spm_train --input='%s' --model_prefix='%s' --vocab_size=300 --num_threads=1 "
             "--minloglevel=2 --hard_vocab_limit=false --model_type=bpe >/dev/null 2>&1",
             test_inside("sample.txt"), test_inside("latin"));
    EXPECT(system(command) == 0, "%s", command);
    for (char *at = text; at[0] && at[1]; at++) { /* half of the words become Cyrillic */
        if (*at != 'e') continue;
        memcpy(at, "\xd0\xb5", 2);
        at++;
    }
    corpora_write("text/train/a.txt", text, 30000);
    corpora_write("text/validation/a.txt", text + 30000, 8000);
    free(text);
    program_result r = LOCI("data", "prepare", "{corpus: text, path: text, tokenizer: latin.model}",
                            "--data", test_folder());
    EXPECT(r.status == 0 && strstr(r.out, "are unknown to the tokenizer"), "%s%s", r.out, r.err);
    if (!run_spec("unknown", "{corpus: text, path: text}",
                  "sweep:\n  seeds: 2\n  grid:\n    t:\n"
                  "      own: {data.tokenizer: {train: bpe, vocab: 310}}\n"
                  "      latin: {data.tokenizer: latin.model}\n")) {
        return;
    }
    r = LOCI("eval", "unknown/latin/1");
    EXPECT(r.status == 0 && strstr(r.out, "that the tokenizer does not know"), "%s%s", r.out,
           r.err);
    r = LOCI("generate", "unknown/latin/1", "--prompt", "th\xd0\xb5 sam\xd0\xb5", "--tokens", "3");
    EXPECT(r.status == 0 && strstr(r.err, "prompt 1: the tokenizer does not know 2 of its"), "%s%s",
           r.out, r.err);
    r = LOCI("generate", "unknown/latin/1", "--prompt", "a sand", "--tokens", "3");
    EXPECT(r.status == 0 && !strstr(r.err, "does not know"), "%s%s", r.out, r.err);
    r = LOCI("eval", "unknown/own/1");
    EXPECT(r.status == 0 && !strstr(r.out, "does not know"), "%s%s", r.out, r.err);
    r = LOCI("compare", "unknown");
    EXPECT(r.status == 0 && strstr(r.out, "'latin' is not ranked against 'own'") &&
               strstr(r.out, "Unknown to the tokenizer: "),
           "%s%s", r.out, r.err);
}

const test_suite test_text_cases = {
    "tools/text_cases",
    {{"blank document", blank_document}, {"unknown pieces", unknown_pieces}, {0}}};
