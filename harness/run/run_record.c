#include "harness/run/run_record.h"

#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "harness/run/claims_record.h"
#include "harness/run/experiment_lock.h"
#include "harness/run/run_folder.h"
#include "harness/run/set_aside.h"
#include "harness/train/train_kernels.h"

/* Three records, and who relies on each:
 *
 *   experiments/NAME.json   which runs an experiment consists of. Replaced by every `loci run`;
 *                           what the runs are called is here alone, for a run belongs to as many
 *                           experiments as plan it
 *   runs/ID/plan.json       what the worker trains. Written by the supervisor before each start,
 *                           under the run's lock; a worker reads nothing else of the spec, so a
 *                           file that is edited meanwhile changes no run under way
 *   runs/ID/final.json      the `eval:` of the last final evaluation (evaluate_again.c)
 *
 * The plan's spec is the resolved one, with every default spelt out: a later version with other
 * defaults goes on with what was begun. */

static json_t *now_utc(void)
{
    char utc[32];
    host_utc(utc, host_wall_s());
    return json_string(utc);
}

/* So that nobody removes what a run will start from that has not begun. */
static const char *source_of(const node *resolved)
{
    static const char *const keys[] = {"init_from.run", "init_from.checkpoint"};
    for (int i = 0; i < 2; i++) {
        const node *n = node_at(resolved, keys[i]);
        if (!node_is_null(n)) return n->text;
    }
    return NULL;
}

static json_t *run_record(const run_plan *p)
{
    json_t *axes = json_object();
    /* As text: an axis's value may be a whole section. */
    for (int i = 0; i < p->axis_count; i++) {
        json_object_set_new(axes, p->axes[i].axis, json_string(p->axes[i].value));
    }
    const char *source = source_of(p->resolved);
    return json_pack("{s:o*, s:o*, s:o*, s:o, s:I, s:b, s:o*}", "run", json_string(p->id),
                     "variant", json_string(p->variant), "label", json_string(p->label), "axes",
                     axes, "seed", (json_int_t)p->seed, "baseline", p->is_baseline, "source",
                     source ? json_words(source) : NULL);
}

/* The moment of the first record, so that writing it again changes nothing but what changed. */
static json_t *created_at(const json_t *old)
{
    const char *text = json_get_text(old, "created_at");
    return text ? json_string(text) : now_utc();
}

static bool record_path(char path[FILE_PATH_BYTES], const char *out, const experiment *x, err *e)
{
    char folder[FILE_PATH_BYTES], name[FILE_PATH_BYTES];
    snprintf(name, sizeof name, "%s.json", x->spec->name);
    return file_own_folder(folder, out, "experiments", e) && file_join(path, folder, name, e);
}

/* By ids alone: labels and descriptions may change without another run. */
run_record_state run_record_look(const char *out, const experiment *x)
{
    char path[FILE_PATH_BYTES];
    if (!record_path(path, out, x, NULL) || !file_exists(path)) return RUN_RECORD_NONE;
    json_auto_t *record = json_read(path, NULL), *planned = json_object();
    json_t *runs = json_object_get(record, "runs"), *run;
    size_t i;
    int shared = 0;
    if (!record) return RUN_RECORD_NONE;
    json_array_foreach(runs, i, run)
    {
        const char *id = json_get_text(run, "run");
        if (id) json_object_set_new(planned, id, json_true());
    }
    for (int k = 0; k < x->run_count; k++) {
        shared += json_object_get(planned, x->runs[k].id) != NULL;
    }
    bool has_all = shared == x->run_count, no_more = shared == (int)json_object_size(planned);
    return has_all && no_more ? RUN_RECORD_SAME
           : has_all          ? RUN_RECORD_MORE
           : no_more          ? RUN_RECORD_LESS
                              : RUN_RECORD_OTHER;
}

/* The record as it is, NULL in *old if there is none. A damaged one is replaced as a missing one
 * is, since what it says cannot be believed any more: but when it was made, and what was claimed
 * before there were results, stands nowhere else, so a copy stays beside it. */
static bool read_old(json_t **old, const char *path, err *e)
{
    size_t bytes;
    *old = NULL;
    if (!file_exists(path)) return true;
    text_auto *text = file_read(path, &bytes, e);
    if (!text) return false;
    *old = json_parse(text, bytes, path, NULL);
    return *old || set_aside_copy(path, e);
}

/* The records' lock is held: what is read here is what is replaced. */
static bool write_record(const char *out, const char *path, const experiment *x, err *e)
{
    json_t *before;
    if (!read_old(&before, path, e)) return false;
    json_auto_t *old = before;
    json_t *runs = json_array();
    json_auto_t *o =
        json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*, s:o}", "name", json_string(x->spec->name),
                  "description", json_string(x->spec->description), "spec_file",
                  json_words(x->spec->file), "spec_text", json_string(x->spec->text), "baseline",
                  json_string(x->baseline), "created_at", created_at(old));
    /* What was said in all, by the file, what it extends, and --set: later the file may say another
     * thing. */
    json_object_set_new(o, "spec", json_loads(node_json(x->memory, x->spec->root, false), 0, NULL));
    for (int i = 0; i < x->run_count; i++) {
        json_array_append_new(runs, run_record(&x->runs[i]));
    }
    json_object_set_new(o, "runs", runs);
    claims_record(o, out, x, old);
    return json_write(path, o, e);
}

bool run_record_experiment(const char *out, const experiment *x, err *e)
{
    char path[FILE_PATH_BYTES];
    int lock = experiment_lock_records(out, e);
    bool ok = lock >= 0 && record_path(path, out, x, e) && write_record(out, path, x, e);
    if (lock >= 0) close(lock);
    return ok;
}

static json_t *places_record(const corpus_places *places)
{
    json_t *o = json_object(), *roots = json_array();
    for (int i = 0; places->roots && places->roots[i]; i++) {
        json_array_append_new(roots, json_string(places->roots[i]));
    }
    json_object_set_new(o, "roots", roots);
    json_object_set_new(o, "cache", places->cache ? json_string(places->cache) : json_null());
    return o;
}

bool run_record_plan_write(const char *folder, const run_plan *p, const corpus_places *places,
                           const char *command, int threads, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(folder, e) || !file_join(path, folder, "plan.json", e)) return false;
    arena_auto *a = arena_new(1 << 16);
    json_t *tree = json_loads(node_json(a, p->resolved, false), 0, NULL);
    /* Our own writer made it. */
    CHECK(tree, "the resolved spec of %s is no JSON", p->label);
    json_auto_t *o =
        json_pack("{s:o*, s:o*, s:o*, s:I, s:o, s:o*, s:I, s:o, s:o*, s:o*, s:s}", "run",
                  json_string(p->id), "variant", json_string(p->variant), "label",
                  json_string(p->label), "seed", (json_int_t)p->seed, "spec", tree, "command",
                  json_words(command ? command : ""), "threads", (json_int_t)threads, "places",
                  places_record(places), "corpus_hash", json_string(p->corpus_hash), "source_hash",
                  json_string(p->source_hash), "real", host_real());
    return json_write(path, o, e);
}

/* ---- reading the plan ---- */

json_t *run_record_spec(const char *out, const char *id)
{
    /* The second holds all of the first, of a run that was begun. */
    static const char *const records[] = {"plan.json", "run.json"};
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    json_t *found = NULL;
    if (!run_folder_path(folder, out, id, NULL)) return NULL;
    for (int i = 0; i < 2 && !found; i++) {
        json_auto_t *o = file_join(path, folder, records[i], NULL) ? json_read(path, NULL) : NULL;
        found = json_incref(json_object_get(o, "spec"));
    }
    return found;
}

const char *run_record_source(const json_t *tree)
{
    const json_t *init = json_object_get(tree, "init_from");
    const char *run = json_get_text(init, "run");
    return run ? run : json_get_text(init, "checkpoint");
}

/* The plan is ours to write, so a wrong one is a file that somebody or something spoilt. */
static bool plan_error(const char *path, const char *key, err *e)
{
    return err_set(e, "%s: %s: missing or of the wrong kind; remove the folder and run again", path,
                   key);
}

static bool read_places(planned_run *p, arena *a, const char *path, err *e)
{
    const json_t *places = json_object_get(p->record, "places");
    const json_t *roots = json_object_get(places, "roots");
    if (!json_is_array(roots)) return plan_error(path, "places", e);
    size_t n = json_array_size(roots);
    const char **list = ARENA_NEW(a, const char *, (int64_t)n + 1);
    for (size_t i = 0; i < n; i++) {
        list[i] = json_string_value(json_array_get(roots, i));
        if (!list[i]) return plan_error(path, "places.roots", e);
    }
    list[n] = NULL;
    p->places = (corpus_places){.roots = list, .cache = json_get_text(places, "cache")};
    return true;
}

bool run_record_plan_read(planned_run *p, arena *a, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    *p = (planned_run){0};
    if (!file_join(path, folder, "plan.json", e)) return false;
    p->record = json_read(path, e);
    if (!p->record) return false;
    p->run = json_get_text(p->record, "run");
    if (!p->run) return plan_error(path, "run", e);
    p->seed = json_get_int(p->record, "seed", 0);
    p->threads = (int)json_get_int(p->record, "threads", 1);
    p->corpus_hash = json_get_text(p->record, "corpus_hash");
    p->source_hash = json_get_text(p->record, "source_hash");
    const json_t *tree = json_object_get(p->record, "spec");
    /* JSON is YAML: the spec's own parser reads it, so errors have their place in plan.json. 17
     * digits give back the same double. */
    text_auto *text = tree ? json_dumps(tree, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    if (!text) return plan_error(path, "spec", e);
    char *kept = arena_strdup(a, text); /* nodes may point into it */
    node *said = node_parse_map(a, kept, strlen(kept), arena_strdup(a, path), e);
    /* Plans of versions that had one kernel do not say which; left to today's default it would be
     * another run's arithmetic. */
    if (said) train_kernels_complete(said, a);
    p->spec = said;
    return said && read_places(p, a, path, e);
}

/* ---- the final evaluation ---- */

bool run_record_final(const char *folder, const planned_run *p, err *e)
{
    char path[FILE_PATH_BYTES];
    json_t *eval = json_object_get(json_object_get(p->record, "spec"), "eval");
    json_auto_t *o = json_object();
    /* The plan's words, as they are: evaluate_again_wanted compares by meaning. */
    json_object_set(o, "eval", eval);
    return file_join(path, folder, "final.json", e) && json_write(path, o, e);
}
