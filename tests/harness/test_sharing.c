/* Tasks that share a sweep: as many stay as the runs that wait for a source will fill. */
#include "harness/supervise/sharing.h"

#include <unistd.h>

#include "tests/test.h"

static void waiters(void)
{
    err e = {0};
    enum { TASKS = 4 };
    spec s = {.name = "shared"};
    experiment x = {.spec = &s};
    supervisor_options o = {.shares = true, .out = test_folder()};
    supervisor task[TASKS];
    EXPECT(file_make_folders(test_inside("experiments"), &e), "%s", e.text);
    for (int i = 0; i < TASKS; i++) {
        /* Three runs, two at a time, wait for what another task trains. */
        task[i] = (supervisor){.x = &x, .o = &o, .slots = 2, .waiter = -1};
        task[i].left = (struct queue_left){.held = 1, .waiting = 3};
        EXPECT(sharing_may_leave(&task[i]) == (i >= 2), "task %d", i);
        EXPECT((task[i].waiter >= 0) == (i < 2), "task %d", i);
    }
    EXPECT(!sharing_may_leave(&task[0]), "it has its place");
    close(task[0].waiter);
    EXPECT(!sharing_may_leave(&task[3]) && task[3].waiter >= 0, "a place that was given up");
    close(task[1].waiter);
    close(task[3].waiter);
}

const test_suite test_sharing = {"harness/sharing", {{"waiters", waiters}, {0}}};
