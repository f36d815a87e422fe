/* Files: reading whole, mapping, replacing atomically, folders; and failpoints for the kill tests.
 *
 * Every failure is the outside world's: false (or NULL) and `e` with "path: what; what to do". */
#pragma once

#include <stdio.h>

#include "core/base/arena.h"
#include "core/base/sha256.h"

enum { FILE_PATH_BYTES = 4096 };

/* False, and e from errno: "path: what: the system's words; what to do". For all who open, read or
 * write by system calls of their own. */
bool file_failed(err *e, const char *path, const char *what);

/* Joins with '/' into out [FILE_PATH_BYTES]; a path that does not fit is an error. */
bool file_join(char out[FILE_PATH_BYTES], const char *folder, const char *name, err *e);
/* FOLDER/NAME of a folder of results, where the name is what a file says, which may be a
 * stranger's: one that is a path or begins with a dot leads elsewhere, and so does a link in the
 * place of either of the two. */
bool file_within(char path[FILE_PATH_BYTES], const char *folder, const char *name, err *e);
bool file_name_is_plain(const char *name);
/* The folder in which it lies: "a/b" in "a", "/b" in "/", "b" in ".". */
void file_parent(char out[FILE_PATH_BYTES], const char *path);

/* Whether something has that name. False and e: it cannot be found out. */
bool file_look(bool *there, const char *path, err *e);
/* Where it cannot be found out (a disk that fails, a folder that may not be searched) they say yes:
 * whoever opens it is told why not, and nothing is taken for missing that is there. */
bool file_exists(const char *path);
bool file_is_folder(const char *path); /* or a link to one */
bool file_is_link(const char *path);
/* Size and time of the last change in nanoseconds; either pointer may be NULL. */
bool file_stat(const char *path, int64_t *bytes, int64_t *changed_ns, err *e);

/* Opens a regular file for reading, its size in *bytes (may be NULL); the descriptor, or -1. No
 * pipe is waited for, no device read: a path may be a stranger's.
 *
 * A folder of results may be, too, and a link in it would have a file of this machine read as one
 * of its own, and shown. So what opens and reads here refuses a link in the place of the file, and
 * of the folder that it lies in; folders above are for those who enter them (run_folder_path,
 * file_list). Their namesakes ending in _named are for what a user names, texts, specs and models,
 * who may have put links there. */
int file_open(const char *path, int64_t *bytes, err *e);
int file_open_named(const char *path, int64_t *bytes, err *e);
/* Opens a file of a folder of results for writing, with flags as open's, made where it is not
 * there; the descriptor, or -1. Never through a link: the folder may be a stranger's. */
int file_open_own(const char *path, int flags, err *e);

/* What is read whole has at most so many bytes: a file that claims terabytes is no spec or log. */
#define FILE_READ_BYTES ((int64_t)1 << 30)
/* The whole file with a NUL behind it; caller frees. *bytes may be NULL. */
char *file_read(const char *path, size_t *bytes, err *e);
char *file_read_named(const char *path, size_t *bytes, err *e);
/* The same into an arena. */
char *file_read_arena(arena *a, const char *path, size_t *bytes, err *e);
char *file_read_arena_named(arena *a, const char *path, size_t *bytes, err *e);

/* The folder that a user named, for those above: where it leads, if it is a link, else as it is. */
void file_named_folder(char out[FILE_PATH_BYTES], const char *path);

/* Its checksum (sha256.h), in hexadecimal. */
bool file_sha256(char hex[SHA256_HEX], const char *path, err *e);
bool file_sha256_named(char hex[SHA256_HEX], const char *path, err *e);

/* For who reads many files of one folder: it is opened once, not for each of them. A descriptor
 * that the caller closes; -1 where it cannot be opened or is a link, with which the two below are
 * as file_read and file_sha256. path: as it is told, its last name is that in the folder. */
int file_open_folder(const char *folder);
char *file_read_in(int folder, const char *path, size_t *bytes, err *e);
bool file_sha256_in(char hex[SHA256_HEX], int folder, const char *path, err *e);

/* A file mapped for reading. An empty file gives bytes 0 and a valid pointer. */
typedef struct file_map {
    const unsigned char *data;
    size_t bytes;
} file_map;
bool file_map_open(file_map *map, const char *path, err *e);
bool file_map_open_named(file_map *map, const char *path, err *e);
void file_map_close(file_map *map); /* one that is zero, or could not be opened, is fine */
#define file_map_auto file_map ENDS_BY(file_map_close) /* closed where its block ends */

/* What a file is called while it is written, beside `path`: PATH.tmp.HOST.PID, for processes of
 * several machines may share a folder. */
bool file_temporary(char name[FILE_PATH_BYTES], const char *path, err *e);
/* Opens one, empty, with flags as open's; the descriptor, or -1. Errors name `path`, which is what
 * was asked for. */
int file_open_temporary(char name[FILE_PATH_BYTES], const char *path, int flags, err *e);
/* Whether `name` is such a name, and whether a process of another host gave it. */
bool file_is_temporary(const char *name, bool *another_host);

/* Replaces `path` atomically: a temporary file beside it is written, synced and renamed, then the
 * folder is synced. A reader sees the old or the new content, never a part. */
bool file_write(const char *path, const void *data, size_t bytes, err *e);
/* The same piece by piece. After a false return only file_out_cancel may follow (cancelling after a
 * commit does nothing). The bytes written also pass through `hash` if the caller sets it. */
typedef struct file_out {
    int fd; /* -1: closed */
    int64_t bytes;
    sha256 *hash;
    char path[FILE_PATH_BYTES], temporary[FILE_PATH_BYTES];
} file_out;
bool file_out_open(file_out *f, const char *path, err *e);
bool file_out_write(file_out *f, const void *data, size_t bytes, err *e);
bool file_out_commit(file_out *f, err *e);
void file_out_cancel(file_out *f);

/* A file that a user named, printed piece by piece. The same with the mode that it had, but what
 * stands there and is no plain file of one's own by one name (a link, a device, a pipe), or is in a
 * folder that cannot be written, is written into: a rename would take it away. The stream, or NULL
 * and e. */
typedef struct file_named {
    FILE *stream;
    bool in_place;
    file_out out;
    err failed; /* the first thing that could not be written; "": none */
} file_named;
FILE *file_named_open(file_named *f, const char *path, err *e);
/* Puts the file in its place where all is `ok`; else, or where a part of it could not be written
 * (false and e), what was there stays, unless it was written into. */
bool file_named_close(file_named *f, bool ok, err *e);
/* The same at once. */
bool file_write_named(const char *path, const void *data, size_t bytes, err *e);

bool file_make_folders(const char *path, err *e); /* like mkdir -p; their names synced */
/* A folder of results may be a stranger's; a link in it would lead what is written there elsewhere.
 * The first two are false with words where the path, or an entry of the folder, is a link; the
 * third makes FOLDER/NAME, its path in `path`, and does not follow a link in its place. */
bool file_refuse_link(const char *path, err *e);
bool file_refuse_links(const char *folder, err *e);
bool file_own_folder(char path[FILE_PATH_BYTES], const char *folder, const char *name, err *e);

/* Atomic at the target; a hole in the source, which takes no room on the disk, is one there. */
bool file_copy(const char *from, const char *to, err *e);
bool file_copy_named(const char *from, const char *to, err *e);
bool file_sync_folder(const char *path, err *e);
/* The folder that it lies in: a new file's content may be synced, and its name lost. */
bool file_sync_name(const char *path, err *e);
/* Puts it in the place of `to`; its name is synced, its content must have been before. */
bool file_rename(const char *from, const char *to, err *e);
/* Removes a file if it is there. */
bool file_remove(const char *path, err *e);
/* Folders within each other: of a tree that is deeper a stack may not be deep enough to remove it,
 * copy it or look through it. */
enum { FILE_DEPTH = 64 };
/* Removes a folder with all that is in it, if it is there; does not follow links. */
bool file_remove_tree(const char *path, err *e);

/* Names in a folder (without . and ..), sorted by bytes; lives as long as the arena. The first
 * refuses a link in the folder's place, as file_open does. */
bool file_list(const char *folder, arena *a, const char *const **names, int64_t *count, err *e);
bool file_list_named(const char *folder, arena *a, const char *const **names, int64_t *count,
                     err *e);

/* The same, one after the other, as they were at the beginning:
 *
 *   file_walk w = file_walk_begin(folder, e);
 *   while (file_walk_next(&w)) ok = ok && use(w.name, w.path);
 *   return file_walk_end(&w) && ok;
 *
 * It may be left at any entry. file_walk_end: false and e if the folder could not be read, or a
 * path is too long. */
typedef struct file_walk {
    arena *memory;
    const char *const *names;
    int64_t count, at;
    const char *folder, *name;
    char path[FILE_PATH_BYTES];
    bool ok;
    err *e;
} file_walk;
file_walk file_walk_begin(const char *folder, err *e);
bool file_walk_next(file_walk *w);
bool file_walk_end(file_walk *w);

/* A named point in the code. With LOCI_FAILPOINT="name:n" in the environment the process kills
 * itself (SIGKILL) at the n-th passing of that point, counted from 1; otherwise costs nothing. */
void file_failpoint(const char *name);
