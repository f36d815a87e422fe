/* Texts that are printed into memory. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/text.h"
#include "tests/support/sanitized.h"
#include "tests/test.h"

static void empty(void)
{
    text_memory m;
    text_begin(&m);
    text_auto *text = text_end(&m);
    EXPECT(text && text[0] == 0 && m.bytes == 0, "%zu bytes", m.bytes);
}

/* What was flushed can be read while more is written. */
static void grows(void)
{
    enum { LINES = 50000 };
    text_memory m;
    FILE *out = text_begin(&m);
    for (int i = 0; i < LINES; i++) {
        fprintf(out, "%05d\n", i);
        if (i == 3) {
            fflush(out);
            EXPECT(strcmp(m.text, "00000\n00001\n00002\n00003\n") == 0, "%s", m.text);
        }
    }
    text_auto *text = text_end(&m);
    EXPECT(m.bytes == 6 * LINES && strlen(text) == m.bytes, "%zu bytes", m.bytes);
    for (int i = 0; i < LINES; i++) {
        EXPECT(atoi(text + 6 * i) == i, "line %d", i);
    }
}

/* Also of what was not flushed. */
static void position(void)
{
    text_memory m;
    FILE *out = text_begin(&m);
    EXPECT(ftell(out) == 0, "%ld", ftell(out));
    fputs("abc", out);
    EXPECT(ftell(out) == 3, "%ld", ftell(out));
    EXPECT(fseek(out, 1, SEEK_SET) != 0, "it goes back");
    fputs("de", out);
    EXPECT(ftell(out) == 5, "%ld", ftell(out));
    text_auto *text = text_end(&m);
    EXPECT(strcmp(text, "abcde") == 0, "%s", text);
}

/* A text longer than there is memory for, in a process of its own: how that ends. */
static int kept_without_memory(void)
{
    enum { KIB = 256, TEXT = 512, WHOLE = 3, LOST = 4 };
    static char block[KIB << 10];
    pid_t child = fork();
    if (child == 0) {
        text_memory m;
        FILE *out = text_begin(&m);
        if (!freopen("/dev/null", "w", stderr)) _exit(5);
        setrlimit(RLIMIT_AS, &(struct rlimit){32 << 20, 32 << 20});
        memset(block, 'x', sizeof block);
        for (int i = 0; i < TEXT; i++) {
            fwrite(block, 1, sizeof block, out);
        }
        text_end(&m);
        _exit(m.bytes == (size_t)TEXT * sizeof block ? WHOLE : LOST);
    }
    int status = -1;
    EXPECT(child > 0 && waitpid(child, &status, 0) == child, "no process");
    return status;
}

/* A text that lacks a part would pass for the whole one, in a file of results: the program ends, as
 * a CHECK does that speaks of memory. */
static void no_memory(void)
{
    if (SANITIZED || test_emulated()) {
        test_skip("what else takes address space here is not the program's");
        return;
    }
    int status = kept_without_memory();
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", (unsigned)status);
}

const test_suite test_text = {
    "core/text",
    {{"empty", empty}, {"grows", grows}, {"position", position}, {"no_memory", no_memory}, {0}}};
