#include "harness/run/claims_record.h"

#include <string.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "harness/run/claim_subject.h"
#include "harness/run/run_folder.h"

/* A claim is worth most when it was made before its results were there. Nobody can be kept from
 * editing a file, so the record remembers: with every claim the moment when `loci run` first saw it
 * in these words, and whether any run of the experiment had been evaluated by then. What must not
 * be possible by an edit:
 *
 *   to change a claim and keep its time       the time goes with the hash of what is claimed
 *   to claim the same of others               what it speaks of is noted when it is stated, and
 *                                             held against what it speaks of today: claim_subject.h
 *   to claim anew after looking               results of the runs of the last record count, too, so
 *                                             that leaving variants out does not clear the past,
 *                                             and that there were any is never forgotten
 *   to make a claim vanish that fails         withdrawn ones stay, once there were results */

/* ---- results that were there ---- */

/* Any evaluation, on the way or final: a curve half-way tells as much. */
static bool has_results(const char *out, const char *id)
{
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    return run_folder_path(folder, out, id, NULL) && file_join(path, folder, "evals.jsonl", NULL) &&
           file_exists(path);
}

/* Of the runs that it has, or had when it was recorded last, or before: a plan that was never
 * trained, recorded between two that were, must not make their results unseen. */
static bool any_results(const char *out, const experiment *x, const json_t *old)
{
    if (json_is_true(json_object_get(old, "had_results"))) return true;
    for (int i = 0; i < x->run_count; i++) {
        if (has_results(out, x->runs[i].id)) return true;
    }
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(old, "runs"), i, run)
    {
        const char *id = json_get_text(run, "run");
        if (id && has_results(out, id)) return true;
    }
    return false;
}

/* ---- a claim ---- */

static void hash_claim(char hex[SHA256_HEX], arena *a, const claim *c)
{
    node *n = claim_node(a, c);
    node_remove(n, "page"); /* where it is written up says nothing about what is claimed */
    const char *text = node_json(a, n, true);
    sha256_hex(hex, text, strlen(text));
}

/* What was recorded of the claim with that hash, or (hash NULL) that name; NULL: nothing. */
static json_t *recorded(const json_t *old, const char *hash, const char *name)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(old, "claims"), i, c)
    {
        const char *text = json_get_text(c, hash ? "hash" : "name");
        if (text && strcmp(text, hash ? hash : name) == 0) return c;
    }
    return NULL;
}

static json_t *new_record(const claim *c, const char *hash, const experiment *x, bool results)
{
    char utc[32];
    host_utc(utc, host_wall_s());
    return json_pack("{s:s, s:s, s:s, s:b, s:i, s:b}", "name", c->name, "hash", hash, "recorded_at",
                     utc, "after_the_fact", results, "seeds",
                     /* Seeds: how many there were to be when it was claimed, 0 where they are added
                      * until it is decided. */
                     c->at_least > 0 ? 0 : x->sweep->seed_count, "withdrawn", 0);
}

/* What it speaks of, as it was stated, and what of that has changed since. Before there is anything
 * to know, that may be thought over as the words may. old: the record that has the claim; NULL:
 * none has. */
static void put_subject(json_t *o, const claim *c, const experiment *x, const json_t *old,
                        bool results)
{
    json_t *now = claim_subject(c, x), *stated = json_object_get(o, "subject");
    json_auto_t *earlier = results && old ? claim_subject_earlier(old, now) : NULL;
    if (!results || !stated) {
        stated = json_deep_copy(earlier ? earlier : now);
        json_object_set_new(o, "subject", stated);
    }
    /* Those that another folder brought (loci merge) stand among its runs alone. */
    if (earlier) claim_subject_add_seeds(stated, earlier);
    text_auto *changed = claim_subject_change(stated, now);
    claim_subject_add_seeds(stated, now);
    json_object_set_new(o, "changed", json_string(changed));
    json_decref(now);
}

static json_t *claim_record(const claim *c, arena *a, const experiment *x, const json_t *old,
                            bool results)
{
    char hash[SHA256_HEX];
    hash_claim(hash, a, c);
    json_t *before = recorded(old, hash, NULL);
    json_t *o = before ? json_deep_copy(before) : new_record(c, hash, x, results);
    json_object_set_new(o, "withdrawn", json_false());
    put_subject(o, c, x, before ? old : NULL, results);
    /* With the page of today; all else is what was hashed. */
    json_object_set_new(o, "claim", json_loads(node_json(a, claim_node(a, c), false), 0, NULL));
    return o;
}

static void keep_withdrawn(json_t *list, const json_t *old)
{
    json_auto_t *kept = json_pack("{s:O}", "claims", list);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(old, "claims"), i, c)
    {
        const char *name = json_get_text(c, "name");
        /* One that was changed under its name is there, marked; it has not been withdrawn. */
        if (!name || recorded(kept, NULL, name)) continue;
        json_t *gone = json_deep_copy(c);
        json_object_set_new(gone, "withdrawn", json_true());
        json_array_append_new(list, gone);
    }
}

void claims_record(json_t *o, const char *out, const experiment *x, const json_t *old)
{
    json_t *list = json_array();
    bool results = any_results(out, x, old);
    arena_auto *a = arena_new(1 << 16);
    for (int i = 0; x->claims && i < x->claims->count; i++) {
        json_array_append_new(list, claim_record(&x->claims->claims[i], a, x, old, results));
    }
    /* Before there is anything to know, a claim may be thought over. */
    if (results) keep_withdrawn(list, old);
    json_object_set_new(o, "had_results", json_boolean(results));
    json_object_set_new(o, "claims", list);
}

/* Is what stands in the first recorded later than what stands in the second? */
static bool is_later(const json_t *now, const json_t *before)
{
    const char *time = json_get_text(now, "recorded_at");
    const char *earlier = json_get_text(before, "recorded_at");
    return time && earlier && strcmp(earlier, time) < 0; /* UTC, as text */
}

/* A claim that another place recorded, beside a record of this place. */
static void keep_doubt(json_t *now, const json_t *old, bool results)
{
    const char *hash = json_get_text(now, "hash"), *name = json_get_text(now, "name");
    const json_t *same = hash ? recorded(old, hash, NULL) : NULL;
    const json_t *named = name ? recorded(old, NULL, name) : NULL;
    const char *changed = json_get_text(same, "changed");
    bool late = same
                    ? json_is_true(json_object_get(same, "after_the_fact")) || (changed && *changed)
                    : named && results && is_later(now, named); /* in other words then */
    if (late) json_object_set_new(now, "after_the_fact", json_true());
    if (same && is_later(now, same)) {
        json_object_set(now, "recorded_at", json_object_get(same, "recorded_at"));
    }
}

void claims_record_replace(json_t *o, const json_t *old)
{
    bool results = json_is_true(json_object_get(old, "had_results"));
    json_t *list = json_object_get(o, "claims"), *c;
    size_t i;
    json_array_foreach(list, i, c)
    {
        keep_doubt(c, old, results);
    }
    if (!results) return;
    json_object_set_new(o, "had_results", json_true());
    if (!list) json_object_set_new(o, "claims", list = json_array());
    keep_withdrawn(list, old);
}
