/* Synthetic probes of memory: what must be told again after a known distance.
 *
 *   copy     s1 .. sn  filler*  ASK  s1 .. sn            the n last tokens are asked for
 *   recall   k1 v1 .. kn vn  filler*  ASK  ki vi ..      every vi behind ASK, keys in another order
 *            (multi-query associative recall: Arora et al. 2023, arXiv:2312.04927)
 *   mqar     k1 v1 .. kn vn  filler* ki vi filler* ..    every vi of the second part, wherever it
 *            stands (the same paper's own form, app. E: place 2 g, g drawn by a power law)
 *   needle   filler*  KEY k v  filler*  ASK  k v         the last token; k and v are any symbols
 *
 * A document's `distance` is how many places behind where a thing was told it is the answer
 * (recall: on average; mqar: how many tokens the document has). Distances take turns. Keys of mqar
 * are of the first half of the symbols, values of the second. DIFFERS there: the published
 * vocabulary has 8,192 ids, and filler is drawn from all of it; answers stand in the text. Filler
 * is a random symbol of its own alphabet
 * (`noise`) or one token over and over, which a model learns to predict at once, so that all it can
 * still gain is the answers. Everything is a function of `seed` alone. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/rng.h"
#include "data/corpus_class.h"
#include "data/power_gaps.h"

enum { TASK_COPY, TASK_RECALL, TASK_MQAR, TASK_NEEDLE };
enum { LEARN_ALL, LEARN_ANSWERS };
enum { FILLER, ASK, KEY, SYMBOLS }; /* ids; symbols from SYMBOLS on, noise behind them */
enum { MAX_DISTANCES = 64, MAX_TOKENS = 1 << 28 };

/* Ids are bytes in memory, so symbols, noise and marks together are at most 256. A document's text
 * follows from the seed and its number alone, not from what stood before it, and the order in which
 * documents are drawn is train, validation, test: another number of training tokens gives other
 * held-out documents.
 *
 * The distance is what a document is about, so the filler between telling and asking is chosen to
 * make it come out exactly, the same for every document of a distance. A task too long for a
 * distance (a negative gap) is refused where distances are read. */

typedef struct probe_options {
    data_options data;
    int64_t task, learn, symbols, length, noise, tokens, held_out, seed;
    double power;
    const node *distances, *held_out_distances;
} probe_options;

typedef struct distance_list {
    int64_t distances[MAX_DISTANCES], count;
} distance_list;

typedef struct probe_plan {
    const probe_options *o;
    distance_list trained, held_out;
} probe_plan;

static const distance_list *distances_of(const probe_plan *p, int kind)
{
    return kind == SPLIT_TRAIN ? &p->trained : &p->held_out;
}

/* What is told takes n symbols (copy), n pairs (recall, mqar), one (needle). */
static int64_t told_tokens(const probe_options *o)
{
    return o->task == TASK_COPY ? o->length : o->task == TASK_NEEDLE ? 3 : 2 * o->length;
}

static int64_t asked_tokens(const probe_options *o)
{
    if (o->task == TASK_MQAR) return told_tokens(o); /* nothing announces the question */
    return 1 + (o->task == TASK_NEEDLE ? 2 : told_tokens(o));
}

/* Filler between telling and asking, so that the distance comes out. */
static int64_t gap_of(const probe_options *o, int64_t distance)
{
    switch (o->task) {
    case TASK_COPY: /* from s1 to s1: length + gap + 1 */
        return distance - o->length - 1;
    case TASK_RECALL: /* pairs in another order: 2 length + gap + 1 on average */
        return distance - 2 * o->length - 1;
    case TASK_MQAR: /* from the first told to the last place: 4 length + gap */
        return distance - 4 * o->length;
    default: /* from v to v: gap + 3 */
        return distance - 3;
    }
}

/* A needle has filler on either side: a quarter of its distance before it. */
static int64_t before_of(const probe_options *o, int64_t distance)
{
    return o->task == TASK_NEEDLE ? distance / 4 : 0;
}

static int64_t document_tokens(const probe_options *o, int64_t distance)
{
    return before_of(o, distance) + told_tokens(o) + gap_of(o, distance) + asked_tokens(o);
}

typedef struct writer {
    const probe_options *o;
    uint8_t *ids;
    int64_t at;
    rng_key key;
    uint64_t drawn;
} writer;

/* Counted per document: the k-th draw of a document is the same whatever other documents take. */
static int64_t draw(writer *w, int64_t n)
{
    return (int64_t)rng_below(w->key, w->drawn++, (uint64_t)n);
}

static void put(writer *w, int64_t id)
{
    w->ids[w->at++] = (uint8_t)id;
}

static void put_filler(writer *w, int64_t n)
{
    const probe_options *o = w->o;
    for (int64_t i = 0; i < n; i++) {
        /* Noise has symbols of its own: were it drawn from the others, a filler could be taken for
         * a key. */
        put(w, o->noise ? SYMBOLS + o->symbols + draw(w, o->noise) : FILLER);
    }
}

/* Symbols 0..n-1 in random order. */
static void shuffle(writer *w, uint8_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        /* Inside out (Fisher and Yates), so that the array is filled while it is shuffled. */
        int64_t j = draw(w, i + 1);
        order[i] = order[j];
        order[j] = (uint8_t)i;
    }
}

static void put_copy(writer *w, int64_t gap)
{
    int64_t n = w->o->length, begin = w->at;
    for (int64_t i = 0; i < n; i++) {
        put(w, SYMBOLS + draw(w, w->o->symbols));
    }
    put_filler(w, gap);
    put(w, ASK);
    memcpy(w->ids + w->at, w->ids + begin, (size_t)n);
    w->at += n;
}

static void put_recall(writer *w, int64_t gap)
{
    uint8_t keys[256], order[256];
    int64_t n = w->o->length, begin = w->at;
    shuffle(w, keys, w->o->symbols); /* the first n: keys are never told twice */
    for (int64_t i = 0; i < n; i++) {
        put(w, SYMBOLS + keys[i]);
        put(w, SYMBOLS + draw(w, w->o->symbols));
    }
    put_filler(w, gap);
    put(w, ASK);
    shuffle(w, order, n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(w->ids + w->at, w->ids + begin + (int64_t)2 * order[i], 2);
        w->at += 2;
    }
}

static int by_place(const void *x, const void *y)
{
    const int32_t *a = x, *b = y;
    return *a < *b ? -1 : *a > *b;
}

/* Fills places [length] with the documents' tokens that are answers. */
static void put_mqar(writer *w, int64_t gap, int32_t *places, arena *scratch)
{
    uint8_t keys[256] = {0}, values[256] = {0};
    const probe_options *o = w->o;
    int64_t n = o->length, half = o->symbols / 2, space = n + gap / 2, begin = w->at;
    arena_mark mark = arena_now(scratch);
    int64_t *gaps = ARENA_NEW(scratch, int64_t, n);
    shuffle(w, keys, half);
    shuffle(w, values, o->symbols - half);
    for (int64_t i = 0; i < n; i++) {
        put(w, SYMBOLS + keys[i]);
        put(w, SYMBOLS + half + values[i]);
    }
    /* As many places as there are pairs to put in, and the gap: the places are written over
     * below. */
    put_filler(w, 2 * n + gap);
    rng_key key = w->key;
    /* A place of its own: the gaps take as many draws as there are places. */
    key.place = rng_place("probe.gaps");
    power_gaps(gaps, n, space, o->power, key, scratch);
    for (int64_t i = 0; i < n; i++) {
        /* Pairs stand at even places, so two of them never overlap. */
        int64_t at = 2 * n + 2 * gaps[i];
        memcpy(w->ids + begin + at, w->ids + begin + 2 * i, 2);
        places[i] = (int32_t)(at + 1);
    }
    qsort(places, (size_t)n, sizeof *places, by_place);
    arena_rewind(scratch, mark);
}

static void put_needle(writer *w, int64_t before, int64_t gap)
{
    int64_t key = SYMBOLS + draw(w, w->o->symbols), value = SYMBOLS + draw(w, w->o->symbols);
    put_filler(w, before);
    put(w, KEY);
    put(w, key);
    put(w, value);
    put_filler(w, gap);
    put(w, ASK);
    put(w, key);
    put(w, value);
}

/* places: of answers, where they are not regular. */
static void put_document(writer *w, int64_t distance, int64_t number, int32_t *places, arena *a)
{
    const probe_options *o = w->o;
    /* The number goes on over all splits: no held-out document is drawn as one of the training text
     * was. */
    w->key = (rng_key){
        .seed = (uint64_t)o->seed, .row = (uint32_t)number, .place = rng_place("probe.text")};
    w->drawn = 0;
    if (o->task == TASK_COPY) put_copy(w, gap_of(o, distance));
    if (o->task == TASK_RECALL) put_recall(w, gap_of(o, distance));
    if (o->task == TASK_MQAR) put_mqar(w, gap_of(o, distance), places, a);
    if (o->task == TASK_NEEDLE) put_needle(w, before_of(o, distance), gap_of(o, distance));
}

/* Documents of a split: distances in turn until there are so many tokens, each at least once. */
static int64_t documents_of(const probe_plan *p, int kind, int64_t *tokens)
{
    int64_t wanted = kind == SPLIT_TRAIN ? p->o->tokens : p->o->held_out, n = 0;
    const distance_list *list = distances_of(p, kind);
    /* Each distance has a document even where one alone has more tokens than are wanted. */
    for (*tokens = 0; *tokens < wanted || n < list->count; n++) {
        *tokens += document_tokens(p->o, list->distances[n % list->count]);
    }
    return n;
}

static void write_documents(corpus *c, const probe_plan *p)
{
    int64_t all = 0, tokens, number = 0, documents[SPLITS];
    for (int kind = 0; kind < SPLITS; kind++) {
        documents[kind] = documents_of(p, kind, &tokens);
        all += tokens;
    }
    writer w = {.o = p->o, .ids = arena_push(c->memory, all, 1)};
    arena_auto *scratch = arena_new(0);
    for (int kind = 0; kind < SPLITS; kind++) {
        const distance_list *list = distances_of(p, kind);
        for (int64_t i = 0; i < documents[kind]; i++) {
            int64_t distance = list->distances[i % list->count];
            char name[64];
            snprintf(name, sizeof name, "distance %lld", (long long)distance);
            entry *d = corpus_add(c, (split_kind)kind, name);
            d->offset = w.at;
            d->tokens = document_tokens(p->o, distance);
            d->distance = distance;
            /* The last tokens of the document, one in `stride`, or where `places` says (mqar). */
            d->answers = p->o->task == TASK_NEEDLE ? 1 : p->o->length;
            d->stride = p->o->task == TASK_RECALL ? 2 : 1;
            d->answers_only = p->o->learn == LEARN_ANSWERS;
            int32_t *places = NULL;
            if (p->o->task == TASK_MQAR) places = ARENA_NEW(c->memory, int32_t, d->answers);
            d->places = places;
            put_document(&w, distance, number++, places, scratch);
        }
    }
    /* No reader: split_read takes ids from here. */
    c->ids = w.ids;
    sha256_hex(c->source, c->ids, (size_t)all);
    memcpy(c->hash, c->source, sizeof c->hash);
}

static bool read_distances(distance_list *out, const probe_options *o, const node *list, err *e)
{
    if (list->kind != NODE_LIST || list->count < 1 || list->count > MAX_DISTANCES) {
        return node_err(e, list,
                        "expected a list of 1 to %d distances in tokens, such as [64, 256]",
                        MAX_DISTANCES);
    }
    /* gap_of is distance less a constant: below it the gap would be negative. */
    const int64_t least = -gap_of(o, 0);
    char meant[OPTION_MEANT_BYTES];
    out->count = list->count;
    for (int64_t i = 0; i < out->count; i++) {
        const node *n = list->items[i];
        int64_t *distance = &out->distances[i];
        if (!option_node_to_int(n, distance)) {
            return node_err(e, n, "expected a distance in tokens%s", option_node_meant(meant, n));
        }
        if (*distance < least || *distance > MAX_TOKENS / 2) {
            return node_err(e, n,
                            "distance %lld: must be between %lld and %d for this task and length",
                            (long long)*distance, (long long)least, MAX_TOKENS / 2);
        }
    }
    return true;
}

static const distance_list USUAL = {{32, 64, 128, 256}, 4};

static bool plan_distances(probe_plan *p, const corpus *c, err *e)
{
    const probe_options *o = p->o;
    p->trained = USUAL;
    if (!node_is_null(o->distances)) {
        if (!read_distances(&p->trained, o, o->distances, e)) return false;
    } else if (gap_of(o, p->trained.distances[0]) < 0) {
        return node_err(e, c->spec,
                        "distances: the default begins at %lld, too near for length "
                        "%lld; give a list",
                        (long long)p->trained.distances[0], (long long)o->length);
    }
    p->held_out = p->trained;
    return node_is_null(o->held_out_distances) ||
           read_distances(&p->held_out, o, o->held_out_distances, e);
}

static bool same_distances(const distance_list *x, const distance_list *y)
{
    size_t bytes = (size_t)x->count * sizeof *x->distances;
    return x->count == y->count && memcmp(x->distances, y->distances, bytes) == 0;
}

static void settle_probe(void *options)
{
    probe_options *o = options;
    distance_list trained = USUAL, held_out;
    bool told = !node_is_null(o->distances) && read_distances(&trained, o, o->distances, NULL);
    bool apart = !node_is_null(o->held_out_distances) &&
                 read_distances(&held_out, o, o->held_out_distances, NULL);
    /* A list that says what leaving it out means is left out, or it would be another run. */
    if (told && same_distances(&trained, &USUAL)) o->distances = NULL;
    if (apart && same_distances(&held_out, &trained)) o->held_out_distances = NULL;
}

static bool open_probe(corpus *c, err *e)
{
    const probe_options *o = c->options;
    if (o->data.path || o->data.tokenizer) {
        return node_err(e, c->spec, "corpus 'probe' is made up: it has no path and no tokenizer");
    }
    if (o->task == TASK_RECALL && o->length > o->symbols) {
        return node_err(e, c->spec,
                        "length %lld: recall needs as many different keys, and there "
                        "are %lld symbols",
                        (long long)o->length, (long long)o->symbols);
    }
    if (o->task == TASK_MQAR && o->length > o->symbols / 2) {
        return node_err(e, c->spec,
                        "length %lld: mqar needs as many different keys and as many different "
                        "values, and there are %lld symbols",
                        (long long)o->length, (long long)o->symbols);
    }
    /* uint8_t ids. */
    if (SYMBOLS + o->symbols + o->noise > 256) {
        return node_err(e, c->spec, "symbols and noise: at most %d together", 256 - SYMBOLS);
    }
    probe_plan p = {.o = o};
    if (!plan_distances(&p, c, e)) return false;
    write_documents(c, &p);
    c->vocab = SYMBOLS + o->symbols + o->noise;
    return true;
}

static const option OPTIONS[] = {
    DATA_OPTIONS("0"),
    {"task", OPTION_CHOICE, offsetof(probe_options, task), .initial = "copy",
     .choices = "copy|recall|mqar|needle", .help = "what is asked for after a distance"},
    {"learn", OPTION_CHOICE, offsetof(probe_options, learn), .initial = "all",
     .choices = "all|answers", .help = "what counts in the loss, and as a token of the budget"},
    {"distances", OPTION_NODE, offsetof(probe_options, distances),
     .help =
         "tokens from telling to the answer (mqar: of a document): [32, 64, 128, 256]; documents "
         "take turns"},
    {"held_out_distances", OPTION_NODE, offsetof(probe_options, held_out_distances),
     .help = "those of validation and test text; default: the same"},
    {"symbols", OPTION_INT, offsetof(probe_options, symbols), .initial = "16", .min = 2, .max = 250,
     .help = "different things that can be told"},
    {"length", OPTION_INT, offsetof(probe_options, length), .initial = "8", .min = 1, .max = 250,
     .needs = "task=copy|recall|mqar", .help = "copy: symbols, recall, mqar: pairs that are told"},
    {"power", OPTION_REAL, offsetof(probe_options, power), .initial = "0.1", .min = 0.001, .max = 1,
     .needs = "task=mqar",
     .help = "place i is asked at with chances like i^(power - 1); 1: anywhere alike"},
    {"noise", OPTION_INT, offsetof(probe_options, noise), .initial = "0", .min = 0, .max = 250,
     .help = "symbols that filler is drawn from; 0: one token over and over"},
    {"tokens", OPTION_INT, offsetof(probe_options, tokens), .initial = "1M", .min = 1,
     .max = MAX_TOKENS, .help = "of training text, kept in memory; rounded up to whole documents"},
    {"held_out", OPTION_INT, offsetof(probe_options, held_out), .initial = "100k", .min = 1,
     .max = MAX_TOKENS, .help = "tokens of validation and of test text"},
    {"seed", OPTION_INT, offsetof(probe_options, seed), .initial = "1", .min = 0, .max = 1e15,
     .help = "of the text; independent of the runs' seeds"},
    {0},
};

const corpus_class CORPUS_PROBE = {
    .name = "probe",
    .help = "copy, associative recall (also MQAR) and needle at chosen distances, to see what is "
            "remembered",
    .get = "",
    OPTIONS_OF(probe_options, OPTIONS),
    .open = open_probe,
    .settle = settle_probe,
};
