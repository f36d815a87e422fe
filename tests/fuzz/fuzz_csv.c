/* Any bytes are rows or an error; fields lie inside the text and lines count up. */
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, bytes, size);
    text[size] = 0;
    csv c;
    err e;
    int64_t line = 0;
    csv_init(&c, text, (int64_t)size, "fuzz");
    while (csv_next(&c, &e)) {
        CHECK(c.line > line && c.count > 0, "line %lld after %lld", (long long)c.line,
              (long long)line);
        line = c.line;
        for (int i = 0; i < c.count; i++) {
            CHECK(c.field[i] >= text && c.field[i] + c.bytes[i] <= text + size &&
                      c.field[i][c.bytes[i]] == 0,
                  "field %d", i);
        }
    }
    CHECK(e.text[0] || c.at == c.end, "stops in the middle");
    free(text);
    return 0;
}
