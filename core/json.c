#include "core/json.h"

#include "core/file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *json_finite(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

double json_get_double(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

const char *json_get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

json_t *json_read(const char *path, err *e)
{
    file_map map;
    if (!file_map_open(&map, path, e)) return NULL;
    json_error_t where;
    json_t *value = json_loadb((const char *)map.data, map.bytes, JSON_REJECT_DUPLICATES, &where);
    file_map_close(&map);
    if (!value) {
        err_set(e, "%s:%d:%d: is not JSON: %s", path, where.line, where.column, where.text);
    }
    return value;
}

bool json_write(const char *path, const json_t *value, err *e)
{
    char *text = json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (!text)
        return err_set(e, "%s: a value cannot be written as JSON (text that is not UTF-8?)", path);
    size_t bytes = strlen(text);
    text[bytes] = '\n'; /* in place of the NUL: the length is given */
    bool ok = file_write(path, text, bytes + 1, e);
    free(text);
    return ok;
}
