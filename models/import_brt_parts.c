#include "models/import_brt_parts.h"

int64_t import_brt_axis(const st_tensor *t, int rank, int axis)
{
    return t && t->rank == rank && t->count > 0 ? t->shape[axis] : 0;
}

int import_brt_reads(const brt_source *s, int64_t l, int64_t owners[BRT_LAYERS])
{
    int n = 0;
    for (int64_t owner = 0; owner < s->depth; owner++) {
        if (s->recurrent[owner] && s->reader[owner] == l) owners[n++] = owner;
    }
    return n;
}

/* A layer that only reads another's state is block_recurrent as well, with write: false. */
const char *import_brt_class(const brt_source *s, int64_t l)
{
    int64_t owners[BRT_LAYERS];
    if (s->recurrent[l] || import_brt_reads(s, l, owners) > 0) return "block_recurrent";
    return s->factor > 0 ? "compressed_memory" : "attention";
}
