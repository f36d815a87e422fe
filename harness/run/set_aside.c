#include "harness/run/set_aside.h"

#include <string.h>

bool set_aside_name(char aside[FILE_PATH_BYTES], const char *path, err *e)
{
    int room = FILE_PATH_BYTES - 32;
    bool taken, ok;
    snprintf(aside, FILE_PATH_BYTES, "%.*s" SET_ASIDE_COPY, room, path);
    for (int n = 2; (ok = file_look(&taken, aside, e)) && taken; n++) {
        snprintf(aside, FILE_PATH_BYTES, "%.*s" SET_ASIDE_COPY "-%d", room, path, n);
    }
    return ok;
}

bool set_aside_copy(const char *path, err *e)
{
    char aside[FILE_PATH_BYTES];
    return set_aside_name(aside, path, e) && file_copy(path, aside, e);
}

const char *set_aside_copy_of(const char *name, const char *of)
{
    size_t length = strlen(of), mark = sizeof SET_ASIDE_COPY - 1;
    if (strncmp(name, of, length) != 0 || strncmp(name + length, SET_ASIDE_COPY, mark) != 0) {
        return NULL;
    }
    const char *number = name + length + mark;
    bool counted = number[0] == '-' && number[1] && !number[1 + strspn(number + 1, "0123456789")];
    return !*number || counted ? name + length : NULL;
}

bool set_aside_move(const char *run, const char *name, err *e)
{
    char from[FILE_PATH_BYTES], folder[FILE_PATH_BYTES], to[FILE_PATH_BYTES], aside[32];
    if (!file_join(from, run, name, e)) return false;
    if (!file_exists(from)) return true;
    bool taken = true;
    for (int n = 1; taken; n++) {
        snprintf(aside, sizeof aside, SET_ASIDE_FOLDER "%d", n);
        if (!file_join(folder, run, aside, e) || !file_join(to, folder, name, e) ||
            !file_look(&taken, to, e)) {
            return false;
        }
    }
    bool ok = file_own_folder(folder, run, aside, e) && file_rename(from, to, e);
    if (ok) file_failpoint("set_aside");
    return ok;
}
