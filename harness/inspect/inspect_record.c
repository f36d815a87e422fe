/* An inspection as JSON lines in the run's folder: a file per part, its first line how it was made,
 * then a line per thing. Lines rather than one document, because a model has tens of thousands of
 * keys: they are written and collected one at a time, in memory of one line.
 *
 * A part is written whole or not at all (file_out: a temporary file that gets its name at the end),
 * and replaces the one of an earlier inspection. Tokens are written as their text, so that whoever
 * reads the file needs no tokenizer. */
#include "harness/inspect/inspect_record.h"

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/json.h"
#include "harness/inspect/record_reading.h"
#include "harness/inspect/served.h"
#include "harness/train/trained_model.h"

enum { LINE_TRIGGERS = 10, SERVED_TOKENS = 10 };

/* ---- lines ---- */

/* The first line: what was inspected, and how: figures are comparable where these agree (step
 * aside). Seconds and memory stand with the parts whose pass they are of. */
static json_t *head_line(const inspection *x, int part)
{
    const inspect_options *o = x->task->options;
    const trained_model *m = x->task->loaded;
    bool keys = part & (INSPECT_KEYS | INSPECT_VALUES);
    char date[32];
    host_utc(date, host_wall_s());
    json_t *head =
        json_pack("{s:s, s:I, s:s, s:s, s:I, s:b, s:s}", "inspect", inspection_part_name(part),
                  "step", (json_int_t)m->step, "at", date, "split",
                  split_name((split_kind)(keys ? o->split : o->sample_split)), "tokens",
                  (json_int_t)(keys ? x->text.tokens : x->sample_text.tokens), "as_head",
                  o->as_head, "rule", o->once_per_sentence ? "once per sentence" : "all prefixes");
    if (keys) {
        json_object_set_new(head, "top", json_integer(o->top));
        json_object_set_new(head, "seconds", json_finite(x->seconds));
        json_object_set_new(head, "pass_seconds", json_finite(x->pass_seconds));
        json_object_set_new(head, "plain_seconds", json_finite(x->plain_seconds));
    } else if (part & INSPECT_MEMORIES) {
        json_object_set_new(head, "prefixes", json_integer(x->sample_count));
    }
    json_object_set_new(head, "peak_anon_bytes", json_integer(host_memory_now().peak_anon_bytes));
    return head;
}

/* The model's own figures have the layer "" and depth -1. NaN becomes null. */
static bool put_figures(record_lines *r, int part, err *e)
{
    for (int i = 0; i < r->x->figure_count; i++) {
        const inspect_figure *f = &r->x->figures[i];
        if (f->part != part) continue;
        json_t *line =
            json_pack("{s:s, s:i, s:s, s:i, s:o}", "layer", f->layer ? f->layer->name : "", "depth",
                      f->layer ? f->layer->dims.depth : -1, "figure", f->name, "bin", f->bin,
                      "value", json_finite(f->value));
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* A trigger is placed by document and position in it, which hold for the split whatever limit the
 * inspection had. LINE_TRIGGERS of `top` are written. */
static json_t *trigger_list(record_lines *r, const inspected_layer *l, int64_t memory)
{
    const prefixes *p = &r->x->text;
    json_t *list = json_array();
    for (int64_t i = 0; i < MIN(l->triggers.sizes[memory], (int32_t)LINE_TRIGGERS); i++) {
        const trigger *t = triggers_of(&l->triggers, memory) + i;
        int64_t d = prefixes_document(p, t->token);
        json_t *text = record_lines_prefix(r, p, t->token);
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:o, s:o}", "coefficient",
                                              json_finite((double)t->coefficient), "document",
                                              (json_int_t)d, "position",
                                              (json_int_t)(t->token - p->first[d]), "next",
                                              record_lines_token(r, t->next), "text", text));
    }
    return list;
}

static json_t *key_line(record_lines *r, const inspected_layer *l, int64_t memory)
{
    const key_pattern *p = &l->patterns[memory];
    json_t *topics = json_object();
    for (int i = 0; i < PATTERN_WORDS && p->topics[i]; i++) {
        json_object_set_new(topics, p->topics[i], json_finite(p->topic[i]));
    }
    return json_pack("{s:s, s:I, s:i, s:f, s:f, s:f, s:f, s:o, s:o}", "layer", l->layer->name,
                     "memory", (json_int_t)memory, "triggers", l->triggers.sizes[memory],
                     "shared_last_token", p->gram[0], "shared_last_2_tokens", p->gram[1],
                     "shared_last_3_tokens", p->gram[2], "shared_last_word", p->word, "topics",
                     topics, "examples", trigger_list(r, l, memory));
}

/* Keys none of whose sentences fires them alone have no change to tell, and no line. */
static bool put_perturbed(record_lines *r, const inspected_layer *l, err *e)
{
    for (int i = 0; i < l->perturbed_count; i++) {
        const perturbation *p = &l->perturbed[i];
        if (p->triggers == 0) continue;
        json_t *line = json_pack(
            "{s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "layer", l->layer->name, "perturbed",
            (json_int_t)p->memory, "triggers", (json_int_t)p->triggers, "silent",
            (json_int_t)p->silent, "without_first", p->change[REMOVE_FIRST], "without_last",
            p->change[REMOVE_LAST], "without_random", p->change[REMOVE_RANDOM]);
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* Which tokens an expert serves: the most frequent ones, by the token that the prefix ends with,
 * which is what hash layers route by. */
static bool put_experts(record_lines *r, const inspected_layer *l, err *e)
{
    int64_t vocab = r->x->text.vocab;
    for (int64_t g = 0; l->served && g < l->memories.groups; g++) {
        const int64_t *served = l->served + g * vocab;
        int64_t total;
        int32_t list[SERVED_TOKENS];
        int n = served_tokens(list, SERVED_TOKENS, served, vocab, &total);
        json_t *tokens = json_array();
        for (int k = 0; k < n; k++) {
            json_array_append_new(tokens, json_pack("[o, I]", record_lines_token(r, list[k]),
                                                    (json_int_t)served[list[k]]));
        }
        json_t *line = json_pack("{s:s, s:I, s:I, s:o}", "layer", l->layer->name, "expert",
                                 (json_int_t)g, "served", (json_int_t)total, "tokens", tokens);
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* All keys, triggered or not, each on a line of its own; then those that lost tokens; then the
 * experts. */
static bool put_keys(record_lines *r, const inspected_layer *l, err *e)
{
    for (int64_t m = 0; m < l->memories.count; m++) {
        if (!record_lines_put(r, key_line(r, l, m), e)) return false;
    }
    return put_perturbed(r, l, e) && put_experts(r, l, e);
}

/* rank -1, of a value whose key was never triggered, becomes null. */
static bool put_values(record_lines *r, const inspected_layer *l, err *e)
{
    /* Without the pass over keys there are values but no agreements, and values were only needed
     * for composition. */
    for (int64_t m = 0; l->agreements && m < l->memories.count; m++) {
        const value_reading *v = &l->values[m];
        const memory_agreement *a = &l->agreements[m];
        json_t *top = json_array();
        for (int i = 0; i < VALUE_TOP_TOKENS && v->tokens[i] >= 0; i++) {
            json_array_append_new(top, json_pack("[o, f]", record_lines_token(r, v->tokens[i]),
                                                 (double)v->probabilities[i]));
        }
        json_t *line = json_pack(
            "{s:s, s:I, s:o, s:f, s:o, s:b, s:b, s:i, s:i, s:o}", "layer", l->layer->name, "memory",
            (json_int_t)m, "top_token", record_lines_token(r, v->tokens[0]), "top_probability",
            (double)v->probabilities[0], "top", top, "triggered", a->triggered, "match", a->match,
            "matches", a->matches, "triggers", l->triggers.sizes[m], "rank",
            a->rank < 0 ? json_null() : json_integer(a->rank));
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

/* One line per prefix and layer, for both parts: what composition asks of it, or what refinement
 * does. */
static bool put_samples(record_lines *r, int part, const inspected_layer *l, err *e)
{
    const inspection *x = r->x;
    for (int64_t i = 0; i < x->sample_count; i++) {
        const prefix_reading *p = &l->readings[i];
        /* Document and position again, as for triggers: whoever has the corpus finds the text. */
        int64_t d = prefixes_document(&x->sample_text, x->samples[i]);
        json_t *line =
            json_pack("{s:s, s:I, s:I}", "layer", l->layer->name, "document", (json_int_t)d,
                      "position", (json_int_t)(x->samples[i] - x->sample_text.first[d]));
        if (part == INSPECT_COMPOSITION) {
            json_object_set_new(line, "active", json_integer(p->active));
            json_object_set_new(line, "output", record_lines_token(r, p->top_output));
            if (l->tops) {
                json_object_set_new(line, "match_all", json_integer(p->match_output_all));
                json_object_set_new(line, "match_active", json_integer(p->match_output_active));
                json_object_set_new(line, "match_stream", json_integer(p->match_stream_active));
            }
        } else {
            json_object_set_new(line, "residual", record_lines_token(r, p->top_residual));
            json_object_set_new(line, "output", record_lines_token(r, p->top_output));
            json_object_set_new(line, "stream", record_lines_token(r, p->top_stream));
            json_object_set_new(line, "final", record_lines_token(r, x->finals[i]));
            json_object_set_new(line, "final_probability",
                                json_finite((double)p->final_probability));
            json_object_set_new(line, "case",
                                json_string(REFINEMENT_CASES[value_readings_refinement(p)]));
        }
        if (!record_lines_put(r, line, e)) return false;
    }
    return true;
}

static bool put_layer(record_lines *r, int part, const inspected_layer *l, err *e)
{
    if (part == INSPECT_KEYS) return put_keys(r, l, e);
    if (part == INSPECT_VALUES) return put_values(r, l, e);
    return put_samples(r, part, l, e);
}

/* Changes and states have lines of their own making, in another file (record_reading.c). */
static bool write_part(record_lines *r, int part, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES], name[64];
    snprintf(name, sizeof name, "%s.jsonl", inspection_part_name(part));
    if (!file_join(path, folder, name, e) || !file_out_open(&r->file, path, e)) return false;
    bool ok = record_lines_put(r, head_line(r->x, part), e) && put_figures(r, part, e);
    for (int i = 0; ok && (part & INSPECT_MEMORIES) && i < r->x->layer_count; i++) {
        ok = put_layer(r, part, &r->x->layers[i], e);
    }
    if (part == INSPECT_CHANGES) ok = ok && record_reading_changes(r, e);
    if (part == INSPECT_STATES) ok = ok && record_reading_states(r, e);
    if (ok) ok = file_out_commit(&r->file, e);
    if (!ok) file_out_cancel(&r->file);
    return ok;
}

/* Only parts that were made are written: an inspection of one part leaves the others' files as they
 * are. */
bool inspect_record(const inspection *x, const char *folder, err *e)
{
    char inside[FILE_PATH_BYTES];
    CHECK(!x->stopped, "an interrupted inspection is not written");
    if (!file_join(inside, folder, "inspect", e) || !file_make_folders(inside, e)) return false;
    record_lines r = {.x = x, .scratch = arena_new(0)};
    bool ok = true;
    /* A part after the other; one that cannot be written leaves those before it in place. */
    for (int part = 1; ok && part < INSPECT_ALL; part *= 2) {
        if (x->parts & part) ok = write_part(&r, part, inside, e);
    }
    arena_free(r.scratch);
    return ok;
}
