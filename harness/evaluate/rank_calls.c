#include "harness/evaluate/rank_calls.h"

/* Requests are sent as they lie in memory: ranks are processes of one program (run/rank_alike.h) on
 * machines of one kind. Asking is silent on the other ranks (ranks_me > 0), so that
 * code which both run, as the trainer's step, may ask without a question who it is. */

bool rank_calls_ask(rank_group *r, rank_call call, err *e)
{
    return rank_calls_ask_with(r, call, 0, 0, 0, e);
}

bool rank_calls_ask_with(rank_group *r, rank_call call, int64_t a, int64_t b, int64_t c, err *e)
{
    rank_request q = {call, {a, b, c}};
    return ranks_me(r) > 0 || ranks_tell(r, &q, sizeof q, e);
}

/* The same exchange from the other side: rank 0's bytes come to all who call it. */
bool rank_calls_hear(rank_group *r, rank_request *q, err *e)
{
    return ranks_tell(r, q, sizeof *q, e);
}

bool rank_calls_path(rank_group *r, char *path, err *e)
{
    return ranks_tell(r, path, FILE_PATH_BYTES, e);
}
