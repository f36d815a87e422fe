#include "tests/support/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "tests/test.h"

static bool is_among(const char *word, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(word, *list) == 0) return true;
    }
    return false;
}

/* Whoever has the string frees it. */
static char *enclosed(const char *text)
{
    char *whole = NULL;
    CHECK(asprintf(&whole, "%s%s%s", HOSTILE_FRONT, text, HOSTILE_END) > 0, "memory");
    return whole;
}

/* A copy with other words; key: what the value is called, "" in a list. */
static json_t *changed(const json_t *x, const char *key)
{
    static const char *const KEPT[] = {"run",    "variant", "status",     "eval",    "split",
                                       "losses", "kind",    "experiment", "inspect", NULL};
    static const char *const NAMED[] = {"axes", "layers", "versions", NULL}; /* keys are texts */
    if (json_is_string(x)) {
        if (is_among(key, KEPT)) return json_deep_copy(x);
        char *text = enclosed(json_string_value(x));
        json_t *value = json_string(text);
        free(text);
        return value;
    }
    json_t *copy = json_is_object(x) ? json_object() : json_is_array(x) ? json_array() : NULL;
    if (!copy) return json_deep_copy(x);
    const char *name;
    json_t *value;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)x, i, value)
    {
        json_array_append_new(copy, changed(value, ""));
    }
    json_object_foreach((json_t *)(uintptr_t)x, name, value)
    {
        char *other = is_among(key, NAMED) ? enclosed(name) : strdup(name);
        json_object_set_new(copy, other, changed(value, name));
        free(other);
    }
    return copy;
}

static void change_record(const char *path, bool experiment)
{
    err e = {0};
    json_t *x = json_read(path, &e);
    json_t *y = changed(x, "");
    if (experiment) json_object_set(y, "name", json_object_get(x, "name"));
    EXPECT(x && json_write(path, y, &e), "%s", e.text);
    json_decref(x);
    json_decref(y);
}

static void change_lines(const char *path)
{
    err e = {0};
    size_t bytes;
    char *text = file_read(path, NULL, &e), *all = NULL;
    FILE *out = open_memstream(&all, &bytes);
    for (char *line = text, *end; line && (end = strchr(line, '\n')); line = end + 1) {
        json_t *x = json_loadb(line, (size_t)(end - line), 0, NULL), *y = changed(x, "");
        json_dumpf(y, out, JSON_COMPACT);
        fputc('\n', out);
        json_decref(x);
        json_decref(y);
    }
    fclose(out);
    EXPECT(text && file_write(path, all, bytes, &e), "%s", e.text);
    free(text);
    free(all);
}

static void change_folder(const char *folder, bool experiments)
{
    arena *a = arena_new(1 << 16);
    const char *const *names = NULL;
    int64_t count = 0;
    err e = {0};
    EXPECT(file_list(folder, a, &names, &count, &e), "%s", e.text);
    for (int64_t i = 0; i < count; i++) {
        char path[FILE_PATH_BYTES];
        const char *end = strrchr(names[i], '.');
        if (!file_join(path, folder, names[i], &e)) continue;
        if (file_is_folder(path)) {
            change_folder(path, experiments);
        } else if (end && strcmp(end, ".json") == 0) {
            change_record(path, experiments);
        } else if (end && strcmp(end, ".jsonl") == 0) {
            change_lines(path);
        }
    }
    arena_free(a);
}

void hostile_write(const char *out)
{
    char path[FILE_PATH_BYTES];
    if (file_join(path, out, "experiments", NULL)) change_folder(path, true);
    if (file_join(path, out, "runs", NULL)) change_folder(path, false);
}
