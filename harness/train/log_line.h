/* One line of metrics.jsonl, written without taking memory. */
#pragma once

#include "harness/train/trainer.h"

enum { LOG_LINE_BYTES = 1 << 18 };

/* {"step", "tokens", "seconds", "loss", "lr", "grad_norm", "tokens_per_second", "layers": {layer:
 * {metric: value}}}, sealed (core/base/json_seal.h), and a newline. Loss and rate are over the
 * steps since the last line, the layers' metrics are the step's own. Returns the bytes. */
size_t log_line(char line[LOG_LINE_BYTES], const train_progress *p, const train_report *r);
