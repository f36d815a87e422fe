/* Other programs' models as a spec and a checkpoint of loci. */
#ifndef LOCI_HARNESS_IMPORT_H
#define LOCI_HARNESS_IMPORT_H

#include "models/import_brt.h"

/* From a state dict of the block-recurrent transformer's PyTorch port: makes
 *   folder/spec.yaml     `data:` as given and `model:`
 *   folder/checkpoint/   as harness/train/checkpoint.h describes, without optimiser and carried
 * state so that the folder can be evaluated, continued and generated from like a run's. */
bool import_brt(const char *folder, const char *state_dict, const brt_import *how, node *data,
                err *e);

#endif
