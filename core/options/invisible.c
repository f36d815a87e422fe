#include "core/options/invisible.h"

#include <string.h>

/* Such characters come with text that was copied from a page or a chat: a no-break space between a
 * key and its value looks right and is a part of the word. They are not turned into spaces
 * silently, since a text may hold them on purpose: whoever fails to understand a word looks for
 * them and names what it found.
 *
 * Bytes are compared, three at most: all of them are outside of ASCII, so plain text is passed over
 * at a test per byte. */

static const struct {
    const char *bytes, *name;
} INVISIBLE[] = {
    {"\xc2\xa0", "U+00A0, a no-break space"},
    {"\xc2\xad", "U+00AD, a soft hyphen"},
    {"\xe2\x80\x80", "U+2000, a wide space"},
    {"\xe2\x80\x81", "U+2001, a wide space"},
    {"\xe2\x80\x82", "U+2002, a wide space"},
    {"\xe2\x80\x83", "U+2003, a wide space"},
    {"\xe2\x80\x84", "U+2004, a narrow space"},
    {"\xe2\x80\x85", "U+2005, a narrow space"},
    {"\xe2\x80\x86", "U+2006, a narrow space"},
    {"\xe2\x80\x87", "U+2007, a figure space"},
    {"\xe2\x80\x88", "U+2008, a narrow space"},
    {"\xe2\x80\x89", "U+2009, a thin space"},
    {"\xe2\x80\x8a", "U+200A, a hair space"},
    {"\xe2\x80\x8b", "U+200B, a space of no width"},
    {"\xe2\x80\x8c", "U+200C, a joiner of no width"},
    {"\xe2\x80\x8d", "U+200D, a joiner of no width"},
    {"\xe2\x80\x8e", "U+200E, a mark of direction"},
    {"\xe2\x80\x8f", "U+200F, a mark of direction"},
    {"\xe2\x80\xa8", "U+2028, a line separator"},
    {"\xe2\x80\xa9", "U+2029, a paragraph separator"},
    {"\xe2\x80\xaa", "U+202A, a mark of direction"},
    {"\xe2\x80\xab", "U+202B, a mark of direction"},
    {"\xe2\x80\xac", "U+202C, a mark of direction"},
    {"\xe2\x80\xad", "U+202D, a mark of direction"},
    {"\xe2\x80\xae", "U+202E, a mark of direction"},
    {"\xe2\x80\xaf", "U+202F, a narrow no-break space"},
    {"\xe2\x81\x9f", "U+205F, a narrow space"},
    {"\xe2\x81\xa0", "U+2060, a joiner of no width"},
    {"\xe3\x80\x80", "U+3000, a wide space"},
    {"\xef\xbb\xbf", "U+FEFF, a byte order mark"},
};

const char *invisible_find(const char *text, size_t bytes, size_t *at)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!((unsigned char)text[i] & 0x80)) continue;
        for (size_t k = 0; k < sizeof INVISIBLE / sizeof *INVISIBLE; k++) {
            /* A character that the text's end cuts off is none: nothing is read beyond `bytes`. */
            size_t n = strlen(INVISIBLE[k].bytes);
            if (n > bytes - i || memcmp(text + i, INVISIBLE[k].bytes, n) != 0) continue;
            *at = i;
            return INVISIBLE[k].name;
        }
    }
    return NULL;
}
