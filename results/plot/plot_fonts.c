#include "results/plot/plot_fonts.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/terminal.h"

/* gnuplot's cairo terminals draw letters with what fontconfig finds. Without any font they draw
 * boxes, and for a letter that no font has they draw black bars over the whole picture; neither is
 * an error to gnuplot. So it is asked beforehand, and PNG and PDF are left out with a word about
 * what to install.
 *
 * fc-list is asked rather than the library linked; where it is missing the answer is taken to be
 * "all is there". */

/* Without any font the cairo terminals draw boxes for letters; SVG leaves letters to the viewer. By
 * walking the usual folders, which needs no program; the first font ends the walk. */
static bool any_installed(void)
{
    static const char *const endings[] = {".ttf", ".otf", ".pfb", ".ttc"};
    const char *home = getenv("HOME");
    char system[] = "/usr/share/fonts", local[] = "/usr/local/share/fonts";
    char own[FILE_PATH_BYTES], older[FILE_PATH_BYTES];
    snprintf(own, sizeof own, "%s/.local/share/fonts", home ? home : "");
    snprintf(older, sizeof older, "%s/.fonts", home ? home : "");
    char *const folders[] = {system, local, home ? own : NULL, older, NULL};
    /* FTS_PHYSICAL: a link that leads back into its own folder would never end. */
    FTS *walk = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    bool found = false;
    for (FTSENT *f; walk && !found && (f = fts_read(walk));) {
        const char *dot = f->fts_info == FTS_F ? strrchr(f->fts_name, '.') : NULL;
        for (int i = 0; dot && i < 4; i++) {
            found = found || strcmp(dot, endings[i]) == 0;
        }
    }
    if (walk) fts_close(walk);
    return found;
}

/* What fontconfig's fc-list says, which comes with the library that gnuplot draws letters with;
 * NULL if it is not there. The caller frees. Fixed commands, nothing of a spec's text is in
 * them. */
static char *ask_fontconfig(const char *command)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *p = popen(command, "r");
    if (p && getdelim(&text, &bytes, 0, p) <= 0) {
        free(text);
        text = NULL;
    }
    if (p) pclose(p);
    return text;
}

/* All about as wide as Liberation Sans, for which room was reckoned; fontconfig's own choice may be
 * wider. None of them: the first, and fontconfig takes what it likes. */
static void choose(char font[64])
{
    static const char *const names[] = {
        "Liberation Sans",      "Arimo", "Arial", "Helvetica", "Nimbus Sans", "FreeSans",
        "DejaVu Sans Condensed"};
    text_auto *families = ask_fontconfig("fc-list : family 2>/dev/null");
    snprintf(font, 64, "%s", names[0]);
    for (size_t i = 0; families && i < sizeof names / sizeof *names; i++) {
        if (!strstr(families, names[i])) continue;
        snprintf(font, 64, "%s", names[i]);
        break;
    }
}

/* Is it in one of the ranges "20-7e a0 ..." of hexadecimal numbers, those of all fonts? What is no
 * number (names, line ends) is skipped letter by letter. */
static bool is_in(const char *ranges, unsigned letter)
{
    for (const char *x = ranges; *x;) {
        char *end;
        unsigned long low = strtoul(x, &end, 16), high = low;
        if (end == x) {
            x++;
            continue;
        }
        if (*end == '-') high = strtoul(end + 1, &end, 16);
        if (low <= letter && letter <= high) return true;
        x = end;
    }
    return false;
}

/* Adds letters of the text that are in no font; of Latin ones every font has enough. */
static void add_missing(char missing[64], const char *text, char **ranges)
{
    enum { LATIN = 0x250 };
    unsigned letter;
    for (int n; (n = terminal_letter(text, &letter)) > 0; text += n) {
        char own[8];
        if (letter < LATIN) continue;
        /* Only once a letter beyond Latin was met: the answer is long. */
        if (!*ranges) *ranges = ask_fontconfig("fc-list : charset 2>/dev/null");
        if (!*ranges || is_in(*ranges, letter)) continue;
        snprintf(own, sizeof own, "%.*s", n, text);
        size_t used = strlen(missing);
        /* Each once, as many as the note has room for. */
        if (!strstr(missing, own) && used + 8 < 64) memcpy(missing + used, own, strlen(own) + 1);
    }
}

/* `text` and `more` are the two streams of a script: whatever is drawn stands in one of them. */
bool plot_fonts_choose(char font[64], const char *text, const char *more, char missing[64])
{
    char *ranges = NULL;
    missing[0] = 0;
    if (!any_installed()) return false;
    choose(font);
    add_missing(missing, text, &ranges);
    add_missing(missing, more, &ranges);
    free(ranges);
    return true;
}
