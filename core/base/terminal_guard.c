#include "core/base/terminal_guard.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/base/base.h"

/* stdout and stderr are replaced by streams of the C library whose write function is ours
 * (fopencookie), so that every printf of the program goes through it without knowing. Doing it
 * where text is printed would mean hundreds of places, of which the forgotten one is the hole.
 *
 * The filter works on bytes and keeps state between calls, since stderr is unbuffered and a
 * letter's bytes may come in two writes. Three kinds of byte matter:
 *
 *   00-1f, 7f          control characters of ASCII: shown as pictures, U+2400 + c, but for \n and
 * \t c2 80 .. c2 9f     C1, which terminals obey like ESC and a letter: U+FFFD e2 80 aa .. ae,
 * marks that turn the direction of a line, behind which "gnp.exe" is shown e2 81 a6 .. a9     as
 * "exe.png": U+FFFD
 *
 * c2 and e2 are also the beginning of harmless letters, so they are held until the byte that
 * decides; everything else passes as it is, valid UTF-8 or not. */

/* Of the process, as the streams are. */
static struct guard {
    FILE *stream; /* NULL: not guarded */
    int file;
    bool terminal, own; /* own: what comes is the program's */
    int failed;         /* errno of the first write that failed; 0: none has */
    unsigned char held[2];
    int holding; /* the beginning of a letter whose end decides */
} GUARD[2];

static struct guard *guard_of(FILE *out)
{
    for (int i = 0; i < 2; i++) {
        if (out && GUARD[i].stream == out) return &GUARD[i];
    }
    return NULL;
}

int terminal_file(FILE *out)
{
    const struct guard *g = guard_of(out);
    return g ? g->file : fileno(out);
}

int terminal_failed(FILE *out)
{
    const struct guard *g = guard_of(out);
    return g ? g->failed : 0;
}

/* What was printed before leaves the buffer under the old setting, the sequence under its own: both
 * flushes are needed, or a stranger's words in the buffer would be passed on unfiltered. */
void terminal_control(FILE *out, const char *sequence)
{
    struct guard *g = guard_of(out);
    if (!g) {
        fputs(sequence, out);
        return;
    }
    fflush(out);
    g->own = true;
    fputs(sequence, out);
    fflush(out);
    g->own = false;
}

#ifdef __GLIBC__

static bool write_all(int file, const char *text, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(file, text + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        done += (size_t)n;
    }
    return true;
}

static size_t put(char *out, const void *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return n;
}

/* Does the letter that is held end with this byte as one that is not passed on? C1's are c2 80 to
 * c2 9f; turns of direction U+202A to U+202E and U+2066 to U+2069. */
static bool ends_control(const struct guard *g, unsigned char c)
{
    if (g->held[0] == 0xc2) return c >= 0x80 && c <= 0x9f;
    if (g->holding < 2) return false;
    return g->held[1] == 0x80 ? c >= 0xaa && c <= 0xae : c >= 0xa6 && c <= 0xa9;
}

/* What a byte becomes, up to 5 bytes of out.
 * 5: two held bytes that turn out harmless, and the picture of this one. A held byte is not decided
 * by a control character behind it: that is looked at again as the first of its own. */
static size_t pass(struct guard *g, unsigned char c, char *out)
{
    size_t n = 0;
    if (g->holding > 0) {
        if (ends_control(g, c)) {
            g->holding = 0;
            return put(out, "\xef\xbf\xbd", 3);
        }
        if (g->holding == 1 && g->held[0] == 0xe2 && (c == 0x80 || c == 0x81)) {
            g->held[g->holding++] = c;
            return 0;
        }
        n = put(out, g->held, (size_t)g->holding);
        g->holding = 0;
    }
    if (c == 0xc2 || c == 0xe2) {
        g->held[g->holding++] = c;
        return n;
    }
    bool plain = (c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t' || (c == '\r' && !g->terminal);
    const unsigned char picture[] = {0xe2, 0x90, c == 0x7f ? 0xa1 : (unsigned char)(0x80 + c)};
    return n + (plain ? put(out + n, &c, 1) : put(out + n, picture, sizeof picture));
}

static ssize_t write_guarded(void *cookie, const char *text, size_t bytes)
{
    struct guard *g = cookie;
    char out[4096];
    size_t n = 0;
    bool ok = !g->own || write_all(g->file, text, bytes);
    for (size_t i = 0; ok && !g->own && i < bytes; i++) {
        n += pass(g, (unsigned char)text[i], out + n);
        /* 8 > 5: room for what the next byte becomes. */
        if (n + 8 < sizeof out && i + 1 < bytes) continue;
        ok = write_all(g->file, out, n);
        n = 0;
    }
    if (!ok && g->failed == 0) g->failed = errno;
    /* 0 is an error to the C library; it counts bytes that came, not those that left, or it would
     * send a part of the text a second time. */
    return ok ? (ssize_t)bytes : 0;
}

static void guard_stream(struct guard *g, FILE **stream, int file, int buffered)
{
    const cookie_io_functions_t functions = {.write = write_guarded};
    FILE *f = fopencookie(g, "w", functions);
    if (!f) return;
    /* The old stream's buffer goes out first, or its words would come at the exit. Where the new
     * stream cannot be made, the old one stays: nothing is guarded, but nothing is lost. */
    fflush(*stream);
    setvbuf(f, NULL, buffered, BUFSIZ);
    *g = (struct guard){.stream = f, .file = file, .terminal = isatty(file) == 1};
    *stream = f;
}

void terminal_guard(void)
{
    /* Buffered as the C library's own streams would be. */
    guard_stream(&GUARD[0], &stdout, STDOUT_FILENO, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    guard_stream(&GUARD[1], &stderr, STDERR_FILENO, _IONBF);
}

#else

void terminal_guard(void) {}

#endif
