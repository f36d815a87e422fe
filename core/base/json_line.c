#include "core/base/json_line.h"

#include <stdlib.h>
#include <string.h>

char *json_line_text(const json_t *record, size_t *bytes)
{
    json_auto_t *own = json_copy((json_t *)(uintptr_t)record);
    json_object_del(own, "crc");
    text_auto *text = json_dumps(own, JSON_COMPACT | JSON_REAL_PRECISION(17));
    CHECK(text, "a record that is no JSON");
    return json_sealed(JSON_SEAL_LINE, text, bytes);
}

json_t *json_line_load(const char *line, size_t bytes, size_t flags, json_error_t *wrong)
{
    json_t *record = json_loadb(line, bytes, flags, wrong);
    if (!record || json_seal_look(line, bytes) != JSON_CHANGED) return record;
    if (wrong) snprintf(wrong->text, sizeof wrong->text, JSON_CHANGED_TEXT);
    json_decref(record);
    return NULL;
}
