/* What jansson lacks: files with our error messages, NaN as null. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "core/base/base.h"

/* A number, or null if it is NaN or infinite. */
json_t *json_finite(double x);
/* Its value back: NaN for null, missing or anything but a number. */
double json_get_double(const json_t *object, const char *key);
int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise);
const char *json_get_text(const json_t *object, const char *key); /* NULL if not text */

/* Bytes of the character that UTF-8 text begins with; 0: it begins with none, and JSON would refuse
 * it. */
int json_utf8_bytes(const char *text);
/* The text as a value: bytes that are no UTF-8 (a token's, a file's name, a message that was cut)
 * are U+FFFD in it, one for one. */
json_t *json_words(const char *text);

/* Its text with numbers in the shortest form that reads back as the same: 0.003, where jansson's
 * own 17 digits are 0.0030000000000000001. flags: of json_dumps. The caller frees; NULL: it is
 * none. */
char *json_text(const json_t *x, size_t flags);
/* Prints that text. */
void json_print(FILE *out, const json_t *x, size_t flags);

/* Loads a file, strictly (duplicate keys are errors); decref it. NULL: "path:line:col: what", also
 * for one that is no more what was sealed (json_seal.h). The seal is none of its keys. */
json_t *json_read(const char *path, err *e);
json_t *json_read_named(const char *path, err *e); /* through links (file.h) */
/* From here on an allocation of jansson's that fails ends the program with a word about memory:
 * otherwise a record would lack a value, silently. */
void json_need_memory(void);

/* The same of text that was read from there. */
json_t *json_parse(const char *text, size_t bytes, const char *path, err *e);
/* Replaces the file atomically: indented, keys in the order of insertion, an object with its seal,
 * a newline at the end. */
bool json_write(const char *path, const json_t *value, err *e);

/* Calls f for every value in which x and y differ, in the order of x: its path below `path`
 * ("model.blocks[0].ffn.hidden") and what it is in each as text, NULL where it is not. Texts live
 * during the call. */
typedef void (*json_difference)(void *user, const char *path, const char *x, const char *y);
void json_differences(const json_t *x, const json_t *y, const char *path, json_difference f,
                      void *user);
