/* Event files as TensorBoard reads them: see export.h.
 *
 * A file is records, each: u64 length, u32 masked CRC-32C of these 8 bytes, the data, u32 masked
 * CRC-32C of the data, little-endian (TensorFlow, core/lib/io/record_writer.h). The data is a
 * protocol buffer `Event`: wall_time (1, double), step (2, int64), file_version (3, text) or
 * summary (5): Summary.value (1): tag (1, text), simple_value (2, float).
 *
 * The format is small enough to be written by hand: four wire types and one checksum, against a
 * library of protocol buffers with generated code. tests/results/test_exporters.c has TensorBoard
 * read it, where that is installed. Files are made anew as a whole each time and renamed into
 * place, so that a TensorBoard that looks on never reads half a record. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/text.h"
#include "results/store/experiment.h"
#include "results/store/query.h"
#include "results/table/export.h"

/* On the stack: an event holds one figure, or the axes of a run, whose number is limited for
 * this. */
typedef struct bytes {
    unsigned char data[4096];
    size_t count;
} bytes;

static void put_byte(bytes *b, unsigned value)
{
    CHECK(b->count < sizeof b->data, "an event of more than %zu bytes", sizeof b->data);
    b->data[b->count++] = (unsigned char)value;
}

/* Seven bits a byte, the lowest first; the high bit says that another follows. */
static void put_varint(bytes *b, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        put_byte(b, (unsigned)(value & 0x7f) | 0x80);
    }
    put_byte(b, (unsigned)value);
}

/* Byte by byte, so that it is the same on a machine of the other order. */
static void put_little(bytes *b, uint64_t value, int count)
{
    for (int i = 0; i < count; i++) {
        put_byte(b, (unsigned)(value >> (8 * i)) & 0xff);
    }
}

/* A field's key: its number and wire type (0 varint, 1 eight bytes, 2 counted, 5 four bytes). */
static void put_key(bytes *b, int field, int type)
{
    put_varint(b, (uint64_t)(field << 3 | type));
}

/* Messages within messages are counted bytes, too: they are made from the inside outwards. */
static void put_counted(bytes *b, int field, const void *data, size_t count)
{
    put_key(b, field, 2);
    put_varint(b, count);
    for (size_t i = 0; i < count; i++) {
        put_byte(b, ((const unsigned char *)data)[i]);
    }
}

static void put_double(bytes *b, int field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_key(b, field, 1);
    put_little(b, bits, 8);
}

/* crc32c of the bytes, then turned by 15 bits and shifted by a constant, as TensorFlow masks the
 * sums that lie in data which is summed up again. Bit by bit without a table: there are few
 * bytes. */
static uint32_t masked_crc(const unsigned char *data, size_t count)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0); /* Castagnoli, reflected */
        }
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* The length has a sum of its own, so that a reader knows where the next record begins even if this
 * one is broken. */
static bool put_record(file_out *f, const bytes *event, err *e)
{
    bytes head = {.count = 0}, tail = {.count = 0};
    put_little(&head, event->count, 8);
    put_little(&head, masked_crc(head.data, 8), 4);
    put_little(&tail, masked_crc(event->data, event->count), 4);
    return file_out_write(f, head.data, head.count, e) &&
           file_out_write(f, event->data, event->count, e) &&
           file_out_write(f, tail.data, tail.count, e);
}

/* Every file begins with its version. */
static bool put_version(file_out *f, double time, err *e)
{
    static const char version[] = "brain.Event:2";
    bytes event = {.count = 0};
    put_double(&event, 1, time);
    put_counted(&event, 3, version, sizeof version - 1);
    return put_record(f, &event, e);
}

/* From the inside outwards: value, summary, event. */
static bool put_scalar(file_out *f, double time, int64_t step, const char *tag, double x, err *e)
{
    bytes event = {.count = 0}, summary = {.count = 0}, value = {.count = 0};
    /* simple_value is a float: a loss loses nothing by it that it had. */
    float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    put_counted(&value, 1, tag, MIN(strlen(tag), (size_t)400));
    put_key(&value, 2, 5);
    put_little(&value, bits, 4);
    put_counted(&summary, 1, value.data, value.count);
    put_double(&event, 1, time);
    put_key(&event, 2, 0);
    put_varint(&event, (uint64_t)step);
    put_counted(&event, 5, summary.data, summary.count);
    return put_record(f, &event, e);
}

/* ---- hyperparameters ---- */

/* An entry of the map SessionStartInfo.hparams (1) of text to google.protobuf.Value: number_value
 * (2) or string_value (3). Names and texts are cut: twelve of them have to fit into one event. */
static void put_hparam(bytes *info, const char *axis, const char *text)
{
    enum { NAME = 120 };
    bytes entry = {.count = 0}, value = {.count = 0};
    char *end;
    double number = strtod(text, &end);
    /* As a number where the whole text is one, so that the axis is drawn as a scale. */
    if (*text && !*end) {
        put_double(&value, 2, number);
    } else {
        put_counted(&value, 3, text, MIN(strlen(text), (size_t)NAME));
    }
    put_counted(&entry, 1, axis, MIN(strlen(axis), (size_t)NAME));
    put_counted(&entry, 2, value.data, value.count);
    put_counted(info, 1, entry.data, entry.count);
}

/* What TensorBoard's tab HPARAMS reads: a summary whose metadata (9) have plugin_data (1) of the
 * plugin "hparams": HParamsPluginData (tensorboard/plugins/hparams/plugin_data.proto) with
 * session_start_info (3); its tensor (8) is a single 0 that nobody reads. */
static bool put_session(file_out *f, double time, const bytes *info, err *e)
{
    static const char tag[] = "_hparams_/session_start_info", plugin[] = "hparams";
    /* dtype 1 (float), a shape of one dimension of 1, four bytes of 0. */
    static const unsigned char tensor[] = {0x08, 1, 0x12, 4, 0x12, 2, 0x08, 1, 0x2a, 4, 0, 0, 0, 0};
    bytes event = {.count = 0}, summary = {.count = 0}, value = {.count = 0};
    bytes metadata = {.count = 0}, data = {.count = 0}, content = {.count = 0};
    put_counted(&content, 3, info->data, info->count);
    put_counted(&data, 1, plugin, sizeof plugin - 1);
    put_counted(&data, 2, content.data, content.count);
    put_counted(&metadata, 1, data.data, data.count);
    put_counted(&value, 1, tag, sizeof tag - 1);
    put_counted(&value, 8, tensor, sizeof tensor);
    put_counted(&value, 9, metadata.data, metadata.count);
    put_counted(&summary, 1, value.data, value.count);
    put_double(&event, 1, time);
    put_counted(&event, 5, summary.data, summary.count);
    return put_record(f, &event, e);
}

/* Axes beyond MOST are left out, as an event has an end. */
static bool put_hparams(file_out *f, store *s, const char *experiment, const char *run,
                        double began, err *e)
{
    enum { MOST = 12 }; /* of 250 bytes at most, so that an event holds them */
    bytes info = {.count = 0};
    int count = 0;
    query q = QUERY(s, e,
                    "SELECT axis, value FROM run_axes WHERE experiment = ?1 AND run = ?2 "
                    "ORDER BY position",
                    experiment, run);
    while (count < MOST && query_next(&q)) {
        put_hparam(&info, query_peek(&q, "axis"), query_peek(&q, "value"));
        count++;
    }
    return query_close(&q) && (count == 0 || put_session(f, began, &info, e));
}

/* ---- runs ---- */

/* Runs that have logged something, or were evaluated without any training; others would be empty
 * curves with a name. */
static const char RUNS[] =
    "SELECT p.run, p.label, p.seed, coalesce(unixepoch(r.started_at), 0) AS began FROM plan p "
    "JOIN run r USING (run) WHERE p.experiment = ?1 AND (EXISTS (SELECT 1 FROM step s WHERE s.run "
    "= p.run) OR EXISTS (SELECT 1 FROM evaluation v WHERE v.run = p.run)) ORDER BY p.position";
/* Training figures at their step, then evaluations at theirs: those of one protocol on each split,
 * or a curve would lead from one way to score to another. */
static const char FIGURES[] =
    "WITH asked AS (SELECT ?1 AS run), " STORE_USUAL_PROTOCOL
    "SELECT s.seconds, s.step, CASE m.layer WHEN '' THEN 'train/' || m.name ELSE m.layer || '/' || "
    "m.name END AS tag, m.value FROM step s JOIN metric m USING (run, step) WHERE s.run = ?1 "
    "AND m.value IS NOT NULL UNION ALL "
    "SELECT (SELECT max(s.seconds) FROM step s WHERE s.run = ?1 AND s.step <= v.step), v.step, "
    "v.split || '/' || f.name, CASE f.name WHEN 'bits_per_byte' THEN v.bits_per_byte WHEN "
    "'word_perplexity' THEN v.word_perplexity ELSE v.perplexity END FROM score v JOIN usual "
    "USING (run, split, protocol), (SELECT 'bits_per_byte' AS name UNION SELECT 'word_perplexity' "
    "UNION SELECT 'perplexity') f WHERE v.run = ?1 ORDER BY 2, 3";

enum { NAME_BYTES = 200 }; /* of a folder, with room for a mark below the usual 255 */

/* A label as the name of a folder: TensorBoard shows the path as the run's name. True: cut off. */
static bool folder_name(char out[NAME_BYTES], const char *label)
{
    size_t n = 0;
    while (*label) {
        size_t length = (size_t)MAX(json_utf8_bytes(label), 1);
        if (n + length >= NAME_BYTES) break;
        /* Control characters, '/' and what is no ASCII sign by itself become '_'; whole characters
         * of UTF-8 stay. */
        bool kept = length > 1 || (*label >= 0x20 && *label < 0x7f && *label != '/');
        memcpy(out + n, kept ? label : "_", length);
        n += length;
        label += length;
    }
    out[n] = 0;
    /* Else "..": a label must not lead out of the folder, nor hide. */
    if (out[0] == '.') out[0] = '_';
    return *label;
}

/* All labels, to know which names are taken before a label's own. */
typedef struct label_list {
    const char *experiment;
    const char **labels; /* in the order of the plan */
    int64_t count;
} label_list;

/* Counted first, so that the list has room; both questions see the same database. */
static bool list_labels(label_list *l, store *s, const char *experiment, arena *a, err *e)
{
    query n = QUERY(s, e, "SELECT count(DISTINCT label) AS n FROM plan WHERE experiment = ?1",
                    experiment);
    int64_t room = query_next(&n) ? query_int(&n, "n", 0) : 0;
    if (!query_close(&n)) return false;
    *l = (label_list){.experiment = experiment, .labels = ARENA_NEW(a, const char *, room + 1)};
    query q = QUERY(s, e,
                    "SELECT label FROM plan WHERE experiment = ?1 GROUP BY label ORDER BY "
                    "min(position)",
                    experiment);
    while (l->count < room && query_next(&q)) {
        l->labels[l->count++] = query_text(&q, "label", a);
    }
    return query_close(&q);
}

/* The folder of a label's runs, which no other label has: "a/b", "a_b" and, for file systems that
 * see no difference, "A_b" want the same name. All but the first get a mark of their own. The mark
 * is a hash of the label, not a number: it is the same in the next export, whatever was added. */
static void unique_name(char out[NAME_BYTES + 16], const label_list *l, const char *label)
{
    char name[NAME_BYTES], other[NAME_BYTES], hex[SHA256_HEX];
    bool taken = folder_name(name, label);
    for (int64_t i = 0; i < l->count && strcmp(l->labels[i], label) != 0; i++) {
        folder_name(other, l->labels[i]);
        /* Of the labels before its own only, so that the first keeps its plain name. */
        taken = taken || strcasecmp(name, other) == 0;
    }
    sha256_hex(hex, label, strlen(label));
    snprintf(out, NAME_BYTES + 16, taken ? "%s-%.8s" : "%s", name, hex);
}

/* Removes event files of earlier exports: TensorBoard joins all files of a folder into one curve,
 * and shows runs that are no more. Only what this program names so. Two folders down, label and
 * seed, and never through a link: what a user put there stays. */
static bool remove_older(const char *folder, int depth, arena *a, err *e)
{
    const char *const *names;
    int64_t count;
    char path[FILE_PATH_BYTES];
    if (!file_is_folder(folder)) return true;
    if (!file_list(folder, a, &names, &count, e)) return false;
    for (int64_t i = 0; i < count; i++) {
        bool events =
            strncmp(names[i], "events.out.tfevents.", 20) == 0 && text_ends(names[i], ".loci");
        if (!file_join(path, folder, names[i], e)) return false;
        if (events && !file_remove(path, e)) return false;
        if (depth < 2 && file_is_folder(path) && !file_is_link(path)) {
            if (!remove_older(path, depth + 1, a, e)) return false;
            rmdir(path); /* fails where something is left */
        }
    }
    return true;
}

/* One statement for all of a run, in the order of steps and tags: files are equal for equal
 * results. */
static bool put_figures(file_out *f, store *s, const char *experiment, const char *run,
                        double began, err *e)
{
    bool ok = put_version(f, began, e) && put_hparams(f, s, experiment, run, began, e);
    query q = QUERY(s, e, FIGURES, run);
    while (ok && query_next(&q)) {
        /* Wall time is when the run began and what it had trained: idle time between two starts is
         * not in it. */
        double seconds = query_real(&q, "seconds"), x = query_real(&q, "value");
        /* A curve has a gap there; a NaN would be drawn as one. */
        if (!isfinite(x)) continue;
        ok = put_scalar(f, began + (isfinite(seconds) ? seconds : 0), query_int(&q, "step", 0),
                        query_peek(&q, "tag"), x, e);
    }
    return query_close(&q) && ok;
}

/* file_own_folder refuses links: a label's folder that leads elsewhere would have files written
 * there. */
static bool put_run(const char *folder, store *s, query *run, const label_list *labels, err *e)
{
    char label[NAME_BYTES + 16], inner[64], name[64];
    char of_label[FILE_PATH_BYTES], path[FILE_PATH_BYTES], file[FILE_PATH_BYTES];
    file_out f;
    double began = query_real(run, "began");
    unique_name(label, labels, query_peek(run, "label"));
    snprintf(inner, sizeof inner, "seed-%lld", (long long)query_int(run, "seed", 0));
    /* The time is the run's, not the export's: the same name each time, which is then replaced. */
    snprintf(name, sizeof name, "events.out.tfevents.%.0f.loci", began);
    if (!file_own_folder(of_label, folder, label, e) ||
        !file_own_folder(path, of_label, inner, e) || !file_join(file, path, name, e) ||
        !file_out_open(&f, file, e)) {
        return false;
    }
    if (put_figures(&f, s, labels->experiment, query_peek(run, "run"), began, e) &&
        file_out_commit(&f, e))
        return true;
    /* What was written of it goes; the run has no file rather than half a one. */
    file_out_cancel(&f);
    return false;
}

/* Older files go first, all of them: runs that are no more would stay among the curves. */
bool export_tensorboard(const char *folder, store *s, const char *experiment, int *files, err *e)
{
    *files = 0;
    if (!experiment_check(s, experiment, e)) return false;
    arena_auto *a = arena_new(0);
    label_list labels;
    bool ok = list_labels(&labels, s, experiment, a, e) && remove_older(folder, 0, a, e);
    query q = QUERY(s, e, RUNS, experiment);
    while (ok && query_next(&q)) {
        ok = put_run(folder, s, &q, &labels, e);
        *files += ok;
    }
    return query_close(&q) && ok;
}
