/* Ids are int32 inside: of types that hold more, 2^31 are told apart. */
#include "data/token_type.h"

/* Signed types tell half as many apart: negative ids are refused (reader.c). */
static const struct {
    const char *name;
    int width;
    int64_t ids;
} TYPES[] = {
    /* How many ids a type tells apart; a larger vocabulary is refused. */
    [TOKEN_AUTO] = {"auto", 0, 0},
    [TOKEN_UINT8] = {"uint8", 1, 1 << 8},
    [TOKEN_INT8] = {"int8", 1, 1 << 7},
    [TOKEN_UINT16] = {"uint16", 2, 1 << 16},
    [TOKEN_INT16] = {"int16", 2, 1 << 15},
    [TOKEN_UINT32] = {"uint32", 4, (int64_t)1 << 31},
    [TOKEN_INT32] = {"int32", 4, (int64_t)1 << 31},
    [TOKEN_UINT64] = {"uint64", 8, (int64_t)1 << 31},
    [TOKEN_INT64] = {"int64", 8, (int64_t)1 << 31},
};

const char *token_type_name(token_type type)
{
    return TYPES[type].name;
}

int token_type_width(token_type type)
{
    return TYPES[type].width;
}

int64_t token_type_ids(token_type type)
{
    return TYPES[type].ids;
}
