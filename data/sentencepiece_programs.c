/* Training with SentencePiece's program.
 *
 * spm_train is a program and not a call, since the library's trainer ends the process on errors and
 * prints as it likes. It is fed a file, which is removed afterwards. */
#include <stdio.h>

#include "core/base/file.h"
#include "data/process.h"
#include "data/sentencepiece.h"

/* ---- lines ----
 * spm_train leaves out lines above 4192 bytes, and text8 is one line of 100 MB: long lines are
 * broken at a space, or where none comes at the start of a character. */

enum { BREAK_AT_SPACE = 3584, BREAK_ANYWHERE = 4096 };

/* Copies n bytes, breaking long lines; *column counts bytes since the last newline. Returns what
 * was written to out [2 * n]. */
static int64_t break_lines(char *out, const char *text, int64_t n, int64_t *column)
{
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        char c = text[i];
        /* The trainer takes lines as sentences and looks at no piece across their ends; a break
         * where a space was loses nothing. */
        if (c == ' ' && *column >= BREAK_AT_SPACE) c = '\n';
        bool starts = ((unsigned char)c & 0xc0) != 0x80; /* not inside a UTF-8 character */
        if (*column >= BREAK_ANYWHERE && starts && c != '\n') {
            out[used++] = '\n';
            *column = 0;
        }
        out[used++] = c;
        *column = c == '\n' ? 0 : *column + 1;
    }
    return used;
}

typedef struct line_feed {
    int64_t (*feed)(void *user, void *out, int64_t capacity, err *e);
    void *user;
    int64_t column;
    bool ended;
} line_feed;

/* Feeds with long lines broken and the last line ended.
 * Half of the room is read, since in the worst case each byte becomes two. */
static int64_t feed_lines(line_feed *f, char *out, int64_t capacity, err *e)
{
    char text[1 << 14];
    if (f->ended) return 0;
    int64_t n = f->feed(f->user, text, MIN((int64_t)sizeof text, capacity / 2), e);
    if (n > 0) return break_lines(out, text, n, &f->column);
    f->ended = true;
    if (n < 0 || f->column == 0) return n;
    out[0] = '\n';
    return 1;
}

/* ---- training ---- */

bool sentencepiece_train(const train_job *job, err *e)
{
    char input[FILE_PATH_BYTES + 64], prefix[FILE_PATH_BYTES + 32], type[64], vocab[64];
    char text_path[FILE_PATH_BYTES + 32];
    snprintf(text_path, sizeof text_path, "%s.txt", job->model_prefix);
    snprintf(input, sizeof input, "--input=%s", text_path);
    snprintf(prefix, sizeof prefix, "--model_prefix=%s", job->model_prefix);
    snprintf(type, sizeof type, "--model_type=%s", job->type);
    snprintf(vocab, sizeof vocab, "--vocab_size=%lld", (long long)job->vocab);
    /* One thread and no sampling: the same text gives the same model. Characters that the
     * vocabulary lacks are spelt in bytes, so nothing is unknown. */
    const char *argv[] = {"spm_train",
                          input,
                          prefix,
                          type,
                          vocab,
                          "--byte_fallback=true",
                          "--character_coverage=0.9995",
                          "--num_threads=1",
                          "--minloglevel=1",
                          NULL};
    line_feed lines = {job->feed, job->user, 0, false};
    char chunk[1 << 15];
    file_out out;
    if (!file_out_open(&out, text_path, e)) return false;
    int64_t n;
    while ((n = feed_lines(&lines, chunk, sizeof chunk, e)) > 0) {
        if (!file_out_write(&out, chunk, (size_t)n, e)) break;
    }
    bool ok = n == 0 && file_out_commit(&out, e);
    file_out_cancel(&out);
    process p = {.argv = argv, .package = "sentencepiece"};
    ok = ok && process_run(&p, e);
    /* Also after a failure, whose message is kept. */
    return file_remove(text_path, ok ? e : NULL) && ok;
}
