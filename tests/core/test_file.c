#include "core/base/file.h"

#include "core/base/json.h"
#include "tests/test.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_then_read(void)
{
    err e = {0};
    const char *path = test_inside("x");
    static const char first[] = "a\0b", second[] = "longer than before";
    EXPECT(file_write(path, first, 3, &e) && file_write(path, second, sizeof second - 1, &e), "%s",
           e.text);
    size_t bytes = 0;
    char *text = file_read(path, &bytes, &e);
    EXPECT(text && bytes == sizeof second - 1 && strcmp(text, second) == 0, "%s %zu", e.text,
           bytes);
    free(text);
    file_map map;
    EXPECT(file_map_open(&map, path, &e) && map.bytes == bytes &&
               memcmp(map.data, second, bytes) == 0,
           "%s", e.text);
    file_map_close(&map);
    EXPECT(file_write(path, NULL, 0, &e) && file_map_open(&map, path, &e) && map.bytes == 0, "%s",
           e.text);
    file_map_close(&map);
    arena *a = arena_new(0);
    text = file_read_arena(a, path, &bytes, &e);
    EXPECT(text && bytes == 0 && text[0] == 0, "%s", e.text);
    const char *const *names;
    int64_t count;
    EXPECT(file_list(test_folder(), a, &names, &count, &e) && count == 1,
           "%s: temporary files stay", e.text);
    arena_free(a);
}

static void cancel_leaves_the_old_file(void)
{
    err e = {0};
    const char *path = test_inside("x");
    EXPECT(file_write(path, "old", 3, &e), "%s", e.text);
    file_out f;
    EXPECT(file_out_open(&f, path, &e) && file_out_write(&f, "new", 3, &e), "%s", e.text);
    file_out_cancel(&f);
    file_out_cancel(&f);
    char *text = file_read(path, NULL, &e);
    EXPECT(text && strcmp(text, "old") == 0, "%s", text ? text : e.text);
    free(text);
    EXPECT(!file_exists(f.temporary), "%s", f.temporary);
}

static void messages_name_the_path(void)
{
    err e = {0};
    file_map map;
    const char *absent = test_inside("absent");
    EXPECT(!file_map_open(&map, absent, &e) && strstr(e.text, absent), "%s", e.text);
    EXPECT(!file_read(test_folder(), NULL, &e) && strstr(e.text, "is not a file"), "%s", e.text);
    EXPECT(!file_write(test_inside("no/folder"), "x", 1, &e) && strstr(e.text, "no/folder"), "%s",
           e.text);
    EXPECT(file_write(test_inside("plain"), "x", 1, &e), "%s", e.text);
    EXPECT(!file_make_folders(test_inside("plain/below"), &e) && strstr(e.text, "plain"), "%s",
           e.text);
    char *name = malloc(5000);
    memset(name, 'n', 4999);
    name[4999] = 0;
    char path[FILE_PATH_BYTES];
    EXPECT(!file_join(path, "f", name, &e) && strstr(e.text, "longer"), "%s", e.text);
    free(name);
}

/* A file that takes no room on the disk takes none where it is copied to, wherever its data lies;
 * what it holds is the same. */
static void holes_stay_holes(void)
{
    static const int64_t at[][2] = {{-1, -1}, {0, -1}, {(int64_t)1 << 39, -1}, {5 << 20, 1 << 30}};
    char from[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    const int64_t huge = (int64_t)1 << 40;
    struct stat s;
    err e = {0};
    snprintf(from, sizeof from, "%s", test_inside("sparse"));
    snprintf(to, sizeof to, "%s", test_inside("copied"));
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        int fd = open(from, O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (ftruncate(fd, huge) != 0) {
            close(fd);
            test_skip("the file system has no files of a terabyte");
            return;
        }
        for (int k = 0; k < 2; k++) {
            EXPECT(at[i][k] < 0 || pwrite(fd, "data", 4, at[i][k]) == 4, "%s", from);
        }
        close(fd);
        EXPECT(file_copy(from, to, &e), "%s", e.text);
        EXPECT(stat(to, &s) == 0 && s.st_size == huge && s.st_blocks < 1000, "%zu: %lld blocks", i,
               (long long)s.st_blocks);
        fd = open(to, O_RDONLY);
        for (int k = 0; k < 2; k++) {
            char found[6] = "none";
            int64_t first = at[i][k] < 0 ? 100 : at[i][k];
            const char *wanted = at[i][k] < 0 ? "\0\0\0\0" : "data";
            EXPECT(pread(fd, found, 5, first) == 5 && memcmp(found, wanted, 5) == 0, "%zu: %s", i,
                   found);
        }
        close(fd);
    }
}

/* A full disk shows as a failed write. */
static void full_disk(void)
{
    err e = {0};
    file_out f;
    if (!file_exists("/dev/full")) {
        test_skip("there is no /dev/full");
        return;
    }
    EXPECT(file_out_open(&f, test_inside("x"), &e), "%s", e.text);
    FILE *full = fopen("/dev/full", "w");
    EXPECT(full && dup2(fileno(full), f.fd) >= 0, "cannot stand in for the file");
    EXPECT(!file_out_write(&f, "data", 4, &e) && strstr(e.text, "No space left"), "%s", e.text);
    file_out_cancel(&f);
    if (full) fclose(full);
    EXPECT(!file_exists(test_inside("x")), "a file appeared");
}

/* A temporary file is the program's affair: what is told is the file that was asked for. */
static void errors_name_what_was_asked_for(void)
{
    err e = {0};
    file_out f;
    struct rlimit was, none = {0, 0};
    const char *plain = test_inside("plain"), *deep = test_inside("no/folder");
    char begin[FILE_PATH_BYTES + 2];
    snprintf(begin, sizeof begin, "%s: ", deep);
    EXPECT(!file_write(deep, "x", 1, &e) && strncmp(e.text, begin, strlen(begin)) == 0, "%s",
           e.text);
    EXPECT(!file_write_named(deep, "x", 1, &e) && strncmp(e.text, begin, strlen(begin)) == 0, "%s",
           e.text);
    EXPECT(file_out_open(&f, plain, &e), "%s", e.text);
    EXPECT(getrlimit(RLIMIT_FSIZE, &was) == 0, "no limit is known");
    none.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    EXPECT(setrlimit(RLIMIT_FSIZE, &none) == 0, "no limit can be set");
    bool wrote = file_out_write(&f, "x", 1, &e);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    snprintf(begin, sizeof begin, "%s: ", plain);
    EXPECT(!wrote && strncmp(e.text, begin, strlen(begin)) == 0, "%s", e.text);
    file_out_cancel(&f);
}

/* What was there stays until all of the new is written. */
static void printed_whole_or_not_at_all(void)
{
    err e = {0};
    file_named f;
    const char *path = test_inside("printed");
    EXPECT(file_write_named(path, "old", 3, &e), "%s", e.text);
    FILE *out = file_named_open(&f, path, &e);
    EXPECT(out && fputs("new", out) >= 0 && !file_named_close(&f, false, &e), "kept");
    text_auto *old = file_read(path, NULL, &e);
    EXPECT(old && strcmp(old, "old") == 0, "%s", old ? old : e.text);
    out = file_named_open(&f, path, &e);
    FILE *full = fopen("/dev/full", "w");
    if (full) dup2(fileno(full), f.out.fd);
    for (int i = 0; out && i < 10000; i++) {
        fputs("longer than a buffer", out);
    }
    EXPECT(!file_named_close(&f, true, &e) &&
               strstr(e.text, "printed: cannot be written: No space") && e.outside,
           "%s", e.text);
    text_auto *still = file_read(path, NULL, &e);
    EXPECT(still && strcmp(still, "old") == 0, "%s", still ? still : e.text);
    if (full) fclose(full);
    out = file_named_open(&f, path, &e);
    EXPECT(out && fprintf(out, "%d", 7) == 1 && file_named_close(&f, true, &e), "%s", e.text);
    text_auto *new = file_read(path, NULL, &e);
    EXPECT(new &&strcmp(new, "7") == 0 && !file_exists(f.out.temporary), "%s", new ? new : e.text);
}

/* What a user names may be there for something: it is not taken away. */
static void no_plain_files(void)
{
    err e = {0};
    struct stat s;
    const char *plain = test_inside("plain"), *link = test_inside("link"),
               *full = test_inside("full");
    EXPECT(symlink("plain", link) == 0 && symlink("/dev/full", full) == 0, "links");
    EXPECT(file_write_named(plain, "old", 3, &e) && file_write_named(link, "new", 3, &e), "%s",
           e.text);
    text_auto *text = file_read(plain, NULL, &e);
    EXPECT(text && strcmp(text, "new") == 0, "%s", text ? text : e.text);
    EXPECT(lstat(link, &s) == 0 && S_ISLNK(s.st_mode), "the link is gone");
    EXPECT(!file_write_named(full, "new", 3, &e) && strstr(e.text, "full: cannot be written"), "%s",
           e.text);
    EXPECT(lstat(full, &s) == 0 && S_ISLNK(s.st_mode), "the other, too");
    EXPECT(!file_write_named(test_folder(), "new", 3, &e) && strstr(e.text, "directory"), "%s",
           e.text);
    const char *other = test_inside("other"), *dangling = test_inside("dangling");
    EXPECT(chmod(plain, 0600) == 0 && file_write_named(plain, "own", 3, &e) &&
               stat(plain, &s) == 0 && (s.st_mode & 0777) == 0600,
           "%s %o", e.text, (unsigned)s.st_mode);
    EXPECT(chmod(plain, 0644) == 0 && linkat(AT_FDCWD, plain, AT_FDCWD, other, 0) == 0 &&
               file_write_named(plain, "both", 4, &e) && stat(other, &s) == 0 && s.st_size == 4,
           "%s", e.text);
    EXPECT(symlink("not-yet", dangling) == 0 && file_write_named(dangling, "new", 3, &e) &&
               file_exists(test_inside("not-yet")),
           "%s", e.text);
}

static void folders(void)
{
    err e = {0};
    arena *a = arena_new(0);
    EXPECT(file_make_folders(test_inside("a/b//c/"), &e) &&
               file_make_folders(test_inside("a/b"), &e),
           "%s", e.text);
    EXPECT(file_is_folder(test_inside("a/b/c")), "a/b/c is missing");
    char name[32];
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "a/b/%03d", 149 - i);
        EXPECT(file_write(test_inside(name), name, 3, &e), "%s", e.text);
    }
    const char *const *names;
    int64_t count = 0;
    EXPECT(file_list(test_inside("a/b"), a, &names, &count, &e) && count == 151, "%s %lld", e.text,
           (long long)count);
    for (int64_t i = 1; i < count; i++) {
        EXPECT(strcmp(names[i - 1], names[i]) < 0, "%s %s", names[i - 1], names[i]);
    }
    EXPECT(file_copy(test_inside("a/b/007"), test_inside("copy"), &e), "%s", e.text);
    int64_t bytes, changed;
    EXPECT(file_stat(test_inside("copy"), &bytes, &changed, &e) && bytes == 3 && changed > 0, "%s",
           e.text);
    EXPECT(symlink("/", test_inside("a/link")) == 0, "symlink");
    EXPECT(file_remove_tree(test_inside("a"), &e) && !file_exists(test_inside("a")), "%s", e.text);
    EXPECT(file_remove_tree(test_inside("a"), &e) && file_remove(test_inside("a"), &e), "%s",
           e.text);
    EXPECT(file_exists("/bin"), "a link was followed");
    arena_free(a);
}

/* A folder that is opened once says the same of its files as one that is opened for each. */
static void in_an_open_folder(void)
{
    err e = {0};
    char hex[SHA256_HEX], again[SHA256_HEX];
    const char *folder = test_inside("open"), *inner = test_inside("open/file");
    EXPECT(file_make_folders(folder, &e) && file_write(inner, "text", 4, &e), "%s", e.text);
    EXPECT(symlink("file", test_inside("open/link")) == 0 &&
               symlink("open", test_inside("to")) == 0,
           "links");
    EXPECT(file_open_folder(test_inside("to")) < 0, "a link for a folder");
    for (int is = 0; is < 2; is++) {
        int within = is ? file_open_folder(folder) : -1;
        EXPECT(!is || within >= 0, "%s", folder);
        text_auto *text = file_read_in(within, inner, NULL, &e);
        EXPECT(text && strcmp(text, "text") == 0, "%s", e.text);
        EXPECT(!file_read_in(within, test_inside("open/link"), NULL, &e) && strstr(e.text, "link"),
               "%s", e.text);
        EXPECT(file_sha256_in(hex, within, inner, &e) && file_sha256(again, inner, &e) &&
                   strcmp(hex, again) == 0,
               "%s", e.text);
        EXPECT(!file_read_in(within, test_inside("open/none"), NULL, &e), "nothing there");
        if (is) close(within);
    }
}

/* The n-th passing kills, the ones before and other points do not. */
static void failpoints(void)
{
    for (int n = 1; n <= 3; n++) {
        pid_t child = fork();
        if (child == 0) {
            char value[32];
            snprintf(value, sizeof value, "here:%d", n);
            setenv("LOCI_FAILPOINT", value, 1);
            file_failpoint("her");
            file_failpoint("here!");
            file_failpoint("here");
            file_failpoint("here");
            _exit(7);
        }
        int status = 0;
        EXPECT(child > 0 && waitpid(child, &status, 0) == child, "fork");
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 7;
        EXPECT(n <= 2 ? killed : ended, "n %d: status %x", n, (unsigned)status);
    }
}

static void json_files(void)
{
    err e = {0};
    const char *path = test_inside("x.json");
    json_t *o = json_pack("{s:o, s:o, s:I, s:s}", "nan", json_finite((double)NAN), "third",
                          json_finite(1. / 3), "big", (json_int_t)1 << 60, "text", "é");
    EXPECT(json_write(path, o, &e), "%s", e.text);
    json_t *back = json_read(path, &e);
    EXPECT(back && json_equal(o, back), "%s", e.text);
    EXPECT(isnan(json_get_double(back, "nan")) && isnan(json_get_double(back, "text")),
           "NaN is null");
    EXPECT(fabs(json_get_double(back, "third") - 1. / 3) <= 0, "%.17g",
           json_get_double(back, "third"));
    EXPECT(json_get_int(back, "big", 0) == 1ll << 60 && json_get_int(back, "none", -1) == -1,
           "integers");
    EXPECT(strcmp(json_get_text(back, "text"), "é") == 0 && !json_get_text(back, "big"), "texts");
    json_decref(back);
    json_decref(o);
    EXPECT(file_write(path, "{\n \"a\": 1,\n \"a\": 2}", 20, &e) && !json_read(path, &e),
           "duplicate key");
    EXPECT(strstr(e.text, "x.json:3:"), "%s", e.text);
    EXPECT(!json_parse("", 0, "y.json", &e) && strcmp(e.text, "y.json: is empty, not JSON") == 0,
           "%s", e.text);
}

/* Names of files being written tell whose they are: also those of before hosts stood in them. */
static void whose_temporaries(void)
{
    char own[FILE_PATH_BYTES];
    bool another = true;
    err e = {0};
    EXPECT(file_temporary(own, "run/status.json", &e), "%s", e.text);
    EXPECT(file_is_temporary(own, &another) && !another, "%s", own);
    EXPECT(file_is_temporary("status.json.tmp.a.far-host.17", &another) && another, "another's");
    EXPECT(file_is_temporary("status.json.tmp.17", &another) && !another, "of no host");
    EXPECT(!file_is_temporary("status.json", &another), "not being written");
}

const test_suite test_file = {"core/file",
                              {{"write_then_read", write_then_read},
                               {"cancel_leaves_the_old_file", cancel_leaves_the_old_file},
                               {"messages_name_the_path", messages_name_the_path},
                               {"holes_stay_holes", holes_stay_holes},
                               {"full_disk", full_disk},
                               {"errors_name_what_was_asked_for", errors_name_what_was_asked_for},
                               {"printed_whole_or_not_at_all", printed_whole_or_not_at_all},
                               {"no_plain_files", no_plain_files},
                               {"folders", folders},
                               {"in_an_open_folder", in_an_open_folder},
                               {"failpoints", failpoints},
                               {"json_files", json_files},
                               {"whose_temporaries", whose_temporaries},
                               {0}}};
