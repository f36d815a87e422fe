#include "harness/supervise/continue_longer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json_line.h"
#include "core/base/text.h"
#include "harness/evaluate/evaluate.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_open.h"
#include "harness/run/run_status.h"
#include "harness/train/checkpoint.h"
#include "harness/train/checkpoint_files.h"

/* When is one run the beginning of another? When every step of it is computed from the same: model,
 * data and their order, optimiser, seed, numerics, and a schedule that gives step k the same rate
 * however long the run is. So the key under which beginnings are found is the resolved spec without
 * what does not matter (evaluation, logging) and without the budget's amount. It is made from the
 * resolved spec of both, never from ids: those contain the budget.
 *
 * The order of the data must not depend on the length either; it does not, for streams are shuffled
 * epoch by epoch from the seed.
 *
 * Runs are searched once, before the sweep begins; a beginning is looked at again before it is
 * used, and its lock is held while it is copied, against `loci gc`. */

/* The only entry of train.budget: its kind, and how much. */
static const char *budget_of(const json_t *tree, double *amount)
{
    json_t *train = json_object_get(tree, "train");
    void *entry = json_object_iter(json_object_get(train, "budget"));
    if (!entry) return NULL;
    *amount = json_number_value(json_object_iter_value(entry));
    const char *kind = json_object_iter_key(entry);
    return strcmp(kind, "seconds") == 0 ? NULL : kind;
}

/* Whether runs of this spec are the same as far as they go, however long they are. Not those that
 * keep their best model, which the shorter one's last evaluation may have chosen; nor those that
 * start from a checkpoint elsewhere, which may be another by now. */
static bool any_length(const json_t *tree)
{
    /* By their names: of another schedule it is not known whether it looks at the length. */
    const char *kind = json_get_text(json_object_get(tree, "schedule"), "kind");
    bool best = json_is_true(json_object_get(json_object_get(tree, "train"), "keep_best"));
    bool elsewhere = json_get_text(json_object_get(tree, "init_from"), "checkpoint") != NULL;
    return kind && !best && !elsewhere &&
           (strcmp(kind, "constant") == 0 || strcmp(kind, "inverse_sqrt") == 0);
}

/* Its text is the key itself, not a hash: it never leaves this process. All that a run is but for
 * how long: resolved options that are part of its identity, which models it keeps on the way, seed,
 * kind of budget, content of the data, and the operations of a token, by which a version that
 * computes a layer otherwise tells itself apart. The caller frees it. */
static char *key_of(const json_t *tree, int64_t seed, const char *kind, const char *hash,
                    double flops)
{
    json_t *key = json_deep_copy(tree), *train = json_object_get(key, "train");
    /* Evaluation changes no step. (Those on the way are copied with their own protocol in the
     * id.) */
    json_object_del(key, "eval");
    json_object_del(train, "budget");
    for (const option *o = TRAIN_OPTIONS; o->name; o++) {
        /* Incidental to the result, but not to the folder: the models kept on the way are to be the
         * longer run's, too. */
        bool kept = strcmp(o->name, "keep_every") == 0;
        if (o->incidental && !kept) json_object_del(train, o->name);
    }
    json_object_set_new(key, "seed", json_integer(seed));
    json_object_set_new(key, "kind", json_string(kind));
    json_object_set_new(key, "corpus", json_string(hash));
    json_object_set_new(key, "flops", json_real(flops));
    char *text = json_dumps(key, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    CHECK(text, "a spec that is no JSON");
    json_decref(key);
    return text;
}

static json_t *tree_of(const run_plan *p)
{
    arena_auto *a = arena_new(1 << 16);
    json_t *tree = json_loads(node_json(a, p->resolved, false), 0, NULL);
    CHECK(tree, "the resolved spec of %s is no JSON", p->label);
    return tree;
}

bool continue_longer_possible(const run_plan *p)
{
    double amount;
    json_auto_t *tree = tree_of(p);
    return any_length(tree) && budget_of(tree, &amount);
}

bool continue_longer_by(double *more, const json_t *a, const json_t *b)
{
    double amount_a = 0, amount_b = 0;
    const char *kind_a = budget_of(a, &amount_a), *kind_b = budget_of(b, &amount_b);
    if (!kind_a || !kind_b || strcmp(kind_a, kind_b) != 0) return false;
    text_auto *key_a = key_of(a, 0, kind_a, "", 0), *key_b = key_of(b, 0, kind_b, "", 0);
    *more = amount_b - amount_a;
    return *more != 0 && strcmp(key_a, key_b) == 0;
}

/* The record of a finished run, with its training state; else NULL. */
static json_t *finished_record(const char *folder)
{
    char path[FILE_PATH_BYTES];
    run_status status;
    /* Nobody trains a finished run any further: its checkpoint stays as it is while it is
     * copied. */
    if (!run_status_read(&status, folder, NULL) || status.state != RUN_DONE) return NULL;
    if (status.gap[0]) return NULL; /* the longer one would inherit it */
    if (!file_join(path, folder, "checkpoint/manifest.json", NULL) || !file_exists(path))
        return NULL;
    json_auto_t *manifest = json_read(path, NULL);
    json_t *file;
    const char *name;
    bool whole = false;
    json_object_foreach(json_object_get(manifest, "files"), name, file)
    {
        /* Without moments and place in the text the rest of the run would be another one. */
        whole = whole || strncmp(name, "train-", 6) == 0;
    }
    if (!whole || !file_join(path, folder, "run.json", NULL) || !file_exists(path)) return NULL;
    json_t *record = json_read(path, NULL);
    /* Other arithmetic, or numbers of another precision: other bits from the first step on. */
    if (json_get_int(record, "numerics", -1) == LOCI_NUMERICS && run_open_same_precision(record)) {
        return record;
    }
    json_decref(record);
    return NULL;
}

static void add_beginning(json_t *all, const json_t *record, const char *id)
{
    double amount = 0;
    const json_t *tree = json_object_get(record, "spec");
    const char *hash = json_get_text(record, "corpus_hash");
    const char *kind = any_length(tree) ? budget_of(tree, &amount) : NULL;
    /* A record of an older version, without the content's hash: what it read is not known. */
    if (!kind || !hash) return;
    double flops = json_number_value(json_object_get(record, "forward_flops_per_token"));
    text_auto *key = key_of(tree, json_get_int(record, "seed", 0), kind, hash, flops);
    json_t *list = json_object_get(all, key);
    /* Several lengths of one run may be there: the longest that is short enough is chosen later. */
    if (!list) json_object_set_new(all, key, list = json_object());
    json_object_set_new(list, id, json_real(amount));
}

json_t *continue_longer_beginnings(const char *out)
{
    char runs[FILE_PATH_BYTES], folder[FILE_PATH_BYTES];
    const char *const *names;
    int64_t count = 0;
    arena_auto *a = arena_new(1 << 16);
    json_t *all = json_object();
    if (!file_join(runs, out, "runs", NULL) || !file_is_folder(runs) ||
        !file_list(runs, a, &names, &count, NULL)) {
        count = 0;
    }
    for (int64_t i = 0; i < count; i++) {
        if (!file_join(folder, runs, names[i], NULL)) continue;
        json_auto_t *record = finished_record(folder);
        if (record) add_beginning(all, record, names[i]);
    }
    return all;
}

/* Runs may be removed and gc may come while others are trained. */
static bool still_there(const char *out, const char *id)
{
    char folder[FILE_PATH_BYTES];
    json_auto_t *record = run_folder_path(folder, out, id, NULL) ? finished_record(folder) : NULL;
    return record != NULL;
}

/* Whether the checkpoint is that of run `id` to the bit, and does not say that it is a beginning: a
 * version before copied it, and was killed before the run had one of its own. */
static bool is_unmarked(const char *checkpoint, const char *out, const char *id)
{
    char ours[FILE_PATH_BYTES], theirs[FILE_PATH_BYTES];
    if (!file_join(ours, checkpoint, "manifest.json", NULL) ||
        !run_folder_path(theirs, out, id, NULL) ||
        !file_join(theirs, theirs, "checkpoint/manifest.json", NULL)) {
        return false;
    }
    json_auto_t *own = json_read(ours, NULL), *other = json_read(theirs, NULL);
    const json_t *files = json_object_get(own, "files");
    return files && !json_object_get(own, "begins") &&
           json_equal(files, json_object_get(other, "files"));
}

const char *continue_longer_find(const json_t *all, const run_plan *p, const char *out,
                                 const char *folder)
{
    char checkpoint[FILE_PATH_BYTES];
    double amount = 0, best = 0;
    if (!all || !file_join(checkpoint, folder, "checkpoint", NULL)) return NULL;
    bool begun = checkpoint_files_exist(checkpoint);
    json_auto_t *tree = tree_of(p);
    json_t *value;
    const char *kind = any_length(tree) ? budget_of(tree, &amount) : NULL, *found = NULL, *id;
    double flops = p->cost.forward_flops;
    text_auto *key = kind ? key_of(tree, p->seed, kind, p->corpus_hash, flops) : NULL;
    json_object_foreach(key ? json_object_get(all, key) : NULL, id, value)
    {
        double length = json_number_value(value);
        /* As long, or longer, is no beginning: a run cannot go back. */
        if (length >= amount || length <= best || !still_there(out, id)) continue;
        if (begun && !is_unmarked(checkpoint, out, id)) continue;
        best = length;
        found = id;
    }
    return found;
}

static bool copy_files(const char *from, const char *to, err *e)
{
    char target[FILE_PATH_BYTES];
    if (!file_make_folders(to, e)) return false;
    bool ok = true;
    file_walk w = file_walk_begin(from, e);
    while (ok && file_walk_next(&w)) {
        ok = file_join(target, to, w.name, e) && file_copy(w.path, target, e);
    }
    return file_walk_end(&w) && ok;
}

/* The evaluations on the way there, as the longer run's: each under the id that it would have given
 * it. The shorter run's final one is none of them. */
typedef struct evals_copy {
    const char *run;
    FILE *out;
} evals_copy;

static bool copy_eval(void *user, const json_t *line)
{
    evals_copy *c = user;
    const char *split = json_get_text(line, "split");
    /* Whoever is trained further had no end there. */
    if (!split || json_is_true(json_object_get(line, "final"))) return true;
    char id[EVAL_ID_CHARS];
    eval_record_id(id, c->run, json_get_int(line, "step", -1), split,
                   json_object_get(line, "protocol"));
    json_auto_t *own = json_copy((json_t *)(uintptr_t)line);
    json_object_set_new(own, "eval", json_string(id));
    size_t bytes;
    text_auto *text = json_line_text(own, &bytes);
    fwrite(text, 1, bytes, c->out);
    return true;
}

/* At once: with the shorter run's lines in its folder, its final one among them, the longer would
 * look as if it had ended. */
static bool copy_evals(const char *from, const char *to, const char *run, err *e)
{
    text_memory m;
    evals_copy c = {run, text_begin(&m)};
    bool ok = run_lines_look(from, copy_eval, &c, e);
    text_auto *text = text_end(&m);
    return ok && (!file_exists(from) || file_write(to, text, m.bytes, e));
}

/* The models that the shorter run has kept on the way are those of the longer. */
static bool copy_kept(const char *from, const char *to, err *e)
{
    char target[FILE_PATH_BYTES];
    bool ok = true;
    file_walk w = file_walk_begin(from, e);
    while (ok && file_walk_next(&w)) {
        bool kept = strncmp(w.name, CHECKPOINT_KEPT, strlen(CHECKPOINT_KEPT)) == 0;
        if (!kept || strcmp(w.name, CHECKPOINT_BEST) == 0) continue;
        ok = file_join(target, to, w.name, e) && copy_files(w.path, target, e);
    }
    return file_walk_end(&w) && ok;
}

/* Lines first, the checkpoint last: a run is where its checkpoint says, and lines beyond it are cut
 * off. The other way round, a kill in between would leave a run with a past that was never logged.
 */
static bool copy_beginning(const char *folder, const char *run, const char *source, err *e)
{
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES], put[FILE_PATH_BYTES];
    if (!file_join(from, source, "metrics.jsonl", e) ||
        !file_join(to, folder, "metrics.jsonl", e) ||
        (file_exists(from) && !file_copy(from, to, e)) ||
        !file_join(from, source, "evals.jsonl", e) || !file_join(to, folder, "evals.jsonl", e) ||
        !copy_evals(from, to, run, e)) {
        return false;
    }
    file_failpoint("beginning");
    if (!copy_kept(source, folder, e)) return false;
    /* The checkpoint last and at once: killed before, the folder has no beginning yet. */
    if (!file_join(from, source, "checkpoint", e) || !file_join(to, folder, "beginning", e) ||
        !file_join(put, folder, "checkpoint", e) || !file_remove_tree(to, e) ||
        !copy_files(from, to, e) || !checkpoint_files_begin(to, run, e) ||
        !file_remove_tree(put, e)) {
        return false;
    }
    return file_rename(to, put, e);
}

bool continue_longer_begin(const char *folder, const run_plan *p, const char *out,
                           const char *beginning, err *e)
{
    char source[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES];
    err ignored;
    if (!file_join(checkpoint, folder, "checkpoint", e) ||
        !run_folder_path(source, out, beginning, e)) {
        return false;
    }
    /* It has begun on its own since it was looked for, if not before. */
    if (checkpoint_files_exist(checkpoint)) {
        return !is_unmarked(checkpoint, out, beginning) ||
               checkpoint_files_begin(checkpoint, p->id, e);
    }
    int lock = run_folder_lock(source, &ignored); /* from gc; whoever else has it only reads */
    bool ok = copy_beginning(folder, p->id, source, e);
    if (lock >= 0) close(lock);
    return ok;
}
