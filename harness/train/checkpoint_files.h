/* A checkpoint's files, whatever they hold: how they are replaced as one, found, checked and
 * opened.
 *
 *   FOLDER/<kind>-<step>.safetensors
 *   FOLDER/manifest.json   {"step", "files": {name: {"sha256", "bytes"}},
 *                           "nats_per_token", "evaluation": its merit, if it has one,
 *                           "begins": the run whose beginning it is, if it is another's}
 *
 * Every file is written under a temporary name, synced and renamed; the manifest comes last, and
 * only then the files of the previous checkpoint go. Opening checks sizes and checksums first. */
#pragma once

#include "core/train/params.h"
#include "core/train/safetensors.h"
#include "harness/evaluate/evaluate.h"

/* One file of a checkpoint; save writes it atomically and puts its SHA-256 into hex [SHA256_HEX].
 */
typedef struct checkpoint_file {
    const char *kind; /* "model", "train" */
    bool (*save)(const char *path, void *user, char *hex, err *e);
} checkpoint_file;

/* What a model was kept for. Only figures of one kind can be compared: of a split and protocol. */
typedef struct checkpoint_merit {
    double nats;              /* per token of its evaluation; NaN: none is known */
    char kind[EVAL_ID_CHARS]; /* of evaluation, as a hash; "": it is not known */
} checkpoint_merit;

/* Replaces what the folder holds, which is made if missing. The manifest notes the merit (NULL:
 * none). */
bool checkpoint_files_save(const char *folder, int64_t step, const checkpoint_merit *merit,
                           const checkpoint_file *list, int count, void *user, err *e);

/* Writes the manifest anew, of one file that lies in the folder, as it is. */
bool checkpoint_files_name(const char *folder, const char *name, int64_t step,
                           const checkpoint_merit *merit, err *e);

/* True if the folder holds a manifest. */
bool checkpoint_files_exist(const char *folder);
/* What the manifest says of it. False: there is no manifest that can be read. */
bool checkpoint_files_merit(const char *folder, checkpoint_merit *merit);

/* The folder that a manifest stands in, into path [FILE_PATH_BYTES]: `folder` itself or its
 * checkpoint/. */
bool checkpoint_files_folder(char *path, const char *folder, err *e);
/* What stands for its content: the checksum of its model file. In the arena. NULL on failure. */
const char *checkpoint_files_hash(arena *a, const char *folder, err *e);

/* The file of that kind, its size and checksum looked at first; the caller closes it. */
safetensors *checkpoint_files_open(const char *folder, const char *kind, err *e);

/* Where that file lies, into path [FILE_PATH_BYTES]; nothing of it is looked at. */
bool checkpoint_files_path(char *path, const char *folder, const char *kind, err *e);
/* Whether it is there, but not what was written: another size, or written later than the manifest
 * and of another checksum. path as above. */
bool checkpoint_files_changed(char *path, const char *folder, const char *kind);

/* A number of its metadata ("step", "tokens", "seed"); 0: it has none. */
int64_t checkpoint_files_number(const safetensors *s, const char *key);

/* Whether the text's tokenizer (corpus_tokenizer) is the one that it was trained with, where both
 * are known: ids of another would be taken for the trained one's without an error. */
bool checkpoint_files_tokenizer_is(const safetensors *s, const char *own, err *e);

/* Whether the model of a run's folder is that run's, by the plan beside it, or was put there as its
 * beginning: one that was copied from another run would be gone on from, and evaluated, as this
 * one's. True of folders without a plan, and where the file does not say whose it is. */
bool checkpoint_files_own(const char *folder, const safetensors *s, err *e);
/* Notes that what was copied there from a shorter run is this one's beginning. */
bool checkpoint_files_begin(const char *folder, const char *run, err *e);

/* Its parameters into values [params.total]: all of the model's must be there, in their shapes. */
bool checkpoint_files_values(real *values, const params *p, const safetensors *s, err *e);
