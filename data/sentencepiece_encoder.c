/* A long document is encoded in pieces, and the ids must be those of the whole. SentencePiece puts
 * a space before a text's first word (the dummy prefix), which a piece from the middle must not
 * get, or must, if the cut took a space away. The library reads this setting from the model, so it
 * is opened twice, with and without, and each part goes to the one that fits its edge.
 *
 * Where a text may be cut is found by trying: a window around the place is encoded as a whole and
 * as two sides, and the cut is good if the ids agree. What merges look at is local, so what holds
 * in the window holds in the text. */
#include "data/sentencepiece_encoder.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"

struct sentencepiece_encoder {
    const sentencepiece *model;
    sentencepiece_library *with, *without; /* the dummy prefix */
    const char *path;
};

/* The library's words hold the model's or the text's bytes as they are; a message is UTF-8. */
static bool refuse(err *e, const char *path, const char *what, const char *problem)
{
    json_auto_t *words = json_words(problem);
    return err_set(e, "%s: %s: %s", path, what, json_string_value(words));
}

/* ModelProto.normalizer_spec = 3 {add_dummy_prefix = 3}: behind a model it overrides what the model
 * says, since the last value of a field counts. */
static sentencepiece_library *open_with(const file_map *map, bool prefix, const char *path, err *e)
{
    const char over[4] = {0x1a, 2, 0x18, prefix ? 1 : 0};
    char problem[256], *model = malloc(map->bytes + sizeof over);
    CHECK(model, "out of memory");
    memcpy(model, map->data, map->bytes);
    memcpy(model + map->bytes, over, sizeof over);
    sentencepiece_library *l =
        sentencepiece_library_open(model, map->bytes + sizeof over, problem, sizeof problem);
    free(model);
    if (!l) refuse(e, path, "libsentencepiece refuses this model", problem);
    return l;
}

sentencepiece_encoder *sentencepiece_encoder_open(const sentencepiece *s, const char *path, err *e)
{
    file_map_auto map = {0};
    if (!file_map_open_named(&map, path, e)) return NULL;
    sentencepiece_encoder *x = calloc(1, sizeof *x);
    CHECK(x, "out of memory");
    x->model = s;
    x->path = path;
    x->with = open_with(&map, true, path, e);
    x->without = x->with ? open_with(&map, false, path, e) : NULL;
    if (x->without) return x;
    sentencepiece_encoder_close(x);
    return NULL;
}

void sentencepiece_encoder_close(sentencepiece_encoder *x)
{
    if (!x) return;
    sentencepiece_library_close(x->with);
    sentencepiece_library_close(x->without);
    free(x);
}

/* Which of the two the part needs. A space that was left out is what the prefix (or suffix) then
 * stands for. */
static const sentencepiece_library *processor(const sentencepiece_encoder *x, text_edge before,
                                              text_edge behind)
{
    /* Models that put the space behind words look at the other edge. */
    text_edge edge = x->model->whitespace_suffix ? behind : before;
    bool added = edge == EDGE_WHOLE ? x->model->dummy_prefix : edge == EDGE_SPACE;
    return added ? x->with : x->without;
}

static bool encode(const sentencepiece_encoder *x, const char *text, int64_t bytes,
                   text_edge before, text_edge behind, bool ends, sentencepiece_ids *out, err *e)
{
    char problem[256];
    return sentencepiece_library_encode(processor(x, before, behind), text, (size_t)bytes, ends,
                                        out, problem, sizeof problem) ||
           refuse(e, x->path, "the text cannot be encoded", problem);
}

bool sentencepiece_encoder_ids(const sentencepiece_encoder *x, const char *text, int64_t bytes,
                               text_edge before, text_edge behind, sentencepiece_ids *out, err *e)
{
    return encode(x, text, bytes, before, behind, false, out, e);
}

/* ---- cutting ---- */

/* Almost always the first fits; a text in which none does is cut somewhere rather than searched for
 * minutes. */
enum { MAX_TRIES = 64 };

static void ids_free(sentencepiece_ids *ids)
{
    free(ids->ids);
    free(ids->ends);
}

/* Whether the two sides of a cut have the ids of the whole. */
static bool cut_fits(const sentencepiece_encoder *x, const char *text, int64_t bytes, int64_t cut,
                     text_edge edge, const sentencepiece_ids *whole, err *e)
{
    sentencepiece_ids left = {0}, right = {0};
    int64_t skip = edge == EDGE_SPACE;
    bool ok =
        encode(x, text, cut, EDGE_JOIN, edge, false, &left, e) &&
        encode(x, text + cut + skip, bytes - cut - skip, edge, EDGE_JOIN, false, &right, e) &&
        left.count + right.count == whole->count &&
        memcmp(left.ids, whole->ids, (size_t)left.count * sizeof *left.ids) == 0 &&
        memcmp(right.ids, whole->ids + left.count, (size_t)right.count * sizeof *right.ids) == 0;
    ids_free(&left);
    ids_free(&right);
    return ok;
}

/* Other scripts may be joined over a space by normalisation; among these none is. */
static bool visible(char c)
{
    return c > ' ' && c < 0x7f;
}

/* The rule for text with spaces: a single one between visible ASCII, which no normalisation joins
 * with its neighbours. Where the model keeps runs of spaces, the space stays and begins the right
 * side. */
static bool cut_at_space(const sentencepiece_encoder *x, const char *text, int64_t bytes,
                         int64_t from, const sentencepiece_ids *whole, int64_t *cut,
                         text_edge *edge, err *e)
{
    bool drop = x->model->remove_extra_whitespaces;
    int tries = 0;
    for (int64_t i = MAX(from, 1); i + 1 < bytes && tries < MAX_TRIES; i++) {
        if (text[i] != ' ' || !visible(text[i - 1]) || !visible(text[i + 1])) continue;
        *cut = !drop && x->model->whitespace_suffix ? i + 1 : i;
        *edge = drop ? EDGE_SPACE : EDGE_JOIN;
        tries++;
        if (cut_fits(x, text, bytes, *cut, *edge, whole, e)) return true;
    }
    return false;
}

/* The rule for text without: the end of a piece. */
static bool cut_at_piece(const sentencepiece_encoder *x, const char *text, int64_t bytes,
                         int64_t from, const sentencepiece_ids *whole, int64_t *cut, err *e)
{
    int tries = 0;
    for (int64_t i = 0; i < whole->count && tries < MAX_TRIES; i++) {
        int64_t at = whole->ends[i];
        if (at < from || at >= bytes || ((unsigned char)text[at] & 0xc0) == 0x80) continue;
        if (i > 0 && whole->ends[i - 1] == at) continue; /* bytes of one character end together */
        *cut = at;
        tries++;
        if (cut_fits(x, text, bytes, at, EDGE_JOIN, whole, e)) return true;
    }
    return false;
}

bool sentencepiece_encoder_cut(const sentencepiece_encoder *x, const char *window, int64_t bytes,
                               int64_t from, int64_t *cut, text_edge *edge, err *e)
{
    sentencepiece_ids whole = {0};
    if (!encode(x, window, bytes, EDGE_JOIN, EDGE_JOIN, true, &whole, e)) return false;
    if (!cut_at_space(x, window, bytes, from, &whole, cut, edge, e)) {
        *edge = EDGE_JOIN;
        if (!cut_at_piece(x, window, bytes, from, &whole, cut, e)) {
            /* Nothing agrees: at a character, so that at least none is lost. */
            *cut = from;
            while (*cut < bytes - 1 && ((unsigned char)window[*cut] & 0xc0) == 0x80) {
                ++*cut;
            }
        }
    }
    ids_free(&whole);
    /* Tries that failed have left messages; a cut was found all the same. */
    if (e) e->text[0] = 0;
    return true;
}
