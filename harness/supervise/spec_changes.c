#include "harness/supervise/spec_changes.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/text.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/run_status.h"
#include "harness/run/set_aside.h"
#include "harness/train/train_kernels.h"
#include "harness/train/train_options.h"

/* Variants are matched by label, for that is what a person calls them: the same label with another
 * variant id is a change that would otherwise pass unseen, since the runs of before are simply no
 * part of the experiment any more. Which options differ is found between two resolved specs, the
 * record's (plan.json of the run) and today's.
 *
 * It is said before anything is trained, while a changed default or a slip of the editor can still
 * be undone. */

enum { SHOWN = 12 };

/* Variants whose options differ alike are told together. */
typedef struct teller {
    FILE *print;
    char *differences; /* of the labels that wait to be told; NULL: none do */
    char labels[300];
    int waiting, told;
} teller;

/* How a run is looked at while it is trained. */
static bool is_incidental(const char *path)
{
    for (const option *o = TRAIN_OPTIONS; strncmp(path, "train.", 6) == 0 && o->name; o++) {
        if (strcmp(path + 6, o->name) == 0) return o->incidental;
    }
    return false;
}

/* Could the option have made another run of it? Not what is incidental, nor how it is evaluated,
 * save where it learns then (identity.c). */
static bool matters(const char *path)
{
    if (strncmp(path, "eval.", 5) == 0) return strncmp(path, "eval.dynamic", 12) == 0;
    return !is_incidental(path);
}

/* Of options of one sort. */
typedef struct listing {
    FILE *out;
    bool (*wanted)(const char *path);
} listing;

static void put_difference(void *user, const char *path, const char *x, const char *y)
{
    const listing *l = user;
    FILE *f = l->out;
    if (!l->wanted(path)) return;
    if (!x && strcmp(path, "train.gemm") == 0) x = TRAIN_KERNELS_UNSAID;
    /* An option that is younger than the record has its default there. Only in this section:
     * elsewhere an entry that was not there before may be a part of the model. */
    bool younger = !x && strncmp(path, "train.", 6) == 0;
    if (!younger) fprintf(f, "  %s: %s -> %s\n", path, x ? x : "nothing", y ? y : "nothing");
}

static char *differences(const char *out, const char *id, const run_plan *now,
                         bool (*wanted)(const char *path))
{
    text_memory text;
    FILE *f = text_begin(&text);
    listing list = {f, wanted};
    json_auto_t *before = run_record_spec(out, id);
    arena_auto *a = arena_new(1 << 16);
    json_auto_t *after = json_loads(node_json(a, now->resolved, false), 0, NULL);
    if (before) {
        json_differences(before, after, "", put_difference, &list);
    } else if (wanted == matters) {
        /* Removed by hand, or not copied along. */
        fputs("  its runs are gone, so nobody knows in what\n", f);
    }
    return text_end(&text);
}

/* Of a finished run no line is logged, and no model kept, any more: who asks for it is told. Other
 * variants mostly say the same. */
static void tell_too_late(FILE *print, const char *out, const run_plan *now)
{
    char folder[FILE_PATH_BYTES];
    run_status s;
    if (!run_folder_path(folder, out, now->id, NULL) || !run_status_read(&s, folder, NULL) ||
        s.state != RUN_DONE) {
        return;
    }
    text_auto *late = differences(out, now->id, now, is_incidental);
    if (*late)
        fprintf(print, "counts for what is still to be trained, not for finished runs:\n%s", late);
}

static void tell_changes(teller *t)
{
    if (t->waiting == 0) return;
    fprintf(t->print, "changed since it was run last: %s\n%s", t->labels, t->differences);
    free(t->differences);
    t->differences = NULL;
    t->waiting = 0;
}

/* Takes the text. */
static void add_difference(teller *t, const char *label, char *text)
{
    /* Those that stand side by side and differ alike share a paragraph: one changed option of a
     * sweep of a hundred is one line. */
    if (t->waiting > 0 && strcmp(text, t->differences) != 0) tell_changes(t);
    size_t used = t->waiting ? strlen(t->labels) : 0;
    snprintf(t->labels + used, sizeof t->labels - used, "%s%.80s", used ? ", " : "", label);
    free(t->differences);
    t->differences = text;
    t->waiting++;
    t->told++;
}

/* Every variant's id, and every label with the index of its first run. */
static json_t *variants_of(const experiment *x)
{
    json_t *now = json_pack("{s:{}, s:{}}", "variant", "label");
    /* Backwards, so that a label stands for its first seed. */
    for (int i = x->run_count - 1; i >= 0; i--) {
        json_object_set_new(json_object_get(now, "variant"), x->runs[i].variant, json_true());
        json_object_set_new(json_object_get(now, "label"), x->runs[i].label, json_integer(i));
    }
    return now;
}

static void tell_damaged(FILE *print, const char *path, const char *how)
{
    char aside[FILE_PATH_BYTES];
    bool named = set_aside_name(aside, path, NULL);
    fprintf(
        print,
        "%s; it is made anew, and its claims count as made today; what is there is kept as %s\n",
        how, named ? aside : "a copy");
}

int spec_changes(FILE *print, const experiment *x, const char *out)
{
    char path[FILE_PATH_BYTES];
    if (!run_folder_record(path, out, x->spec->name, NULL) || !file_exists(path)) return 0;
    err damaged;
    json_auto_t *record = json_read(path, &damaged), *now = variants_of(x);
    json_t *run;
    if (!record) tell_damaged(print, path, damaged.text);
    teller t = {.print = print};
    json_auto_t *seen = json_object();
    size_t i;
    const run_plan *same = NULL; /* the first run of a variant that stays */
    int count = 0, gone = 0, lost = 0;
    json_array_foreach(json_object_get(record, "runs"), i, run)
    {
        const char *label = json_get_text(run, "label"), *variant = json_get_text(run, "variant");
        const char *id = json_get_text(run, "run");
        /* Further seeds of the same label say the same; what lacks an entry is another version's
         * record, or spoilt. */
        if (!label || !variant || !id || json_object_get(seen, label)) continue;
        json_object_set_new(seen, label, json_true());
        int64_t index = json_get_int(json_object_get(now, "label"), label, -1);
        if (index >= 0 && strcmp(x->runs[index].variant, variant) == 0) {
            if (!same) same = &x->runs[index];
            continue;
        }
        /* A further axis lengthens every label; the runs are part of it as before. */
        bool stays = json_object_get(json_object_get(now, "variant"), variant);
        gone += index < 0 && !stays;
        lost += !stays;
        if (index < 0) continue;
        if (count++ < SHOWN)
            add_difference(&t, label, differences(out, id, &x->runs[index], matters));
    }
    tell_changes(&t);
    if (same) tell_too_late(print, out, same);
    if (count > SHOWN) fprintf(print, "and %d variants more\n", count - SHOWN);
    if (gone > 0) {
        fprintf(print, "no longer part of %s: %d variant%s\n", x->spec->name, gone,
                gone == 1 ? "" : "s");
    }
    if (lost > 0) {
        fprintf(print,
                "what was trained before stays in %s/runs, but %s is compared without it; "
                "another `name:` keeps both\n",
                out, x->spec->name);
    }
    return count + gone;
}
