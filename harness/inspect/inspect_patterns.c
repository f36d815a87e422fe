/* What a key's triggers have in common: shares of them, in the place of human labels.
 *
 * The paper had experts name the patterns of 160 keys (sec. 3); here every key is counted, by two
 * kinds of pattern that the paper tells apart: shallow ones (the same last token, two, three, the
 * same last word) and semantic ones, for which a word shared by many prefixes anywhere has to stand
 * in. A share is the largest group of equal ends among the n triggers, so that for n triggers with
 * nothing in common it is 1 / n and not 0.
 *
 * Triggers of a key are few (`top`), so groups are found by comparing all pairs. */
#include "harness/inspect/inspect_patterns.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TOPIC_LETTERS = 4, PREFIX_BYTES = 512, MAX_WORDS = 128 };

/* The commonest English words of four letters and more, sorted (bsearch). Shorter ones are no
 * topics anyway. English only: of other languages their function words count as topics. */
static const char *const STOP_WORDS[] = {
    "about", "after",  "again",  "been",    "before", "being", "came",   "come",    "could",
    "down",  "every",  "from",   "good",    "great",  "have",  "here",   "into",    "just",
    "know",  "like",   "little", "long",    "made",   "make",  "many",   "might",   "more",
    "most",  "much",   "must",   "never",   "only",   "other", "over",   "said",    "same",
    "shall", "should", "some",   "such",    "than",   "that",  "their",  "them",    "then",
    "there", "these",  "they",   "this",    "those",  "thou",  "though", "through", "thus",
    "time",  "unto",   "upon",   "very",    "were",   "what",  "when",   "where",   "which",
    "while", "will",   "with",   "without", "would",  "your"};
enum { STOP_COUNT = sizeof STOP_WORDS / sizeof *STOP_WORDS };

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_stop_word(const char *word)
{
    return bsearch(&word, STOP_WORDS, STOP_COUNT, sizeof *STOP_WORDS, compare_texts) != NULL;
}

/* ---- the same end ---- */

/* Share of the n rows of ends [n, stride] that are the most frequent one; the first `width` entries
 * of a row are compared. */
static double largest_share(const int32_t *ends, int64_t n, int64_t stride, int width)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t same = 0;
        for (int64_t k = 0; k < n; k++) {
            same += memcmp(ends + i * stride, ends + k * stride, (size_t)width * sizeof *ends) == 0;
        }
        most = MAX(most, same);
    }
    return n ? (double)most / (double)n : 0;
}

/* ends [n, PATTERN_GRAMS]: the last tokens of each trigger, the last one first, so that the first g
 * of a row are its last g tokens; -1 before a sentence. */
static bool read_ends(const inspection *x, const trigger *list, int64_t n, int32_t *ends, err *e)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t ids[PATTERN_GRAMS];
        int64_t have = MIN((int64_t)PATTERN_GRAMS, list[i].token + 1 - list[i].sentence);
        if (!prefixes_read(&x->text, list[i].token + 1 - have, have, ids, e)) return false;
        for (int64_t g = 0; g < PATTERN_GRAMS; g++) {
            ends[i * PATTERN_GRAMS + g] = g < have ? ids[have - 1 - g] : -1;
        }
    }
    return true;
}

/* ---- the same words ---- */

/* Lower-case words of a text, in order; letters only. Returns how many. */
static int words_of(char *text, const char **words)
{
    int n = 0;
    for (char *c = text; *c;) {
        while (*c && !isalpha((unsigned char)*c)) {
            c++;
        }
        char *begin = c;
        for (; isalpha((unsigned char)*c); c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        if (*c) *c++ = 0;
        if (*begin && n < MAX_WORDS) words[n++] = begin;
    }
    return n;
}

/* Distinct topic words, sorted, to the front of `words`; returns how many. Distinct within the
 * prefix: a word that one prefix says five times is one prefix's word. */
static int topics_of(const char **words, int n)
{
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (strlen(words[i]) >= TOPIC_LETTERS && !is_stop_word(words[i])) words[kept++] = words[i];
    }
    qsort(words, (size_t)kept, sizeof *words, compare_texts);
    int distinct = 0;
    for (int i = 0; i < kept; i++) {
        if (i == 0 || strcmp(words[i], words[i - 1]) != 0) words[distinct++] = words[i];
    }
    return distinct;
}

/* The longest runs of equal words in a sorted list are what most prefixes share: each prefix gave
 * each word once, so a run's length is a number of prefixes. Words of one prefix alone are left
 * out. */
static void most_shared(key_pattern *p, const char **all, int count, int64_t n, arena *keep)
{
    qsort(all, (size_t)count, sizeof *all, compare_texts);
    for (int begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && strcmp(all[end], all[begin]) == 0;) {
            end++;
        }
        double share = (double)(end - begin) / (double)n;
        if (end - begin < 2 || share <= p->topic[PATTERN_WORDS - 1]) continue;
        /* Insertion into the list of the most shared; ties keep the word that comes first in the
         * alphabet. */
        int at = PATTERN_WORDS - 1;
        for (; at > 0 && share > p->topic[at - 1]; at--) {
            p->topic[at] = p->topic[at - 1];
            p->topics[at] = p->topics[at - 1];
        }
        p->topic[at] = share;
        p->topics[at] = arena_strdup(keep, all[begin]);
    }
}

/* Prefixes without a word (`*last[i]` is 0) are equal to nothing, each other included. */
static double last_word_share(const char **last, int64_t n)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t same = 0;
        for (int64_t k = 0; k < n; k++) {
            same += *last[i] && strcmp(last[i], last[k]) == 0;
        }
        most = MAX(most, same);
    }
    return n ? (double)most / (double)n : 0;
}

/* Of a long prefix the last PREFIX_BYTES are looked at. `all` has room for every word of every
 * prefix. */
static void read_words(const inspection *x, key_pattern *p, const trigger *list, int64_t n,
                       arena *a)
{
    const char **all = ARENA_NEW(a, const char *, n *MAX_WORDS);
    const char **last = ARENA_NEW(a, const char *, n);
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *words[MAX_WORDS];
        const char *prefix = inspection_prefix(&x->text, list[i].token, PREFIX_BYTES, a);
        int got = words_of(arena_strdup(a, prefix), words);
        last[i] = got ? words[got - 1] : "";
        got = topics_of(words, got);
        memcpy(all + count, words, (size_t)got * sizeof *words);
        count += got;
    }
    p->word = last_word_share(last, n);
    most_shared(p, all, count, n, x->memory);
}

static bool read_key(const inspection *x, const inspected_layer *l, int64_t memory, arena *a,
                     err *e)
{
    const trigger *list = triggers_of(&l->triggers, memory);
    int64_t n = l->triggers.sizes[memory];
    key_pattern *p = &l->patterns[memory];
    int32_t *ends = ARENA_NEW(a, int32_t, n * PATTERN_GRAMS);
    if (!read_ends(x, list, n, ends, e)) return false;
    for (int g = 0; g < PATTERN_GRAMS; g++) {
        p->gram[g] = largest_share(ends, n, PATTERN_GRAMS, g + 1);
    }
    read_words(x, p, list, n, a);
    return true;
}

/* The arena is emptied key by key: there are tens of thousands, each with some kilobytes of text.
 */
bool inspect_patterns(inspection *x, err *e)
{
    arena_auto *a = arena_new(0);
    bool ok = true;
    for (int i = 0; ok && i < x->layer_count; i++) {
        inspected_layer *l = &x->layers[i];
        l->patterns = arena_push_zero(x->memory, l->memories.count, sizeof *l->patterns);
        for (int64_t m = 0; ok && m < l->memories.count; m++) {
            arena_reset(a);
            ok = read_key(x, l, m, a, e);
        }
    }
    return ok;
}
