/* The command line: see cli.h.
 *
 * A verb's options are the same kind of table that specs are read by, so the command line gets its
 * types, ranges, units (1M, 8G), choices and messages from core/options, and getopt_long is left
 * with what it does well: words in any order, --name=value, "--" and abbreviations. Help, manual
 * pages and completion are made of the table too; none of them can name an option that is not
 * there.
 *
 * Exit statuses are few and mean the same for every verb: see CLI_EXIT_STATUS. Only this file and
 * the verbs print and choose one; what lies below returns false and an err. */
#include "tools/cli.h"

#include "core/base/file.h"
#include "core/base/one_line.h"
#include "core/base/terminal.h"
#include "core/base/terminal_guard.h"

#include <errno.h>
#include <stdio.h>

/* getopt.h has a `struct option` of its own. */
#define option getopt_option
#include <getopt.h>
#undef option

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_OPTIONS = 48 };

int cli_fail(int status, const char *format, ...)
{
    fflush(stdout);
    /* First what was printed before, so that in a terminal or in a file that takes both streams the
     * message stands where it happened. Prose is wrapped at a terminal's width and left alone
     * elsewhere: a program that reads messages wants one line. */
    terminal_prose prose;
    char text[4 * ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    one_line(text, sizeof text); /* words of the command line are repeated in it */
    FILE *out = terminal_prose_begin(&prose, stderr);
    fprintf(out, "loci: %s\n", text);
    terminal_prose_end(&prose);
    return status;
}

int cli_tell(int status, const err *e)
{
    return cli_fail(status == EXIT_USAGE && e->outside ? EXIT_FAILED : status, "%s", e->text);
}

/* So that loops over options need no case for a verb without any. */
static const option *options_of(const verb *v)
{
    static const option NONE[] = {{0}};
    return v->options ? v->options : NONE;
}

static int option_count(const verb *v)
{
    const option *o = options_of(v);
    int n = 0;
    while (o[n].name)
        n++;
    /* A table that outgrew the arrays below would write behind them. */
    CHECK(n < MAX_OPTIONS, "%s has %d options", v->name, n);
    return n;
}

static int __attribute__((format(printf, 2, 3))) usage_error(const verb *v, const char *format, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return cli_fail(EXIT_USAGE, "%s: %s; see loci %s --help", v->name, text, v->name);
}

static int unknown_option(const verb *v, const char *word)
{
    const char *known[MAX_OPTIONS + 1];
    int n = option_count(v);
    for (int i = 0; i < n; i++)
        known[i] = options_of(v)[i].name;
    known[n] = "help";
    char name[64];
    const char *begin = word + strspn(word, "-");
    /* What getopt has refused may be "--name=value"; the nearest name is looked for without the
     * value. */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, "="), begin);
    const char *near = option_nearest(name, n + 1, known);
    if (near) return usage_error(v, "unknown option '%s' (did you mean '--%s'?)", word, near);
    return usage_error(v, "unknown option '%s'", word);
}

/* Sets one option from its text; repeated ones append to their list. */
static bool set_option(void *options, const option *o, const char *text, arena *a, err *e)
{
    void *field = (char *)options + o->offset;
    if (o->type == OPTION_TEXT) { /* as it is: a prompt may be "none" */
        *(const char **)field = arena_strdup(a, text);
        return true;
    }
    if (o->type != OPTION_NODE) return option_read_text(options, o, text, a, e);
    node **list = field;
    /* Without it the field stays NULL, which is how a verb sees that none was given. */
    if (!*list) *list = node_list(a);
    node_append(a, *list, node_scalar(a, arena_strdup(a, text), false));
    return true;
}

/* Mostly an empty variable of a script: as a path it would be the folder of all folders. */
static bool is_missing(const option *o, const char *text)
{
    bool is_text = o->type == OPTION_TEXT || o->type == OPTION_NODE;
    return is_text && !o->empty && !*text;
}

static void fill_long_options(struct getopt_option *list, const verb *v)
{
    const option *o = options_of(v);
    int n = option_count(v);
    for (int i = 0; i < n; i++) {
        int value = o[i].type == OPTION_BOOL ? no_argument : required_argument;
        /* Values from 256 on: none of them is a letter's, so 'h', '?' and ':' stay what getopt
         * says. */
        list[i] = (struct getopt_option){o[i].name, value, NULL, 256 + i};
    }
    list[n] = (struct getopt_option){"help", no_argument, NULL, 'h'};
    list[n + 1] = (struct getopt_option){0};
}

/* Fills c from the command line. Returns false where the call ends here, with its status. */
static bool parse_words(const verb *v, int argc, char **argv, cli_call *c, int *status)
{
    struct getopt_option list[MAX_OPTIONS + 2];
    fill_long_options(list, v);
    void *options = arena_push_zero(c->memory, 1, MAX(v->options_bytes, (size_t)1));
    err e = {0};
    /* Defaults, from the table as for a spec. An error here would be the table's own. */
    if (!options_read(options, options_of(v), NULL, NULL, c->memory, &e)) {
        *status = usage_error(v, "%s", e.text);
        return false;
    }
    const char **given = ARENA_NEW(c->memory, const char *, argc + 1);
    int given_count = 0;
    /* Messages are ours. optind is set since a process may parse twice (tests do). */
    opterr = 0;
    optind = 1;
    int got;
    /* The colon in front asks to tell a missing value from an unknown option. */
    while ((got = getopt_long(argc, argv, ":h", list, NULL)) != -1) {
        if (got == 'h') {
            cli_help(v);
            *status = EXIT_DONE;
            return false;
        }
        if (got == '?') {
            /* Of letters behind one dash, -rf, the word is not done with while one is left. */
            const char letter[] = {'-', (char)optopt, 0};
            bool is_letter = optopt > 0 && optopt < 256 && optopt != 'h'; /* that of --help=X */
            *status = unknown_option(v, is_letter ? letter : argv[optind - 1]);
            return false;
        }
        if (got == ':') {
            *status = usage_error(v, "option '%s' needs a value", argv[optind - 1]);
            return false;
        }
        const option *o = &options_of(v)[got - 256];
        if (is_missing(o, optarg)) {
            *status =
                usage_error(v, "--%s is given an empty text: leave it out, or say --%s TEXT (%s)",
                            o->name, o->name, o->help);
            return false;
        }
        if (!set_option(options, o, o->type == OPTION_BOOL ? "true" : optarg, c->memory, &e)) {
            *status = usage_error(v, "--%s", e.text); /* which begins with the name */
            return false;
        }
        given[given_count++] = o->name;
    }
    given[given_count] = NULL;
    c->given = given;
    c->options = options;
    c->count = argc - optind;
    c->words = argv + optind;
    return true;
}

/* Which of the words beside the options is; -1: none. */
static int empty_word(const cli_call *c)
{
    for (int i = 0; i < c->count; i++) {
        if (!*c->words[i]) return i;
    }
    return -1;
}

/* A full disk or a closed pipe shows here at the latest: a table of which half was written is a
 * failure, whatever the verb thinks of it. */
static int end_output(int status)
{
    err e = {.text = "standard output: cannot be written"};
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    /* Of an earlier failure the guard knows the reason. */
    if (terminal_failed(stdout) != 0) errno = terminal_failed(stdout);
    if (errno != 0) file_failed(&e, "standard output", "cannot be written");
    return cli_tell(EXIT_FAILED, &e);
}

int cli_run(const verb *v, int argc, char **argv)
{
    cli_call c = {.memory = arena_new(1 << 16)};
    int status = EXIT_DONE;
    if (parse_words(v, argc, argv, &c, &status)) {
        if (c.count < v->min_words) {
            status = usage_error(v, "%s is missing", v->words);
        } else if (c.count > v->max_words) {
            status = usage_error(v, "'%s' is one word too many", c.words[v->max_words]);
        } else if (empty_word(&c) >= 0) {
            status = usage_error(v, "word %d is empty; say %s", empty_word(&c) + 1, v->words);
        } else {
            status = v->run(&c);
        }
    }
    arena_free(c.memory);
    return end_output(status);
}

/* Options that are parsed and not looked at are the worst kind of help: who gave one believes that
 * it counted. */
const char *cli_given_beside(const cli_call *c, const char *const *read)
{
    for (int i = 0; c->given[i]; i++) {
        int k = 0;
        while (read[k] && strcmp(read[k], c->given[i]) != 0)
            k++;
        if (!read[k]) return c->given[i];
    }
    return NULL;
}

const char *const *cli_texts(arena *a, const node *list)
{
    int n = list ? list->count : 0;
    const char **texts = ARENA_NEW(a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        texts[i] = list->items[i]->text;
    texts[n] = NULL;
    return texts;
}

node *cli_data_section(arena *a, const char *text, err *e)
{
    node *section = node_parse(a, text, strlen(text), "command line", e);
    if (!section) return NULL;
    if (section->kind == NODE_SCALAR) {
        node *map = node_map(a);
        node_set(a, map, "corpus", section);
        section = map;
    }
    /* So that errors call an option data.corpus, as in a spec. */
    node_repath(a, section, "data");
    return corpus_check(section, e) ? section : NULL;
}

/* In order of how closely the user has said it: the call, the environment, the project. An empty
 * variable is none. */
corpus_places cli_places(arena *a, const char *data)
{
    const char **roots = ARENA_NEW(a, const char *, 4);
    int n = 0;
    const char *named = getenv("LOCI_DATA");
    if (data) roots[n++] = data;
    if (named && *named) roots[n++] = named;
    roots[n++] = "data/corpora";
    roots[n] = NULL;
    const char *cache = getenv("LOCI_CACHE");
    return (corpus_places){.roots = roots, .cache = cache && *cache ? cache : "data/cache"};
}

/* What was said: variants of a sweep open the same corpus. */
typedef struct cli_said {
    arena *memory;
    const char *line;
    struct cli_said *next;
} cli_said;

static void say_once(void *user, const char *line)
{
    cli_said *first = user;
    for (const cli_said *x = first->next; x; x = x->next) {
        if (strcmp(x->line, line) == 0) return;
    }
    cli_said *said = ARENA_NEW(first->memory, cli_said, 1);
    *said = (cli_said){.line = arena_strdup(first->memory, line), .next = first->next};
    first->next = said;
    /* Not more often than once, or a sweep of sixty variants says it sixty times. */
    char text[4 * ERR_TEXT_BYTES];
    snprintf(text, sizeof text, "%s", line);
    one_line(text, sizeof text);
    fprintf(stderr, "loci: %s\n", text);
}

corpus_places cli_places_heard(arena *a, const char *data)
{
    corpus_places places = cli_places(a, data);
    cli_said *first = ARENA_NEW(a, cli_said, 1);
    *first = (cli_said){.memory = a};
    places.say = say_once;
    places.user = first;
    return places;
}

/* https://no-color.org: set and not empty. */
bool cli_colour(FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(terminal_file(out)) && !(no_color && *no_color) &&
           !(term && strcmp(term, "dumb") == 0);
}

/* Cut short by a signal it is not taken up again: who presses Ctrl-C wants the end. */
void cli_pause(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

bool cli_is_yaml(const char *word)
{
    const char *end = strrchr(word, '.');
    return end && (strcmp(end, ".yaml") == 0 || strcmp(end, ".yml") == 0);
}

/* As the kernel has it, since getopt has moved the words of argv around. Zero bytes part the words
 * there; one that holds a space cannot be told from two afterwards, which is good enough for a
 * record that people read. */
const char *cli_command(arena *a)
{
    enum { LONGEST = 64 * 1024 };
    FILE *f = fopen("/proc/self/cmdline", "rb");
    if (!f) return "loci";
    char *words = arena_push_zero(a, LONGEST, 1);
    size_t n = fread(words, 1, LONGEST - 1, f);
    fclose(f);
    for (size_t i = 0; i + 1 < n; i++) {
        if (!words[i]) words[i] = ' ';
    }
    return words;
}

const char *cli_out(const char *out)
{
    const char *named = getenv("LOCI_OUT");
    if (out) return out;
    return named && *named ? named : "results/out";
}
