#include "data/sealed.h"

#include <stdlib.h>
#include <string.h>

/* The seal is a line: 64 hexadecimal digits and a line end, in SHA256_HEX bytes. */

bool sealed_write(const char *path, const void *data, size_t bytes, err *e)
{
    file_out out;
    char seal[SHA256_HEX];
    sha256_hex(seal, data, bytes);
    seal[SHA256_HEX - 1] = '\n';
    if (!file_out_open(&out, path, e)) return false;
    bool ok = file_out_write(&out, data, bytes, e) && file_out_write(&out, seal, sizeof seal, e) &&
              file_out_commit(&out, e);
    file_out_cancel(&out);
    return ok;
}

char *sealed_read(const char *path, size_t *bytes)
{
    char seal[SHA256_HEX];
    size_t all = 0;
    char *data = file_exists(path) ? file_read_named(path, &all, NULL) : NULL;
    *bytes = 0;
    if (data && all >= sizeof seal) {
        size_t content = all - sizeof seal;
        sha256_hex(seal, data, content);
        bool whole = memcmp(data + content, seal, sizeof seal - 1) == 0;
        data[content] = 0;
        if (whole) {
            *bytes = content;
            return data;
        }
    }
    free(data);
    return NULL;
}
