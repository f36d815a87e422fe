#include "tests/support/managed.h"

#include "results/store/collect.h"
#include "tests/test.h"

const fake_variant MANAGED[2] = {{"short", 0, 0.001, 1000, 100, NULL, false},
                                 {"long", 0.04, 0.002, 1000, 100, NULL, false}};

void managed_write(const char *out, const char *name)
{
    fake_write(&(fake_experiment){out, name, 2, 2, 5, MANAGED});
}

void managed_expect(const char *what, const char *out, int experiments, int runs)
{
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, out, true, &e), "%s", e.text);
    EXPECT(r.experiments_seen == experiments && r.runs_seen == runs, "%s: %d experiments, %d runs",
           what, r.experiments_seen, r.runs_seen);
}
