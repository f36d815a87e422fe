/* The kinds of corpora: adding one is adding its file and its line here. */
#include <string.h>

#include "data/corpus_class.h"

/* The order is that of `loci data list` and of the help; nothing else depends on it. */
static const corpus_class *const CLASSES[] = {
    &CORPUS_KJV,  &CORPUS_ENWIK8, &CORPUS_PG19,   &CORPUS_TEXT8,
    &CORPUS_TEXT, &CORPUS_SHARDS, &CORPUS_MARKOV, &CORPUS_PROBE,
};

const corpus_class *const *corpus_classes(int *count)
{
    *count = (int)(sizeof CLASSES / sizeof *CLASSES);
    return CLASSES;
}

const corpus_class *corpus_class_find(const char *name)
{
    int count;
    const corpus_class *const *all = corpus_classes(&count);
    for (int i = 0; i < count; i++) {
        if (strcmp(all[i]->name, name) == 0) return all[i];
    }
    return NULL;
}
