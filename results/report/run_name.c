#include "results/report/run_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

/* A label may hold slashes, so only digits behind the last one are a seed. */
void run_name_read(run_name *r, const char *text)
{
    *r = (run_name){.seed = -1};
    size_t n = strcspn(text, "/");
    snprintf(r->experiment, sizeof r->experiment, "%.*s", (int)MIN(n, (size_t)255), text);
    if (!text[n]) return;
    snprintf(r->label, sizeof r->label, "%s", text + n + 1);
    char *last = strrchr(r->label, '/');
    if (last && last[1] && strspn(last + 1, "0123456789") == strlen(last + 1)) {
        r->seed = strtoll(last + 1, NULL, 10);
        /* The label is what stands before. */
        *last = 0;
    }
}
