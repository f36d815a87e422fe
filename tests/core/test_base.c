/* Errors are one line, whatever a stranger's words hold; the smaller and the larger of two. */
#include <string.h>

#include "core/base/base.h"
#include "core/base/one_line.h"
#include "tests/test.h"

static void control_characters(void)
{
    char text[32] = "a\nb\tc\x7f\033[d";
    one_line(text, sizeof text);
    EXPECT(strcmp(text, "a\u240ab\tc\u2421\u241b[d") == 0, "%s", text);
    /* Each byte of room, one by one: never beyond it, and ended. */
    for (size_t bytes = 1; bytes < 16; bytes++) {
        char small[20];
        memset(small, 'x', sizeof small);
        memcpy(small, "\n\nabcdefghijklmnop", bytes);
        small[bytes - 1] = 0;
        one_line(small, bytes);
        EXPECT(strlen(small) < bytes && !strchr(small, '\n'), "%zu: %s", bytes, small);
        for (size_t i = bytes; i < sizeof small; i++) {
            EXPECT(small[i] == 'x', "%zu: byte %zu was written", bytes, i);
        }
    }
}

static void errors_are_one_line(void)
{
    err e = {0};
    err_set(&e, "%s: no such run", "x\nloci: done");
    EXPECT(strcmp(e.text, "x\u240aloci: done: no such run") == 0, "%s", e.text);
    err_prefix(&e, "%s", "a\r");
    EXPECT(strcmp(e.text, "a\u240d: x\u240aloci: done: no such run") == 0, "%s", e.text);
    char longest[2 * ERR_TEXT_BYTES];
    memset(longest, '\n', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    err_set(&e, "%s", longest);
    err_prefix(&e, "%s", longest);
    EXPECT(!strchr(e.text, '\n') && strlen(e.text) < sizeof e.text, "%s", e.text);
}

/* Whose fault something is stays with its text, and no longer than that. */
static void whose_fault(void)
{
    err e = {.text = "no room", .outside = true}, copy = {0};
    err_prefix(&e, "disk");
    EXPECT(e.outside && !err_copy(&copy, &e) && copy.outside && strcmp(copy.text, e.text) == 0,
           "%s", copy.text);
    EXPECT(!err_copy(NULL, &e), "without anybody to tell");
    err_set(&copy, "of another kind");
    EXPECT(!copy.outside, "%s", copy.text);
}

static int calls;
static int next_call(void)
{
    return ++calls;
}

/* Arguments may have effects, as a draw or taking a lock: they happen once. */
static void smaller_and_larger(void)
{
    EXPECT(MIN(next_call(), 5) == 1 && MAX(next_call(), 0) == 2 && calls == 2, "%d calls", calls);
    EXPECT(MIN((size_t)3, 4) == 3 && MAX(-1, (int64_t)1 << 40) == (int64_t)1 << 40, "of 64 bits");
    EXPECT(MAX(0.5f, 1) == 1 && MIN(0.25, 1) == 0.25, "of floats");
}

extern const test_suite test_base;
const test_suite test_base = {"core/base",
                              {{"control_characters", control_characters},
                               {"errors_are_one_line", errors_are_one_line},
                               {"whose_fault", whose_fault},
                               {"smaller_and_larger", smaller_and_larger},
                               {0}}};
