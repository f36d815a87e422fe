/* Bringing the results of two folders together. */
#pragma once

#include "harness/supervise/manage.h"

/* Copies experiments and runs of another results folder that are missing here, or are further
 * there: a finished run replaces an unfinished one. Doing it twice changes nothing. Experiments of
 * the same name must plan the same runs, or the union is kept. */
bool manage_merge(manage_report *r, const char *out, const char *from, err *e);
