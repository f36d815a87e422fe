/* Options declared in one table: the parser, the defaults, the error messages, `--help`, `loci
 * layers NAME` and the reference in the docs all come from it.
 *
 * A part with options has a struct and a table whose entries name fields of it:
 *
 *     typedef struct ffn_options { int64_t hidden; int64_t activation; bool bias; } ffn_options;
 *     static const option FFN_OPTIONS[] = {
 *         {"hidden", OPTION_INT, offsetof(ffn_options, hidden), .initial = NULL, .min = 1,
 *          .max = 1e6, .help = "width of the hidden layer"},
 *         {"activation", OPTION_CHOICE, offsetof(ffn_options, activation), .initial = "gelu",
 *          .choices = "relu|gelu|silu", .help = "nonlinearity"},
 *         {0}};
 */
#pragma once

#include <stdio.h>

#include "core/options/option_entry.h"
#include "core/options/option_text.h"

/* The table of a layer, a corpus or a verb, and the struct that it fills. */
#define OPTIONS_OF(type, table) .options = (table), .options_bytes = sizeof(type)

/* Fills `options` (a struct of the table's fields) from the map `n` (NULL: all defaults). Unknown,
 * missing, mistyped and out-of-range keys fail with their place and the nearest known key, and so
 * does what differs from its default where nothing would look at it (`needs`). `ignore` (may be
 * NULL) lists further allowed keys, NULL-terminated, that the caller handles. Texts are copied into
 * the arena. */
bool options_read(void *options, const option *table, const node *n, const char *const *ignore,
                  arena *a, err *e);

/* For identities: a value that says what leaving the option out says becomes what that is kept as.
 */
void option_settle(int64_t *value, int64_t usual, int64_t none);

/* One value by type, for the command line and tests. */
bool option_read_text(void *options, const option *o, const char *text, arena *a, err *e);

/* A node with every option of the table spelt out that is looked at: the resolved form. */
node *options_node(arena *a, const void *options, const option *table);
/* The same with only those that differ from the defaults and are not incidental: what identities
 * are hashed from. */
node *options_changed(arena *a, const void *options, const option *table);

/* Prints name, type, default, range and help: one line per option where `columns` allow it
 * (core/base/terminal.h). */
void options_print(FILE *out, const option *table, int columns);
