/* In roff a line that begins with a dot or an apostrophe is a command, a backslash begins an escape
 * and a bare "-" may become a hyphen that cannot be copied into a shell: text is never printed but
 * through put_text. The pages are plain man(7) macros, which man, mandoc and groff all read. */
#include "tools/man_page.h"

#include <string.h>

/* Text for roff: no letter of it is a command. */
static void put_text(FILE *out, const char *text, size_t bytes)
{
    /* Also at the very beginning of the text: what stands before it may have ended a line. */
    bool begins = true;
    for (size_t i = 0; i < bytes; i++) {
        if (begins && (text[i] == '.' || text[i] == '\'')) fputs("\\&", out);
        begins = text[i] == '\n';
        if (text[i] == '\\') {
            fputs("\\e", out);
        } else if (text[i] == '-') {
            fputs("\\-", out);
        } else {
            fputc(text[i], out);
        }
    }
}

static void put(FILE *out, const char *text)
{
    put_text(out, text, strlen(text));
}

/* The date is left empty, so that equal programs make equal pages. */
static void begin(FILE *out, const char *title, const char *name, const char *line)
{
    fputs(".TH ", out);
    put(out, title);
    fputs(" 1 \"\" loci \"User commands\"\n.SH NAME\n", out);
    put(out, name);
    fputs(" \\- ", out);
    put_text(out, line, strcspn(line, "\n"));
    fputc('\n', out);
}

/* Paragraphs as the help has them: lines that are indented stand as they are. */
static void put_paragraphs(FILE *out, const char *text)
{
    bool kept = false;
    while (*text) {
        size_t n = strcspn(text, "\n");
        bool keep = *text == ' ';
        /* Examples keep their lines (.nf), everything else is filled by the reader. */
        if (keep != kept) fputs(keep ? ".nf\n" : ".fi\n", out);
        kept = keep;
        if (n == 0) {
            fputs(".PP", out);
        } else {
            put_text(out, text, n);
        }
        fputc('\n', out);
        text += n + (text[n] == '\n');
    }
    if (kept) fputs(".fi\n", out);
}

static void put_option(FILE *out, const option *o)
{
    fputs(".TP\n.B \\-\\-", out);
    put(out, o->name);
    if (o->type == OPTION_CHOICE) fputc(' ', out);
    put(out, cli_value_name(o));
    fputc('\n', out);
    put(out, o->help);
    if (cli_shows_default(o)) {
        fputs(" (default ", out);
        put(out, *o->initial ? o->initial : "empty");
        fputc(')', out);
    }
    fputc('\n', out);
}

void man_page_verb(FILE *out, const verb *v)
{
    char name[64];
    snprintf(name, sizeof name, "loci-%s", v->name);
    begin(out, name, name, v->help);
    fputs(".SH SYNOPSIS\n.B loci ", out);
    put(out, v->name);
    /* A line of its own: .B makes bold what stands behind it on its line. */
    fprintf(out, "\n%s", v->options ? "[OPTION...] " : "");
    put(out, v->words);
    fputs("\n.SH DESCRIPTION\n", out);
    put_paragraphs(out, v->help);
    /* In the order of the table, as --help has them. */
    if (v->options) fputs(".SH OPTIONS\n", out);
    for (const option *o = v->options; o && o->name; o++) {
        put_option(out, o);
    }
    fputs(".SH EXAMPLES\n.nf\n", out);
    for (int i = 0; i < 2; i++) {
        fputs("loci ", out);
        put(out, v->examples[i]);
        fputc('\n', out);
    }
    fputs(".fi\n.SH EXIT STATUS\n", out);
    put(out, CLI_EXIT_STATUS);
    fputs("\n.SH SEE ALSO\n.BR loci (1)\n", out);
}

void man_page_program(FILE *out, const verb *const *verbs, int count)
{
    begin(out, "LOCI", "loci", "trains the variants of one experiment file and compares them");
    fputs(".SH SYNOPSIS\n.B loci\nVERB [OPTION...] [WORD...]\n.SH VERBS\n", out);
    for (int i = 0; i < count; i++) {
        if (verbs[i]->hidden) continue;
        fputs(".TP\n.BR loci\\-", out);
        put(out, verbs[i]->name);
        fputs(" (1)\n", out);
        put_text(out, verbs[i]->help, strcspn(verbs[i]->help, "\n"));
        fputc('\n', out);
    }
    fputs(".PP\n.B loci help spec\nsays what an experiment file may hold.\n.SH EXIT STATUS\n", out);
    put(out, CLI_EXIT_STATUS);
    fputc('\n', out);
}
