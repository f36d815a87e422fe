#include "harness/train/checkpoint_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"

/* A checkpoint is what the manifest names. Saving in this order makes every instant safe:
 *
 *   1. new files, under names that the present manifest does not have
 *   2. the manifest, renamed into place: from here on the new ones are the checkpoint
 *   3. files that no manifest names are removed
 *
 * A kill before 2 leaves the former checkpoint and some garbage, one after it the new checkpoint
 * and some garbage; the next saving removes it. So at one time there may be two checkpoints' worth
 * of files on the disk, and never less than one.
 *
 * Opening reads the whole file for its checksum before anything is believed: a disk or a copy that
 * lost bytes is told by name, and not found as a strange loss an hour later. */

enum { NAME_BYTES = 64 };

static const char *const MANIFEST = "manifest.json";
/* What a user can do about damage, said with each kind of it. */
static const char *const REMEDY =
    "restore the file, or remove the folder to train from the start; what was changed on purpose "
    "is taken in by `loci import checkpoint`";

/* ---- finding ---- */

bool checkpoint_files_exist(const char *folder)
{
    char path[FILE_PATH_BYTES];
    return file_join(path, folder, MANIFEST, NULL) && file_exists(path);
}

/* A run's folder or its checkpoint folder: who types a path need not know which. */
bool checkpoint_files_folder(char *path, const char *folder, err *e)
{
    char inner[FILE_PATH_BYTES];
    file_named_folder(path, folder);
    if (checkpoint_files_exist(path)) return true;
    if (!file_join(inner, path, "checkpoint", e)) return false;
    snprintf(path, FILE_PATH_BYTES, "%s", inner);
    if (checkpoint_files_exist(path)) return true;
    return err_set(e, "%s: holds no checkpoint; name a run's folder", folder);
}

/* Of the model alone: two checkpoints with the same parameters are the same source to start from,
 * whatever their moments. */
const char *checkpoint_files_hash(arena *a, const char *folder, err *e)
{
    char inner[FILE_PATH_BYTES], path[FILE_PATH_BYTES];
    if (!checkpoint_files_folder(inner, folder, e) || !file_join(path, inner, "manifest.json", e)) {
        return NULL;
    }
    json_auto_t *manifest = json_read(path, e);
    json_t *file;
    if (!manifest) return NULL;
    const char *key, *hash = NULL;
    json_object_foreach(json_object_get(manifest, "files"), key, file)
    {
        const char *hex = json_get_text(file, "sha256");
        if (strncmp(key, "model", 5) == 0 && hex) hash = arena_strdup(a, hex);
    }
    if (!hash) err_set(e, "%s: names no model file with its checksum", path);
    return hash;
}

/* ---- saving ---- */

static bool in_manifest(const json_t *manifest, const char *name)
{
    return json_object_get(json_object_get(manifest, "files"), name) != NULL;
}

/* Never the name of a file that the present checkpoint consists of: that must stay as it is. Only a
 * checkpoint at the same step has it (a run that was stopped twice at one place). */
static void file_name(char name[NAME_BYTES], const char *kind, int64_t step, const json_t *manifest)
{
    snprintf(name, NAME_BYTES, "%s-%lld.safetensors", kind, (long long)step);
    if (manifest && in_manifest(manifest, name)) {
        snprintf(name, NAME_BYTES, "%s-%lld-again.safetensors", kind, (long long)step);
    }
}

/* What else lies in a checkpoint's folder is somebody's: `loci inspect` of a kept model. */
static bool is_checkpoint_file(const char *name)
{
    return strncmp(name, "model-", 6) == 0 || strncmp(name, "train-", 6) == 0 ||
           strncmp(name, MANIFEST, strlen(MANIFEST)) == 0;
}

/* Removes what no manifest names any more: the previous checkpoint, temporary files of a killed
 * writer. */
static bool remove_older(const char *folder, const json_t *manifest, err *e)
{
    bool ok = true;
    file_walk w = file_walk_begin(folder, e);
    while (ok && file_walk_next(&w)) {
        bool needed = strcmp(w.name, MANIFEST) == 0 || in_manifest(manifest, w.name);
        if (is_checkpoint_file(w.name) && !needed) ok = file_remove(w.path, e);
    }
    return file_walk_end(&w) && ok;
}

/* A manifest that names no file yet. */
static json_t *new_manifest(int64_t step, const checkpoint_merit *merit)
{
    json_t *manifest = json_pack("{s:I}", "step", (json_int_t)step);
    if (merit) {
        json_object_set_new(manifest, "nats_per_token", json_finite(merit->nats));
        json_object_set_new(manifest, "evaluation", json_string(merit->kind));
    }
    json_object_set_new(manifest, "files", json_object());
    return manifest;
}

static bool enter_file(json_t *manifest, const char *name, const char *path, const char *hex,
                       err *e)
{
    int64_t bytes;
    if (!file_stat(path, &bytes, NULL, e)) return false;
    json_object_set_new(json_object_get(manifest, "files"), name,
                        json_pack("{s:s, s:I}", "sha256", hex, "bytes", (json_int_t)bytes));
    return true;
}

/* Writes one file and enters it. */
static bool save_file(const char *folder, int64_t step, const checkpoint_file *f, void *user,
                      const json_t *old, json_t *manifest, err *e)
{
    char name[NAME_BYTES], path[FILE_PATH_BYTES], hex[SHA256_HEX];
    file_name(name, f->kind, step, old);
    if (!file_join(path, folder, name, e) || !f->save(path, user, hex, e) ||
        !enter_file(manifest, name, path, hex, e)) {
        return false;
    }
    file_failpoint("checkpoint_file");
    return true;
}

/* Killed anywhere, the folder holds a whole checkpoint: until the manifest's rename the former one
 * (its files have other names and stay), from then on this one. What a killed writer leaves over is
 * removed by the next. */
bool checkpoint_files_save(const char *folder, int64_t step, const checkpoint_merit *merit,
                           const checkpoint_file *list, int count, void *user, err *e)
{
    char path[FILE_PATH_BYTES];
    if (!file_make_folders(folder, e) || !file_join(path, folder, MANIFEST, e)) return false;
    json_auto_t *old = file_exists(path) ? json_read(path, NULL) : NULL;
    json_auto_t *manifest = new_manifest(step, merit);
    bool ok = true;
    for (int i = 0; ok && i < count; i++) {
        ok = save_file(folder, step, &list[i], user, old, manifest, e);
    }
    ok = ok && json_write(path, manifest, e);
    if (ok) {
        file_failpoint("checkpoint_manifest");
        ok = remove_older(folder, manifest, e);
    }
    return ok;
}

bool checkpoint_files_name(const char *folder, const char *name, int64_t step,
                           const checkpoint_merit *merit, err *e)
{
    char path[FILE_PATH_BYTES], hex[SHA256_HEX], to[FILE_PATH_BYTES];
    json_auto_t *manifest = new_manifest(step, merit);
    return file_join(path, folder, name, e) && file_sha256(hex, path, e) &&
           enter_file(manifest, name, path, hex, e) && file_join(to, folder, MANIFEST, e) &&
           json_write(to, manifest, e);
}

bool checkpoint_files_merit(const char *folder, checkpoint_merit *merit)
{
    char path[FILE_PATH_BYTES];
    if (!file_join(path, folder, MANIFEST, NULL) || !file_exists(path)) return false;
    json_auto_t *manifest = json_read(path, NULL);
    const char *kind = json_get_text(manifest, "evaluation");
    merit->nats = json_get_double(manifest, "nats_per_token");
    snprintf(merit->kind, sizeof merit->kind, "%s", kind ? kind : "");
    return manifest != NULL;
}

/* ---- opening ---- */

/* The size first: it costs nothing and finds what was cut off, the commonest damage. */
static bool check_file(const char *path, const json_t *file, err *e)
{
    int64_t bytes, expected = json_get_int(file, "bytes", -1);
    const char *hash = json_get_text(file, "sha256");
    char hex[SHA256_HEX];
    if (!file_exists(path)) return err_set(e, "%s: is missing; %s", path, REMEDY);
    int fd = file_open(path, &bytes, e); /* what is no file has no size that says anything */
    if (fd < 0) return false;
    close(fd);
    if (bytes != expected) {
        return err_set(e, "%s: corrupt: it has %lld bytes instead of %lld; %s", path,
                       (long long)bytes, (long long)expected, REMEDY);
    }
    if (!file_sha256(hex, path, e)) return false;
    if (hash && strcmp(hash, hex) == 0) return true;
    return err_set(e, "%s: corrupt: its checksum is not that of the manifest; %s", path, REMEDY);
}

/* The manifest's entry of that kind; *name is borrowed from the manifest. A name with a slash would
 * lead out of the folder, which may be a stranger's. */
static const json_t *find_kind(const json_t *manifest, const char *kind, const char **name)
{
    const char *key;
    json_t *file, *found = NULL;
    json_object_foreach(json_object_get(manifest, "files"), key, file)
    {
        if (strncmp(key, kind, strlen(kind)) != 0 || strchr(key, '/')) continue;
        *name = key;
        found = file;
    }
    return found;
}

/* Opens the manifest and finds the file of that kind; the caller decrefs the manifest. */
static json_t *find_file(char path[FILE_PATH_BYTES], const json_t **entry, const char *folder,
                         const char *kind, err *e)
{
    const char *name;
    if (!file_join(path, folder, MANIFEST, e)) return NULL;
    json_t *manifest = json_read(path, e);
    if (!manifest) return NULL;
    *entry = find_kind(manifest, kind, &name);
    if (!*entry) {
        err_set(e, "%s: corrupt: it names no %s file; %s", path, kind, REMEDY);
    } else if (file_join(path, folder, name, e)) {
        return manifest;
    }
    json_decref(manifest);
    return NULL;
}

/* The file stays as it was checked: a later checkpoint has other names, and removing it does not
 * take it from who has it mapped. */
safetensors *checkpoint_files_open(const char *folder, const char *kind, err *e)
{
    char path[FILE_PATH_BYTES];
    const json_t *entry;
    json_auto_t *manifest = find_file(path, &entry, folder, kind, e);
    return manifest && check_file(path, entry, e) ? safetensors_open(path, e) : NULL;
}

bool checkpoint_files_path(char *path, const char *folder, const char *kind, err *e)
{
    const json_t *entry;
    json_auto_t *manifest = find_file(path, &entry, folder, kind, e);
    return manifest != NULL;
}

/* A copied folder may have its files in any order of time, so the checksum decides; it is only
 * computed where size or time give cause, for it reads the whole file. */
bool checkpoint_files_changed(char *path, const char *folder, const char *kind)
{
    char of_manifest[FILE_PATH_BYTES];
    const json_t *entry;
    int64_t bytes, time, written;
    if (!checkpoint_files_exist(folder)) return false;
    json_auto_t *manifest = find_file(path, &entry, folder, kind, NULL);
    return manifest && file_join(of_manifest, folder, MANIFEST, NULL) &&
           file_stat(path, &bytes, &time, NULL) && file_stat(of_manifest, NULL, &written, NULL) &&
           (bytes != json_get_int(entry, "bytes", -1) || time > written) &&
           !check_file(path, entry, NULL);
}

int64_t checkpoint_files_number(const safetensors *s, const char *key)
{
    const char *text = safetensors_metadata(s, key);
    return text ? strtoll(text, NULL, 10) : 0;
}

bool checkpoint_files_tokenizer_is(const safetensors *s, const char *own, err *e)
{
    const char *trained = safetensors_metadata(s, "tokenizer");
    if (!trained || strcmp(trained, "none") == 0 || strcmp(own, "none") == 0) return true;
    return strcmp(trained, own) == 0 ||
           err_set(e,
                   "was trained on tokens of another vocabulary (tokenizer %.12s) than this text's "
                   "(%.12s); give the text the run's `tokenizer`",
                   trained, own);
}

/* The run whose checkpoint the folder is by the plan beside it; "" where there is none: a folder
 * that somebody made, or `loci import`. */
static void run_of(char id[NAME_BYTES], const char *folder)
{
    char parent[FILE_PATH_BYTES], plan[FILE_PATH_BYTES];
    const char *slash = strrchr(folder, '/');
    bool own = slash && strcmp(slash + 1, "checkpoint") == 0;
    file_parent(parent, folder);
    bool there = own && file_join(plan, parent, "plan.json", NULL) && file_exists(plan);
    json_auto_t *o = there ? json_read(plan, NULL) : NULL;
    const char *run = json_get_text(o, "run");
    snprintf(id, NAME_BYTES, "%s", run ? run : "");
}

bool checkpoint_files_own(const char *folder, const safetensors *s, err *e)
{
    char id[NAME_BYTES], path[FILE_PATH_BYTES];
    const char *of = safetensors_metadata(s, "run");
    run_of(id, folder);
    if (!of || !id[0] || strcmp(of, id) == 0) return true;
    json_auto_t *manifest = file_join(path, folder, MANIFEST, NULL) ? json_read(path, NULL) : NULL;
    const char *begins = json_get_text(manifest, "begins");
    return (begins && strcmp(begins, id) == 0) ||
           err_set(e,
                   "%s: is the model of run %.100s; put the run's own there, or remove the folder",
                   folder, of);
}

bool checkpoint_files_begin(const char *folder, const char *run, err *e)
{
    char path[FILE_PATH_BYTES];
    json_auto_t *manifest = file_join(path, folder, MANIFEST, e) ? json_read(path, e) : NULL;
    if (!manifest) return false;
    json_object_set_new(manifest, "begins", json_string(run));
    return json_write(path, manifest, e);
}

/* Every parameter of the model must be in the file; more tensors than these in it do no harm. */
bool checkpoint_files_values(real *values, const params *p, const safetensors *s, err *e)
{
    for (int i = 0; i < p->count; i++) {
        const param *x = &p->list[i];
        const st_tensor *st = safetensors_find(s, x->name);
        if (!st) {
            return err_set(e, "%s: the checkpoint lacks this parameter: it is of another model",
                           x->name);
        }
        if (!safetensors_shape_is(st, x->rank, x->shape, e) ||
            !safetensors_copy(values + x->offset, st, e) ||
            !params_check(x, values + x->offset, e)) {
            return false;
        }
    }
    return true;
}
