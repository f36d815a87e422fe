/* Characters that an editor does not show, wherever a spec may hold them. */
#include <string.h>

#include "core/options/option.h"
#include "tests/test.h"

typedef struct widths {
    int64_t width;
} widths;

static const option TABLE[] = {
    {.name = "width", .type = OPTION_INT, .offset = offsetof(widths, width), .initial = "8"}, {0}};

/* The message names the character. */
static void named(void)
{
    static const struct {
        const char *text, *said;
    } CASES[] = {
        {"a: 1\nwidth:\xc2\xa0 16\nb: 2\n", "U+00A0"}, /* no key, says libyaml of the next line */
        {"width\xe2\x80\x8b: 16\n", "U+200B"},         /* a key like another */
        {"width: 16\xc2\xa0\n", "U+00A0"},             /* no number */
        {"width: \xe3\x80\x80"
         "16\n",
         "U+3000"},
        {"\xef\xbb\xbfwidth: 16\n\xef\xbb\xbfwidth: 17\n", "U+FEFF"},
        /* Behind letters of several bytes: a place is so many characters, not bytes. */
        {"# "
         "\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6"
         "\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\n"
         "a: 1\nwidth:\xc2\xa0 16\nb: 2\n",
         "U+00A0"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        arena *a = arena_new(0);
        err e = {0};
        widths w;
        node *n = node_parse(a, CASES[i].text, strlen(CASES[i].text), "s.yaml", &e);
        bool read = n && options_read(&w, TABLE, n, NULL, a, &e);
        EXPECT(!read && strstr(e.text, CASES[i].said), "%zu: %s", i, e.text);
        arena_free(a);
    }
}

const test_suite test_invisible = {"core/invisible", {{"named", named}, {0}}};
