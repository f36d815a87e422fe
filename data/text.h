/* Inside data/: text that is split by position or by file; shared by the kinds of corpora of text.
 */
#pragma once

#include "data/corpus_class.h"

/* Adds one file, not a packed one, as a document per split: train first, validation and test
 * (shares of the bytes) behind it. */
bool text_split_by_position(corpus *c, const char *path, double validation, double test, err *e);

/* Adds the files of the folder c->where, each a document (text_folder.c). Its folders or files that
 * are named after splits (split_names.h) are these splits; where there are none, whole files are
 * held out, chosen by the hash of their names: the shares count bytes. */
bool text_folder_open(corpus *c, double validation, double test, err *e);
