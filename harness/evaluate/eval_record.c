/* Evaluations as records: protocol, identity, JSON.
 *
 * Two evaluations may be compared if their protocols are equal, so all that decides a loss belongs
 * in it (context, stores, resets, which tokens, rows, the data's hash, the kernels' precision, the
 * rule by which it learns), and nothing that only decides how fast it is found. Some keys are left
 * out where nothing was asked for (stored, document_tokens, precision, dynamic): with a default
 * written down they would change the identity of every plain evaluation.
 *
 * What is unknown is null, what is no number any more (a diverged loss) is null too: JSON has
 * neither NaN nor infinity. */
#include <string.h>

#include "core/base/sha256.h"
#include "harness/evaluate/evaluate.h"

/* -1 stands for unknown. */
static json_t *count_or_null(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

/* What the model learns by; of a grid what it was chosen from. The whole grid is the protocol, not
 * the values that won: which those are is a result, and stands in the record as `rate` and `decay`.
 * How long the choice was (grid_tokens) counts only where there is one. */
static json_t *dynamic_protocol(const dynamic_options *d, const model *m)
{
    json_t *rates = json_array(), *decays = json_array();
    for (int i = 0; i < d->rate_count; i++) {
        json_array_append_new(rates, json_real(d->rate_values[i]));
    }
    for (int i = 0; i < d->decay_count; i++) {
        json_array_append_new(decays, json_real(d->decay_values[i]));
    }
    json_t *p = json_pack("{s:s, s:o, s:o, s:I, s:o*, s:b}", "kind",
                          d->kind == DYNAMIC_RMS ? "rms" : "sgd", "rates", rates, "decays", decays,
                          "segment", (json_int_t)dynamic_learner_segment(d, m), "match",
                          json_string(d->match), "carry", d->carry);
    if (d->rate_count * d->decay_count > 1) {
        json_object_set_new(p, "grid_tokens", json_integer(d->grid_tokens));
    }
    if (d->kind == DYNAMIC_RMS) {
        json_object_set_new(p, "eps", json_real(d->eps));
        json_object_set_new(p, "statistics", json_integer(d->statistics));
        json_object_set_new(p, "batch", json_integer(d->batch));
    }
    return p;
}

/* Of products' operands, NULL: float32. The chain names how an element of a product is added up, so
 * the two ways in bfloat16 differ in bits and are told apart. */
static const char *precision_of(const model *m)
{
    const gemm_kernel *g = model_kernels(m).products;
    if (!g || g->chain == GEMM_FLOAT32) return NULL;
    return g->chain == GEMM_TILES ? "bfloat16 in tiles" : "bfloat16";
}

/* The context is the model's as it is evaluated, after eval.context; it is always there, like all
 * that a table shows beside a loss. */
json_t *eval_record_protocol(const eval_task *task)
{
    const eval_options *o = task->options;
    json_t *p = json_object();
    json_object_set_new(p, "context", json_integer(model_context(task->model)));
    json_object_set_new(p, "memory",
                        json_string(o->span ? "carried state, reset at documents and spans"
                                            : "carried state, reset at documents"));
    if (o->stored) json_object_set_new(p, "stored", json_integer(o->stored));
    json_object_set_new(p, "span", json_integer(o->span));
    json_object_set_new(p, "rows", json_integer(o->rows));
    json_object_set_new(p, "tokens", json_integer(o->tokens));
    if (o->most) json_object_set_new(p, "document_tokens", json_integer(o->most));
    json_object_set_new(p, "start", json_string("learned vector, first token counted"));
    json_object_set_new(p, "data", json_string(corpus_hash(task->corpus)));
    const char *precision = precision_of(task->model);
    if (precision) json_object_set_new(p, "precision", json_string(precision));
    if (o->dynamic.kind != DYNAMIC_NONE) {
        json_object_set_new(p, "dynamic", dynamic_protocol(&o->dynamic, task->model));
    }
    return p;
}

/* Evaluations of the same run, step, split and protocol have the same id, so that collecting twice,
 * or evaluating again after a kill, replaces a row and adds none. What only says how it was
 * computed (threads, seconds) is no part of the protocol.
 *
 * Keys are sorted and spaces left out before it is hashed: the text must be one for one content, in
 * whatever order the object was built. 64 of the hash's 256 bits are kept. */
void eval_record_id(char id[EVAL_ID_CHARS], const char *run, int64_t step, const char *split,
                    const json_t *protocol)
{
    json_auto_t *o =
        json_pack("{s:o*, s:I, s:o*, s:o}", "run", json_string(run), "step", (json_int_t)step,
                  "split", json_string(split), "protocol", json_deep_copy(protocol));
    text_auto *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK(text, "out of memory for an identity");
    char hex[SHA256_HEX];
    sha256_hex(hex, text, strlen(text));
    memcpy(id, hex, EVAL_ID_CHARS - 1);
    id[EVAL_ID_CHARS - 1] = 0;
}

void eval_record_task_id(char id[EVAL_ID_CHARS], const eval_task *task, const char *run,
                         int64_t step)
{
    json_auto_t *protocol = eval_record_protocol(task);
    eval_record_id(id, run, step, split_name(eval_options_split(task->options)), protocol);
}

static json_t *document_record(const eval_document *d)
{
    return json_pack("{s:I, s:o*, s:o, s:I, s:o, s:o}", "index", (json_int_t)d->index, "name",
                     json_string(d->name), "nats", json_finite(d->nats), "tokens",
                     (json_int_t)d->tokens, "bytes", count_or_null(d->bytes), "words",
                     count_or_null(d->words));
}

/* A probe's losses are not kept (evaluate.c), so that no file is named for it. The path is given
 * without its folder: records move with their folder. */
json_t *eval_record(const evaluation *r, const eval_task *task, const char *id, int64_t step,
                    int64_t tokens_seen, bool final)
{
    json_t *o = json_pack(
        "{s:s, s:I, s:I, s:b, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "eval", id,
        "step", (json_int_t)step, "tokens_seen", (json_int_t)tokens_seen, "final", final, "split",
        split_name(eval_options_split(task->options)), "nats", json_finite(r->nats), "tokens",
        (json_int_t)r->tokens, "bytes", count_or_null(r->bytes), "words", count_or_null(r->words),
        "unknown_tokens", count_or_null(r->unknown), "unknown_bytes",
        count_or_null(r->unknown_bytes), "seconds", json_finite(r->seconds), "tokens_per_second",
        json_finite(r->tokens_per_second), "flops_per_token", json_finite(r->flops_per_token),
        "anon_bytes", (json_int_t)r->anon_bytes);
    if (r->dynamic) {
        json_t *d =
            json_pack("{s:o, s:o, s:o, s:o}", "rate", json_real(r->rate), "decay",
                      json_real(r->decay), "statistics_seconds", json_finite(r->statistics_seconds),
                      "grid_seconds", json_finite(r->grid_seconds));
        json_object_set_new(o, "dynamic", d);
    }
    json_object_set_new(o, "protocol", eval_record_protocol(task));
    const char *path = r->answers_only ? NULL : task->losses_path;
    const char *file = path ? strrchr(path, '/') : NULL;
    json_object_set_new(o, "losses", path ? json_string(file ? file + 1 : path) : json_null());
    json_t *documents = json_array();
    for (int i = 0; i < r->count; i++) {
        json_array_append_new(documents, document_record(&r->documents[i]));
    }
    json_object_set_new(o, "documents", documents);
    if (r->slices) json_object_set_new(o, "slices", slices_record(r->slices));
    return o;
}
