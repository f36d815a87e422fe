#include "harness/supervise/merge_record.h"

#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_record.h"
#include "harness/supervise/continue_longer.h"
#include "results/store/experiment.h"

/* The runs of a label here: its variant, and their ids. NULL: none. */
static const char *variant_here(const json_t *runs, const char *label)
{
    const json_t *run;
    size_t i;
    json_array_foreach(runs, i, run)
    {
        const char *own = json_get_text(run, "label");
        if (own && strcmp(own, label) == 0) return json_get_text(run, "variant");
    }
    return NULL;
}

/* The spec of a run of that label that was begun here. */
static json_t *spec_here(const char *out, const json_t *runs, const char *label)
{
    const json_t *run;
    size_t i;
    json_t *found = NULL;
    json_array_foreach(runs, i, run)
    {
        const char *own = json_get_text(run, "label"), *id = json_get_text(run, "run");
        if (!found && own && id && strcmp(own, label) == 0) found = run_record_spec(out, id);
    }
    return found;
}

/* By how much the budgets of theirs are larger where a label is of two specs: the sign of all of
 * them, 0 where they do not say one, or differ in more. */
static int compare_budgets(const char *out, const json_t *ours, const char *from,
                           const json_t *theirs)
{
    int sign = 0;
    const json_t *run;
    size_t i;
    json_array_foreach(theirs, i, run)
    {
        const char *label = json_get_text(run, "label"), *id = json_get_text(run, "run");
        const char *variant = json_get_text(run, "variant");
        const char *here = label ? variant_here(ours, label) : NULL;
        if (!id || !variant || !here || strcmp(here, variant) == 0) continue;
        json_auto_t *a = spec_here(out, ours, label), *b = run_record_spec(from, id);
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
    err other;
    if (experiment_runs_agree(known, ours, &other) &&
        experiment_runs_agree(known, theirs, &other)) {
        return MERGE_UNITE;
    }
    int more = compare_budgets(out, ours, from, theirs);
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
    char inner[512], ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    json_t *x = NULL, *y = NULL;
    snprintf(inner, sizeof inner, "experiments/%.400s", file);
    *choice = MERGE_CONTRADICTS;
    bool ok = file_join(ours, out, inner, e) && file_join(theirs, from, inner, e) &&
              file_refuse_link(theirs, e) && read_record(&y, theirs, file, why, e);
    if (ok && y)
        ok = file_exists(ours) ? read_record(&x, ours, file, why, e) : (x = json_object(), true);
    if (ok && x) *choice = compare(why, out, x, from, y, theirs);
    json_decref(x);
    json_decref(y);
    return ok;
}
