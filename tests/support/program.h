/* Runs the program under test as a user would, and keeps what it said. */
#pragma once

#include "core/base/base.h"

/* What one call printed; the texts are valid until the next call. */
typedef struct program_result {
    int status;      /* exit status; 128 + n: ended by signal n */
    const char *out; /* stdout */
    const char *err; /* stderr */
} program_result;

/* Runs `loci` with these words (NULL-terminated), its output going to files of test_folder().
 * Results go to test_folder()/out, caches to test_folder()/cache, whatever the environment says. */
program_result program_run(const char *const *words);

/* Expects the status and, if not NULL, a piece of text in stdout and one in stderr. Nothing where
 * no program ran. */
void program_expect(program_result r, int status, const char *out, const char *errors);

/* Commands of the shell in test_folder(), true if they end well: $LOCI is the program, with results
 * and caches where program_run has them, $RUN the folder of the first run. What they print goes to
 * the file `log` there. */
bool program_shell(const char *commands);

#define LOCI(...) program_run((const char *const[]){__VA_ARGS__, NULL})
