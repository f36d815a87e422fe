/* Kinds of integers that files of token ids hold. */
#pragma once

#include "core/base/base.h"

typedef enum token_type {
    TOKEN_AUTO, /* the file says, or it is TOKEN_UINT16 */
    TOKEN_UINT8,
    TOKEN_INT8,
    TOKEN_UINT16,
    TOKEN_INT16,
    TOKEN_UINT32,
    TOKEN_INT32,
    TOKEN_UINT64,
    TOKEN_INT64
} token_type;

/* The same in words: the choices of an option. */
#define TOKEN_TYPES "auto|uint8|int8|uint16|int16|uint32|int32|uint64|int64"

const char *token_type_name(token_type type);
int token_type_width(token_type type); /* bytes per id: 1, 2, 4 or 8; AUTO: 0 */

/* How many ids the type can tell apart, at most 2^31: a vocabulary above that was not written
 * whole. Negative numbers are no ids. */
int64_t token_type_ids(token_type type);
