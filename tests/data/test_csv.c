#include "data/csv.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

/* Rows with their fields joined by '|', each row ended by ';', or the error. */
static void reads(const char *text, const char *expected)
{
    char *copy = malloc(strlen(text) + 1), got[512] = "";
    strcpy(copy, text);
    csv c;
    err e;
    csv_init(&c, copy, (int64_t)strlen(text), "x.csv");
    while (csv_next(&c, &e)) {
        for (int i = 0; i < c.count; i++) {
            EXPECT((int64_t)strlen(c.field[i]) == c.bytes[i], "field %d", i);
            strcat(strcat(got, i ? "|" : ""), c.field[i]);
        }
        strcat(got, ";");
    }
    strcat(got, e.text);
    EXPECT(strcmp(got, expected) == 0, "%s gives %s", text, got);
    free(copy);
}

static void rows(void)
{
    reads("", "");
    reads("a", "a;");
    reads("a,b\nc,d\n", "a|b;c|d;");
    reads("a,b\r\nc,\r\n", "a|b;c|;");
    reads("\n\na\n\n\nb", "a;b;");
    reads(",\n,,", "|;||;");
    reads("\"a,b\",c", "a,b|c;");
    reads("\"a \"\"b\"\"\",\"\"", "a \"b\"|;");
    reads("\"two\nlines\",x\ny", "two\nlines|x;y;");
    reads("a\rb,c", "a\rb|c;");
    reads("a\"b,c", "a\"b|c;");
}

static void errors(void)
{
    reads("a\n\"b", "a;x.csv:2: field 1: the closing quote is missing");
    reads("a,\"b\"c",
          "x.csv:1: field 2: a comma must follow the closing quote; write a quote inside a "
          "field as two");
    char many[200];
    memset(many, ',', 199);
    many[199] = 0;
    reads(many, "x.csv:1: more than 64 fields; is a quote missing?");
}

const test_suite test_csv = {"data/csv", {{"rows", rows}, {"errors", errors}, {0}}};
