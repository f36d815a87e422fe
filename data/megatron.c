/* The index (.idx) of Megatron-LM's memory-mapped data sets:
 *
 *     "MMIDIDX\0\0"  9    version  8    type  1    sequences  8    bounds  8
 *     lengths  int32 [sequences]      tokens of each
 *     offsets  int64 [sequences]      bytes in the .bin file
 *     bounds   int64 [bounds]         sequences at which documents begin, the end included
 *
 * Little-endian. The file may be anybody's: counts are compared with its size before they are used,
 * and offsets with the sums of lengths, so that no token can be read twice or from elsewhere. */
#include "data/megatron.h"

#include <string.h>

enum { FIXED_BYTES = 9 + 8 + 1 + 8 + 8 };

/* By the code that the index has; 6 and 7 are floating-point numbers. */
static const token_type TYPES[] = {TOKEN_AUTO,  TOKEN_UINT8, TOKEN_INT8, TOKEN_INT16, TOKEN_INT32,
                                   TOKEN_INT64, TOKEN_AUTO,  TOKEN_AUTO, TOKEN_UINT16};

typedef struct layout {
    const unsigned char *lengths, *offsets, *bounds;
    int64_t sequences, bound_count;
} layout;

/* Through memcpy: the nine bytes of the magic leave everything unaligned. */
static uint64_t get_uint64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int64_t get_int64(const unsigned char *array, int64_t index)
{
    return (int64_t)get_uint64(array + 8 * index);
}

static int32_t get_int32(const unsigned char *array, int64_t index)
{
    int32_t value;
    memcpy(&value, array + 4 * index, sizeof value);
    return value;
}

/* Reads the fixed part; every count is then known to fit the file. */
static bool read_fixed(megatron_index *x, layout *l, const unsigned char *data, size_t bytes,
                       const char *name, err *e)
{
    if (bytes >= 8 && memcmp(data, "TNTIDX\0\0", 8) == 0) {
        return err_set(e, "%s: an index of the old kind (TNTIDX); write the data set again as mmap",
                       name);
    }
    if (bytes < FIXED_BYTES || memcmp(data, "MMIDIDX\0\0", 9) != 0) {
        return err_set(e,
                       "%s: not an index of Megatron's data sets; remove it if the .bin file "
                       "beside it is none",
                       name);
    }
    uint64_t version = get_uint64(data + 9), sequences = get_uint64(data + 18);
    uint64_t bounds = get_uint64(data + 26);
    if (version != 1) {
        return err_set(e, "%s: version %llu of the index is unknown; 1 would be right", name,
                       (unsigned long long)version);
    }
    x->type = data[17] < sizeof TYPES / sizeof *TYPES ? TYPES[data[17]] : TOKEN_AUTO;
    if (x->type == TOKEN_AUTO) {
        return err_set(e, "%s: the type %d is none of integers that ids can have", name, data[17]);
    }
    uint64_t room = bytes - FIXED_BYTES;
    /* Division, not multiplication: the counts are any 64 bits. */
    if (sequences > room / 12 || bounds > (room - 12 * sequences) / 8) {
        return err_set(e, "%s: cut off: it tells of %llu sequences and %llu bounds of documents",
                       name, (unsigned long long)sequences, (unsigned long long)bounds);
    }
    l->sequences = (int64_t)sequences;
    l->bound_count = (int64_t)bounds;
    l->lengths = data + FIXED_BYTES;
    l->offsets = l->lengths + 4 * sequences;
    l->bounds = l->offsets + 8 * sequences;
    return true;
}

/* Sequences follow each other without holes and end where the file does. */
static bool check_sequences(const megatron_index *x, const layout *l, int64_t data_bytes,
                            const char *name, err *e)
{
    int64_t at = 0, width = token_type_width(x->type);
    for (int64_t i = 0; i < l->sequences; i++) {
        int32_t length = get_int32(l->lengths, i);
        if (length < 0 || get_int64(l->offsets, i) != at) {
            return err_set(e, "%s: sequence %lld does not begin where the one before it ends", name,
                           (long long)i);
        }
        /* At most 2^31 * 8 bytes at each of fewer than 2^60 sequences; a sum that wrapped around
         * would not be the offset of the next. */
        at += length * width;
    }
    if (at == data_bytes) return true;
    return err_set(
        e,
        "%s: tells of %lld bytes of ids, the .bin file beside it holds %lld; they do not "
        "belong together, or one was cut off",
        name, (long long)at, (long long)data_bytes);
}

/* Bounds count sequences; documents are wanted in tokens. Bounds that go back would make documents
 * overlap, and text trained on twice would not be noticed. */
bool megatron_parse(megatron_index *x, const unsigned char *data, size_t bytes, int64_t data_bytes,
                    const char *name, arena *a, err *e)
{
    layout l = {0};
    *x = (megatron_index){0};
    if (!read_fixed(x, &l, data, bytes, name, e) || !check_sequences(x, &l, data_bytes, name, e)) {
        return false;
    }
    x->ends = ARENA_NEW(a, int64_t, MAX(l.bound_count, 1));
    int64_t sequence = 0;
    for (int64_t i = 0; i < l.bound_count; i++) {
        int64_t bound = get_int64(l.bounds, i);
        if (bound < sequence || bound > l.sequences || (i == 0 && bound != 0)) {
            return err_set(e, "%s: document %lld begins at sequence %lld", name, (long long)i,
                           (long long)bound);
        }
        /* Each sequence is added once, however many bounds there are. */
        for (; sequence < bound; sequence++) {
            x->tokens += get_int32(l.lengths, sequence);
        }
        if (i > 0) x->ends[x->documents++] = x->tokens;
    }
    if (sequence == l.sequences) return true;
    return err_set(e, "%s: its last document ends before its last sequence", name);
}
