/* The shells' scripts know nothing of loci: each hands the words typed so far to `loci complete`
 * and shows what it prints, a candidate a line. So completion is never older than the program, and
 * all three shells offer the same. It is asked at every press of a key: it opens no database, and
 * reads the record of one experiment at most. */
#include "tools/complete.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/supervise/manage_names.h"

/* A candidate is a line: labels hold spaces, and whatever a stranger wrote into a record, so each
 * is quoted as the quotes demand that are open at the cursor, lest the shell run it. Words come as
 * they are typed, with these quotes; bash replaces what stands behind the open one. Within double
 * quotes ! has no escape: they are closed for it. Bash closes the open quote, but not behind what
 * looks like its end. Behind one that opens amid the word nothing is offered, since bash would put
 * the whole name there. */
static const char BASH[] =
    "_loci() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} open= at=0 i one found\n"
    "    for ((i = 0; i < ${#word}; i++)); do\n"
    "        case $open${word:i:1} in\n"
    "        \\\\ | \\\"\\\\) i=$((i + 1)) ;;\n"
    "        \\\" | \\') open=${word:i:1} at=$i ;;\n"
    "        \\\"\\\" | \\'\\') open= ;;\n"
    "        esac\n"
    "    done\n"
    "    COMPREPLY=()\n"
    "    [[ -z $open || $at -eq 0 ]] || return\n"
    "    mapfile -t found < <(loci complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    for one in \"${found[@]}\"; do\n"
    "        case $open in\n"
    "        \\\")\n"
    "            for i in \\\\ \\$ \\` \\\"; do one=${one//\"$i\"/\"\\\\$i\"}; done\n"
    "            one=${one//!/\\\"\\\\!\\\"}\n"
    "            ;;\n"
    "        \\') one=${one//\\'/\\'\\\\\\'\\'} ;;\n"
    "        *) printf -v one %q \"$one\" ;;\n"
    "        esac\n"
    "        [[ -z $open || ${one: -1} != \"$open\" ]] || one+=$open\n"
    "        COMPREPLY+=(\"$one\")\n"
    "    done\n"
    "    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default\n"
    "}\n"
    "complete -F _loci loci\n";
/* zsh hands over words with their quotes as well, and quotes candidates itself. */
static const char ZSH[] =
    "#compdef loci\n"
    "_loci() {\n"
    "    local -a found\n"
    "    found=(${(f)\"$(loci complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "    if (( ${#found} )); then compadd -a found; else _files; fi\n"
    "}\n"
    "compdef _loci loci\n";
static const char FISH[] =
    "function __loci\n"
    "    loci complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null\n"
    "end\n"
    "complete -c loci -a '(__loci)'\n";

const char *complete_script(const char *shell)
{
    if (strcmp(shell, "bash") == 0) return BASH;
    if (strcmp(shell, "zsh") == 0) return ZSH;
    return strcmp(shell, "fish") == 0 ? FISH : NULL;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void print_options(FILE *out, const verb *v, const char *begun)
{
    for (const option *o = v->options; o && o->name; o++) {
        if (begins(o->name, begun + 2)) fprintf(out, "--%s\n", o->name);
    }
    /* Every verb has it, and no table. */
    if (begins("help", begun + 2)) fputs("--help\n", out);
}

/* The option whose value is being typed: the word before, unless it is a switch. "--name=value" is
 * one word, and completes to nothing. */
static const option *option_before(const verb *v, const char *word)
{
    for (const option *o = v->options; o && o->name && begins(word, "--"); o++) {
        if (strcmp(o->name, word + 2) == 0 && o->type != OPTION_BOOL) return o;
    }
    return NULL;
}

/* "a|b|c", as the table has it. */
static void print_choices(FILE *out, const char *choices, const char *begun)
{
    /* An option without choices (a number, a path) completes to nothing; the shell then offers
     * files. */
    while (choices && *choices) {
        size_t n = strcspn(choices, "|");
        if (strncmp(choices, begun, strlen(begun)) == 0) fprintf(out, "%.*s\n", (int)n, choices);
        choices += n + (choices[n] == '|');
    }
}

/* EXPERIMENT/LABEL of the record's variants, once each: runs stand seed by seed. */
static void print_labels(FILE *out, const char *record, const char *name, const char *begun)
{
    /* No message may go anywhere while somebody is typing: a record that cannot be read completes
     * to nothing. */
    json_t *x = json_read(record, NULL), *run, *runs = json_object_get(x, "runs");
    json_auto_t *seen = json_object();
    size_t i;
    json_array_foreach(runs, i, run)
    {
        const char *label = json_get_text(run, "label");
        char whole[1024];
        if (!label || json_object_get(seen, label)) continue;
        json_object_set_new(seen, label, json_true());
        snprintf(whole, sizeof whole, "%s/%s", name, label);
        if (begins(whole, begun)) fprintf(out, "%s\n", whole);
    }
    json_decref(x);
}

/* Experiments, and of one whose name is written out its variants. */
static void print_names(FILE *out, const char *begun)
{
    char folder[FILE_PATH_BYTES], record[FILE_PATH_BYTES];
    const char *results = cli_out(NULL);
    arena_auto *a = arena_new(1 << 14);
    const char *const *files = NULL;
    int64_t n = 0;
    bool any = file_join(folder, results, "experiments", NULL) &&
               manage_names_experiments(results, a, &files, &n, NULL);
    for (int64_t i = 0; any && i < n; i++) {
        size_t bytes = strlen(files[i]);
        char name[300];
        /* Files are NAME.json: manage_names_experiments lists no others. */
        snprintf(name, sizeof name, "%.*s", (int)MIN(bytes - 5, (size_t)299), files[i]);
        size_t own = strlen(name);
        /* Labels of all experiments would mean reading all their records at each press of a key. */
        bool inside = begins(begun, name) && begun[own] == '/';
        if (inside && file_join(record, folder, files[i], NULL)) {
            print_labels(out, record, name, begun);
        } else if (begins(name, begun)) {
            fprintf(out, "%s\n", name);
        }
    }
}

/* A word as the shell would read it: without its quotes, of which the last may not be typed yet. */
static const char *unquoted(arena *a, const char *word)
{
    char *out = arena_strdup(a, word), *to = out, quote = 0;
    for (const char *x = word; *x; x++) {
        bool opens = !quote && (*x == '"' || *x == '\'');
        /* A shell's rules as far as labels need them: within single quotes a backslash is a
         * letter. */
        if (*x == '\\' && quote != '\'' && x[1]) {
            *to++ = *++x;
        } else if (opens) {
            quote = *x;
        } else if (*x == quote) {
            quote = 0;
        } else {
            *to++ = *x;
        }
    }
    *to = 0;
    return out;
}

void complete_print(FILE *out, const verb *const *verbs, int verb_count, int count,
                    char *const *words)
{
    arena_auto *a = arena_new(1 << 12);
    /* The word at the cursor is the last one, and may be empty. */
    const char *begun = count > 0 ? unquoted(a, words[count - 1]) : "";
    const verb *v = NULL;
    for (int i = 0; i < verb_count; i++) {
        bool shown = !verbs[i]->hidden && begins(verbs[i]->name, begun);
        if (count <= 1 && shown) fprintf(out, "%s\n", verbs[i]->name);
        if (count > 1 && strcmp(verbs[i]->name, words[0]) == 0) v = verbs[i];
    }
    if (!v) return;
    const option *o = count > 2 ? option_before(v, words[count - 2]) : NULL;
    if (o) {
        print_choices(out, o->choices, begun);
    } else if (begins(begun, "--")) {
        print_options(out, v, begun);
    } else if (v->words && (strstr(v->words, "RUN") || strstr(v->words, "EXPERIMENT"))) {
        print_names(out, begun);
    }
}
