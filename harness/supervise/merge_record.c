#include "harness/supervise/merge_record.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_record.h"
#include "harness/supervise/continue_longer.h"
#include "harness/supervise/manage_names.h"
#include "results/store/experiment.h"

/* What a record plans, in a folder of results. */
typedef struct planned {
    const char *out;
    json_t *labels;   /* {LABEL: {"variant": ID, "runs": [ID, ...]}} */
    json_t *label_of; /* {ID of a run: LABEL} */
} planned;

/* False: a label is of two variants. */
static bool add_run(planned *p, const json_t *run)
{
    const char *label = json_get_text(run, "label"), *id = json_get_text(run, "run");
    const char *variant = json_get_text(run, "variant");
    if (!label || !id || !variant) return true;
    json_t *known = json_object_get(p->labels, label);
    if (!known) {
        known = json_pack("{s:s, s:[]}", "variant", variant, "runs");
        json_object_set_new(p->labels, label, known);
    }
    json_array_append_new(json_object_get(known, "runs"), json_string(id));
    json_object_set_new(p->label_of, id, json_string(label));
    return strcmp(json_get_text(known, "variant"), variant) == 0;
}

static bool plan_begin(planned *p, const char *out, const json_t *runs)
{
    const json_t *run;
    size_t i;
    *p = (planned){out, json_object(), json_object()};
    json_array_foreach(runs, i, run)
    {
        if (!add_run(p, run)) return false;
    }
    return true;
}

static void plan_end(planned *p)
{
    json_decref(p->labels);
    json_decref(p->label_of);
}

/* The spec of a run of a label that was begun; NULL: none was. A run of the record that it starts
 * from is named by its label there: its id is another for each seed, and for each budget. */
static json_t *spec_of(const planned *p, const json_t *label)
{
    const json_t *id;
    json_t *tree = NULL;
    size_t i;
    json_array_foreach(json_object_get(label, "runs"), i, id)
    {
        if ((tree = run_record_spec(p->out, json_string_value(id)))) break;
    }
    json_t *init = json_object_get(tree, "init_from");
    const char *source = json_get_text(init, "run");
    json_t *name = source ? json_object_get(p->label_of, source) : NULL;
    if (name) json_object_set(init, "run", name);
    return tree;
}

/* By how much the budgets of theirs are larger where a label is of two specs: the sign of all of
 * them, 0 where they do not say one, or differ in more. */
static int compare_budgets(const planned *ours, const planned *theirs)
{
    int sign = 0;
    const char *label;
    json_t *there;
    json_object_foreach(theirs->labels, label, there)
    {
        const json_t *here = json_object_get(ours->labels, label);
        if (!here ||
            json_equal(json_object_get(here, "variant"), json_object_get(there, "variant"))) {
            continue;
        }
        json_auto_t *a = spec_of(ours, here), *b = spec_of(theirs, there);
        double more = 0;
        if (!a || !b) continue; /* not begun */
        if (!continue_longer_by(&more, a, b)) return 0;
        int one = more > 0 ? 1 : -1;
        if (sign == -one) return 0;
        sign = one;
    }
    return sign;
}

static merge_record_choice compare(err *why, const char *out, const json_t *x, const char *from,
                                   const json_t *y, const char *path)
{
    json_auto_t *known = json_object();
    const json_t *ours = json_object_get(x, "runs"), *theirs = json_object_get(y, "runs");
    planned here = {0}, there = {0};
    err other;
    if (experiment_runs_agree(known, ours, &other) &&
        experiment_runs_agree(known, theirs, &other)) {
        return MERGE_UNITE;
    }
    bool clear = plan_begin(&here, out, ours) && plan_begin(&there, from, theirs);
    int more = clear ? compare_budgets(&here, &there) : 0;
    plan_end(&here);
    plan_end(&there);
    if (more < 0) {
        err_set(why, "%s: has the smaller budget, and is left out", path);
        return MERGE_SHORTER;
    }
    if (more > 0) {
        err_set(why,
                "%s: has the larger budget, and takes the place of the record here; what was "
                "trained with the smaller one stays until loci gc",
                path);
        return MERGE_LONGER;
    }
    err_set(why, "%s: %.1000s; loci mv gives one of the two experiments another name", path,
            other.text);
    return MERGE_CONTRADICTS;
}

/* What lies among records and is none, of whatever program, is nobody's to bring elsewhere. */
static bool is_record_of(const json_t *record, const char *file)
{
    const char *name = json_get_text(record, "name");
    size_t n = name ? strlen(name) : 0;
    return name && strncmp(file, name, n) == 0 && strcmp(file + n, ".json") == 0 &&
           json_is_array(json_object_get(record, "runs"));
}

/* NULL with *why: it is damaged, or no record. False and e: it cannot be read. */
static bool read_record(json_t **record, const char *path, const char *file, err *why, err *e)
{
    size_t bytes;
    text_auto *text = file_read(path, &bytes, e);
    *record = text ? json_parse(text, bytes, path, why) : NULL;
    if (*record && !is_record_of(*record, file)) {
        err_set(why, "%s: is no record of an experiment of that name, and is left out", path);
        json_decref(*record);
        *record = NULL;
    }
    return text != NULL;
}

bool merge_record_choose(merge_record_choice *choice, err *why, const char *out, const char *from,
                         const char *file, err *e)
{
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    json_t *x = NULL, *y = NULL;
    *choice = MERGE_CONTRADICTS;
    bool ok = manage_names_record(ours, out, file, e) &&
              manage_names_record(theirs, from, file, e) && file_refuse_link(theirs, e) &&
              read_record(&y, theirs, file, why, e);
    if (ok && y)
        ok = file_exists(ours) ? read_record(&x, ours, file, why, e) : (x = json_object(), true);
    if (ok && x) *choice = compare(why, out, x, from, y, theirs);
    json_decref(x);
    json_decref(y);
    return ok;
}
