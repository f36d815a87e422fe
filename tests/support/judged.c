#include "tests/support/judged.h"

#include <string.h>

#include "tests/test.h"

claim_list *judged_claims(arena *a, const char *yaml)
{
    err e = {0};
    node *n = node_parse(a, yaml, strlen(yaml), "claims.yaml", &e);
    claim_list *l = n ? claim_read(a, n, NULL, &e) : NULL;
    EXPECT(l, "%s", e.text);
    return l;
}

static claim_verdict judge(arena *a, const char *yaml, const judged_figures *m, bool measured,
                           const bool *same)
{
    claim_verdict v = {0};
    claim_list *l = judged_claims(a, yaml);
    if (!l || l->count == 0) return v;
    const claim *c = &l->claims[0];
    statement_evidence *s = ARENA_NEW(a, statement_evidence, c->count);
    for (int k = 0; k < c->count; k++) {
        const claim_figure *on = c->statements[k].on;
        s[k] = (statement_evidence){.higher = on && on->higher,
                                    .seeds = m[k].seeds,
                                    .state = m[k].state,
                                    .measured = measured,
                                    .same = same,
                                    .a = m[k].a,
                                    .b = m[k].b,
                                    .trouble = m[k].trouble};
    }
    const claim_evidence x = {c, s};
    verdict_judge(a, &v, &x, 1);
    return v;
}

claim_verdict judged(arena *a, const char *yaml, const judged_figures *m)
{
    return judge(a, yaml, m, false, NULL);
}

claim_verdict judged_losses(arena *a, const char *yaml, const judged_figures *m, const bool *same)
{
    return judge(a, yaml, m, true, same);
}
