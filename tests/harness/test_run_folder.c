/* Run folders: status, lines, locks. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/run/run_folder.h"
#include "harness/run/run_lines.h"
#include "harness/run/run_status.h"
#include "harness/supervise/progress.h"
#include "tests/test.h"

static void status_comes_back(void)
{
    err e = {0};
    run_status s = {.state = RUN_FAILED,
                    .pid = 42,
                    .started_at = 1700000000,
                    .ended_at = 1700000100,
                    .step = 7,
                    .steps = 9,
                    .tokens = 1234567890123,
                    .train_seconds = 1.5,
                    .tokens_per_second = (double)NAN,
                    .loss = 2.25,
                    .peak_rss_bytes = 1 << 20};
    snprintf(s.reason, sizeof s.reason, "a \"quoted\" \\ reason\nof two lines\x01");
    for (int durable = 0; durable < 2; durable++) {
        run_status r;
        EXPECT(run_status_write(&s, test_folder(), durable, &e), "%s", e.text);
        EXPECT(run_status_read(&r, test_folder(), &e), "%s", e.text);
        EXPECT(r.state == s.state && r.pid == 42 && r.step == 7 && r.steps == 9, "%s",
               run_status_state_name(r.state));
        EXPECT(r.tokens == s.tokens && r.peak_rss_bytes == s.peak_rss_bytes, "%lld",
               (long long)r.tokens);
        EXPECT(strcmp(r.reason, s.reason) == 0, "%s", r.reason);
        EXPECT(fabs(r.started_at - s.started_at) < 1 && fabs(r.ended_at - s.ended_at) < 1, "%f",
               r.started_at);
        EXPECT(fabs(r.loss - 2.25) < 1e-9 && isnan(r.tokens_per_second), "%g", r.loss);
    }
    run_status r;
    snprintf(s.reason, sizeof s.reason, "/home/J\xc3\xbcrgen/\xfc\xed\xa0\x80.txt \xe2\x82");
    EXPECT(run_status_write(&s, test_folder(), true, &e), "%s", e.text);
    EXPECT(run_status_read(&r, test_folder(), &e), "%s", e.text);
    EXPECT(strcmp(r.reason, "/home/J\xc3\xbcrgen/????.txt ??") == 0, "%s", r.reason);
    memset(s.reason, 1, sizeof s.reason - 1); /* six characters each, and cut */
    EXPECT(run_status_write(&s, test_folder(), false, &e), "%s", e.text);
    EXPECT(run_status_read(&s, test_folder(), &e), "%s", e.text);
}

static void killed_is_interrupted(void)
{
    err e = {0};
    run_status s;
    EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_PLANNED, "%s", e.text);
    s.state = RUN_RUNNING;
    int lock = run_folder_lock(test_folder(), &e);
    EXPECT(lock >= 0 && run_folder_locked(test_folder()), "%s", e.text);
    run_status_write(&s, test_folder(), true, &e);
    EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_RUNNING, "%s", e.text);
    close(lock);
    EXPECT(!run_folder_locked(test_folder()), "still locked");
    EXPECT(run_status_read(&s, test_folder(), &e) && s.state == RUN_INTERRUPTED, "%s", e.text);
}

static bool below(void *user, const json_t *line)
{
    return json_get_int(line, "step", 0) < *(const int *)user;
}

static void lines_are_cut(void)
{
    err e = {0};
    char path[FILE_PATH_BYTES];
    int limit = 3;
    file_join(path, test_folder(), "lines.jsonl", &e);
    EXPECT(run_lines_filter(path, below, &limit, NULL, &e) && !file_exists(path), "%s", e.text);
    static const char *const lines[] = {"{\"step\":1}\n", "{\"step\":2}\n", "no line\n",
                                        "{\"step\":3}\n", "{\"step\":2,\"half"};
    for (int i = 0; i < 5; i++) {
        EXPECT(run_lines_append(path, lines[i], strlen(lines[i]), i == 4, &e), "%s", e.text);
    }
    /* Who only looks takes away the half line alone. */
    EXPECT(run_lines_each(path, below, &limit, &e), "%s", e.text);
    char *text = file_read(path, NULL, &e);
    EXPECT(text && strstr(text, "\nno line\n{\"step\":3}\n") && !strstr(text, "half"), "%s", text);
    free(text);
    int64_t damaged;
    EXPECT(run_lines_filter(path, below, &limit, &damaged, &e), "%s", e.text);
    text = file_read(path, NULL, &e);
    EXPECT(text && strcmp(text, "{\"step\":1}\n{\"step\":2}\n") == 0, "%s", text);
    EXPECT(damaged == 3, "line %lld", (long long)damaged);
    EXPECT(run_lines_filter(path, below, &limit, &damaged, &e) && damaged == 0, "%s", e.text);
    free(text);
    EXPECT(!run_lines_append("/nowhere/at/all", "x", 1, false, &e) && strstr(e.text, "/nowhere"),
           "%s", e.text);
}

static void full_disk_is_said(void)
{
    err e = {0};
    char path[FILE_PATH_BYTES];
    struct rlimit before, none;
    EXPECT(file_join(path, test_folder(), "lines", &e), "%s", e.text);
    EXPECT(getrlimit(RLIMIT_FSIZE, &before) == 0, "no limit of files");
    none = (struct rlimit){0, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &none);
    bool ok = run_lines_append(path, "x\n", 2, false, &e);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    EXPECT(!ok && strstr(e.text, "File too large") && strstr(e.text, "make room"), "%s", e.text);
}

static void amounts_and_times(void)
{
    char text[16];
    static const struct {
        double x;
        const char *text;
    } times[] = {{0, "0:00"}, {65, "1:05"}, {3723, "1:02:03"}, {-1, "-:--"}, {1e99, "-:--"}},
      amounts[] = {{0, "0"},         {999, "999"},    {1000, "1.0k"},
                   {123456, "123k"}, {2.1e6, "2.1M"}, {3e13, "30.0T"}};
    for (int i = 0; i < 5; i++) {
        progress_time(text, times[i].x);
        EXPECT(strcmp(text, times[i].text) == 0, "%g: %s", times[i].x, text);
    }
    for (int i = 0; i < 6; i++) {
        progress_amount(text, amounts[i].x);
        EXPECT(strcmp(text, amounts[i].text) == 0, "%g: %s", amounts[i].x, text);
    }
}

const test_suite test_run_folder = {"harness/run_folder",
                                    {{"status_comes_back", status_comes_back},
                                     {"killed_is_interrupted", killed_is_interrupted},
                                     {"lines_are_cut", lines_are_cut},
                                     {"full_disk_is_said", full_disk_is_said},
                                     {"amounts_and_times", amounts_and_times},
                                     {0}}};
