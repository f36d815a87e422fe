#include "harness/inspect/page_html.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

/* Text of corpora and specs goes into the page only through page_html_text: `<` and `&` would be
 * markup. Newlines are shown, since a trigger's last token often is one. */

enum { PREFIX_BYTES = 100 };

/* A text that may be cut inside a character: what is no UTF-8 is left out. */
void page_html_text(FILE *out, const char *text)
{
    for (int n; *text; text += MAX(n, 1)) {
        n = json_utf8_bytes(text);
        if (text_turns(text)) {
            fputs("\uFFFD", out);
        } else if (*text == '<') {
            fputs("&lt;", out);
        } else if (*text == '&') {
            fputs("&amp;", out);
        } else if (*text == '\n') {
            fputs("↵", out);
        } else {
            fwrite(text, 1, (size_t)n, out);
        }
    }
}

void page_html_token(FILE *out, const prefixes *p, int32_t id)
{
    fputs("<code>", out);
    page_html_text(out, prefixes_piece(p, id));
    fputs("</code>", out);
}

/* Marked is the prefix's last token, by the length of its piece, counted from the end. A prefix cut
 * shorter than that piece is marked whole. */
void page_html_prefix(FILE *out, const prefixes *text, int64_t token, arena *a)
{
    int32_t last = -1;
    const char *prefix = inspection_prefix(text, token, PREFIX_BYTES, a);
    prefixes_read(text, token, 1, &last, NULL);
    size_t piece = strlen(prefixes_piece(text, last)), all = strlen(prefix);
    size_t before = all >= piece ? all - piece : 0;
    char *head = arena_strdup(a, prefix);
    head[before] = 0;
    page_html_text(out, head);
    fputs("<mark>", out);
    page_html_text(out, prefix + before);
    fputs("</mark>", out);
}
