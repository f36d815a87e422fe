/* What is kept of an evaluation, known to be whole: a sum over the arrays of its file, whatever
 * their order, and over its place in the text. Against what disks and copies do to a file; who
 * wants to lie can sum, too, so that what is loaded is looked at all the same. */
#pragma once

#include "core/train/safetensors.h"

enum { PART_SUM_CHARS = 17 }; /* 16 hexadecimal digits */

/* Of what is to be written. */
void part_sum_entries(char sum[PART_SUM_CHARS], const st_entry *list, int count,
                      const char *cursor);
/* Of what a file holds now. */
void part_sum_file(char sum[PART_SUM_CHARS], const safetensors *s, const char *cursor);
