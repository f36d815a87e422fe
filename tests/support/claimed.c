#include "tests/support/claimed.h"

#include <stdio.h>

#include "harness/run/experiment_claims.h"
#include "harness/run/experiment_resolve.h"
#include "tests/test.h"

experiment *claimed_experiment(const char *base, const char *claims, err *e)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "%s%s", base, claims);
    char path[512];
    snprintf(path, sizeof path, "%s/c.yaml", test_folder());
    FILE *f = fopen(path, "w");
    EXPECT(f && fputs(whole, f) >= 0, "%s", path);
    if (f) fclose(f);
    e->text[0] = 0;
    corpus_places places = {.cache = test_folder()};
    experiment *x = experiment_load(path, NULL, e);
    if (x && experiment_resolve(x, &places, e) && experiment_claims(x, e)) return x;
    experiment_free(x);
    return NULL;
}
