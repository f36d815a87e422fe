#include "layers/token_options.h"

int64_t token_options_head_dim(const token_options *o, int64_t width)
{
    return o->head_dim > 0 ? o->head_dim : width / o->heads;
}

bool token_options_check(const token_options *o, const layer_dims *dims, const node *at, err *e)
{
    if (o->head_dim < 0 && dims->width % o->heads != 0) {
        return node_err(e, at,
                        "heads %lld does not divide the model's width %lld; give a divisor or "
                        "head_dim",
                        (long long)o->heads, (long long)dims->width);
    }
    if (o->kv_heads > 0 && o->heads % o->kv_heads != 0) {
        return node_err(e, at, "kv_heads %lld does not divide heads %lld", (long long)o->kv_heads,
                        (long long)o->heads);
    }
    bool rotary = o->positions == POSITIONS_ROTARY || o->positions == POSITIONS_XPOS;
    if (rotary && token_options_head_dim(o, dims->width) % 2 != 0) {
        return node_err(e, at, "rotary positions pair the numbers of a head: head_dim %lld is odd",
                        (long long)token_options_head_dim(o, dims->width));
    }
    if (o->positions == POSITIONS_T5 && o->t5_max_distance <= o->t5_buckets / 2) {
        return node_err(e, at, "t5_max_distance %lld must exceed half of t5_buckets, %lld",
                        (long long)o->t5_max_distance, (long long)(o->t5_buckets / 2));
    }
    if (o->compressed > 0 && o->window > 0) {
        return node_err(e, at,
                        "a window would hide the compressed entries; leave it out, or give "
                        "compressed: 0");
    }
    if (o->compressed > 0 && o->factor > dims->block) {
        return node_err(e, at,
                        "factor %lld exceeds the block's %lld positions: nothing would ever "
                        "be compressed",
                        (long long)o->factor, (long long)dims->block);
    }
    return true;
}
