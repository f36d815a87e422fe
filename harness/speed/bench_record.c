#include "harness/speed/bench_record.h"

#include "core/base/host.h"
#include "harness/run/run_folder.h"

static json_t *record_of(const bench_variant *v, int threads, int rounds, const host_info *h)
{
    char utc[32];
    host_utc(utc, host_wall_s());
    json_t *o = json_object();
    json_object_set_new(o, "alone_tokens_per_second", json_finite(v->train.rate));
    json_object_set_new(o, "alone_threads", json_integer(threads));
    json_object_set_new(o, "alone_at", json_string(utc));
    json_object_set_new(o, "eval_tokens_per_second", json_finite(v->eval.rate));
    json_object_set_new(o, "rounds", json_integer(rounds));
    json_object_set_new(o, "host", json_string(h->name));
    json_object_set_new(o, "cpu", json_string(h->cpu));
    return o;
}

bool bench_report_record(const bench_variant *speeds, int threads, int rounds, const experiment *x,
                         const char *out, int *runs, err *e)
{
    host_info host;
    host_describe(&host);
    bool ok = true;
    *runs = 0;
    for (int i = 0; ok && i < x->run_count; i++) {
        char folder[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
        const run_plan *p = &x->runs[i];
        ok = run_folder_path(folder, out, p->id, e);
        if (!ok || !file_is_folder(folder)) continue;
        json_t *o = record_of(&speeds[p->variant_index], threads, rounds, &host);
        ok = file_join(path, folder, "speed.json", e) && json_write(path, o, e);
        json_decref(o);
        *runs += ok;
    }
    return ok;
}
