#include "results/plot/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "results/plot/plot_fonts.h"
#include "results/plot/plot_text.h"

/* A picture is a script with its data inside, as text, and what gnuplot makes of it. The script is
 * the thing that lasts: it is kept beside the pictures, so that who wants other colours edits it
 * and runs gnuplot again, without loci and without the database. That is also why it is written
 * before gnuplot is started: a picture that cannot be drawn leaves the script that failed.
 *
 * Settings and data go to one stream in memory, the plot command to another, since items are added
 * to the command while data are written, and the command is repeated for each format. The SVG is
 * the same to the byte for the same data: no time, no host, no font of this machine enters it (it
 * names fonts for where it is looked at). PNG and PDF hold drawn letters and depend on the fonts
 * here. */

extern char **environ;

/* How every script begins. How a script of ours is told from one that somebody put into the folder:
 * only the former is removed. */
static const char MADE[] = "# Made by loci plot.";

/* ---- scripts ---- */

/* Between single quotes gnuplot interprets nothing. A single quote is spelt by its number between
 * double ones: two of them, which it documents for one, end the string where others are near, and
 * one as it is has gnuplot look for macros ("@name") in what follows, as it counts single quotes
 * within double ones, too. Texts are labels of specs, so any character may come: control characters
 * would end a line of the script and become spaces; an SVG with a byte that is no UTF-8 (a text
 * that was cut) is none. Enhanced text is switched off by the terminals, or '_' would lower what
 * follows. */
static void put_quoted(FILE *out, const char *text, bool as_format, bool lines)
{
    fputc('\'', out);
    for (int bytes; *text; text += MAX(bytes, 1)) {
        bytes = json_utf8_bytes(text);
        if (*text == '\'' || (lines && *text == '\n')) {
            fprintf(out, "'.\"%s\".'", *text == '\n' ? "\\n" : "\\047");
            continue;
        }
        /* A tic's text is a format for its number: "50 %" needs the sign twice. */
        if (*text == '%' && as_format) fputc('%', out);
        if (text_turns(text)) {
            fputs("\uFFFD", out);
        } else if (bytes > 1) {
            fwrite(text, 1, (size_t)bytes, out);
        } else {
            fputc(bytes == 0 ? '?' : (unsigned char)*text < 0x20 ? ' ' : *text, out);
        }
    }
    fputc('\'', out);
}

void gnuplot_quote(FILE *out, const char *text)
{
    put_quoted(out, text, false, false);
}

void gnuplot_quote_lines(FILE *out, const char *text)
{
    put_quoted(out, text, false, true);
}

void gnuplot_tic(FILE *out, const char *text, double at)
{
    put_quoted(out, text, true, false);
    fprintf(out, " %.9g", at);
}

void gnuplot_set(FILE *out, const char *what, const char *text)
{
    fprintf(out, "set %s ", what);
    gnuplot_quote(out, text);
    fputc('\n', out);
}

void gnuplot_title(gnuplot_script *p, double middle, const char *text)
{
    char wrapped[1024];
    /* gnuplot neither breaks titles nor makes room for a second line. It puts a title above the
     * middle of the plot, whatever room the picture has on either side. */
    double room = 2 * fmin(middle, p->width - middle) - 20;
    int lines = plot_text_wrap(wrapped, sizeof wrapped, text, room, PLOT_LETTERS);
    p->above = 1.4 + 1.1 * lines;
    fputs("set title ", p->out);
    put_quoted(p->out, wrapped, false, true);
    fprintf(p->out, "\nset tmargin %.1f\n", p->above);
}

void gnuplot_room(gnuplot_script *p, double plot, int key)
{
    /* Of the SVG, whose lines are the highest: 1.5 of its letters' size, and 1.2 of that in a key.
     * Half a line more, as gnuplot counts the whole lines that fit. */
    const double line = 1.5 * PLOT_LETTERS;
    double room = fmax(plot, key ? 1.2 * line * (key + 0.5) : 0);
    p->height = MAX(p->height, (int)ceil(room + line * (p->above + p->below)));
}

/* A label at the screen's lower left rather than in the x label: it has letters of its own size and
 * does not move with the plot. Number 1 is kept for it; other labels begin at 2. */
int gnuplot_caption(FILE *out, const gnuplot_script *p)
{
    char wrapped[1024];
    int lines = plot_text_wrap(wrapped, sizeof wrapped, p->caption, p->width - 30, PLOT_SMALL);
    fputs("set label 1 ", out);
    put_quoted(out, wrapped, false, true);
    fprintf(out, " at screen 0.02, character %.1f left font ',%d' textcolor rgb '#606060'\n",
            lines - 0.1, PLOT_SMALL);
    return lines;
}

void gnuplot_begin(gnuplot_script *p, const char *name, int width, int height, const char *caption)
{
    *p = (gnuplot_script){
        .name = name, .width = width, .height = height, .caption = caption, .above = 2.5};
    p->out = text_begin(&p->text);
    p->plot = text_begin(&p->command);
    fprintf(p->out,
            "%s To draw it again, in its folder: gnuplot %s.gp\n"
            "set encoding utf8\n"
            "set colorsequence podo\n"
            "set border 3 linecolor rgb '#404040'\n"
            "set tics nomirror out scale 0.6 textcolor rgb '#202020'\n"
            "set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1\n"
            "set tmargin %.1f\n",
            MADE, name, p->above);
    /* Tics and x label need 4.2 lines, the caption its own below them. */
    p->below = 4.2 + gnuplot_caption(p->out, p);
    fprintf(p->out, "set bmargin %.1f\n", p->below);
}

FILE *gnuplot_item(gnuplot_script *p)
{
    fputs(p->items++ ? ", \\\n     " : "plot ", p->plot);
    return p->plot;
}

/* For PNG and PDF, whose letters are drawn here: sizes are in points there, 4/3 pixels. PNG at
 * twice the size, with letters, lines and points to match, for screens that show two pixels in the
 * place of one; PDF in inches at 96 pixels, of the SVG's proportions. */
static void put_cairo(gnuplot_script *p, const char *font)
{
    /* Panels are not drawn again by `replot`. */
    const char *again = strstr(p->command.text, "set multiplot") ? p->command.text : "replot";
    fprintf(p->out,
            "if (exists('svg_only')) set output; exit\n"
            "set terminal pngcairo size %d,%d noenhanced font '%s,%d' fontscale 1.5 linewidth 2 "
            "pointscale 2 background 'white'\n"
            "set output '%s.png'\n%s\n",
            2 * p->width, 2 * p->height, font, PLOT_LETTERS, p->name, again);
    fprintf(p->out,
            "set terminal pdfcairo size %.2fin,%.2fin noenhanced font '%s,%d' fontscale 0.75\n"
            "set output '%s.pdf'\n%s\n",
            p->width / 96.0, p->height / 96.0, font, PLOT_LETTERS, p->name, again);
}

/* For who looks at the picture with a pointer; said only where it is asked for. Where gnuplot put
 * the axes only it knows, after it has drawn. `print` goes to the log with everything it says; who
 * runs the script by hand has no `say_map` and sees nothing. */
static const char SAY_MAP[] =
    "if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', "
    "GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, "
    "GPVAL_Y_MIN, GPVAL_Y_MAX)\n";

/* SVG first: it needs no fonts here and names others for where it is looked at. All are of the same
 * proportions. */
static void put_formats(gnuplot_script *p, plot_report *r)
{
    /* Names that viewers on other systems have; the last is a class of fonts. */
    static const char svg_font[] = "font 'Liberation Sans, Arial, sans-serif,12'";
    char font[64], missing[64];
    text_end(&p->command);
    fflush(p->out); /* so that the text is there, until more is written */
    /* Asked with all texts of the script, as one letter that no font has blackens the whole
     * picture. */
    bool fonts = plot_fonts_choose(font, p->text.text, p->command.text, missing);
    fprintf(p->out,
            "set terminal svg size %d,%d dynamic noenhanced %s background 'white'\n"
            "set output '%s.svg'\n%s\n",
            p->width, p->height, svg_font, p->name, p->command.text);
    /* Panels have many plots, of which only the last one's place would be known. */
    if (!strstr(p->command.text, "set multiplot")) fputs(SAY_MAP, p->out);
    /* The script then has no PNG and PDF at all, so that running it again later by hand does not
     * fail either. */
    if (!fonts) {
        gnuplot_note(r, "no fonts are installed: only SVG was made; install fonts-liberation");
    } else if (missing[0]) {
        char note[256];
        snprintf(note, sizeof note,
                 "no installed font has %s: of pictures with it only SVG was made; install a font "
                 "that has it (fonts-noto-cjk, fonts-unifont)",
                 missing);
        gnuplot_note(r, note);
    } else {
        put_cairo(p, font);
    }
    fputs("set output\n", p->out);
    text_end(&p->text);
}

/* ---- gnuplot ---- */

/* The environment but for GNUTERM: gnuplot stops if that names a terminal that it was built
 * without. Free it. The list is new, its strings are not. */
static char **gnuplot_environment(void)
{
    int count = 0, kept = 0;
    while (environ[count]) {
        count++;
    }
    char **list = calloc((size_t)count + 1, sizeof *list);
    CHECK(list, "no memory for an environment");
    for (int i = 0; i < count; i++) {
        if (strncmp(environ[i], "GNUTERM=", 8) != 0) list[kept++] = environ[i];
    }
    return list;
}

/* Along PATH, from where this process is: in the folder of the pictures, which may be a stranger's,
 * a "." in PATH, or a part of it without a slash, would mean that folder. False: there is none. */
static bool find_gnuplot(char path[PATH_MAX])
{
    const char *at = getenv("PATH");
    char name[FILE_PATH_BYTES];
    for (const char *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, ":");
        int n = snprintf(name, sizeof name, "%.*s/gnuplot", (int)(end - at), at);
        if (end == at) n = snprintf(name, sizeof name, "./gnuplot"); /* an empty part is "." */
        bool found = n < (int)sizeof name && access(name, X_OK) == 0 && !file_is_folder(name);
        if (found && realpath(name, path)) return true;
    }
    return false;
}

/* Runs gnuplot on NAME.gp in the folder; what it says goes to NAME.log. Returns its exit status, or
 * -1 if it could not be started. By posix_spawn, not fork: the caller's memory may be large, and
 * nothing of it is needed. -d: no start-up file of the user's, which would change the picture. */
static int run_gnuplot(const char *folder, const char *script, const char *log, bool svg_only)
{
    char *const argv[] = {(char[]){"gnuplot"},
                          (char[]){"-d"},
                          (char[]){"-e"},
                          svg_only ? (char[]){"say_map = svg_only = 1"} : (char[]){"say_map = 1"},
                          (char *)(uintptr_t)script,
                          NULL};
    char program[PATH_MAX];
    if (!find_gnuplot(program)) return -1;
    char **environment = gnuplot_environment();
    posix_spawn_file_actions_t files;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&files);
    /* In the folder, so that the script's file names are plain and it can be run there by hand. */
    posix_spawn_file_actions_addchdir_np(&files, folder);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (posix_spawn(&child, program, &files, NULL, argv, environment) == 0) {
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        /* 128 for a gnuplot that died of a signal. Where posix_spawn cannot tell beforehand that
         * there is no program, its child ends with 127. */
        status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    posix_spawn_file_actions_destroy(&files);
    free(environment);
    return status;
}

/* The last words of a log, on one line. What gnuplot says last is what stopped it. */
static void last_words(char words[200], const char *path)
{
    size_t bytes = 0;
    text_auto *text = file_read(path, &bytes, NULL);
    const char *begin = text && bytes > 199 ? text + bytes - 199 : text;
    snprintf(words, 200, "%s", begin ? begin : "no message");
    for (char *c = words; *c; c++) {
        if ((unsigned char)*c < 0x20) *c = ' ';
    }
}

/* What SAY_MAP has said into the log, and the picture's size. Where it said nothing the picture
 * answers no pointer. */
static void read_map(char map[128], const char *log, const gnuplot_script *p)
{
    char *text = file_read(log, NULL, NULL), *at = text ? strstr(text, "map ") : NULL;
    map[0] = 0;
    if (at)
        snprintf(map, 128, "%.*s %d %d", (int)MIN(strcspn(at + 4, "\n"), 100), at + 4, p->width,
                 p->height);
    free(text);
}

static bool draw_script(plot_report *r, const gnuplot_script *p, err *e)
{
    static const char *const formats[] = {"png", "svg", "pdf"};
    char script[80], log[80], path[FILE_PATH_BYTES], words[200];
    snprintf(script, sizeof script, "%s.gp", p->name);
    snprintf(log, sizeof log, "%s.log", p->name);
    if (!file_join(path, r->folder, script, e) ||
        !file_write(path, p->text.text, p->text.bytes, e)) {
        return false;
    }
    int status = run_gnuplot(r->folder, script, log, r->svg_only);
    if (status < 0 || status == 127) {
        return err_set(e,
                       "gnuplot: cannot be started; install it (Debian: gnuplot-nox), the script "
                       "is %s",
                       path);
    }
    char log_path[FILE_PATH_BYTES];
    if (!file_join(log_path, r->folder, log, e)) return false;
    if (status != 0) {
        last_words(words, log_path);
        return err_set(e, "%s: gnuplot failed: %s", path, words);
    }
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s", p->name, formats[i]);
        if (r->svg_only && i != 1) continue;
        /* Files that the script names: without fonts it names the SVG alone. */
        if (!strstr(p->text.text, name) || r->count == PLOT_FILES) continue;
        if (i == 1) read_map(r->map[r->count], log_path, p);
        memcpy(r->files[r->count++], name, sizeof name);
    }
    /* A log is left only by a script that failed. */
    return file_remove(log_path, e);
}

/* The folder is kept in the report, as its caller's text may be gone when files are looked for. */
bool gnuplot_begin_report(plot_report *r, const plot_how *how, err *e)
{
    *r = (plot_report){.svg_only = how->svg_only, .all = how->all};
    snprintf(r->folder, sizeof r->folder, "%s", how->folder);
    return file_make_folders(how->folder, e);
}

/* The script last: if the removal stops half-way it is still known as ours the next time. */
bool gnuplot_remove(const char *folder, const char *script, err *e)
{
    static const char *const endings[] = {"svg", "png", "pdf", "log", "gp"};
    char path[FILE_PATH_BYTES], file[300];
    if (!file_join(path, folder, script, e)) return false;
    text_auto *text = file_read(path, NULL, NULL);
    bool ours = text && strncmp(text, MADE, strlen(MADE)) == 0;
    for (int i = 0; ours && i < 5; i++) {
        snprintf(file, sizeof file, "%.*s.%s", (int)strlen(script) - 3, script, endings[i]);
        if (!file_join(path, folder, file, e) || !file_remove(path, e)) return false;
    }
    return true;
}

bool gnuplot_run(plot_report *r, gnuplot_script *p, err *e)
{
    bool ok = true;
    /* Spared pictures were put together for nothing, which costs little beside a run of gnuplot. */
    if (!r->all && r->pictures == PLOT_FIRST) {
        size_t n = strlen(r->spared);
        snprintf(r->spared + n, sizeof r->spared - n, "%s%s", n ? ", " : "", p->name);
        text_end(&p->command);
        text_end(&p->text);
    } else {
        r->pictures++;
        put_formats(p, r);
        ok = draw_script(r, p, e);
    }
    free(p->command.text);
    free(p->text.text);
    return ok;
}

void gnuplot_note(plot_report *r, const char *text)
{
    size_t n = strlen(r->note);
    if (strstr(r->note, text)) return;
    snprintf(r->note + n, sizeof r->note - n, "%s%s", n ? "; " : "", text);
}
