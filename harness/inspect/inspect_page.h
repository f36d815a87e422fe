/* A page for people: the figures, and a sample of keys with their triggers and values. */
#pragma once

#include "harness/inspect/inspection.h"

/* inspect/index.html: figures, and a sample of keys with their triggers and values. */
bool inspect_page(const inspection *x, const char *folder, const char *title, err *e);
