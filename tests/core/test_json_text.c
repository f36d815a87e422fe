/* JSON as it is printed: numbers as people write them, the same when they are read back. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "tests/test.h"

static void shortest(void)
{
    static const char *const same[] = {
        "{\"a\":0.003,\"b\":[1e-8,0.1,1e300]}",
        "{\"it's 0.0030000000000000001\":\"a \\\"0.1\\\" 2.50 \\\\\"}",
        "[1,-2,9007199254740993,true,null,\"1.0\"]", "[-0.5,2.0]"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        json_t *x = json_loads(same[i], 0, NULL);
        char *text = json_text(x, JSON_COMPACT);
        EXPECT(text && strcmp(text, same[i]) == 0, "%s, not %s", text ? text : "", same[i]);
        free(text);
        json_decref(x);
    }
}

static void reads_back(void)
{
    static const double numbers[] = {0.1,           1.0 / 3,   5e-324, 1.7976931348623157e308,
                                     123456789.125, 2.0 / 3e-7};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_t *x = json_pack("[f]", numbers[i]);
        char *text = json_text(x, JSON_COMPACT);
        json_t *y = json_loads(text, 0, NULL);
        EXPECT(json_equal(x, y), "%s", text);
        free(text);
        json_decref(x);
        json_decref(y);
    }
}

/* JSON has no other text than UTF-8; one without a form in it would be missing, silently. */
static void any_bytes(void)
{
    static const char *const texts[][2] = {{"caf\xc3\xa9", "caf\xc3\xa9"},
                                           {"caf\xc3", "caf\xef\xbf\xbd"},
                                           {"\xff\xfe/x", "\xef\xbf\xbd\xef\xbf\xbd/x"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *x = json_words(texts[i][0]);
        EXPECT(strcmp(json_string_value(x), texts[i][1]) == 0, "text %zu", i);
        json_decref(x);
    }
}

const test_suite test_json_text = {
    "core/json_text",
    {{"shortest", shortest}, {"reads_back", reads_back}, {"any_bytes", any_bytes}, {0}}};
