#include "tools/eval_bar.h"

void eval_bar_begin(eval_bar *b, const char *name)
{
    err ignored; /* without memory for it, it is not shown */
    *b = (eval_bar){.shown = progress_new(stderr, &ignored)};
    snprintf(b->name, sizeof b->name, "%.120s", name);
}

static void hear(void *user, int64_t tokens, int64_t of, double seconds)
{
    eval_bar *b = user;
    if (b->shown) progress_tell(b->shown, b->trial[0] ? b->trial : b->name, tokens, of, seconds);
}

static void hear_trial(void *user, int i, int n)
{
    eval_bar *b = user;
    b->trial[0] = 0;
    if (i > 0) snprintf(b->trial, sizeof b->trial, "trial %d of %d", i, n);
}

eval_reader eval_bar_reader(eval_bar *b)
{
    return (eval_reader){hear, b, hear_trial};
}

void eval_bar_end(eval_bar *b)
{
    progress_free(b->shown);
    b->shown = NULL;
}
