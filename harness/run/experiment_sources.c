#include "harness/run/experiment_sources.h"

#include "harness/run/run_folder.h"
#include "harness/run/run_status.h"
#include "harness/train/checkpoint_files.h"

/* By the file's own words: the resolved spec has no places. */
static const node *source_of(const run_plan *run)
{
    const node *named = run->spec ? node_at(run->spec, "init_from.run") : NULL;
    return node_is_null(named) || run->source_run >= 0 ? NULL : named;
}

static bool is_finished(const run_plan *run, const char *out)
{
    char folder[FILE_PATH_BYTES];
    run_status s;
    return run_folder_path(folder, out, run->id, NULL) && run_status_read(&s, folder, NULL) &&
           s.state == RUN_DONE;
}

static bool has_model(const char *out, const node *named, err *e)
{
    char folder[FILE_PATH_BYTES], checkpoint[FILE_PATH_BYTES];
    err why;
    if (!run_folder_path(folder, out, named->text, &why)) return node_err_of(e, named, &why);
    if (!file_exists(folder)) {
        return node_err(e, named,
                        "no run '%.100s' in %s/runs; loci ls lists runs, --out names "
                        "another folder of results",
                        named->text, out);
    }
    return checkpoint_files_folder(checkpoint, folder, NULL) ||
           node_err(e, named, "run %.100s has no model yet, or none any more, in %s", named->text,
                    folder);
}

bool experiment_sources_there(const experiment *x, const char *out, err *e)
{
    for (int i = 0; i < x->run_count; i++) {
        const node *named = source_of(&x->runs[i]);
        if (named && !is_finished(&x->runs[i], out) && !has_model(out, named, e)) return false;
    }
    return true;
}
