/* What files begin with, gzip files and zip archives: the first byte says which. Any bytes are
 * refused with a message or unpacked into a file of the size that was told. */
#include <string.h>

#include "data/packed.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

static void fuzz_gzip(const uint8_t *bytes, size_t size)
{
    err e = {0};
    const char *in = scratch_path("in"), *out = scratch_path("out");
    scratch_write("in", bytes, size);
    CHECK(gzip_unpack(in, out, &e) || e.text[0], "refused without a message");
    file_remove(out, NULL);
}

static void fuzz_zip(const uint8_t *bytes, size_t size)
{
    arena *a = arena_new(1 << 16);
    err e = {0};
    zip_member *list;
    int64_t count, told;
    bool ok = zip_list(&list, &count, bytes, size, "fuzz", a, &e);
    CHECK(ok || e.text[0], "refused without a message");
    for (int64_t i = 0; i < count && ok && i < 4; i++) {
        const char *out = scratch_path("out");
        CHECK(list[i].name[0] != '/' && strncmp(list[i].name, "../", 3) != 0 &&
                  !strstr(list[i].name, "/../"),
              "%s", list[i].name);
        e.text[0] = 0;
        if (zip_extract(&list[i], bytes, size, "fuzz", out, &e)) {
            CHECK(file_stat(out, &told, NULL, &e) && told == list[i].bytes, "%s", e.text);
        } else {
            CHECK(e.text[0], "refused without a message");
        }
        file_remove(out, NULL);
    }
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *what;
    if (size == 0) return 0;
    if (bytes[0] % 3 == 0) {
        packed_find(bytes + 1, size - 1, &what);
    } else if (bytes[0] % 3 == 1) {
        fuzz_gzip(bytes + 1, size - 1);
    } else {
        fuzz_zip(bytes + 1, size - 1);
    }
    return 0;
}
