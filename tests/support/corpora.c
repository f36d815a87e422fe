#include "tests/support/corpora.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/rng.h"
#include "tests/test.h"

void corpora_write(const char *name, const void *text, int64_t bytes)
{
    err e = {0};
    const char *path = test_inside(name);
    char folder[FILE_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    size_t n = bytes < 0 ? strlen(text) : (size_t)bytes;
    EXPECT(file_make_folders(folder, &e) && file_write(path, text, n, &e), "%s", e.text);
}

char *corpora_text(uint64_t seed, int64_t bytes)
{
    static const char *const WORDS[] = {"memory",  "holds",   "what", "the",     "model",
                                        "read",    "and",     "it",   "forgets", "slowly",
                                        "because", "weights", "are",  "few"};
    rng_key key = {.seed = seed, .place = rng_place("corpora.text")};
    char *text = malloc((size_t)bytes + 16);
    CHECK(text, "out of memory");
    int64_t used = 0;
    for (uint64_t i = 0; used < bytes; i++) {
        const char *word = WORDS[rng_below(key, 2 * i, 14)];
        used += sprintf(text + used, "%s%c", word, rng_below(key, 2 * i + 1, 9) ? ' ' : '\n');
    }
    text[bytes] = 0;
    return text;
}

const corpus_places *corpora_places(void)
{
    static char root[FILE_PATH_BYTES], cache[FILE_PATH_BYTES];
    static const char *roots[2];
    static corpus_places places;
    snprintf(root, sizeof root, "%s", test_folder());
    snprintf(cache, sizeof cache, "%s", test_inside("cache"));
    roots[0] = root;
    places = (corpus_places){.roots = roots, .cache = cache};
    return &places;
}

corpus *corpora_open(const char *yaml, err *e)
{
    arena *a = arena_new(1 << 16);
    node *spec = node_parse(a, yaml, strlen(yaml), "test.yaml", e);
    corpus *c = spec ? corpus_open(spec, corpora_places(), e) : NULL;
    arena_free(a); /* a corpus keeps what it needs */
    return c;
}

corpus *corpora_need(const char *yaml)
{
    err e = {0};
    corpus *c = corpora_open(yaml, &e);
    EXPECT(c, "%s: %s", yaml, e.text);
    return c;
}

const char *corpora_shared(const char *name)
{
    static char path[FILE_PATH_BYTES];
    const char *shared = getenv("LOCI_SHARED");
    if (file_join(path, shared ? shared : "../shared/data", name, NULL) && file_exists(path)) {
        return path;
    }
    test_skip("%s is not here; LOCI_SHARED=DIR names the folder that holds it", name);
    return NULL;
}

bool corpora_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null", name);
    if (system(command) == 0) return true;
    test_skip("the program %s is not installed", name);
    return false;
}
