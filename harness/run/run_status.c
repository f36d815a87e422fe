#include "harness/run/run_status.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/host.h"
#include "core/base/json.h"
#include "core/base/json_seal.h"
#include "harness/run/run_folder.h"
#include "results/store/run_damage.h"

/* How a run stands is never taken from status.json alone. The file says what its writer knew; what
 * a reader makes of it:
 *
 *   file says   lock held   is
 *   none        -           planned
 *   running     yes         running
 *   running     no          interrupted: nobody had the time to say so (SIGKILL, a power cut)
 *   anything    no          interrupted and damaged, where files of the folder are missing or cut
 *   the same    no          as written, with a gap, where that is of its past alone
 *   the rest    -           as written
 *
 * So a kill needs nobody who cleans up after it, and no state is ever wrong for longer than a look.
 * The price is that reading asks for the lock and looks at files; who only shows progress pays it,
 * too. */

static const char *const STATES[RUN_STATES] = {"planned", "running",  "done",
                                               "failed",  "diverged", "interrupted"};

const char *run_status_state_name(run_state s)
{
    CHECK(s >= 0 && s < RUN_STATES, "state %d", (int)s);
    return STATES[s];
}

/* Part of the file's format, as the states are; in the order of run_kind. */
static const char *const KINDS[RUN_KINDS] = {
    "", "spec", "source", "diverged", "out of memory", "signal", "timeout", "damaged", "other"};

const char *run_status_kind_name(run_kind k)
{
    CHECK(k >= 0 && k < RUN_KINDS, "kind %d", (int)k);
    return KINDS[k];
}

/* ---- status.json: formatted by hand, for it is written from inside the training loop ---- */

/* Messages name files, and are cut: what is no UTF-8 becomes '?'. */
static void json_quote(char *out, size_t size, const char *text)
{
    size_t n = 0;
    out[n++] = '"';
    /* 8: the longest that one character becomes (\u001f) with the closing quote and the end of the
     * string. */
    for (int bytes; *text && n + 8 < size; text += MAX(bytes, 1)) {
        unsigned char c = (unsigned char)*text;
        bytes = json_utf8_bytes(text);
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20) {
            n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
        } else if (bytes == 0) {
            out[n++] = '?';
        } else {
            memcpy(out + n, text, (size_t)bytes);
            n += (size_t)bytes;
        }
    }
    out[n++] = '"';
    out[n] = 0;
}

/* JSON has no NaN; null is read back as one. */
static void json_figure(char out[32], double x)
{
    if (isfinite(x)) {
        snprintf(out, 32, "%.10g", x);
    } else {
        snprintf(out, 32, "null");
    }
}

/* What was never measured is null, and not the peak of a process that takes nothing. */
static void json_peak(char out[32], int64_t bytes)
{
    snprintf(out, 32, bytes > 0 ? "%lld" : "null", (long long)bytes);
}

/* Whole seconds: for people, and to compare one end with an earlier one. */
static void json_moment(char out[40], double wall_s)
{
    char utc[32];
    if (wall_s <= 0) {
        snprintf(out, 40, "null");
        return;
    }
    host_utc(utc, wall_s);
    snprintf(out, 40, "\"%s\"", utc);
}

/* In two calls: libquadmath, which BLAS brings, has glibc's printf take memory for formats of more
 * than ten conversions, and a call without memory fails. */
static int status_text(char *text, size_t size, const run_status *s)
{
    /* Twice: every character of it may have to be escaped. What is longer still is cut by
     * json_quote, and stays JSON. */
    char reason[2 * sizeof s->reason + 16] = "null", kind[64] = "null", started[40], ended[40];
    char seconds[32], rate[32], loss[32], share[32], eval[32], bytes[32], rss[32], anon[32];
    if (s->reason[0]) json_quote(reason, sizeof reason, s->reason);
    if (s->kind) json_quote(kind, sizeof kind, KINDS[s->kind]);
    json_moment(started, s->started_at);
    json_moment(ended, s->ended_at);
    json_figure(seconds, s->train_seconds);
    json_figure(rate, s->tokens_per_second);
    json_figure(loss, s->loss);
    json_figure(bytes, s->bytes_per_token);
    json_figure(share, s->eval_share);
    json_figure(eval, s->eval_seconds);
    json_peak(rss, s->peak_rss_bytes);
    json_peak(anon, s->peak_anon_bytes);
    int how = snprintf(text, size,
                       "{\"status\": \"%s\", \"kind\": %s, \"reason\": %s, \"pid\": %lld, "
                       "\"started_at\": %s, \"ended_at\": %s, \"step\": %lld, \"steps\": %lld, ",
                       run_status_state_name(s->state), kind, reason, (long long)s->pid, started,
                       ended, (long long)s->step, (long long)s->steps);
    CHECK(how > 0 && how < (int)size, "a status of %d bytes", how);
    int far = snprintf(text + how, size - (size_t)how,
                       "\"tokens\": %lld, \"train_seconds\": %s, \"tokens_per_second\": %s, "
                       "\"loss\": %s, \"bytes_per_token\": %s, \"eval_share\": %s, "
                       "\"eval_seconds\": %s, \"peak_rss_bytes\": %s, \"peak_anon_bytes\": %s}",
                       (long long)s->tokens, seconds, rate, loss, bytes, share, eval, rss, anon);
    CHECK(far > 0, "a status of %d and %d bytes", how, far);
    return how + far;
}

bool run_status_write(const run_status *s, const char *folder, bool durable, err *e)
{
    char text[4096], path[FILE_PATH_BYTES], temporary[FILE_PATH_BYTES];
    const int room = (int)sizeof text - JSON_SEAL_BYTES - 1;
    int length = status_text(text, sizeof text, s);
    CHECK(length > 0 && length < room, "a status of %d bytes", length);
    size_t bytes = json_seal(JSON_SEAL_LINE, text, (size_t)length);
    text[bytes++] = '\n';
    if (!file_join(path, folder, "status.json", e)) return false;
    /* How far a run is may be lost with the machine, how it ended may not: only that waits for
     * the disk. */
    if (durable) return file_write(path, text, bytes, e);
    /* The same name for all of this process's writes: what is left behind by a kill is removed by
     * the next worker (remove_temporaries). */
    int fd = file_open_temporary(temporary, path, O_WRONLY, e);
    if (fd < 0) return false;
    ssize_t wrote = write(fd, text, bytes);
    bool ok = wrote == (ssize_t)bytes;
    if (wrote >= 0 && !ok) errno = ENOSPC; /* what a write that came short means */
    ok = close(fd) == 0 && ok;
    if (ok && rename(temporary, path) == 0) return true;
    return file_failed(e, path, "cannot be written");
}

/* 0 for what is no moment, as for none: a stranger's file. */
static double moment_of(const json_t *o, const char *key)
{
    const char *text = json_get_text(o, key);
    struct tm tm = {0};
    if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm)) return 0;
    return (double)timegm(&tm);
}

static bool status_of(run_status *s, const json_t *o, const char *path, err *e)
{
    const char *name = json_get_text(o, "status");
    int state = 0;
    while (state < RUN_STATES && (!name || strcmp(STATES[state], name) != 0)) {
        state++;
    }
    if (state == RUN_STATES) return err_set(e, "%s: no known status; remove the file", path);
    const char *reason = json_get_text(o, "reason"), *kind = json_get_text(o, "kind");
    /* A kind that is not known, of a later version perhaps, is read as none. A state that is not
     * known is an error: something would be done about the run by guess. */
    int k = RUN_KINDS - 1;
    while (k > 0 && (!kind || strcmp(KINDS[k], kind) != 0)) {
        k--;
    }
    *s = (run_status){.state = (run_state)state,
                      .kind = (run_kind)k,
                      .pid = json_get_int(o, "pid", 0),
                      .started_at = moment_of(o, "started_at"),
                      .ended_at = moment_of(o, "ended_at"),
                      .step = json_get_int(o, "step", 0),
                      .steps = json_get_int(o, "steps", 0),
                      .tokens = json_get_int(o, "tokens", 0),
                      .train_seconds = json_get_double(o, "train_seconds"),
                      .tokens_per_second = json_get_double(o, "tokens_per_second"),
                      .loss = json_get_double(o, "loss"),
                      .bytes_per_token = json_get_double(o, "bytes_per_token"),
                      .eval_share = json_get_double(o, "eval_share"),
                      .eval_seconds = json_get_double(o, "eval_seconds"),
                      .peak_rss_bytes = json_get_int(o, "peak_rss_bytes", 0),
                      .peak_anon_bytes = json_get_int(o, "peak_anon_bytes", 0)};
    snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
    /* What is added to, or divided by, is a number; a loss may stay NaN, which means none. */
    if (!isfinite(s->train_seconds)) s->train_seconds = 0;
    if (!(s->bytes_per_token > 0)) s->bytes_per_token = 0;
    if (!isfinite(s->eval_share) || !isfinite(s->eval_seconds)) s->eval_share = s->eval_seconds = 0;
    return true;
}

/* What nobody works on, but cannot be used as it is, is to be taken up again. Not asked while the
 * lock is held: files are half replaced while their writer lives. said: what status.json says;
 * NULL: it could not be read, and is looked at again. */
static bool look_for_damage(run_status *s, const char *folder, json_t *said, err *e)
{
    static const char *const NAME[] = {"status.json"};
    char why[ERR_TEXT_BYTES];
    const run_damage_known known = {.names = NAME, .objects = &said, .count = 1};
    run_damage damage = run_damage_find_known(why, folder, &known);
    if (damage == DAMAGE_NONE) return true;
    if (damage == DAMAGE_UNKNOWN) return err_set(e, "%s", why);
    if (damage == DAMAGE_PAST) {
        memcpy(s->gap, why, sizeof s->gap);
        return true;
    }
    s->state = RUN_INTERRUPTED;
    s->kind = KIND_DAMAGED;
    s->ended = damage == DAMAGE_END;
    snprintf(s->reason, sizeof s->reason, "damaged: %.1000s", why);
    return true;
}

bool run_status_read(run_status *s, const char *folder, err *e)
{
    char path[FILE_PATH_BYTES];
    *s = (run_status){.state = RUN_PLANNED, .loss = (double)NAN};
    if (!file_join(path, folder, "status.json", e)) return false;
    /* Looked at before the file: a worker that ends in between has then written its end. */
    bool there = file_exists(path), locked = run_folder_locked(folder);
    json_auto_t *o = there ? json_read(path, e) : NULL;
    bool ok = !there || (o && status_of(s, o, path, e));
    if (!ok) *s = (run_status){.loss = (double)NAN};
    if (locked) return ok;
    if (s->state == RUN_RUNNING) {
        s->state = RUN_INTERRUPTED;
        s->kind = KIND_SIGNAL;
        snprintf(s->reason, sizeof s->reason, "its process was killed");
    }
    /* Not to be read a moment ago, and whole at the second look: a disk that fails. */
    return look_for_damage(s, folder, o, e) && (ok || s->kind == KIND_DAMAGED);
}

/* Under the lock, for in between another machine's worker may have begun the run, or even ended it;
 * its last word would be lost. Where no lock can be had for another reason (no descriptors left)
 * nobody else has it either. */
bool run_status_write_free(const run_status *s, const char *folder)
{
    err ignored;
    run_status now;
    char damage[ERR_TEXT_BYTES];
    int lock = run_folder_lock(folder, &ignored);
    /* Under our own lock a status is read as it is written, damaged or not. */
    bool done = lock >= 0 && run_status_read(&now, folder, &ignored) && now.state == RUN_DONE;
    run_damage d = done ? run_damage_find(damage, folder) : DAMAGE_TRAINING;
    /* One that is to be trained on from here is finished no more. */
    bool others = lock == RUN_FOLDER_BUSY || (d != DAMAGE_TRAINING && d != DAMAGE_RECORD);
    if (!others) run_status_write(s, folder, true, &ignored);
    if (lock >= 0) close(lock);
    return !others;
}
