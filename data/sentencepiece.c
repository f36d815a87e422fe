/* Reading a SentencePiece model and turning ids into text. What is read of the protobuf:
 *   ModelProto: pieces = 1 (repeated), trainer_spec = 2, normalizer_spec = 3, denormalizer_spec = 5
 *   SentencePiece: piece = 1 (string), score = 2 (float), type = 3
 *   TrainerSpec: model_type = 3, treat_whitespace_as_suffix = 24, byte_fallback = 35,
 *                unk_surface = 44
 *   NormalizerSpec: precompiled_charsmap = 2, add_dummy_prefix = 3, remove_extra_whitespaces = 4,
 *                   escape_whitespaces = 5
 * Everything else is stepped over.
 *
 * A model is read here and not by the library where it is only decoded, hashed or counted: that
 * needs no library at run time, a stranger's file meets a parser whose bounds are checked, and the
 * identity of a tokenizer is that of its content. Two files of the same pieces and settings are the
 * same tokenizer, whatever else the trainer has noted in them. */
#include "data/sentencepiece.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "data/sentencepiece_charsmap.h"

/* ---- protobuf wire format ---- */

typedef struct wire {
    const unsigned char *at, *end;
} wire;

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* Seven bits a byte, the lowest first. One that does not end within 64 bits is damaged. */
static bool read_varint(wire *w, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && w->at < w->end; shift += 7) {
        unsigned char byte = *w->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

typedef struct field {
    uint64_t number;
    int kind;
    uint64_t value; /* of a varint; bits of a fixed one */
    wire bytes;     /* of WIRE_BYTES */
} field;

/* Byte by byte: the wire's order, whatever the machine's. */
static bool read_fixed(wire *w, int bytes, uint64_t *value)
{
    if (w->end - w->at < bytes) return false;
    *value = 0;
    for (int i = 0; i < bytes; i++) {
        *value |= (uint64_t)w->at[i] << (8 * i);
    }
    w->at += bytes;
    return true;
}

static bool read_field(wire *w, field *f)
{
    uint64_t key, length;
    /* A key has 32 bits. The library drops what is above, and would read as another field what was
     * stepped over here. */
    if (!read_varint(w, &key) || key > UINT32_MAX) return false;
    *f = (field){.number = key >> 3, .kind = (int)(key & 7)};
    switch (f->kind) {
    case WIRE_VARINT:
        return read_varint(w, &f->value);
    case WIRE_64:
        return read_fixed(w, 8, &f->value);
    case WIRE_32:
        return read_fixed(w, 4, &f->value);
    case WIRE_BYTES:
        /* Compared as unsigned, so that a length near 2^64 is no negative one. */
        if (!read_varint(w, &length) || length > (uint64_t)(w->end - w->at)) return false;
        f->bytes = (wire){w->at, w->at + length};
        w->at += length;
        return true;
    default:
        return false;
    }
}

/* ---- the model ---- */

enum { MAX_PIECES = 1 << 24, MAX_PIECE_BYTES = 1 << 16 };

static bool read_piece(piece *p, wire w, arena *a)
{
    *p = (piece){.text = "", .type = PIECE_NORMAL};
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f)) return false;
        if (f.number == 1 && f.kind == WIRE_BYTES) {
            /* Longer pieces are no tokenizer's; cut, they change the hash, and no memory is taken
             * by a number in a file. */
            p->bytes = (int)MIN(f.bytes.end - f.bytes.at, MAX_PIECE_BYTES);
            p->text = arena_strndup(a, (const char *)f.bytes.at, (size_t)p->bytes);
        } else if (f.number == 2 && f.kind == WIRE_32) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof p->score);
        } else if (f.number == 3 && f.kind == WIRE_VARINT) {
            /* A type of a later version could mean anything: its pieces would be decoded
             * wrongly. */
            if (f.value < PIECE_NORMAL || f.value > PIECE_BYTE) return false;
            p->type = (piece_type)f.value;
        }
    }
    return true;
}

/* Counts the pieces, to find out before anything is stored whether this is a model at all. */
static int64_t count_pieces(wire w)
{
    int64_t count = 0;
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f)) return -1;
        count += f.number == 1 && f.kind == WIRE_BYTES;
    }
    return count;
}

/* What a model says of itself beside its pieces, with the values that a missing field has. */
typedef struct settings {
    uint64_t type, suffix, byte_fallback;    /* of the trainer: 1 unigram, 2 bpe, 3 word, 4 char */
    uint64_t prefix, remove_extra, escape;   /* of the normalizer */
    wire charsmap, decode_charsmap, unknown; /* unknown: what the unknown piece is printed as */
} settings;

static bool read_trainer(settings *x, wire w)
{
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f)) return false;
        if (f.number == 3 && f.kind == WIRE_VARINT) x->type = f.value;
        if (f.number == 24 && f.kind == WIRE_VARINT) x->suffix = f.value != 0;
        if (f.number == 35 && f.kind == WIRE_VARINT) x->byte_fallback = f.value != 0;
        if (f.number == 44 && f.kind == WIRE_BYTES) x->unknown = f.bytes;
    }
    return true;
}

static bool read_normalizer(settings *x, wire w)
{
    field f;
    while (w.at < w.end) {
        if (!read_field(&w, &f)) return false;
        if (f.number == 2 && f.kind == WIRE_BYTES) x->charsmap = f.bytes;
        if (f.number == 3 && f.kind == WIRE_VARINT) x->prefix = f.value != 0;
        if (f.number == 4 && f.kind == WIRE_VARINT) x->remove_extra = f.value != 0;
        if (f.number == 5 && f.kind == WIRE_VARINT) x->escape = f.value != 0;
    }
    return true;
}

static bool read_settings(settings *x, wire w)
{
    /* Defaults as in the format's definition: a model that leaves a field out means these. */
    static const unsigned char UNKNOWN_SURFACE[] = " \xe2\x81\x87 ";
    *x = (settings){.type = 1, .prefix = 1, .remove_extra = 1, .escape = 1};
    x->unknown = (wire){UNKNOWN_SURFACE, UNKNOWN_SURFACE + sizeof UNKNOWN_SURFACE - 1};
    settings decode = {0};
    field f;
    while (w.at < w.end && read_field(&w, &f)) {
        /* A repeated section is merged with the one before, as protobuf has it: each only sets what
         * it says. */
        if (f.kind != WIRE_BYTES) continue;
        if (f.number == 2 && !read_trainer(x, f.bytes)) return false;
        if (f.number == 3 && !read_normalizer(x, f.bytes)) return false;
        if (f.number == 5 && !read_normalizer(&decode, f.bytes)) return false;
    }
    x->decode_charsmap = decode.charsmap;
    return true;
}

/* Neither the encoder's nor the decoder's: the library takes in both. */
static bool check_charsmaps(const settings *x, const char *name, err *e)
{
    const wire tables[] = {x->charsmap, x->decode_charsmap};
    for (int i = 0; i < 2; i++) {
        const char *fault =
            sentencepiece_charsmap_fault(tables[i].at, tables[i].end - tables[i].at);
        if (!fault) continue;
        return err_set(e,
                       "%s: %s of the SentencePiece model is damaged: %s; give a .model file that "
                       "spm_train wrote",
                       name,
                       i ? "denormalizer_spec.precompiled_charsmap"
                         : "normalizer_spec.precompiled_charsmap",
                       fault);
    }
    return true;
}

/* The length first: of two texts one behind the other it must be clear where the first ends. */
static void hash_text(sha256 *hash, wire w)
{
    int64_t bytes = w.end - w.at;
    sha256_add(hash, &bytes, sizeof bytes);
    sha256_add(hash, w.at, (size_t)bytes);
}

static void hash_model(sentencepiece *s, const settings *x)
{
    sha256 hash;
    sha256_init(&hash);
    /* All settings by which ids could differ. */
    uint64_t numbers[6] = {x->type,   x->suffix,       x->byte_fallback,
                           x->prefix, x->remove_extra, x->escape};
    sha256_add(&hash, numbers, sizeof numbers);
    hash_text(&hash, x->charsmap);
    hash_text(&hash, x->decode_charsmap);
    hash_text(&hash, x->unknown);
    for (int64_t i = 0; i < s->vocab; i++) {
        const piece *p = &s->pieces[i];
        int32_t piece_numbers[2] = {p->bytes, (int32_t)p->type};
        sha256_add(&hash, piece_numbers, sizeof piece_numbers);
        sha256_add(&hash, &p->score, sizeof p->score);
        sha256_add(&hash, p->text, (size_t)p->bytes);
    }
    sha256_final_hex(&hash, s->hash);
}

sentencepiece *sentencepiece_parse(arena *a, const unsigned char *data, size_t bytes,
                                   const char *name, err *e)
{
    wire w = {data, data + bytes};
    int64_t count = count_pieces(w);
    if (count <= 0 || count > MAX_PIECES) {
        err_set(e, "%s: not a SentencePiece model; give a .model file that spm_train wrote", name);
        return NULL;
    }
    sentencepiece *s = arena_push_zero(a, 1, sizeof *s);
    s->pieces = ARENA_NEW(a, piece, count);
    field f;
    while (w.at < w.end && read_field(&w, &f)) {
        if (f.number != 1 || f.kind != WIRE_BYTES) continue;
        if (!read_piece(&s->pieces[s->vocab], f.bytes, a)) {
            err_set(e, "%s: piece %lld of the SentencePiece model is damaged", name,
                    (long long)s->vocab);
            return NULL;
        }
        s->vocab++;
    }
    settings x;
    if (!read_settings(&x, (wire){data, data + bytes})) {
        return err_set(e, "%s: the settings of the SentencePiece model are damaged", name), NULL;
    }
    if (!check_charsmaps(&x, name, e)) return NULL;
    s->dummy_prefix = x.prefix;
    s->remove_extra_whitespaces = x.remove_extra;
    s->whitespace_suffix = x.suffix;
    hash_model(s, &x);
    return s;
}

sentencepiece *sentencepiece_load(arena *a, const char *path, err *e)
{
    file_map_auto map = {0};
    if (!file_map_open_named(&map, path, e)) return NULL;
    return sentencepiece_parse(a, map.data, map.bytes, path, e);
}

/* ---- decoding ---- */

/* U+2581, which stands for a space inside pieces. */
static const char SPACE[] = "\xe2\x96\x81";
/* What spm_decode prints for the unknown piece. */
static const char UNKNOWN[] = " \xe2\x81\x87 ";

/* Writes the text of one piece to out and returns its length; at most MAX(bytes, sizeof UNKNOWN).
 */
static int64_t piece_text(char *out, const piece *p)
{
    unsigned byte;
    switch (p->type) {
    case PIECE_CONTROL:
    case PIECE_UNUSED:
        return 0;
    case PIECE_UNKNOWN:
        memcpy(out, UNKNOWN, sizeof UNKNOWN - 1);
        /* Whatever the model's own words for it are: what is shown should look unknown. */
        return sizeof UNKNOWN - 1;
    case PIECE_BYTE:
        /* Pieces for bytes that the vocabulary lacks are called so. */
        if (sscanf(p->text, "<0x%2X>", &byte) != 1) return 0;
        *out = (char)byte;
        return 1;
    case PIECE_NORMAL:
    case PIECE_USER:
        break;
    }
    int64_t n = 0;
    for (int i = 0; i < p->bytes;) {
        if (p->bytes - i >= 3 && memcmp(p->text + i, SPACE, 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = p->text[i++];
        }
    }
    return n;
}

char *sentencepiece_decode(const sentencepiece *s, const int32_t *ids, int64_t n)
{
    size_t bytes = 1;
    for (int64_t i = 0; i < n; i++) {
        bool known = ids[i] >= 0 && ids[i] < s->vocab;
        /* An upper bound: a space takes three bytes inside a piece and one outside. */
        bytes += known ? (size_t)MAX(s->pieces[ids[i]].bytes, (int)sizeof UNKNOWN) : 0;
    }
    char *text = malloc(bytes);
    /* As spm_decode has it: where neither is set, a space is one of the text's. */
    bool prefix = s->dummy_prefix || s->remove_extra_whitespaces;
    /* A few bytes per token of what a model wrote. */
    CHECK(text, "out of memory for %zu bytes", bytes);
    int64_t used = 0;
    for (int64_t i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= s->vocab) continue;
        char *at = text + used;
        int64_t length = piece_text(at, &s->pieces[ids[i]]);
        /* The space that the encoder puts before the first word is not part of the text. */
        if (prefix && used == 0 && length > 0 && at[0] == ' ' &&
            s->pieces[ids[i]].type == PIECE_NORMAL) {
            memmove(at, at + 1, (size_t)--length);
        }
        used += length;
    }
    text[used] = 0;
    return text;
}
