/* How an evaluation was done, in words: what must be said beside every figure. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* "context 64; memory carried state, reset at documents; rows 6; the first 20000 tokens; ...":
 * every item of the object, without the limits that were not set; hashes are shortened. */
void protocol_print(FILE *out, const json_t *protocol);

/* In what one differs from another, item by item: what it has otherwise or in addition, and what it
 * lacks. Nothing where they are one. */
void protocol_print_difference(FILE *out, const json_t *own, const json_t *first);

/* One item; limits that were not set are said, too. */
void protocol_print_item(FILE *out, const char *key, const json_t *value);

/* The same as an object; null: what it lacks. And the protocol that is `first` but for that. Decref
 * both. */
json_t *protocol_difference(const json_t *own, const json_t *first);
json_t *protocol_changed(const json_t *first, const json_t *difference);

/* Rates and decays of learning that it chose from on the validation split; 0: there was no choice.
 */
int protocol_choices(const json_t *protocol);
