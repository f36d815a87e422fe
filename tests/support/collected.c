#include "tests/support/collected.h"

#include "tests/test.h"

static const fake_variant VARIANTS[] = {
    {"short", 0, 0, 800000, 50000, NULL, false},
    {"long", 0.04, 0.004, 800000, 40000, "diverged", false},
    {"wide", 0.02, 0.01, 1600000, 30000, "running", false},
};

fake_experiment collected_sample(int seeds)
{
    return (fake_experiment){.out = test_folder(),
                             .name = "memory",
                             .variants = 3,
                             .seeds = seeds,
                             .steps = 20,
                             .variant = VARIANTS};
}

void collected_now(const char *out, bool rebuild, int fresh)
{
    collect_report r;
    err e = {0};
    EXPECT(collect(&r, out, rebuild, &e), "%s", e.text);
    EXPECT(r.runs == fresh && r.unreadable == 0, "%d runs read again, not %d; %d unreadable: %s",
           r.runs, fresh, r.unreadable, r.why);
    /* What belongs to a row is deleted with it: SQLite is not asked to see to that. */
    EXPECT(fake_ask(out, "SELECT count(*) FROM pragma_foreign_key_check") == 0, "rows of nothing");
}
