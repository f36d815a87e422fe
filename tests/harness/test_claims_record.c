/* The record of what was claimed when, of what, and whether results were there. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/run/run_folder.h"
#include "harness/run/run_record.h"
#include "harness/run/set_aside.h"
#include "tests/support/claimed.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char BASE[] =
    CLAIMED_RUNS "  seeds: 3\n"
                 "  grid: {model.width: [8, 32, 16], optimizer.lr: [1e-3, 1e-2]}\n"
                 "claims:\n";

static const char ONE[] =
    "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n";
static const char CHANGED[] =
    "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}, by: 1 %}\n";

enum { BASE_BYTES = sizeof BASE + 200 };

/* The base with `to` in the place of `from`. */
static void base_with(char text[BASE_BYTES], const char *from, const char *to)
{
    const char *at = strstr(BASE, from);
    CHECK(at, "no '%s' in the base", from);
    snprintf(text, BASE_BYTES, "%.*s%s%s", (int)(at - BASE), BASE, to, at + strlen(from));
}

static const char *record_path(void)
{
    return test_inside("experiments/claimed.json");
}

static json_t *record_in(const char *base, const char *text)
{
    err e;
    experiment *x = claimed_experiment(base, text, &e);
    EXPECT(x && run_record_experiment(test_folder(), x, &e), "%s", e.text);
    experiment_free(x);
    json_t *o = json_read(record_path(), &e), *list = json_incref(json_object_get(o, "claims"));
    json_decref(o);
    return list;
}

static json_t *record(const char *text)
{
    return record_in(BASE, text);
}

static bool after(const json_t *list, size_t i)
{
    return json_is_true(json_object_get(json_array_get(list, i), "after_the_fact"));
}

static bool withdrawn(const json_t *list, size_t i)
{
    return json_is_true(json_object_get(json_array_get(list, i), "withdrawn"));
}

/* One run of the experiment gets an evaluation. */
static void make_results(void)
{
    err e;
    char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    experiment *x = claimed_experiment(BASE, "  []\n", &e);
    EXPECT(x && run_folder_path(folder, test_folder(), x->runs[0].id, &e) &&
               file_make_folders(folder, &e) && file_join(path, folder, "evals.jsonl", &e),
           "%s", e.text);
    FILE *f = x ? fopen(path, "w") : NULL;
    if (f) fclose(f);
    experiment_free(x);
}

static void recorded(void)
{
    static const char page[] =
        "  - {name: a, better: {lr: 0.001, width: 8}, than: {width: 16, lr: 1e-3}, page: x.md}\n";
    static const char two[] =
        "  - {name: a, better: {width: 8, lr: 1e-3}, than: {width: 16, lr: 1e-3}}\n"
        "  - {name: b, better: {width: 8, lr: 1e-3}, than: {width: 32, lr: 1e-3}}\n";
    json_t *first = record(ONE);
    EXPECT(json_array_size(first) == 1 && !after(first, 0), "before any result");
    make_results();
    json_t *again = record(page);
    EXPECT(!after(again, 0) && json_equal(json_object_get(json_array_get(first, 0), "hash"),
                                          json_object_get(json_array_get(again, 0), "hash")),
           "the page and how names are written change nothing");
    json_t *more = record(two);
    EXPECT(json_array_size(more) == 2 && !after(more, 0) && after(more, 1), "the second is late");
    json_t *other = record(CHANGED);
    EXPECT(json_array_size(other) == 2 && after(other, 0), "a changed claim is late");
    EXPECT(!withdrawn(other, 0) && withdrawn(other, 1), "one that is gone is withdrawn");
    json_t *back = record(ONE);
    EXPECT(after(back, 0), "what was changed and changed back has been seen");
    json_decref(first);
    json_decref(again);
    json_decref(more);
    json_decref(other);
    json_decref(back);
}

static const char *changed(const json_t *list)
{
    const char *text = json_get_text(json_array_get(list, 0), "changed");
    return text ? text : "";
}

static size_t spoken_seeds(const json_t *list)
{
    const json_t *subject = json_object_get(json_array_get(list, 0), "subject");
    return json_array_size(json_object_get(subject, "seeds"));
}

static void remove_results(void)
{
    char path[FILE_PATH_BYTES];
    err e;
    experiment *x = claimed_experiment(BASE, "  []\n", &e);
    EXPECT(x && run_folder_path(path, test_folder(), x->runs[0].id, &e) &&
               file_remove_tree(path, &e),
           "%s", e.text);
    experiment_free(x);
    EXPECT(unlink(record_path()) == 0, "the record");
}

/* What the claim speaks of, beside its words: whoever changes the variants, the evaluation or the
 * seeds once there are results claims something else. */
static void subject(void)
{
    static const char both[] = "'width=8 lr=1e-3' and 'width=16 lr=1e-3' were changed";
    static const struct {
        const char *from, *to, *says, *then;
        size_t seeds; /* that it has spoken of */
    } cases[] = {
        {"batch: 2", "batch: 4", both, "", 3},
        {"tokens: 2000", "tokens: 3000", both, "", 3},
        {"hidden: 16", "hidden: 24", both, "", 3},
        {"seeds: 3", "seeds: [1, 3]", "seed 2 was left out", "", 3},
        {"seeds: 3", "seeds: [11, 12]", "seeds 1, 2 and 3 were left out",
         "seeds 11 and 12 were left out", 5},
        {"train:", "eval: {split: test}\ntrain:", "the evaluation was changed", "", 3},
        {"train:", "eval: {tokens: 100}\ntrain:", "the evaluation was changed", "", 3},
        {"seeds: 3", "seeds: 5", "", "seeds 4 and 5 were left out", 5},
        /* What leaves the figures as they are. */
        {"train:", "eval: {rows: 2, losses: false}\ntrain:", "", "", 3},
        {"name: claimed", "name: claimed\ndescription: other words", "", "", 3},
        {"batch: 2", "batch: 2, log_every: 1", "", "", 3},
        {"[8, 32, 16]", "[8, 32, 16, 24]", "", "", 3},
        {"[8, 32, 16]", "[8, 16]", "", "", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char other[BASE_BYTES];
        base_with(other, cases[i].from, cases[i].to);
        json_t *early = record_in(other, ONE), *first = record(ONE);
        EXPECT(!after(first, 0) && !*changed(first), "before any result: %s", changed(first));
        make_results();
        json_t *now = record_in(other, ONE);
        EXPECT(strcmp(changed(now), cases[i].says) == 0, "%s: '%s'", cases[i].to, changed(now));
        EXPECT(spoken_seeds(now) == cases[i].seeds, "%s: %zu seeds", cases[i].to,
               spoken_seeds(now));
        /* As it was stated it is the claim that was stated. */
        json_t *back = record(ONE);
        EXPECT(!after(back, 0) && strcmp(changed(back), cases[i].then) == 0, "%s, and back: '%s'",
               cases[i].to, changed(back));
        json_decref(early);
        json_decref(first);
        json_decref(now);
        json_decref(back);
        remove_results();
    }
}

/* The record without what claims speak of and whether there were results, as earlier versions wrote
 * it: nobody is accused, and from there on it is known. */
static void earlier_record(void)
{
    err e;
    char fewer[BASE_BYTES], longer[BASE_BYTES];
    base_with(fewer, "seeds: 3", "seeds: 1");
    base_with(longer, "batch: 2", "batch: 4");
    json_decref(record(ONE));
    make_results();
    json_t *o = json_read(record_path(), &e);
    json_object_del(json_array_get(json_object_get(o, "claims"), 0), "subject");
    json_object_del(o, "had_results");
    EXPECT(o && json_write(record_path(), o, &e), "%s", e.text);
    json_t *second = record_in(longer, ONE); /* by which its runs were known */
    EXPECT(*changed(second), "other variants than those of its runs");
    EXPECT(json_write(record_path(), o, &e), "%s", e.text);
    json_decref(o);
    json_t *same = record(ONE), *other = record_in(fewer, ONE);
    EXPECT(!after(same, 0) && !*changed(same), "%s", changed(same));
    EXPECT(strcmp(changed(other), "seeds 2 and 3 were left out") == 0, "%s", changed(other));
    json_decref(second);
    json_decref(same);
    json_decref(other);
}

/* What another folder brought: a seed that only the record's runs know. */
static void merged_seed(void)
{
    err e;
    json_decref(record(ONE));
    make_results();
    json_t *o = json_read(record_path(), &e), *runs = json_object_get(o, "runs");
    json_t *brought = json_deep_copy(json_array_get(runs, 0));
    json_object_set_new(brought, "seed", json_integer(9));
    json_object_set_new(brought, "run", json_string("0123456789abcdef"));
    json_array_append_new(runs, brought);
    EXPECT(o && json_write(record_path(), o, &e), "%s", e.text);
    json_decref(o);
    json_t *now = record(ONE);
    EXPECT(strcmp(changed(now), "seed 9 was left out") == 0, "'%s'", changed(now));
    json_decref(now);
}

/* Through a plan that was never trained: its record has no run with results, and yet they were
 * seen. */
static void seen_before(void)
{
    char other[BASE_BYTES];
    base_with(other, "batch: 2", "batch: 4");
    json_decref(record(ONE));
    make_results();
    json_decref(record_in(other, ONE));
    json_t *third = record_in(other, ONE), *last = record_in(other, CHANGED);
    EXPECT(*changed(third), "forgotten");
    EXPECT(after(last, 0), "the results of the plan before were seen");
    json_decref(third);
    json_decref(last);
}

/* A record that is damaged is believed in nothing, and a copy is kept: when a claim was made stands
 * nowhere else. */
static void damaged_record(void)
{
    char path[FILE_PATH_BYTES], aside[FILE_PATH_BYTES + 32];
    err e = {0};
    size_t bytes;
    json_t *first = record(ONE);
    EXPECT(!after(first, 0), "before any result");
    make_results();
    snprintf(path, sizeof path, "%.1000s/experiments/claimed.json", test_folder());
    text_auto *text = file_read(path, &bytes, &e);
    char *year = text ? strstr(text, "\"recorded_at\": \"20") : NULL;
    if (year) year[17]++;
    EXPECT(year && file_write(path, text, bytes, &e) && !json_read(path, &e), "%s", e.text);
    json_t *again = record(ONE);
    EXPECT(after(again, 0), "of a damaged record nothing is believed");
    snprintf(aside, sizeof aside, "%s" SET_ASIDE_COPY, path);
    size_t kept;
    text_auto *copy = file_read(aside, &kept, &e);
    EXPECT(copy && kept == bytes && memcmp(copy, text, bytes) == 0, "%s", e.text);
    /* The copy of a second damage is another. */
    EXPECT(truncate(path, 20) == 0, "%s", path);
    json_t *third = record(ONE);
    text_auto *still = file_read(aside, &kept, &e);
    EXPECT(still && kept == bytes && memcmp(still, text, bytes) == 0, "the first copy is lost");
    snprintf(aside, sizeof aside, "%s" SET_ASIDE_COPY "-2", path);
    EXPECT(file_exists(aside), "%s", aside);
    json_decref(first);
    json_decref(again);
    json_decref(third);
}

const test_suite test_claims_record = {"harness/claims_record",
                                       {{"recorded", recorded},
                                        {"subject", subject},
                                        {"earlier_record", earlier_record},
                                        {"merged_seed", merged_seed},
                                        {"seen_before", seen_before},
                                        {"damaged_record", damaged_record},
                                        {0}}};
