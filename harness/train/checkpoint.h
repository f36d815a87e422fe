/* Checkpoints: two safetensors files and the manifest that makes them one.
 *
 *   checkpoint/model-<step>.safetensors   parameters; metadata: spec, seed, run, step
 *   checkpoint/train-<step>.safetensors   moments, carried state by lane, reading position,
 *                                         counters, where the last evaluation's tokens were sent
 *   checkpoint/manifest.json              {"step", "files": {name: {"sha256", "bytes"}}}
 *
 * Every file is written under a temporary name, synced and renamed; the manifest comes last, and
 * only then the files of the previous checkpoint go. Loading checks sizes and checksums first. */
#ifndef LOCI_HARNESS_CHECKPOINT_H
#define LOCI_HARNESS_CHECKPOINT_H

#include "core/train/safetensors.h"
#include "harness/train/trainer.h"

/* `folder` is the checkpoint folder itself; it is made if missing. */
bool checkpoint_save(const char *folder, trainer *t, const char *run, err *e);

/* A kept model: a checkpoint folder with the model alone, to evaluate or to start from. nats: per
 * token, of its evaluation, or NaN. Leaves an equally good or better one alone; without nats, any
 * that is there. As safe from being killed as checkpoint_save. */
bool checkpoint_keep(const char *folder, trainer *t, const char *run, double nats, err *e);
/* Kept models lie beside a run's checkpoint folder, as checkpoint-<step> and checkpoint-best. */
#define CHECKPOINT_KEPT "checkpoint-"
#define CHECKPOINT_BEST "checkpoint-best"

/* Puts a fresh trainer of the same spec where the checkpoint stands. */
bool checkpoint_load(const char *folder, trainer *t, err *e);

/* True if the folder holds a manifest. */
bool checkpoint_files_exist(const char *folder);

/* The checkpoint's file of parameters, its size and checksum looked at first; the caller closes it.
 */
safetensors *checkpoint_files_open(const char *folder, err *e);

/* A number of its metadata ("step", "tokens", "seed"); 0: it has none. */
int64_t checkpoint_files_number(const safetensors *s, const char *key);

/* Its parameters into values [params.total]: all of the model's must be there, in their shapes. */
bool checkpoint_files_values(real *values, const params *p, const safetensors *s, err *e);

/* A model to use: evaluate it, generate from it. */
typedef struct trained_model {
    arena *memory;
    const node *spec; /* resolved, from the checkpoint */
    model *model;
    real *values;
    corpus *corpus;         /* of the spec: splits, tokenizer */
    trained_source *source; /* what tells it its predictions, else NULL */
    int64_t step, tokens, seed;
    char run[32];
} trained_model;

/* folder: a run's folder or its checkpoint folder. data: replaces the spec's `data:` section, NULL:
 * as trained (the vocabulary must be the same). sizes replaces the model's, NULL: as trained. A
 * model that is told another's predictions brings that one along: it must lie where init_from says,
 * a run of the same sweep beside its folder. */
bool trained_model_load(trained_model *m, const char *folder, const node *data,
                        const model_sizes *sizes, const corpus_places *places, err *e);
void trained_model_close(trained_model *m);

#endif
