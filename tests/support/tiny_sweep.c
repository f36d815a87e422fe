#include "tests/support/tiny_sweep.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/corpora.h"
#include "tests/test.h"

#define SPEC                                                                                       \
    "description: a test\n"                                                                        \
    "data: {corpus: text, path: %s}\n"                                                             \
    "model:\n"                                                                                     \
    "  width: 16\n"                                                                                \
    "  context: 16\n"                                                                              \
    "  blocks: [{attention: {heads: 2}, ffn: {hidden: 32}}]\n"                                     \
    "optimizer: {lr: 1e-2}\n"                                                                      \
    "train: {budget: {steps: 6}, batch: 2, log_every: 2}\n"                                        \
    "eval: {rows: 2}\n"                                                                            \
    "sweep:\n"                                                                                     \
    "  baseline: block\n"                                                                          \
    "  seeds: 2\n"                                                                                 \
    "  grid:\n"                                                                                    \
    "    memory:\n"                                                                                \
    "      block: {}\n"                                                                            \
    "      keys: {\"model.blocks[0].attention.memory\": 16}\n"

const char *tiny_sweep(void)
{
    static char path[FILE_PATH_BYTES];
    char body[20000] = "", text[FILE_PATH_BYTES + 2048];
    for (int i = 0; strlen(body) < 16000; i++) {
        size_t n = strlen(body);
        snprintf(body + n, sizeof body - n, "%d green bottles hanging on the wall,\n", i % 97);
    }
    corpora_write("text.txt", body, -1);
    snprintf(text, sizeof text, SPEC, test_inside("text.txt"));
    corpora_write("tiny.yaml", text, -1);
    CHECK(file_join(path, test_folder(), "tiny.yaml", NULL), "a short path");
    return path;
}
