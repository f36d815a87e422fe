/* Runs ./loci in tests: see program.h. */
#include "tests/support/program.h"

#include "core/base/file.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 32 };

static const char *in_folder(char path[FILE_PATH_BYTES], const char *name)
{
    CHECK(file_join(path, test_folder(), name, NULL), "a short path");
    return path;
}

/* In the child: never returns. */
static void exec_program(const char *program, const char *const *words)
{
    char path[FILE_PATH_BYTES];
    int out = open(in_folder(path, "stdout"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int errors = open(in_folder(path, "stderr"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int in = open("/dev/null", O_RDONLY);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0) _exit(126);
    setenv("LOCI_OUT", in_folder(path, "out"), 1);
    setenv("LOCI_CACHE", in_folder(path, "cache"), 1);
    char *argv[MAX_WORDS + 2] = {NULL};
    CHECK(asprintf(&argv[0], "loci") > 0, "memory");
    for (int i = 0; words[i]; i++) {
        CHECK(i < MAX_WORDS && asprintf(&argv[i + 1], "%s", words[i]) >= 0, "word %d", i);
    }
    execv(program, argv);
    _exit(127);
}

static const char *read_output(int which, const char *name)
{
    static char *kept[2];
    char path[FILE_PATH_BYTES];
    free(kept[which]);
    kept[which] = file_read(in_folder(path, name), NULL, NULL);
    return kept[which] ? kept[which] : "";
}

program_result program_run(const char *const *words)
{
    program_result r = {-1, "", ""};
    const char *program = test_program();
    if (!program) return r;
    test_folder();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) exec_program(program, words);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        test_fail(__FILE__, __LINE__, "fork", "cannot start %s", program);
        return r;
    }
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    r.out = read_output(0, "stdout");
    r.err = read_output(1, "stderr");
    return r;
}

void program_expect(program_result r, int status, const char *out, const char *errors)
{
    if (r.status < 0) return;
    EXPECT(r.status == status, "status %d, stderr: %s", r.status, r.err);
    EXPECT(!out || strstr(r.out, out), "stdout lacks '%s': %s", out, r.out);
    EXPECT(!errors || strstr(r.err, errors), "stderr lacks '%s': %s", errors, r.err);
}

bool program_shell(const char *commands)
{
    char command[3 * FILE_PATH_BYTES];
    int n = snprintf(command, sizeof command,
                     "cd '%s' && export LOCI='%s' LOCI_OUT=out LOCI_CACHE=cache && "
                     "RUN=$(ls -trd out/runs/* 2>/dev/null | head -n1); { %s; } >log 2>&1",
                     test_folder(), test_program(), commands);
    CHECK(n < (int)sizeof command, "longer commands than there is room for: %d bytes", n);
    return system(command) == 0;
}
