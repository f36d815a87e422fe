/* The script of a launch: a template with places in @...@, filled. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "harness/launch/launch.h"

/* Why the script is as it is:
 *
 *   --exclusive --mem=0   a task has its whole node: it decides by itself how many runs fit
 *   --requeue             a node that dies puts its tasks back into the queue
 *   B:USR1@lead           the signal is for the batch shell alone; the trap passes TERM on, which
 *                         the program understands, after which `wait` returns before the program
 *                         has ended: hence the loop, which asks until it is gone
 *   last wait             its exit status, however often `wait` was interrupted before
 *   status 75             saved, and something is left: back into the queue, unless it was stopped,
 *                         or cancelled by scancel, of which Slurm tells a job only in a line of its
 *                         log, "CANCELLED AT <when> ***"; where it takes a job's node or time the
 *                         line goes on with why ("DUE TO PREEMPTION ***").
 *                         requeue kills this script; sleep keeps it from ending, with a status that
 *                         would count, before that
 *   open-mode=append      a task that comes back writes behind what it said before
 *
 * File and folder names come from users: whatever becomes a word of the shell goes through
 * put_word. The #SBATCH lines are read by Slurm, not by the shell. */

/* Slurm signals the script (B:) before the time is up and when another job needs the node; the
 * program is told to save, and the task comes back to the queue. The program itself counts stops
 * without progress, and ends with another status than 75 after too many. */
static const char TEMPLATE[] =
    "#!/bin/bash\n"
    "#SBATCH --job-name=@name@\n"
    "#SBATCH --array=1-@tasks@\n"
    "#SBATCH --nodes=1 --ntasks=1 --exclusive --mem=0\n"
    "#SBATCH --requeue --open-mode=append --signal=B:USR1@@lead@\n"
    "#SBATCH --output=@log@\n"
    "@options@"
    "cd @cwd@ || exit 1\n"
    "log=@folder@/log/$SLURM_ARRAY_TASK_ID.txt\n"
    "said=$(stat -c %s \"$log\")\n"
    "@setup@"
    "@command@ --task @folder@/log/$SLURM_ARRAY_TASK_ID.stalls &\n"
    "loci=$!\n"
    "trap 'kill -TERM $loci' USR1 TERM\n"
    "wait $loci\n"
    "status=$?\n"
    "while kill -0 $loci 2>/dev/null; do\n"
    "    wait $loci\n"
    "    status=$?\n"
    "done\n"
    "wait $loci\n"
    "status=$?\n"
    "cancelled() {\n"
    "    tail -c +$((said + 1)) \"$log\" | grep -q 'CANCELLED AT [^ ]* [*]'\n"
    "}\n"
    "if [ $status = 75 ] && [ ! -e @folder@/stopped ] && ! cancelled; then\n"
    "    scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID\n"
    "    sleep 60\n"
    "fi\n"
    "exit $status\n";

/* A word for the shell: in single quotes unless it is plain. */
static void put_word(FILE *f, const char *word)
{
    /* What a shell leaves alone anywhere in a word; all else is quoted. */
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=:,+-%@";
    if (*word && word[strspn(word, plain)] == 0) {
        fputs(word, f);
        return;
    }
    fputc('\'', f);
    for (const char *p = word; *p; p++) {
        if (*p == '\'') {
            /* A quote cannot stand inside of single quotes: end, an escaped one, begin again. */
            fputs("'\\''", f);
        } else {
            fputc(*p, f);
        }
    }
    fputc('\'', f);
}

/* Where Slurm writes what task %a says. A % of the folder's own is written twice; a backslash would
 * have Slurm replace nothing at all (launch_script refuses it). */
static void put_log(FILE *f, const char *folder)
{
    text_memory m;
    FILE *path = text_begin(&m);
    for (const char *p = folder; *p; p++) {
        if (*p == '%') fputc('%', path);
        fputc(*p, path);
    }
    fputs("/log/%a.txt", path);
    text_auto *word = text_end(&m);
    put_word(f, word);
}

/* ---- what stands in its places ---- */

static void put_options(FILE *f, const launch_options *o)
{
    const slurm_place *p = &o->place;
    if (p->time) fprintf(f, "#SBATCH --time=%s\n", p->time);
    if (p->partition) fprintf(f, "#SBATCH --partition=%s\n", p->partition);
    if (p->constraint) fprintf(f, "#SBATCH --constraint=%s\n", p->constraint);
    for (int i = 0; o->sbatch && o->sbatch[i]; i++)
        fprintf(f, "#SBATCH %s\n", o->sbatch[i]);
}

/* Where a corpus was found here is where tasks look for it. */
static void put_variable(FILE *f, const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value) return;
    fprintf(f, "export %s=", name);
    put_word(f, value);
    fputc('\n', f);
}

/* Not every system hands the environment on. */
static void put_setup(FILE *f, const launch_options *o)
{
    put_variable(f, "LOCI_DATA");
    put_variable(f, "LOCI_CACHE");
    for (int i = 0; o->setup && o->setup[i]; i++)
        fprintf(f, "%s\n", o->setup[i]);
}

static void put_command(FILE *f, const launch *l, const launch_options *o)
{
    char path[FILE_PATH_BYTES + 16];
    snprintf(path, sizeof path, "%s/loci", l->folder);
    put_word(f, path);
    fputs(" run ", f);
    snprintf(path, sizeof path, "%s/spec.yaml", l->folder);
    put_word(f, path);
    fputs(" --out ", f);
    put_word(f, o->out);
    if (o->data) {
        fputs(" --data ", f);
        put_word(f, o->data);
    }
    for (int i = 0; o->task_words && o->task_words[i]; i++) {
        fputc(' ', f);
        put_word(f, o->task_words[i]);
    }
}

/* Seconds before the end at which a task is told: two minutes, of a short one a quarter. A job of
 * two minutes would otherwise be told to save at its beginning. */
static int64_t lead_of(const slurm_place *p)
{
    int64_t minutes = slurm_minutes(p);
    return minutes > 0 ? MIN((int64_t)120, minutes * 15) : 120;
}

typedef struct filling {
    const launch *l;
    const experiment *x;
    const launch_options *o;
    const char *cwd;
} filling;

/* False if there is no such place. */
static bool put_place(FILE *f, const char *name, const filling *w)
{
    if (strcmp(name, "name") == 0) {
        fprintf(f, "loci-%s", w->x->spec->name);
    } else if (strcmp(name, "tasks") == 0) {
        fprintf(f, "%d", w->l->tasks);
    } else if (strcmp(name, "lead") == 0) {
        fprintf(f, "%lld", (long long)lead_of(&w->o->place));
    } else if (strcmp(name, "folder") == 0) {
        put_word(f, w->l->folder);
    } else if (strcmp(name, "log") == 0) {
        put_log(f, w->l->folder);
    } else if (strcmp(name, "cwd") == 0) {
        put_word(f, w->cwd);
    } else if (strcmp(name, "options") == 0) {
        put_options(f, w->o);
    } else if (strcmp(name, "setup") == 0) {
        put_setup(f, w->o);
    } else if (strcmp(name, "command") == 0) {
        put_command(f, w->l, w->o);
    } else {
        return false;
    }
    return true;
}

/* A place is @word@; any other @ stays. */
static bool fill(FILE *f, const char *template, const filling *w)
{
    bool has_command = false;
    for (const char *p = template; *p;) {
        char name[16] = "";
        size_t n = *p == '@' ? strspn(p + 1, "abcdefghijklmnopqrstuvwxyz") : 0;
        if (n > 0 && n < sizeof name && p[1 + n] == '@') memcpy(name, p + 1, n);
        /* A name that is none of ours stays as it is written: a template may have an @ of its
         * own. */
        if (*name && put_place(f, name, w)) {
            has_command = has_command || strcmp(name, "command") == 0;
            p += n + 2;
        } else {
            fputc(*p++, f);
        }
    }
    /* All other places may be left out; without this one nothing would run, and nobody would be
     * told. */
    return has_command;
}

const char *launch_script(const launch *l, const experiment *x, const launch_options *o, arena *a,
                          err *e)
{
    char cwd[FILE_PATH_BYTES];
    if (strpbrk(l->folder, "\\\n")) {
        err_set(e,
                "%s: Slurm cannot write into a folder with a backslash or a line's end in its "
                "name; name another one with --out",
                l->folder);
        return NULL;
    }
    const char *template = o->template ? file_read_arena_named(a, o->template, NULL, e) : TEMPLATE;
    if (!template) return NULL;
    /* Relative paths of the spec and the command line are meant from here. */
    if (!getcwd(cwd, sizeof cwd)) return err_set(e, "the current folder's name is too long"), NULL;
    text_memory m;
    bool whole = fill(text_begin(&m), template, &(filling){l, x, o, cwd});
    const char *script = text_end_in(&m, a);
    if (whole) return script;
    return err_set(e, "%s: has no @command@; see loci run --help", o->template), NULL;
}
