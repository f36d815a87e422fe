#include "harness/evaluate/rank_calls.h"

bool rank_calls_ask(rank_group *r, rank_call call, err *e)
{
    return rank_calls_ask_with(r, call, 0, 0, 0, e);
}

bool rank_calls_ask_with(rank_group *r, rank_call call, int64_t a, int64_t b, int64_t c, err *e)
{
    rank_request q = {call, {a, b, c}};
    return ranks_me(r) > 0 || ranks_tell(r, &q, sizeof q, e);
}

bool rank_calls_hear(rank_group *r, rank_request *q, err *e)
{
    return ranks_tell(r, q, sizeof *q, e);
}

bool rank_calls_path(rank_group *r, char *path, err *e)
{
    return ranks_tell(r, path, FILE_PATH_BYTES, e);
}
