/* Other programs' models as a spec and a checkpoint of loci. */
#pragma once

#include "models/import_brt.h"

/* From a state dict of the block-recurrent transformer's PyTorch port to a folder as imported.h
 * has it, with `data:` as given and `model:`. */
bool import_brt(const char *folder, const char *state_dict, const brt_import *how, node *data,
                err *e);
