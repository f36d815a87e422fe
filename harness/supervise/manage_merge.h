/* Bringing the results of two folders together. */
#pragma once

#include <stdio.h>

#include "harness/supervise/manage.h"

/* Copies experiments and runs of another results folder that are missing here, or are further there
 * (merge_run.h, merge_record.h). Doing it twice changes nothing. Of experiments of the same name
 * the union is kept, or that of the larger budget. A run that was replaced, and what cannot be
 * brought, is a line of `say` (NULL: nothing is said); the latter is counted as refused, and the
 * rest comes. */
bool manage_merge(manage_report *r, const char *out, const char *from, FILE *say, err *e);
