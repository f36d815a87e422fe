/* Who works on a run: the line in its lock file, and what is made of other machines' lines. */
#include "harness/run/run_lease.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "harness/run/run_folder.h"
#include "harness/supervise/holder_watch.h"
#include "tests/test.h"

static const char *lock_path(void)
{
    static char path[FILE_PATH_BYTES];
    file_join(path, test_folder(), "lock", NULL);
    return path;
}

static void write_line(const char *line)
{
    FILE *f = fopen(lock_path(), "w");
    EXPECT(f && fputs(line, f) >= 0 && fclose(f) == 0, "%s", lock_path());
}

static void is_named_while_held(void)
{
    err e = {0};
    run_holder h;
    char text[RUN_HOLDER_BYTES], expected[RUN_HOLDER_BYTES];
    EXPECT(!run_lease_holder(&h, test_folder()), "nobody has it");
    int lock = run_folder_lock(test_folder(), &e);
    run_lease *l = run_lease_begin(lock, test_folder(), &e);
    EXPECT(l && run_lease_holds(l, &e), "%s", e.text);
    EXPECT(run_lease_holder(&h, test_folder()) && h.pid == getpid() && h.beat == 1, "%lld %lld",
           (long long)h.pid, (long long)h.beat);
    EXPECT(run_lease_here(&h), "%s", h.host);
    run_lease_text(text, &h);
    snprintf(expected, sizeof expected, "process %ld", (long)getpid());
    EXPECT(strncmp(text, expected, strlen(expected)) == 0, "%s", text);
    run_lease_end(l);
    EXPECT(!run_lease_holder(&h, test_folder()), "its line is gone before its lock");
    close(lock);
}

/* Another line in a file that is locked here: the mount does not hand locks on. */
static void lost_to_another(void)
{
    err e = {0};
    int lock = run_folder_lock(test_folder(), &e);
    run_lease *l = run_lease_begin(lock, test_folder(), &e);
    EXPECT(l, "%s", e.text);
    write_line("elsewhere 17 40_3 000000000005\n");
    EXPECT(!run_lease_renew(l, &e), "the line is another's");
    EXPECT(strstr(e.text, "process 17 on elsewhere, job 40_3") &&
               strstr(e.text, "does not lock across machines"),
           "%s", e.text);
    EXPECT(!run_lease_holds(l, &e), "lost for ever");
    run_lease_end(l);
    run_holder h;
    EXPECT(run_lease_holder(&h, test_folder()) && h.pid == 17, "the other's line stays");
    close(lock);
    unlink(lock_path());
}

/* A line of the same host, process and job that is not this lease's: a machine of the same name. */
static void lost_to_a_namesake(void)
{
    err e = {0};
    run_holder h;
    char line[160];
    int lock = run_folder_lock(test_folder(), &e);
    run_lease *l = run_lease_begin(lock, test_folder(), &e);
    EXPECT(l && run_lease_holder(&h, test_folder()) && run_lease_here(&h), "%s", e.text);
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "%s %lld %s 000000000005%s\n", h.host, (long long)h.pid,
                 h.job[0] ? h.job : "-", i ? " 00000000-00000001" : "");
        write_line(line);
        EXPECT(!run_lease_renew(l, &e) && strstr(e.text, "does not lock"), "%s: %s", line, e.text);
        run_holder other;
        EXPECT(run_lease_holder(&other, test_folder()) && run_lease_here(&other) == (i == 0), "%s",
               line);
    }
    run_lease_end(l);
    close(lock);
    unlink(lock_path());
}

static void lost_when_taken_over(void)
{
    err e = {0};
    int lock = run_folder_lock(test_folder(), &e);
    run_lease *l = run_lease_begin(lock, test_folder(), &e);
    EXPECT(l && unlink(lock_path()) == 0, "%s", e.text);
    EXPECT(!run_lease_renew(l, &e) && strstr(e.text, "taken over"), "%s", e.text);
    run_lease_end(l);
    close(lock);
}

static void cannot_be_written(void)
{
    err e = {0};
    write_line("");
    int lock = open(lock_path(), O_RDONLY | O_CLOEXEC);
    EXPECT(!run_lease_begin(lock, test_folder(), &e) && strstr(e.text, "cannot be written"), "%s",
           e.text);
    close(lock);
    unlink(lock_path());
}

static void damaged_lines_name_nobody(void)
{
    static const char *const lines[] = {"",           "\n",          "host", "host x - 1\n",
                                        "host 1 -\n", "host 1 - x\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        run_holder h;
        write_line(lines[i]);
        EXPECT(!run_lease_holder(&h, test_folder()), "'%s'", lines[i]);
    }
    unlink(lock_path());
}

static holder_state look(holder_watch *w, double now)
{
    return holder_watch_look(w, test_folder(), now);
}

/* A line without a lock, that does not beat: its holder's machine has gone. */
static void silent_holders_are_dead(void)
{
    holder_watch w = {0};
    EXPECT(look(&w, 0) == HOLDER_NONE, "%d", w.state);
    write_line("elsewhere 17 - 000000000005\n");
    EXPECT(look(&w, 1) == HOLDER_DOUBTED, "%d", w.state);
    EXPECT(look(&w, 10) == HOLDER_DOUBTED, "%d", w.state);
    EXPECT(look(&w, 40) == HOLDER_DEAD, "%d", w.state);
    unlink(lock_path());
    EXPECT(look(&w, 80) == HOLDER_NONE, "%d", w.state);
}

static void holders_with_a_lock_are_waited_for(void)
{
    holder_watch w = {0};
    write_line("elsewhere 17 - 000000000005\n");
    err e = {0};
    int lock = run_folder_lock(test_folder(), &e);
    EXPECT(look(&w, 1) == HOLDER_LOCKED, "%d", w.state);
    close(lock); /* unseen: it is too early to look */
    EXPECT(look(&w, 2) == HOLDER_LOCKED, "%d", w.state);
    lock = run_folder_lock(test_folder(), &e);
    write_line("elsewhere 17 - 000000000006\n");
    EXPECT(look(&w, 20) == HOLDER_BEATING, "%d", w.state);
    close(lock);
    write_line("elsewhere 17 - 000000000007\n");
    EXPECT(look(&w, 60) == HOLDER_BEATING, "the lock is not asked for again: %d", w.state);
    unlink(lock_path());
}

static void beats_without_a_lock_are_told(void)
{
    holder_watch w = {0};
    write_line("elsewhere 17 - 000000000005\n");
    EXPECT(look(&w, 1) == HOLDER_DOUBTED, "%d", w.state);
    write_line("elsewhere 17 - 000000000006\n");
    EXPECT(look(&w, 10) == HOLDER_UNLOCKED, "%d", w.state);
    unlink(lock_path());
}

/* Nine busy runs, ten seconds, one who waits: few looks, each of three calls. */
static void looks_are_rare(void)
{
    holder_watch w = {0};
    int looks = 0;
    double before = -1;
    write_line("elsewhere 17 - 000000000005\n");
    err e = {0};
    int lock = run_folder_lock(test_folder(), &e);
    for (int now = 0; now < 600; now++) {
        if (before != w.next_look) looks++;
        before = w.next_look;
        char line[64];
        snprintf(line, sizeof line, "elsewhere 17 - %012d\n", 5 + now / 10);
        write_line(line);
        look(&w, now);
    }
    EXPECT(looks >= 600 / 45 && looks <= 600 / 25, "%d looks in ten minutes", looks);
    close(lock);
    unlink(lock_path());
}

const test_suite test_run_lease = {
    "harness/run_lease",
    {{"is named while held", is_named_while_held},
     {"lost to another", lost_to_another},
     {"lost to a namesake", lost_to_a_namesake},
     {"lost when taken over", lost_when_taken_over},
     {"cannot be written", cannot_be_written},
     {"damaged lines name nobody", damaged_lines_name_nobody},
     {"silent holders are dead", silent_holders_are_dead},
     {"holders with a lock are waited for", holders_with_a_lock_are_waited_for},
     {"beats without a lock are told", beats_without_a_lock_are_told},
     {"looks are rare", looks_are_rare},
     {0}}};
