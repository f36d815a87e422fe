#include "core/base/sha256.h"

#include "core/base/file.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

/* FIPS 180-4 examples and the empty message. */
static void known_digests(void)
{
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
         "mnopqrs"
         "mnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char hex[SHA256_HEX];
        sha256_hex(hex, cases[i][0], strlen(cases[i][0]));
        EXPECT(strcmp(hex, cases[i][1]) == 0, "'%s': %s", cases[i][0], hex);
    }
}

static void a_million_letters(void)
{
    char *letters = malloc(1000000), hex[SHA256_HEX];
    memset(letters, 'a', 1000000);
    const char *expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
    sha256_hex(hex, letters, 1000000);
    EXPECT(strcmp(hex, expected) == 0, "%s", hex);
    /* In pieces of all sizes from 0 to 1413. */
    sha256 s;
    sha256_init(&s);
    size_t done = 0;
    for (size_t n = 0; done < 1000000; n++) {
        size_t part = MIN(n, 1000000 - done);
        sha256_add(&s, letters + done, part);
        done += part;
    }
    sha256_final_hex(&s, hex);
    EXPECT(strcmp(hex, expected) == 0, "%s", hex);
    char path[FILE_PATH_BYTES];
    err e = {0};
    bool ok = file_join(path, test_folder(), "letters", &e) &&
              file_write(path, letters, 1000000, &e) && file_sha256(hex, path, &e);
    EXPECT(ok && strcmp(hex, expected) == 0, "%s %s", e.text, hex);
    free(letters);
}

const test_suite test_sha256 = {
    "core/sha256",
    {{"known_digests", known_digests}, {"a_million_letters", a_million_letters}, {0}}};
