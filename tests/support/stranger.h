/* A folder of results to be spoilt as a stranger might, in the folder of the case. */
#pragma once

/* Writes a file, and makes the folders that it lies in. */
void stranger_put(const char *name, const char *text);

/* x.yaml and the run of it, trained, the only one in out/. */
extern const char STRANGER_SPEC[];
void stranger_run(void);
/* OUT/runs/<the one run>, or what is called so in it, within the case's folder; valid until the
 * next call. */
const char *stranger_path(const char *name);
