#include "tests/fuzz/bent_file.h"

#include <string.h>

#include "tests/fuzz/tiny_run.h"

/* What another run's file says, in the first place that fits. */
static const struct {
    const char *file, *from, *to;
} BENT[] = {{"status.json", "\"done\"", "\"running\""},
            {"status.json", "\"done\"", "\"interrupted\""},
            {"status.json", "\"done\"", "\"failed\""},
            {"status.json", "\"step\": 3", "\"step\": 2"},
            {"manifest.json", "\"step\": 3", "\"step\": 2"},
            {"manifest.json", "\"sha256\": \"", "\"sha256\": \"0"},
            {"plan.json", "\"run\": \"", "\"run\": \"0"},
            {"run.json", "\"run\": \"", "\"run\": \"0"},
            {"run.json", "\"steps_budget\": 3", "\"steps_budget\": 6"},
            {"metrics.jsonl", "{\"step\":2,", "{\"step\":1,"},
            {"metrics.jsonl", "\"loss\":", "\"loss\":1"},
            {"evals.jsonl", "\"final\":true", "\"final\":false"},
            {"evals.jsonl", "\"losses\":", "\"losses\":\"a\",\"before\":"},
            {"evals.jsonl", "\"losses\":",
             "\"recall\":[{\"distance\":8,\"answers\":4,\"correct\":2,\"nats\":1}],\"losses\":"},
            {"tiny.json", "\"variant\": \"", "\"variant\": \"0"},
            {"tiny.json", "\"run\": \"", "\"run\": \"0"},
            {"tiny.json", "\"hash\": \"", "\"hash\": \"0"},
            {"tiny.json", "\"recorded_at\": \"2", "\"recorded_at\": \"1"},
            {"tiny.json", "\"claims\": [\n  {\n   \"name\": \"better\"",
             "\"had_results\": true, \"claims\": [\n  {\n   \"name\": \"other\""}};
enum { BENT_COUNT = sizeof BENT / sizeof *BENT };

/* Takes `bytes` at `at` out and puts a text there; the new size, 0: there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t max, size_t at, size_t bytes,
                      const char *with)
{
    size_t n = strlen(with);
    if (size - bytes + n > max) return 0;
    memmove(data + at + n, data + at + bytes, size - at - bytes);
    memcpy(data + at, with, n);
    return size - bytes + n;
}

static size_t unseal(uint8_t *data, size_t size)
{
    static const char *const SEALS[] = {",\"crc\":\"", ",\n \"crc\": \""};
    enum { DIGITS = 8 };
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(SEALS[i]);
        for (uint8_t *at; (at = memmem(data, size, SEALS[i], n)) != NULL;) {
            size_t place = (size_t)(at - data);
            if (place + n + DIGITS + 1 > size) break;
            size = replace(data, size, size, place, n + DIGITS + 1, "");
        }
    }
    return size;
}

static unsigned file_called(const char *end)
{
    for (unsigned i = 0; i < TINY_RUN_FILES; i++) {
        const void *data;
        size_t bytes;
        const char *slash = strrchr(tiny_run_file(i, &data, &bytes), '/');
        if (slash && strcmp(slash + 1, end) == 0) return i;
    }
    return 0;
}

size_t bent_file(unsigned *number, uint8_t *data, size_t max, unsigned how)
{
    const void *own;
    size_t size;
    int bent = how % 2 ? (int)(how / 2 % BENT_COUNT) : -1;
    *number = bent < 0 ? how / 2 % TINY_RUN_FILES : file_called(BENT[bent].file);
    tiny_run_file(*number, &own, &size);
    if (size > max) return 0;
    memcpy(data, own, size);
    if (bent < 0 && how / 64 % 8 == 0) return size;
    size = unseal(data, size);
    const char *from = bent < 0 ? "" : BENT[bent].from;
    uint8_t *at = bent < 0 ? NULL : memmem(data, size, from, strlen(from));
    return at ? replace(data, size, max, (size_t)(at - data), strlen(from), BENT[bent].to) : size;
}
