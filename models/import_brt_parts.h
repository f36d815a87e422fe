/* What both halves of the import ask of a state dict. */
#pragma once

#include "models/import_brt.h"

/* Axis `axis` of a tensor of that rank; 0 if it is missing, empty or of another rank. */
int64_t import_brt_axis(const st_tensor *t, int rank, int axis);

/* The class of layer l's attention. */
const char *import_brt_class(const brt_source *s, int64_t l);

/* The recurrent layers whose states layer l reads, in order; returns how many. */
int import_brt_reads(const brt_source *s, int64_t l, int64_t owners[BRT_LAYERS]);
