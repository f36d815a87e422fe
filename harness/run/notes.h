/* Notes and tags on runs and experiments: what people say of them. No part of what they are: no
 * identity has them.
 *
 *   OUT/runs/ID/notes.jsonl    OUT/experiments/NAME.notes.jsonl
 *
 * A line {"at": TIME, KEY: TEXT} for each, KEY one of note, tag, untag; lines are only ever added,
 * so that those of two results folders can be brought together. Of a tag the last line holds. */
#pragma once

#include "core/base/file.h"

#define NOTES_FILE "notes.jsonl" /* in a run's folder */

enum { NOTES_TEXT_BYTES = 16384, NOTES_TAG_BYTES = 64 };

/* The file of an experiment's. */
bool notes_of_experiment(char path[FILE_PATH_BYTES], const char *out, const char *name, err *e);

/* Whether it can be a note, or a tag: UTF-8, of at most so many bytes, a tag one word without
 * control characters, that begins with no sign. */
bool notes_check(const char *key, const char *text, err *e);

/* Adds a line, of this time, to the file, and waits until it is on the disk. Several may do so at
 * once. */
bool notes_add(const char *path, const char *key, const char *text, err *e);

/* Adds what another file says and this one does not; a missing file says nothing. Twice is as good
 * as once. */
bool notes_unite(const char *path, const char *other, err *e);
