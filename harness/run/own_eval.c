#include "harness/run/own_eval.h"

#include "core/base/file.h"
#include "harness/evaluate/evaluate.h"

/* final.json says what the final evaluation was; the plan may ask for another by now, which is
 * still to be made. The spec in a model file is that of training, whose `eval:` section may be
 * older than both. */

/* Where `eval:` stands in a record; NULL: nowhere. */
typedef struct record {
    const char *name, *path;
} record;

static const record RECORDS[] = {{"final.json", "eval"}, {"plan.json", "spec.eval"}};

/* NULL and true: it has no such record. */
static bool read_record(const node **eval, const char *folder, const record *r, arena *a, err *e)
{
    char path[FILE_PATH_BYTES];
    *eval = NULL;
    if (!file_join(path, folder, r->name, e)) return false;
    if (!file_exists(path)) return true;
    const node *all = node_load(a, path, e);
    *eval = all ? node_at(all, r->path) : NULL;
    return all != NULL;
}

bool own_eval_read(eval_options *o, const char *folder, arena *a, err *e)
{
    char above[FILE_PATH_BYTES];
    if (!file_join(above, folder, "..", e)) return false;
    const char *const folders[] = {folder, above};
    const node *eval = NULL;
    for (size_t i = 0; !eval && i < sizeof folders / sizeof *folders; i++) {
        for (size_t k = 0; !eval && k < sizeof RECORDS / sizeof *RECORDS; k++) {
            if (!read_record(&eval, folders[i], &RECORDS[k], a, e)) return false;
        }
    }
    return eval_options_read(o, eval, a, e);
}
