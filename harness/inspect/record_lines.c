#include "harness/inspect/record_lines.h"

#include <stdlib.h>
#include <string.h>

/* What a line needs for as long as it is made lies in one scratch arena, reset behind every line.
 * JSON strings are copies of their own, so nothing refers to it afterwards. */

enum { TEXT_BYTES = 120 };

/* ENSURE_ASCII: lines are ASCII whatever the text, so that they survive any program between. */
bool record_lines_put(record_lines *r, json_t *line, err *e)
{
    if (!line) return err_set(e, "a figure is not a finite number; the weights are damaged");
    text_auto *text = json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(line);
    CHECK(text, "a line that is no JSON");
    bool ok =
        file_out_write(&r->file, text, strlen(text), e) && file_out_write(&r->file, "\n", 1, e);
    arena_reset(r->scratch);
    return ok;
}

/* Pieces are the tokenizer's, not the text's: whichever of the two texts is open has them. */
static const prefixes *text_of(const inspection *x)
{
    return x->text.tokens ? &x->text : &x->sample_text;
}

json_t *record_lines_token(record_lines *r, int32_t id)
{
    return json_words(prefixes_piece(text_of(r->x), id));
}

json_t *record_lines_prefix(record_lines *r, const prefixes *text, int64_t token)
{
    return json_words(inspection_prefix(text, token, TEXT_BYTES, r->scratch));
}
