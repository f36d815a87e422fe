/* Words are runs of letters; digits and marks part them. So "train-00000-of-00012.txt",
 * "x.valid.txt" and "TEST" tell a split, "contest.txt" does not, and "test_of_patience.txt" does
 * without meaning it: one name alone is never believed (data/split_layout.c). */
#include "data/split_names.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Three questions are asked of names, from loose to strict: which splits a name holds words of
 * (told), whether it is such a word and nothing else but numbers (plain), and whether two names
 * differ only in numbers (parts of one split) or only in the split's word (siblings). */

static const struct {
    const char *word;
    split_kind kind;
} WORDS[] = {
    {"train", SPLIT_TRAIN},
    {"training", SPLIT_TRAIN},
    {"validation", SPLIT_VALIDATION},
    {"valid", SPLIT_VALIDATION},
    {"val", SPLIT_VALIDATION},
    /* As the sets of many fields call it. */
    {"dev", SPLIT_VALIDATION},
    {"development", SPLIT_VALIDATION},
    {"test", SPLIT_TEST},
    {"testing", SPLIT_TEST},
};

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || (unsigned char)c >= 0x80; /* UTF-8 goes on in a word */
}

/* The length of the word that begins at text. */
static size_t word_length(const char *text)
{
    size_t n = 0;
    while (is_letter(text[n])) {
        n++;
    }
    return n;
}

static bool word_is(const char *text, size_t n, const char *word)
{
    return strlen(word) == n && strncasecmp(text, word, n) == 0;
}

static bool split_of_word(const char *text, size_t n, split_kind *kind)
{
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (!word_is(text, n, WORDS[i].word)) continue;
        *kind = WORDS[i].kind;
        return true;
    }
    return false;
}

int split_names_told(const char *name, split_kind *kind)
{
    /* "train_test.txt" tells two, and the caller refuses it. The same word twice is one split. */
    bool told[SPLITS] = {false};
    for (const char *at = name; *at;) {
        size_t n = word_length(at);
        split_kind one;
        if (n && split_of_word(at, n, &one)) {
            told[one] = true;
            *kind = one;
        }
        at += n ? n : 1;
    }
    return told[SPLIT_TRAIN] + told[SPLIT_VALIDATION] + told[SPLIT_TEST];
}

/* The split's word, alone but for numbers of parts: up to the first dot. */
bool split_names_plain(const char *name, split_kind *kind)
{
    int words = 0;
    for (const char *at = name; *at && *at != '.';) {
        size_t n = word_length(at);
        if (n && split_of_word(at, n, kind)) {
            words++;
        } else if (n && !word_is(at, n, "of") && !word_is(at, n, "part") &&
                   !word_is(at, n, "shard")) {
            return false;
        }
        at += n ? n : 1;
    }
    /* "train_val" is two, "0001" none. */
    return words == 1;
}

/* Longer names are compared by their first 511 characters. */
enum { SHAPE_BYTES = 512 };

/* The name in small letters with 0 for every number and, if `over_splits`, * for every word that
 * tells a split. */
static void shape_of(char shape[SHAPE_BYTES], const char *name, bool over_splits)
{
    size_t used = 0;
    for (const char *at = name; *at && used < SHAPE_BYTES - 1; used++) {
        split_kind kind;
        size_t letters = word_length(at), digits = strspn(at, "0123456789");
        /* In the middle of a word a split's name is none. */
        bool begins = at == name || !is_letter(at[-1]);
        if (digits) {
            shape[used] = '0';
            at += digits;
        } else if (over_splits && begins && letters && split_of_word(at, letters, &kind)) {
            shape[used] = '*';
            at += letters;
        } else {
            /* Letters by letters: names that differ in case alone are of one kind. */
            shape[used] = (char)tolower((unsigned char)*at++);
        }
    }
    shape[used] = 0;
}

static bool same_shape(const char *a, const char *b, bool over_splits)
{
    char x[SHAPE_BYTES], y[SHAPE_BYTES];
    shape_of(x, a, over_splits);
    shape_of(y, b, over_splits);
    return strcmp(x, y) == 0;
}

bool split_names_parts(const char *a, const char *b)
{
    return same_shape(a, b, false);
}

bool split_names_siblings(const char *a, const char *b)
{
    return same_shape(a, b, true);
}
