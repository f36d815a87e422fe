/* What statements are made of: margins with their units, figures, slices of the text. */
#pragma once

#include "results/claims/claim_scope.h"

/* "0.02 bits/byte", "2 %", "0" into s->margin. Its unit says which figure is meant, if nothing else
 * does. */
bool statement_parts_margin(claim_reader *r, claim_statement *s, const node *n);
/* A factor above 0 into s->margin. */
bool statement_parts_factor(claim_reader *r, claim_statement *s, const node *n);
/* A figure's name; those that an inspection finds are made in the arena. */
bool statement_parts_figure(claim_reader *r, const claim_figure **f, const node *n);
/* {position: 512-} into s->by, low and high. */
bool statement_parts_slice(claim_reader *r, claim_statement *s, const node *n);
