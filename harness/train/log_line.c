#include "harness/train/log_line.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/json_seal.h"

/* A line is made in the caller's buffer by printf alone: the training loop takes no memory, and a
 * JSON library would, for every number. What is written is read again as JSON by whoever collects.
 */

typedef struct line_text {
    char *text;
    size_t bytes;
} line_text;

/* A line that does not fit is a mistake of ours (more metrics than were reckoned with): half of a
 * line of JSON would make the whole file unreadable. */
static void line_put(line_text *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line_put(line_text *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = LOG_LINE_BYTES - l->bytes;
    int n = vsnprintf(l->text + l->bytes, room, format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < room, "a line of metrics of more than %d bytes", LOG_LINE_BYTES);
    l->bytes += (size_t)n;
}

/* 17 digits, so that the same bits give the same line and no others do: losses that read alike are
 * alike. JSON has no NaN, which becomes null. */
static void put_number(line_text *l, const char *key, double x)
{
    if (isfinite(x)) {
        line_put(l, "\"%s\":%.17g", key, x);
    } else {
        line_put(l, "\"%s\":null", key);
    }
}

static bool seen_before(const metric *m, int i)
{
    for (int k = 0; k < i; k++) {
        if (strcmp(m[k].layer, m[i].layer) == 0) return true;
    }
    return false;
}

/* One object per layer, in the order of each layer's first metric; the metrics of a layer may lie
 * apart in the list. Compared pair by pair: there are MAX_METRICS at most, once every log_every
 * steps. */
static void put_layers(line_text *l, const metric *m, int count)
{
    bool first_layer = true;
    line_put(l, ",\"layers\":{");
    for (int i = 0; i < count; i++) {
        if (seen_before(m, i)) continue;
        line_put(l, "%s\"%s\":{", first_layer ? "" : ",", m[i].layer);
        first_layer = false;
        bool first = true;
        for (int k = i; k < count; k++) {
            if (strcmp(m[k].layer, m[i].layer) != 0) continue;
            if (!first) line_put(l, ",");
            put_number(l, m[k].name, m[k].weight > 0 ? m[k].sum / m[k].weight : (double)NAN);
            first = false;
        }
        line_put(l, "}");
    }
    line_put(l, "}");
}

/* The loss is weighted by targets over the window's steps, not a mean of the steps' means: steps of
 * few targets count for less. */
size_t log_line(char line[LOG_LINE_BYTES], const train_progress *p, const train_report *r)
{
    line_text l = {line, 0};
    line_put(&l, "{\"step\":%lld,\"tokens\":%lld,", (long long)p->step, (long long)p->tokens);
    put_number(&l, "seconds", p->seconds);
    line_put(&l, ",");
    put_number(&l, "loss", p->window_nats / p->window_weight);
    line_put(&l, ",");
    put_number(&l, "lr", r->lr);
    line_put(&l, ",");
    put_number(&l, "grad_norm", r->grad_norm);
    line_put(&l, ",");
    put_number(&l, "tokens_per_second", p->window_weight / p->window_seconds);
    put_layers(&l, r->metrics, r->metric_count);
    line_put(&l, "}");
    l.bytes = json_seal(JSON_SEAL_LINE, line, l.bytes);
    line_put(&l, "\n");
    return l.bytes;
}
