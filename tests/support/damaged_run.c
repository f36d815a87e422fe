#include "tests/support/damaged_run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "harness/train/checkpoint_files.h"
#include "tests/test.h"

void damaged_run_file(const char *folder, const char *name, long bytes)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, name, &e), "%s", e.text);
    if (bytes != CHANGED && bytes != FLIPPED) {
        EXPECT((bytes < 0 ? remove(path) : truncate(path, bytes)) == 0, "%s", path);
        return;
    }
    size_t size;
    text_auto *text = file_read(path, &size, &e);
    char *digit = !text ? NULL : bytes == FLIPPED ? text + size - 2 : strchr(text, '.');
    EXPECT(digit, "%s: %s", path, e.text);
    if (!digit) return;
    digit[1] = digit[1] == '7' ? '8' : '7';
    EXPECT(file_write(path, text, size, &e), "%s", e.text);
}

void damaged_run_without_state(const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, "checkpoint/manifest.json", &e), "%s", e.text);
    json_auto_t *manifest = json_read(path, &e);
    EXPECT(json_object_del(json_object_get(manifest, "files"), "train-10.safetensors") == 0 &&
               json_write(path, manifest, &e),
           "%s", e.text);
    damaged_run_file(folder, "checkpoint/train-10.safetensors", REMOVED);
}

void damaged_run_model(char hex[SHA256_HEX], const char *folder)
{
    char path[FILE_PATH_BYTES];
    err e = {0};
    EXPECT(file_join(path, folder, "checkpoint", &e), "%s", e.text);
    arena *a = arena_new(0);
    const char *hash = checkpoint_files_hash(a, path, &e);
    snprintf(hex, SHA256_HEX, "%.64s", hash ? hash : "none");
    arena_free(a);
}

void damaged_run_stamp(char text[64], const char *folder, const char *name)
{
    struct stat is;
    char path[FILE_PATH_BYTES];
    bool there = file_join(path, folder, name, NULL) && stat(path, &is) == 0;
    EXPECT(there, "%s", path);
    snprintf(text, 64, "%lld %lld.%09ld", there ? (long long)is.st_ino : 0,
             there ? (long long)is.st_mtim.tv_sec : 0, there ? is.st_mtim.tv_nsec : 0);
}
