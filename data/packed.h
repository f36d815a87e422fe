/* Files that are not the text they are given as: packed ones, and what a failed download leaves. */
#pragma once

#include "core/base/arena.h"

typedef enum packed_kind {
    PACKED_NOT,  /* nothing that is known: taken as it is */
    PACKED_GZIP, /* unpacked by gzip_unpack */
    PACKED_ZIP,  /* unpacked by zip_unpack */
    PACKED_HTML, /* text, but seldom the text that somebody wanted */
    PACKED_OTHER /* refused */
} packed_kind;

enum { PACKED_START_BYTES = 512 };

/* What a file is by its first bytes. *what says so with what to do, where it is PACKED_OTHER. */
packed_kind packed_find(const unsigned char *start, size_t bytes, const char **what);
/* The same of a file. False: it cannot be read. */
bool packed_find_file(packed_kind *kind, const char **what, const char *path, err *e);

/* Writes what a gzip file holds to `out`; one that is damaged or cut off is an error. */
bool gzip_unpack(const char *path, const char *out, err *e);

/* A file of a zip archive. */
typedef struct zip_member {
    const char *name; /* relative, without "..": may hold folders */
    int64_t bytes;    /* unpacked */
    int64_t packed_bytes;
    int64_t offset; /* of its local header */
    uint32_t crc;
    bool deflated; /* else stored */
} zip_member;

/* The files of an archive in memory, folders and macOS's __MACOSX left out; in the arena. */
bool zip_list(zip_member **list, int64_t *count, const unsigned char *data, size_t bytes,
              const char *name, arena *a, err *e);
/* Unpacks one to the path `out`, whose folder is there. */
bool zip_extract(const zip_member *m, const unsigned char *data, size_t bytes, const char *name,
                 const char *out, err *e);
