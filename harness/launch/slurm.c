#include "harness/launch/slurm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options/option.h"
#include "data/process.h"

/* ---- places ---- */

static const option PLACE_OPTIONS[] = {
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
        char *value = strchr(pair, '=');
        if (!value || value == pair || !value[1]) {
            err_set(e, "'%s' in '%s': expected KEY=VALUE", pair, text);
            return NULL;
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
    double unit = strcmp(end, "m") == 0 || !*end ? 1 : strcmp(end, "h") == 0 ? 60 : 0;
    if (strcmp(end, "d") == 0) unit = 24 * 60;
    bool own = unit > 0 && end != p->time;
    if (own && amount * unit >= 1 && amount * unit < 1e7) {
        char *minutes = arena_push(a, 32, 1);
        p->minutes = (int64_t)(amount * unit);
        snprintf(minutes, 32, "%lld", (long long)p->minutes);
        p->time = minutes;
        return true;
    }
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

/* Output, cut where it does not fit. */
typedef struct answer {
    char text[8192];
    size_t used;
} answer;

static bool take(void *user, const char *data, int64_t bytes, err *e)
{
    (void)e;
    answer *x = user;
    size_t n = MIN((size_t)bytes, sizeof x->text - 1 - x->used);
    memcpy(x->text + x->used, data, n);
    x->used += n;
    x->text[x->used] = 0;
    return true;
}

static bool ask(answer *x, const char *const *argv, err *e)
{
    *x = (answer){.used = 0};
    const process p = {.argv = argv, .package = "slurm-client", .take = take, .user = x};
    return process_run(&p, e);
}

int slurm_cores(const slurm_place *p)
{
    answer x;
    err ignored;
    const char *argv[8] = {"sinfo", "--noheader", "--format=%c"};
    int n = 3, least = 0;
    if (p->partition) {
        argv[n++] = "--partition";
        argv[n++] = p->partition;
    }
    if (!ask(&x, argv, &ignored)) return 0;
    for (char *save, *line = strtok_r(x.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        int cores = (int)strtol(line, NULL, 10); /* "16+": sixteen or more */
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
    }
    return least;
}

int slurm_most_tasks(void)
{
    answer x;
    err ignored;
    static const char KEY[] = "MaxArraySize";
    const char *found = NULL;
    if (ask(&x, (const char *const[]){"scontrol", "show", "config", NULL}, &ignored))
        found = strstr(x.text, KEY);
    long most =
        found ? strtol(found + strlen(KEY) + strspn(found + strlen(KEY), " ="), NULL, 10) : 0;
    return most > 1 ? (int)MIN(most, 1000000) - 1 : 1000;
}

const char *slurm_submit(arena *a, const char *script, err *e)
{
    answer x;
    if (!ask(&x, (const char *const[]){"sbatch", "--parsable", script, NULL}, e)) return NULL;
    x.text[strcspn(x.text, ";\n")] = 0; /* JOB or JOB;CLUSTER */
    if (x.text[0]) return arena_strdup(a, x.text);
    err_set(e, "sbatch has not said the number of the job of %s", script);
    return NULL;
}

/* Pending tasks of an array are one line: 40_[3-7,9%2]. */
static int tasks_of(const char *id)
{
    const char *at = strchr(id, '[');
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
    if (strcmp(state, "PENDING") != 0) {
        q->running++;
        return;
    }
    if (q->pending == 0 && reason) snprintf(q->reason, sizeof q->reason, "%.60s", reason);
    q->pending += tasks_of(id);
}

bool slurm_queue_read(slurm_queue *q, const char *jobs, err *e)
{
    answer x;
    *q = (slurm_queue){0};
    /* By states: asked for jobs that ended long ago, squeue fails. */
    const char *const argv[] = {"squeue", "--noheader", "--format=%i|%T|%r", "--jobs", jobs, NULL};
    if (!ask(&x, argv, e)) return strstr(e->text, "Invalid job id") != NULL;
    for (char *save, *line = strtok_r(x.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        count_line(q, line);
    }
    return true;
}

bool slurm_cancel(const char *job, err *e)
{
    answer x;
    return ask(&x, (const char *const[]){"scancel", job, NULL}, e) ||
           strstr(e->text, "Invalid job id") != NULL;
}
