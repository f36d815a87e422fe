#include "harness/launch/slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"
#include "core/options/option.h"
#include "data/process.h"

/* Slurm's programs rather than its library: there is nothing to build against, and what they print
 * is asked for by its format (--noheader, --format). All that is read here is the text of another
 * program, and may be missing or cut: what is only advice (cores, the size of arrays) then has a
 * default, what matters (a job's number) is an error. */

/* ---- places ---- */

static const option PLACE_OPTIONS[] = {
    /* Few keys, those that change how many tasks there are or are needed each time; the rest is
     * --sbatch. */
    {"nodes", OPTION_INT, offsetof(slurm_place, nodes), .initial = "0", .max = 1e6,
     .help = "at most so many; 0: as many as the open runs fill"},
    {"time", OPTION_TEXT, offsetof(slurm_place, time), .initial = "null", .nullable = true,
     .help = "of a task: 90m, 4h, 2d, or as Slurm writes it"},
    {"partition", OPTION_TEXT, offsetof(slurm_place, partition), .initial = "null",
     .nullable = true, .help = "default: Slurm's"},
    {"constraint", OPTION_TEXT, offsetof(slurm_place, constraint), .initial = "null",
     .nullable = true, .help = "features that nodes must have"},
    {0}};

/* "key=value,key=value" as a map. */
static node *pairs(arena *a, const char *text, err *e)
{
    node *map = node_map(a);
    char *rest = arena_strdup(a, text), *save = NULL;
    for (char *pair = strtok_r(rest, ",", &save); pair; pair = strtok_r(NULL, ",", &save)) {
        /* An empty key or value is a slip, never an option's. */
        char *value = strchr(pair, '=');
        if (!value || value == pair || !value[1]) {
            return err_set(e, "'%s' in '%s': expected KEY=VALUE", pair, text), NULL;
        }
        *value++ = 0;
        node_set(a, map, pair, node_scalar(a, value, true));
    }
    node_repath(a, map, "--on");
    return map;
}

/* 90m, 4h, 2d: whole minutes. Slurm's own forms are MINUTES, H:M:S, D-H and so on. */
static bool read_time(slurm_place *p, arena *a, err *e)
{
    char *end;
    if (!p->time) return true;
    double amount = strtod(p->time, &end);
    /* A number alone is minutes, as Slurm reads it. */
    double unit = strcmp(end, "m") == 0 || !*end ? 1 : strcmp(end, "h") == 0 ? 60 : 0;
    if (strcmp(end, "d") == 0) unit = 24 * 60;
    bool own = unit > 0 && end != p->time;
    if (own && amount * unit >= 1 && amount * unit < 1e7) {
        char *minutes = arena_push(a, 32, 1);
        snprintf(minutes, 32, "%lld", (long long)(amount * unit));
        p->time = minutes;
        return true;
    }
    /* Slurm's own forms go on as they are. */
    if (!own && p->time[strspn(p->time, "0123456789:-")] == 0) return true;
    return err_set(e, "--on: time '%s': expected 90m, 4h, 2d or H:MM:SS", p->time);
}

bool slurm_place_read(slurm_place *p, const char *text, arena *a, err *e)
{
    *p = (slurm_place){0};
    size_t n = strcspn(text, ":");
    if (n != strlen("slurm") || strncmp(text, "slurm", n) != 0) {
        return err_set(e, "--on: '%.100s': expected slurm or slurm:nodes=8,time=4h,partition=NAME",
                       text);
    }
    const node *map = pairs(a, text[n] ? text + n + 1 : "", e);
    return map && options_read(p, PLACE_OPTIONS, map, NULL, a, e) && read_time(p, a, e);
}

/* ---- calls ---- */

static bool take(void *user, const char *data, int64_t bytes, err *e)
{
    return fwrite(data, 1, (size_t)bytes, user) == (size_t)bytes || err_set(e, "out of memory");
}

/* What a program says, whole: a queue or a configuration may be long. The caller frees; NULL and e
 * if it fails. */
static char *ask(const char *const *argv, err *e)
{
    text_memory m;
    const process p = {
        .argv = argv, .package = "slurm-client", .take = take, .user = text_begin(&m)};
    /* A program that is not installed is an error that names its package. */
    bool ok = process_run(&p, e);
    char *text = text_end(&m);
    if (ok) return text;
    free(text);
    return NULL;
}

/* MINUTES, M:S, H:M:S, D-H, D-H:M, D-H:M:S, seconds left out; 0: none of these (infinite, n/a). */
static int64_t minutes_of(const char *text)
{
    const char *dash = strchr(text, '-');
    int64_t days = dash ? strtol(text, NULL, 10) : 0;
    int first = 0, second = 0, third = 0;
    int n = sscanf(dash ? dash + 1 : text, "%d:%d:%d", &first, &second, &third);
    if (n < 1) return 0;
    /* Behind days come hours; else two are minutes and seconds. */
    return dash || n == 3 ? (24 * days + first) * 60 + second : first;
}

int64_t slurm_minutes(const slurm_place *p)
{
    err ignored;
    int64_t least = 0;
    if (p->time) return minutes_of(p->time);
    const char *argv[] = {
        "sinfo",      "--noheader", "--format=%P|%L|%l", p->partition ? "--partition" : NULL,
        p->partition, NULL};
    text_auto *text = ask(argv, &ignored);
    char *save = NULL;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *fields = NULL, *name = strtok_r(line, "|", &fields),
             *initial = strtok_r(NULL, "|", &fields), *most = strtok_r(NULL, "|", &fields);
        /* The default partition has a star. */
        if (!most || (!p->partition && !strchr(name, '*'))) continue;
        int64_t minutes = minutes_of(initial);
        if (minutes == 0) minutes = minutes_of(most);
        if (minutes > 0 && (least == 0 || minutes < least)) least = minutes;
    }
    return least;
}

int slurm_cores(const slurm_place *p)
{
    err ignored;
    const char *argv[8] = {"sinfo", "--noheader", "--format=%c"};
    int n = 3, least = 0;
    if (p->partition) {
        argv[n++] = "--partition";
        argv[n++] = p->partition;
    }
    text_auto *text = ask(argv, &ignored);
    char *save = NULL;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        int cores = (int)strtol(line, NULL, 10); /* "16+": sixteen or more */
        /* Of several kinds of nodes the smallest: what fits there fits everywhere, and a larger one
         * runs more at a time. */
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
    }
    return least;
}

int slurm_most_tasks(void)
{
    static const char KEY[] = "MaxArraySize";
    err ignored;
    text_auto *text = ask((const char *const[]){"scontrol", "show", "config", NULL}, &ignored);
    const char *found = text ? strstr(text, KEY) : NULL;
    const char *value = found ? found + strlen(KEY) : "";
    long most = strtol(value + strspn(value, " ="), NULL, 10);
    /* MaxArraySize is one more than the largest index. 1001 is what Slurm has where nothing is
     * said. */
    return most > 1 ? (int)MIN(most, 1000000) - 1 : 1000;
}

const char *slurm_submit(arena *a, const char *script, err *e)
{
    text_auto *text = ask((const char *const[]){"sbatch", "--parsable", script, NULL}, e);
    if (!text) return NULL;
    text[strcspn(text, ";\n")] = 0; /* JOB or JOB;CLUSTER */
    const char *job = text[0] ? arena_strdup(a, text) : NULL;
    if (!job) err_set(e, "sbatch has not said the number of the job of %s", script);
    return job;
}

/* This user's jobs that have not ended, a line each: the array's number and the script, which may
 * hold any byte but a newline. The caller frees. */
static char *ask_scripts(err *e)
{
    char user[32];
    snprintf(user, sizeof user, "--user=%ld", (long)geteuid());
    return ask((const char *const[]){"squeue", "--noheader", user, "--format=%F|%o", NULL}, e);
}

bool slurm_find(const char **job, arena *a, const char *script, err *e)
{
    *job = NULL;
    text_auto *text = ask_scripts(e);
    char *save = NULL;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t n = strcspn(line, "|");
        if (line[n] && strcmp(line + n + 1, script) == 0) *job = arena_strndup(a, line, n);
    }
    return text != NULL;
}

bool slurm_is_of_another(const char **other, arena *a, const char *job, const char *script, err *e)
{
    *other = NULL;
    size_t digits = strcspn(job, "_");
    text_auto *text = ask_scripts(e);
    char *save = NULL;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t n = strcspn(line, "|");
        bool is_it = line[n] && n == digits && strncmp(line, job, n) == 0;
        if (is_it && strcmp(line + n + 1, script) != 0) *other = arena_strdup(a, line + n + 1);
    }
    return text != NULL;
}

/* Pending tasks of an array are one line: 40_[3-7,9%2]. */
static int tasks_of(const char *id)
{
    const char *at = strchr(id, '[');
    /* "%2", how many may run at a time, ends the list: strtol stops there, and no comma follows. */
    int count = 0;
    if (!at) return 1;
    do {
        char *end;
        long first = strtol(at + 1, &end, 10),
             last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        count += (int)(last - first + 1);
        at = end;
    } while (*at == ',');
    return count;
}

static void count_line(slurm_queue *q, char *line)
{
    char *save = NULL, *id = strtok_r(line, "|", &save), *state = strtok_r(NULL, "|", &save);
    const char *reason = strtok_r(NULL, "|", &save);
    if (!id || !state) return;
    /* Completing ones, too: their runs may be saving. */
    if (strcmp(state, "PENDING") != 0) {
        q->running++;
        return;
    }
    if (q->pending == 0 && reason) snprintf(q->reason, sizeof q->reason, "%.60s", reason);
    q->pending += tasks_of(id);
}

/* Asked for jobs that ended long ago alone, Slurm fails. */
static bool is_gone(const err *e)
{
    return strstr(e->text, "Invalid job id") != NULL;
}

bool slurm_queue_read(slurm_queue *q, const char *jobs, err *e)
{
    *q = (slurm_queue){0};
    const char *const argv[] = {"squeue", "--noheader", "--format=%i|%T|%r", "--jobs", jobs, NULL};
    text_auto *text = ask(argv, e);
    char *save = NULL;
    if (!text) return is_gone(e);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        count_line(q, line);
    }
    return true;
}

bool slurm_cancel(const char *job, err *e)
{
    text_auto *text = ask((const char *const[]){"scancel", job, NULL}, e);
    /* What has ended needs no cancelling. */
    return text || is_gone(e);
}
