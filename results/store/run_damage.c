#include "results/store/run_damage.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/json_line.h"
#include "core/base/sha256.h"

/* What is checked is what the rest of the program counts on, file by file; whether a figure is
 * right cannot be seen, whether it is there can. For a run that is done: its records, every line of
 * its logs up to its last step, all evaluations that were due, the final one. For one that is not:
 * what it needs to go on from its checkpoint, since training writes the rest anew.
 *
 * What took hours (lines, a final evaluation, a model) is never given up for a record beside it,
 * which takes a moment to write anew.
 *
 * Two questions are kept apart throughout. A file that is damaged has to be made again, which costs
 * hours; a file that could not be read (`unread`) may be whole, and to train over it would destroy
 * what is only out of reach. The latter wins whatever else was found.
 *
 * `why` is what was found wrong last; where checks follow that overwrite it, it is set aside. */

static const char *const RECORDS[] = {"plan.json", "run.json"};

/* What is known of the run while its files are looked at. */
typedef struct search {
    const char *folder;
    const run_damage_known *known; /* all 0: nothing is */
    char path[FILE_PATH_BYTES];    /* of the file looked at */
    err why;
    int64_t step;   /* from status.json: of the last one trained */
    json_t *record; /* what it was trained by: run.json, of a finished one else the plan */
    int64_t saved;  /* step of the checkpoint; -1: there is none */
    bool done, diverged;
    bool stateless; /* a run was begun, and nothing says how it stands */
    bool trains;    /* the checkpoint holds what training goes on from: */
    char state[FILE_PATH_BYTES],
        state_hash[SHA256_HEX]; /* that file, and what its hash should be */
    bool model;                 /* it holds the model */
    json_t *kept[2]; /* RECORDS, where their name was looked at: they are not read twice */
    err unread;      /* text is empty as long as all could be read */
} search;

/* NULL, and what was in the way is kept: that is no damage. */
static char *read_text(search *s, size_t *bytes)
{
    char *text = file_read(s->path, bytes, &s->why);
    if (!text && !s->unread.text[0]) s->unread = s->why;
    return text;
}

static json_t *known_object(const search *s, const char *name)
{
    for (int i = 0; i < s->known->count; i++) {
        json_t *o = s->known->objects[i];
        if (strcmp(s->known->names[i], name) == 0 && json_is_object(o)) return json_incref(o);
    }
    for (int i = 0; i < 2; i++) {
        if (s->kept[i] && strcmp(RECORDS[i], name) == 0) return json_incref(s->kept[i]);
    }
    return NULL;
}

/* False if the file is damaged, or missing though it must be there. *o is NULL or the caller's. A
 * JSON value that is no object (a file of a single number) has none of its keys, and is damaged
 * too. */
static bool read_object(search *s, const char *name, bool needed, json_t **o)
{
    *o = known_object(s, name);
    if (!file_join(s->path, s->folder, name, &s->why)) return false;
    if (*o) return true;
    if (!file_exists(s->path)) return !needed || err_set(&s->why, "%s: is missing", s->path);
    size_t bytes;
    text_auto *text = read_text(s, &bytes);
    if (!text) return false;
    *o = json_parse(text, bytes, s->path, &s->why);
    if (json_is_object(*o)) return true;
    if (*o) err_set(&s->why, "%s: is no JSON object", s->path);
    json_decref(*o);
    *o = NULL;
    return false;
}

/* A file that has the key, of whatever kind. The key stands for the rest: files are written whole
 * and renamed, so that what is cut short is no JSON. */
static bool record_is_whole(search *s, const char *name, bool needed, const char *key)
{
    json_auto_t *o = NULL;
    bool ok = read_object(s, name, needed, &o);
    if (ok && o && !json_object_get(o, key)) {
        ok = err_set(&s->why, "%s: does not say its %s", s->path, key);
    }
    bool trained = s->done || strcmp(name, "run.json") == 0;
    if (ok && trained && json_object_get(o, "spec")) {
        json_decref(s->record);
        s->record = json_incref(o);
    }
    return ok;
}

/* ---- lines ---- */

/* Of a damaged line: an evaluation that somebody asked for, cut off on a full disk perhaps, says so
 * in its first words, and is none that a run ends with. */
static bool may_be_final(const char *line, size_t bytes)
{
    static const char OTHER[] = "\"final\":false";
    return !memmem(line, bytes, OTHER, sizeof OTHER - 1);
}

/* Every line whole, with what is counted of those that are: behind a damaged one, too. A missing
 * file has none. *behind (may be NULL): a damaged one that may have been final stands behind the
 * last final one. */
static bool read_lines(search *s, const char *name, const run_damage_lines *known,
                       run_damage_lines *l, bool *behind)
{
    size_t bytes;
    int64_t last_wrong = 0, last_final = 0;
    if (behind) *behind = false;
    *l = known->whole ? *known : RUN_DAMAGE_NO_LINES;
    if (!file_join(s->path, s->folder, name, &s->why)) return false;
    if (l->whole || !file_exists(s->path)) return true;
    text_auto *text = read_text(s, &bytes);
    const run_damage_own own = run_damage_own_evals(s->record, s->step);
    const char *at = text, *end;
    int64_t number = 1, wrong = 0;
    for (; text && (end = memchr(at, '\n', bytes - (size_t)(at - text))); at = end + 1, number++) {
        json_auto_t *line = json_line_load(at, (size_t)(end - at), 0, NULL);
        if (json_is_object(line)) {
            run_damage_count(l, line, &own);
            if (json_is_true(json_object_get(line, "final"))) last_final = number;
        } else {
            if (may_be_final(at, (size_t)(end - at))) last_wrong = number;
            if (wrong == 0) wrong = number;
        }
    }
    /* A last line without its end is cut off: nobody is writing any more. */
    if (text && at != text + bytes) {
        if (may_be_final(at, (size_t)(text + bytes - at))) last_wrong = number;
        if (wrong == 0) wrong = number;
    }
    if (behind) *behind = last_wrong > last_final;
    if (wrong > 0) {
        err_set(&s->why, "%s:%lld: is cut off, changed or no JSON", s->path, (long long)wrong);
    }
    return text && wrong == 0;
}

/* The last step is always logged, whatever log_every says. */
static bool metrics_are_whole(search *s)
{
    run_damage_lines l;
    if (!read_lines(s, "metrics.jsonl", &s->known->metrics, &l, NULL)) return false;
    return s->step == 0 || l.last_step == s->step ||
           err_set(&s->why, "%s: ends before step %lld", s->path, (long long)s->step);
}

/* What evals.jsonl of a finished run says of its final evaluation. */
typedef struct found_evals {
    bool whole;
    bool final;
    bool behind; /* what is damaged stands behind it: a younger final one, it may be */
    bool lost;   /* one on the way is missing: it would need the model of that time */
} found_evals;

static found_evals look_at_evals(search *s)
{
    run_damage_lines l;
    found_evals f = {0};
    f.whole = read_lines(s, "evals.jsonl", &s->known->evals, &l, &f.behind);
    f.final = l.final;
    /* Below the last step; the end has its own, the final one. */
    int64_t due = run_damage_lines_due(s->record, s->step).evals;
    f.lost = due > 0 && l.last_on_the_way < due;
    if (f.whole && !l.final) {
        f.whole = err_set(&s->why, "%s: has no final evaluation", s->path);
    } else if (f.whole && f.lost) {
        f.whole = err_set(&s->why, "%s: has no evaluation of step %lld", s->path, (long long)due);
    }
    return f;
}

/* ---- the checkpoint ---- */

/* Of a finished run somebody may have changed or removed the model, which is no damage to what was
 * measured and is told where the model is used; nobody's work may be lost by training again. */
static bool file_is_whole(search *s, const char *name, const json_t *file)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    int64_t bytes, should = json_get_int(file, "bytes", -1);
    snprintf(inner, sizeof inner, "checkpoint/%s", name);
    if (!file_join(path, s->folder, inner, &s->why)) return false;
    if (!file_exists(path)) return s->done || err_set(&s->why, "%s: is missing", path);
    if (!file_stat(path, &bytes, NULL, &s->why)) {
        s->unread = s->why;
        return false;
    }
    /* Moments and counters of the optimiser: with the model alone nothing goes on, but it can be
     * evaluated. */
    if (strncmp(name, "train-", 6) == 0 && bytes == should) {
        const char *hash = json_get_text(file, "sha256");
        s->trains = true;
        snprintf(s->state, sizeof s->state, "%s", path);
        snprintf(s->state_hash, sizeof s->state_hash, "%s", hash ? hash : "");
    }
    if (strncmp(name, "model", 5) == 0 && bytes == should) s->model = true;
    /* By its length: what a power cut leaves is short. That its content is what it was is checked
     * by its hash where it is loaded. */
    return s->done || bytes >= should ||
           err_set(&s->why, "%s: has %lld bytes instead of %lld", path, (long long)bytes,
                   (long long)should);
}

/* All files that the manifest names, and nothing else of the folder. */
static bool checkpoint_is_whole(search *s)
{
    json_t *manifest, *file;
    const char *name;
    bool ok = read_object(s, "checkpoint/manifest.json", false, &manifest);
    json_t *files = json_object_get(manifest, "files");
    /* No manifest, no checkpoint: it is renamed into place last. */
    s->saved = json_get_int(manifest, "step", -1);
    if (ok && manifest && !json_is_object(files)) {
        ok = err_set(&s->why, "%s: names no files", s->path);
    }
    json_object_foreach(files, name, file)
    {
        ok = ok && file_is_whole(s, name, file);
    }
    json_decref(manifest);
    return ok;
}

/* ---- the folder ---- */

const char *run_damage_name(const char *folder)
{
    char parent[FILE_PATH_BYTES];
    file_parent(parent, folder);
    const char *slash = strrchr(parent, '/');
    return strcmp(slash ? slash + 1 : parent, "runs") == 0 ? strrchr(folder, '/') + 1 : NULL;
}

/* A folder that was copied or renamed beside its run, or brought in under another's name: what its
 * files say is of the run that they name, and would count twice, or for one that was never trained.
 * To make it anew could destroy somebody's only copy. A file that is damaged is found later. */
static bool is_of_its_name(search *s)
{
    const char *name = run_damage_name(s->folder);
    for (int i = 0; name && i < 2; i++) {
        bool there = read_object(s, RECORDS[i], false, &s->kept[i]);
        const char *run = there ? json_get_text(s->kept[i], "run") : NULL;
        if (!run || strcmp(run, name) == 0) continue;
        return err_set(&s->unread,
                       "%s: is of run %.100s: the folder is a copy, or was renamed; give it that "
                       "name, or put it elsewhere",
                       s->path, run);
    }
    return true;
}

/* Of a run whose status is lost: whether it had been trained to its end, and at which step that
 * was. Only then is there a final evaluation, or was the training state removed (`loci gc`). */
static bool had_ended(search *s)
{
    static const run_damage_known none;
    const run_damage_known *known = s->known;
    err why = s->why;
    run_damage_lines l;
    s->step = INT64_MAX;
    s->known = &none; /* counted by a step that nobody knew */
    read_lines(s, "evals.jsonl", &none.evals, &l, NULL);
    s->known = known;
    s->done = true; /* or a model that is gone would be damage */
    if (!l.final && (!checkpoint_is_whole(s) || s->trains || !s->model)) s->done = false;
    s->step = l.final ? l.final_step : MAX(s->saved, 0);
    s->why = why;
    return s->done;
}

/* Without status.json nothing was started, which is no damage, unless something was ended. */
static bool status_is_whole(search *s)
{
    json_auto_t *o = NULL;
    bool ok = read_object(s, "status.json", false, &o);
    const char *status = json_get_text(o, "status");
    s->done = status && strcmp(status, "done") == 0;
    s->diverged = status && strcmp(status, "diverged") == 0;
    s->step = json_get_int(o, "step", 0);
    if (ok && o && !status) ok = err_set(&s->why, "%s: does not say its status", s->path);
    s->stateless = !o || !ok;
    if (!s->stateless) return true;
    if (had_ended(s) && ok) ok = err_set(&s->why, "%s/status.json: is missing", s->folder);
    return ok && !s->unread.text[0];
}

/* Of a run without a final evaluation all depends on what it can be made from, and the file is read
 * for its hash: one that was changed would only be refused, while the model beside it is whole. */
static bool can_train_on(search *s)
{
    char hex[SHA256_HEX];
    err lost;
    if (!s->trains) return false;
    if (!file_sha256(hex, s->state, &lost)) {
        s->unread = lost;
        return true;
    }
    return strcmp(hex, s->state_hash) == 0;
}

static bool records_are_whole(search *s, bool needed)
{
    return record_is_whole(s, "plan.json", needed, "spec") &&
           record_is_whole(s, "run.json", needed, "run");
}

static bool all_records_are_whole(search *s)
{
    return records_are_whole(s, true) && record_is_whole(s, "final.json", false, "eval") &&
           record_is_whole(s, "speed.json", false, "alone_tokens_per_second");
}

/* Of a run that is done. Its records are written anew from its plan and its lines, and what its
 * model can evaluate from that. Where a process can go on at the end of training it does so for
 * the evaluation: it knows more than the model says. What else is missing of its past would take
 * training again, which is done only where the run is worth nothing without. */
static run_damage find_in_results(search *s)
{
    bool records = !s->stateless && all_records_are_whole(s);
    err of_records = s->why;
    bool checkpoint = checkpoint_is_whole(s);
    err of_checkpoint = s->why;
    bool metrics = metrics_are_whole(s);
    err of_metrics = s->why;
    found_evals evals = look_at_evals(s);
    if (records && checkpoint && metrics && evals.whole) return DAMAGE_NONE;
    if (!records || !checkpoint || evals.whole) {
        s->why = !records ? of_records : !checkpoint ? of_checkpoint : of_metrics;
    }
    if (!evals.final) {
        if (!s->model) return DAMAGE_TRAINING;
        return can_train_on(s) ? DAMAGE_RECORD : DAMAGE_END;
    }
    if (!records || (evals.behind && s->model)) return DAMAGE_END;
    err why = s->why;
    err_set(&s->why,
            "%s; its final evaluation is whole, and the run stays; put a good copy of the file "
            "there, or remove the folder for loci run to train it again",
            why.text);
    return DAMAGE_PAST;
}

/* ---- a run that goes on ---- */

/* Lines of steps that the checkpoint has behind it are not made again. Younger ones are, and the
 * last, which was being written when the process died, may be of any form: damaged is what stands
 * before one of those, or takes the place of the last that is due. own: of evaluations; else
 * NULL. */
static bool lines_reach(search *s, const char *name, int64_t due, const run_damage_own *own)
{
    size_t bytes;
    if (!file_join(s->path, s->folder, name, &s->why)) return false;
    text_auto *text = file_exists(s->path) ? read_text(s, &bytes) : NULL;
    const char *end;
    int64_t number = 1, wrong = 0, found = 0, last = 0;
    for (const char *at = text; at && (end = memchr(at, '\n', bytes - (size_t)(at - text)));
         at = end + 1, number++) {
        json_auto_t *line = json_line_load(at, (size_t)(end - at), 0, NULL);
        int64_t step = json_get_int(line, "step", -1);
        if (!json_is_object(line) && wrong == 0) wrong = number;
        if (step < 0 || step > s->saved || json_is_true(json_object_get(line, "final"))) continue;
        if (!own || run_damage_own_step(own, step)) last = step;
        if (found == 0) found = wrong;
    }
    if (found > 0) {
        return err_set(&s->why, "%s:%lld: is cut off, changed or no JSON", s->path,
                       (long long)found);
    }
    return last >= due ||
           err_set(&s->why, "%s: has no line of step %lld, and its checkpoint is of %lld", s->path,
                   (long long)due, (long long)s->saved);
}

static bool lines_reach_checkpoint(search *s)
{
    if (s->saved <= 0) return true;
    run_damage_due due = run_damage_lines_due(s->record, s->saved);
    const run_damage_own own = run_damage_own_evals(s->record, s->saved);
    if (lines_reach(s, "metrics.jsonl", due.metrics, NULL) &&
        lines_reach(s, "evals.jsonl", due.evals, &own)) {
        return true;
    }
    err why = s->why;
    return err_set(&s->why,
                   "%s; the run goes on from its checkpoint without; a good copy of the file fills "
                   "the gap",
                   why.text);
}

static void forget_records(search *s)
{
    json_decref(s->record);
    json_decref(s->kept[0]);
    json_decref(s->kept[1]);
}

bool run_damage_of_its_name(const char *folder, err *e)
{
    static const run_damage_known none;
    search s = {.folder = folder, .known = &none};
    bool own = is_of_its_name(&s);
    forget_records(&s);
    return own || err_copy(e, &s.unread);
}

bool run_damage_lacks_final(const char *folder)
{
    static const run_damage_known none;
    search s = {.folder = folder, .known = &none, .step = INT64_MAX};
    run_damage_lines l;
    bool behind;
    read_lines(&s, "evals.jsonl", &none.evals, &l, &behind);
    return !l.final || behind;
}

run_damage run_damage_find(char *why, const char *folder)
{
    static const run_damage_known none;
    return run_damage_find_known(why, folder, &none);
}

/* A run that was trained to its end, and that its final evaluation said to be worth nothing: its
 * records are mended like those of one that is done. */
static bool judged_lacks_records(search *s)
{
    run_damage_lines l;
    if (!s->diverged) return false;
    read_lines(s, "evals.jsonl", &s->known->evals, &l, NULL);
    return l.final && l.final_step == s->step && !all_records_are_whole(s);
}

run_damage run_damage_find_known(char *why, const char *folder, const run_damage_known *known)
{
    search s = {.folder = folder, .known = known, .saved = -1};
    run_damage found = DAMAGE_NONE;
    bool own = is_of_its_name(&s);
    /* The status first, as it says how much has to be there. */
    bool status = own && status_is_whole(&s);
    if (!own) {
        found = DAMAGE_RECORD; /* which nobody may mend: s.unread */
    } else if (s.done) {
        found = find_in_results(&s);
    } else if (!checkpoint_is_whole(&s)) {
        found = DAMAGE_TRAINING;
    } else if (judged_lacks_records(&s)) {
        found = DAMAGE_END;
    } else if (!status || !records_are_whole(&s, false)) {
        found = s.saved < 0 ? DAMAGE_TRAINING : DAMAGE_RECORD;
    } else if (!lines_reach_checkpoint(&s)) {
        found = DAMAGE_PAST;
    }
    forget_records(&s);
    if (found != DAMAGE_NONE && s.unread.text[0]) {
        s.why = s.unread;
        found = DAMAGE_UNKNOWN;
    }
    snprintf(why, ERR_TEXT_BYTES, "%s", found == DAMAGE_NONE ? "" : s.why.text);
    return found;
}
