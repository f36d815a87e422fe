/* Texts that models wrote after their final evaluation (eval.sample), as people see them. */
#pragma once

#include <stdio.h>

#include "core/base/json.h"
#include "results/compare/compare.h"

/* A run's under a title; nothing where there is none. Its lines are marked as its own. */
void sample_view_print(FILE *out, const json_t *sample);

/* Of each variant that of its first run that has one, as a part of the experiment's page. */
bool sample_view_html(FILE *out, store *s, const comparison *c, err *e);
