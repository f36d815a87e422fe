/* What `loci VERB --help` prints: see cli.h. Made of the table that the command line is read by. */
#include "core/base/terminal.h"
#include "tools/cli.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 24, BELOW = 6, LEAST = 20 };

const char *cli_value_name(const option *o)
{
    switch (o->type) {
    case OPTION_INT:
        return " N";
    case OPTION_REAL:
        return " X";
    case OPTION_CHOICE:
        return o->choices;
    case OPTION_NODE:
    case OPTION_TEXT:
        return " TEXT";
    case OPTION_BOOL:
        return "";
    }
    return "";
}

int cli_help_width(void)
{
    return MAX(MIN(terminal_columns(stdout, 80), 100), LEAST);
}

/* The text's paragraphs: what its source breaks is broken anew, indented lines stay. */
static void print_paragraphs(const char *text)
{
    arena_auto *a = arena_new(1 << 12);
    char *flowing = arena_strdup(a, text);
    for (char *x = flowing; *x; x++) {
        bool joins = *x == '\n' && x > flowing && x[-1] != '\n' && x[1] && !strchr("\n ", x[1]);
        if (joins) *x = ' ';
    }
    terminal_wrap(stdout, flowing, 0, 0, cli_help_width());
}

bool cli_shows_default(const option *o)
{
    /* Of what is not given by default, and of switches, a default says nothing. */
    return o->initial && strcmp(o->initial, "null") != 0 && o->type != OPTION_BOOL;
}

/* The option and what stands behind it; many choices go on in the next line, behind a '|'. The
 * column behind it. */
static int print_left(const option *o)
{
    int at = printf("  --%s%s", o->name, o->type == OPTION_CHOICE ? " " : "");
    for (const char *x = cli_value_name(o); *x;) {
        int n = (int)strcspn(x, "|");
        n += x[n] == '|';
        if (at + n > cli_help_width()) at = printf("\n%*s", BELOW, "") - 1;
        at += printf("%.*s", n, x);
        x += n;
    }
    return at;
}

static void print_option(const option *o)
{
    int width = cli_help_width(), column = width - HELP_COLUMN < LEAST ? BELOW : HELP_COLUMN;
    int at = print_left(o);
    /* A long name gets a line of its own, so that all texts begin in one column. */
    if (at >= column) {
        putchar('\n');
        at = 0;
    }
    printf("%*s", column - at, "");
    char text[1024];
    bool shown = cli_shows_default(o);
    snprintf(text, sizeof text, "%s%s%s%s", o->help, shown ? " (default " : "",
             !shown        ? ""
             : *o->initial ? o->initial
                           : "empty",
             shown ? ")" : "");
    terminal_wrap(stdout, text, column, column, width);
    putchar('\n');
}

void cli_help(const verb *v)
{
    static const option help = {.name = "help", .type = OPTION_BOOL, .help = "this text"};
    char usage[256];
    snprintf(usage, sizeof usage, "Usage: loci %s%s%s%s", v->name, v->options ? " [OPTION...]" : "",
             *v->words ? " " : "", v->words);
    terminal_wrap(stdout, usage, 0, 4, cli_help_width());
    fputs("\n\n", stdout);
    print_paragraphs(v->help);
    fputs("\n\n", stdout);
    for (const option *o = v->options; o && o->name; o++)
        print_option(o);
    print_option(&help);
    /* Whole, to be copied. */
    printf("\nExamples:\n  loci %s\n  loci %s\n", v->examples[0], v->examples[1]);
    print_paragraphs("\nExit status: " CLI_EXIT_STATUS);
    putchar('\n');
}
