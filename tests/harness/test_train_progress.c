#include <math.h>

#include "harness/train/train_progress.h"
#include "tests/test.h"

/* Of equal losses the mean is that loss, however few; a first one that was far off has no more
 * weight than its place in the row: 0.1 * 0.9^(n - 1) of 1 - 0.9^n. */
static void last_loss_is_of_what_was_seen(void)
{
    for (int n = 1; n <= 200; n = 3 * n + 1) {
        train_progress even = {0}, off = {0};
        for (int64_t step = 1; step <= n; step++) {
            train_progress_logged(&even, step, 2);
            train_progress_logged(&off, step, step == 1 ? 50 : 2);
        }
        double share = 0.1 * pow(0.9, n - 1) / (1 - pow(0.9, n));
        double wanted = 2 + share * 48, found = train_progress_last_loss(&off);
        EXPECT(fabs(train_progress_last_loss(&even) - 2) < 1e-12, "%d: %.17g", n,
               train_progress_last_loss(&even));
        EXPECT(fabs(found - wanted) < 1e-12 * wanted, "%d: %.17g, not %.17g", n, found, wanted);
    }
    /* Ten steps at once, and one by one. */
    train_progress at_once = {0}, each = {0};
    train_progress_logged(&at_once, 1, 5);
    train_progress_logged(&each, 1, 5);
    train_progress_logged(&at_once, 11, 3);
    for (int64_t step = 2; step <= 11; step++) {
        train_progress_logged(&each, step, 3);
    }
    EXPECT(fabs(at_once.last_loss - each.last_loss) < 1e-12, "%.17g, not %.17g", at_once.last_loss,
           each.last_loss);
    EXPECT(at_once.first_loss == 5, "%.17g", at_once.first_loss);
    EXPECT(train_progress_last_loss(&(train_progress){0}) == 0, "of no step");
}

/* Steps without targets take time, and have no loss: the first one's is that of the first step with
 * some. */
static void steps_without_targets(void)
{
    train_progress p = {0};
    train_progress_step(&p, 0, 0, 1);
    EXPECT(p.step == 1 && p.tokens == 0 && train_progress_last_loss(&p) == 0, "%g", p.last_loss);
    train_progress_step(&p, 10, 2, 1);
    EXPECT(p.step == 2 && p.tokens == 2 && p.seconds == 2 && p.first_loss == 5, "%g", p.first_loss);
    train_progress_step(&p, 6, 2, 1);
    EXPECT(p.tokens == 4 && p.first_loss == 5, "%g", p.first_loss);
}

const test_suite test_train_progress = {
    "harness/train_progress",
    {{"last_loss_is_of_what_was_seen", last_loss_is_of_what_was_seen},
     {"steps_without_targets", steps_without_targets},
     {0}}};
