/* The door to the C++ library libsentencepiece, in plain C: encoding only.
 *
 * `text` may hold anything, newlines and NULs too; it is encoded as one whole, as the library's
 * other bindings do. Calls on one model may run in several threads at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sentencepiece_library sentencepiece_library;

/* From a serialised model. NULL on failure, with the library's words in problem [room]. */
sentencepiece_library *sentencepiece_library_open(const void *model, size_t bytes, char *problem,
                                                  size_t room);
void sentencepiece_library_close(sentencepiece_library *l);

/* What encoding gives; arrays are the caller's to free. */
typedef struct sentencepiece_ids {
    int32_t *ids;          /* [count] */
    int64_t *ends;         /* [count] byte of the text behind each id; NULL if not asked for */
    int64_t count;         /* of ids */
    int64_t unknown;       /* ids that stand for what the model does not know */
    int64_t unknown_bytes; /* of text that they stand for */
} sentencepiece_ids;

bool sentencepiece_library_encode(const sentencepiece_library *l, const char *text, size_t bytes,
                                  bool want_ends, sentencepiece_ids *out, char *problem,
                                  size_t room);

#ifdef __cplusplus
}
#endif
