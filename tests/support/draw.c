#include "tests/support/draw.h"

#include <stdint.h>
#include <stdlib.h>

#include "tests/support/sanitized.h"

/* FNV-1a: the draws of a day are no stream of random numbers, only as good as any others. */
static uint64_t add_text(uint64_t sum, const char *text)
{
    for (const char *p = text; *p; p++) {
        sum = (sum ^ (unsigned char)*p) * 0x100000001b3;
    }
    return (sum ^ '/') * 0x100000001b3;
}

bool drawn_one_of(int many, const char *check, const char *of)
{
    const char *draw = getenv("LOCI_TEST_SAMPLE");
    if (!draw || !*draw || many < 2) return true;
    uint64_t sum = add_text(add_text(0xcbf29ce484222325, draw), check);
    return (add_text(sum, of) >> 32) % (uint64_t)many == 0;
}

bool drawn_if_slow(const char *check, const char *of)
{
    return drawn_one_of(SANITIZED ? 3 : 1, check, of);
}
