/* The one-liners of results/README.md run as they are printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "results/store/collect.h"
#include "results/table/export.h"
#include "tests/support/fake_results.h"
#include "tests/test.h"

static const fake_variant VARIANTS[] = {{"short", 0, 0.001, 1000, 100, NULL, false},
                                        {"long", 0.04, 0.002, 1000, 100, "failed", false}};

/* The next indented command that begins with `program`, lines that end with a backslash joined;
 * NULL: no more. The caller frees it. */
static char *next_command(const char **text, const char *program)
{
    char begin[64], *command = NULL;
    size_t bytes;
    snprintf(begin, sizeof begin, "\n    %s ", program);
    const char *at = strstr(*text, begin);
    if (!at) return NULL;
    FILE *f = open_memstream(&command, &bytes);
    for (at += 5; *at && *at != '\n'; at++) {
        if (at[0] == '\\' && at[1] == '\n') {
            at++;
            continue;
        }
        /* Where results are in this test. */
        if (strncmp(at, "results/out", 11) == 0) {
            fputs(test_folder(), f);
            at += 10;
        } else {
            fputc(*at, f);
        }
    }
    fclose(f);
    *text = at;
    return command;
}

/* Parquet: Debian has no program for it, so this is for whoever has. */
static void duckdb_one_liner(void)
{
    const fake_experiment x = {test_folder(), "quickstart", 2, 3, 5, VARIANTS};
    char path[FILE_PATH_BYTES], *text = file_read("results/README.md", NULL, NULL);
    err e = {0}, note = {0};
    const char *at = text;
    char *command = text ? next_command(&at, "duckdb") : NULL, *shell = NULL;
    free(text);
    if (!command || system("command -v duckdb >/dev/null 2>&1") != 0) {
        test_skip("no %s here", command ? "duckdb" : "results/README.md");
        free(command);
        return;
    }
    fake_write(&x);
    store *s = collect_and_open(x.out, &note, &e);
    FILE *f = file_join(path, x.out, "metrics.csv", &e) ? fopen(path, "w") : NULL;
    EXPECT(s && f && export_rows(f, s, x.name, EXPORT_METRICS, EXPORT_CSV, &e), "%s", e.text);
    if (f) fclose(f);
    store_close(s);
    EXPECT(asprintf(&shell, "cd '%s' && %s >/dev/null && test -s metrics.parquet", x.out, command) >
               0,
           "memory");
    EXPECT(system(shell) == 0, "%s", command);
    free(shell);
    free(command);
}

static void sqlite_one_liners(void)
{
    const fake_experiment x = {test_folder(), "quickstart", 2, 3, 5, VARIANTS};
    collect_report r;
    err e = {0};
    char *text = file_read("results/README.md", NULL, NULL), *command, *shell = NULL;
    if (!text || system("command -v sqlite3 >/dev/null 2>&1") != 0) {
        test_skip("no %s here", text ? "sqlite3" : "results/README.md");
        free(text);
        return;
    }
    fake_write_sliced(&x);
    EXPECT(collect(&r, test_folder(), false, &e), "%s", e.text);
    const char *at = text;
    int count = 0;
    for (; (command = next_command(&at, "sqlite3")); count++) {
        char said[4096];
        EXPECT(asprintf(&shell, "cd '%s' && %s 2>&1", test_folder(), command) > 0, "memory");
        FILE *f = popen(shell, "r");
        size_t n = f ? fread(said, 1, sizeof said - 1, f) : 0;
        int status = f ? pclose(f) : -1;
        said[n] = 0;
        bool to_file = strstr(command, " > ") != NULL;
        EXPECT(status == 0 && (n > 0) != to_file, "%s: status %d: %s", command, status, said);
        free(shell);
        free(command);
    }
    EXPECT(count >= 5, "%d one-liners", count);
    free(text);
}

static void names_the_schema(void)
{
    char title[64];
    text_auto *text = file_read("results/README.md", NULL, NULL);
    snprintf(title, sizeof title, "\n## The schema, version %d\n", STORE_VERSION);
    if (text) {
        EXPECT(strstr(text, title), "results/README.md lacks %s", title);
    } else {
        test_skip("no results/README.md");
    }
}

const test_suite test_readme = {"results/readme",
                                {{"names_the_schema", names_the_schema},
                                 {"sqlite_one_liners", sqlite_one_liners},
                                 {"duckdb_one_liner", duckdb_one_liner},
                                 {0}}};
