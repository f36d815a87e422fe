/* A comparison as one object for programs: the table's rows with each variant's verdict and runs,
 * and what holds for all of them. */
#pragma once

#include "core/base/json.h"
#include "results/compare/compare.h"
#include "results/table/table.h"

/* t: of compare_table, with a row for each variant. Decref it. */
json_t *compare_json(const comparison *c, const table *t);
