#include "results/store/schema.h"

#include <stddef.h>

/* Tables in long form, one row per figure, rather than a column for each: layers bring figures of
 * their own, and a new one must need no new schema. Each table's key begins with what its rows
 * belong to (an experiment, a run, an evaluation), and WITHOUT ROWID the rows lie in that order:
 * what is asked for together lies together, and a deletion that cascades from a run or an
 * evaluation is a range, not a search of the table.
 *
 * STRICT, because SQLite otherwise keeps a text in a column of numbers, and the means that others
 * take of this database would count it as 0. */

/* A table whose rows lie in the order of their key; what its rows belong to. */
#define TABLE(name, key, columns)                                                                  \
    "CREATE TABLE " name " (\n" columns "  PRIMARY KEY (" key ")\n) STRICT, WITHOUT ROWID;"
#define OF_RUN        "  run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,\n"
#define OF_EVALUATION "  evaluation TEXT NOT NULL REFERENCES evaluation ON DELETE CASCADE,\n"

/* Text ids, so that rows mean something on their own and can be merged across databases. Numbers
 * that are not finite are NULL. */
const char *const SCHEMA[] = {
    "CREATE TABLE experiment (\n"
    "  experiment TEXT PRIMARY KEY,\n"
    "  description TEXT NOT NULL,\n"
    "  spec_file TEXT NOT NULL,\n"
    "  spec_text TEXT NOT NULL,\n"
    "  spec TEXT,\n"
    "  baseline TEXT,\n"
    "  created_at TEXT NOT NULL\n"
    ") STRICT;",

    /* No reference to plan in either direction: a folder may be there without an experiment, and a
     * run is planned before it has a folder. */
    "CREATE TABLE run (\n"
    "  run TEXT PRIMARY KEY,\n"
    "  variant TEXT NOT NULL,\n"
    "  seed INTEGER NOT NULL,\n"
    "  status TEXT NOT NULL CHECK (status IN ('planned', 'running', 'done', 'failed',\n"
    "                                         'diverged', 'interrupted')),\n"
    "  kind TEXT, reason TEXT, log TEXT,\n"
    "  started_at TEXT, ended_at TEXT,\n"
    "  step INTEGER, steps INTEGER, tokens INTEGER,\n"
    "  train_seconds REAL, tokens_per_second REAL,\n"
    "  peak_rss_bytes INTEGER, peak_anon_bytes INTEGER,\n"
    "  spec TEXT, command TEXT, threads INTEGER, ranks INTEGER, sittings TEXT,\n"
    "  created_at TEXT, host TEXT, job TEXT, system TEXT, cpu TEXT, cores INTEGER,\n"
    "  memory_bytes INTEGER,\n"
    "  blas TEXT, blas_core TEXT, numerics INTEGER, real TEXT,\n"
    "  compiler TEXT, flags TEXT, git_revision TEXT, git_dirty INTEGER,\n"
    "  params INTEGER, active_params INTEGER,\n"
    "  forward_flops_per_token REAL, train_flops_per_token REAL,\n"
    "  state_bytes INTEGER, corpus_hash TEXT, tokenizer TEXT,\n"
    "  tokens_budget INTEGER, steps_budget INTEGER,\n"
    "  alone_tokens_per_second REAL, alone_threads INTEGER, alone_at TEXT,\n"
    "  alone_host TEXT, alone_cpu TEXT\n"
    ") STRICT;",

    /* Versions are rows and not columns: which libraries a build has differs from one to the
     * next. */
    TABLE("library", "run, name",
          OF_RUN "  name TEXT NOT NULL,\n"
                 "  version TEXT NOT NULL,\n"),

    /* A run may stand in many experiments, and `position` is the order of the spec: tables and
     * pictures keep it. `variant` and `seed` are said here, too, as most planned runs have no
     * folder yet. */
    TABLE("plan", "experiment, position",
          "  experiment TEXT NOT NULL REFERENCES experiment ON DELETE CASCADE,\n"
          "  position INTEGER NOT NULL,\n"
          "  run TEXT NOT NULL,\n"
          "  variant TEXT NOT NULL,\n"
          "  label TEXT NOT NULL,\n"
          "  seed INTEGER NOT NULL,\n"
          "  baseline INTEGER NOT NULL,\n"),
    /* Which experiments plan a run: the key begins with the experiment. */
    "CREATE INDEX plan_run ON plan (run);",

    /* By label, not by run: the seeds of a variant say the same. Values are the text of the
     * spec. */
    TABLE("axis", "experiment, label, axis",
          "  experiment TEXT NOT NULL REFERENCES experiment ON DELETE CASCADE,\n"
          "  label TEXT NOT NULL,\n"
          "  position INTEGER NOT NULL,\n"
          "  axis TEXT NOT NULL,\n"
          "  value TEXT NOT NULL,\n"),

    /* `claim` is JSON with names resolved, so that a verdict needs no spec; `hash` is of it. */
    TABLE("claim", "experiment, position",
          "  experiment TEXT NOT NULL REFERENCES experiment ON DELETE CASCADE,\n"
          "  position INTEGER NOT NULL,\n"
          "  name TEXT NOT NULL,\n"
          "  claim TEXT NOT NULL,\n"
          "  hash TEXT NOT NULL,\n"
          "  recorded_at TEXT NOT NULL,\n"
          "  after_the_fact INTEGER NOT NULL,\n"
          "  changed TEXT NOT NULL,\n"
          "  seeds INTEGER NOT NULL,\n"
          "  withdrawn INTEGER NOT NULL,\n"),

    /* Of an experiment or of a run: the other is ''. They may be there before either. */
    TABLE("note", "experiment, run, position",
          "  experiment TEXT NOT NULL,\n"
          "  run TEXT NOT NULL,\n"
          "  position INTEGER NOT NULL,\n"
          "  at TEXT NOT NULL,\n"
          "  text TEXT NOT NULL,\n"),

    TABLE("tag", "experiment, run, tag",
          "  experiment TEXT NOT NULL,\n"
          "  run TEXT NOT NULL,\n"
          "  tag TEXT NOT NULL,\n"),

    /* What all figures of a step have in common, once, rather than in each of its rows in
     * `metric`. */
    TABLE("step", "run, step",
          OF_RUN "  step INTEGER NOT NULL,\n"
                 "  tokens INTEGER,\n"
                 "  seconds REAL,\n"),

    /* The step is last: a curve is one range of rows, and so is a figure over all layers. */
    TABLE("metric", "run, name, layer, step",
          OF_RUN "  step INTEGER NOT NULL,\n"
                 "  layer TEXT NOT NULL,\n"
                 "  name TEXT NOT NULL,\n"
                 "  value REAL,\n"),

    "CREATE TABLE evaluation (\n"
    "  evaluation TEXT PRIMARY KEY,\n"
    "  run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,\n"
    "  step INTEGER NOT NULL,\n"
    "  tokens_seen INTEGER,\n"
    "  split TEXT NOT NULL,\n"
    "  final INTEGER NOT NULL,\n"
    "  nats REAL,\n"
    "  tokens INTEGER NOT NULL,\n"
    "  bytes INTEGER,\n"
    "  words INTEGER,\n"
    "  unknown_tokens INTEGER, unknown_bytes INTEGER,\n"
    "  seconds REAL, tokens_per_second REAL, flops_per_token REAL, anon_bytes INTEGER,\n"
    "  dynamic_rate REAL, dynamic_decay REAL,\n"
    "  protocol TEXT NOT NULL,\n"
    "  losses TEXT, sample TEXT\n"
    ") STRICT;",
    /* For a run's last evaluation on a split, and for the cascade from a run: the key is the
     * evaluation's. */
    "CREATE INDEX evaluation_run ON evaluation (run, split, step);",

    TABLE("evaluation_metric", "evaluation, layer, name",
          OF_EVALUATION "  layer TEXT NOT NULL,\n"
                        "  name TEXT NOT NULL,\n"
                        "  value REAL,\n"),

    /* The sizes of each text beside its loss, so that a mean over some of them can be formed in
     * their unit. */
    TABLE("document", "evaluation, document",
          OF_EVALUATION "  document INTEGER NOT NULL,\n"
                        "  name TEXT NOT NULL,\n"
                        "  nats REAL,\n"
                        "  tokens INTEGER NOT NULL,\n"
                        "  bytes INTEGER,\n"
                        "  words INTEGER,\n"),

    /* `part` is last, so that slices over the whole text are sums of neighbouring rows. */
    TABLE("slice", "evaluation, kind, low, part",
          OF_EVALUATION
          "  kind TEXT NOT NULL CHECK (kind IN ('position', 'block', 'frequency', 'repetition')),\n"
          "  low INTEGER NOT NULL,\n"
          "  high INTEGER NOT NULL,\n"
          "  part INTEGER NOT NULL,\n"
          "  tokens INTEGER NOT NULL,\n"
          "  nats REAL,\n"),

    TABLE("recall", "evaluation, distance",
          OF_EVALUATION "  distance INTEGER NOT NULL,\n"
                        "  answers INTEGER NOT NULL,\n"
                        "  correct INTEGER NOT NULL,\n"
                        "  nats REAL,\n"),

    /* What could be deleted to make room, or copied elsewhere and checked. */
    TABLE("artefact", "run, path",
          OF_RUN "  path TEXT NOT NULL,\n"
                 "  kind TEXT NOT NULL,\n"
                 "  step INTEGER,\n"
                 "  bytes INTEGER NOT NULL,\n"
                 "  sha256 TEXT NOT NULL,\n"),

    TABLE("inspection", "run, part",
          OF_RUN "  part TEXT NOT NULL,\n"
                 "  step INTEGER, at TEXT, split TEXT, tokens INTEGER,\n"
                 "  protocol TEXT NOT NULL,\n"),

    /* Long form again: parts bring figures of their own. A figure of the whole model has depth
     * -1. */
    TABLE("inspect_figure", "run, part, figure, depth, bin",
          OF_RUN "  part TEXT NOT NULL,\n"
                 "  layer TEXT NOT NULL,\n"
                 "  depth INTEGER NOT NULL,\n"
                 "  figure TEXT NOT NULL,\n"
                 "  bin INTEGER NOT NULL,\n"
                 "  value REAL,\n"),

    TABLE("inspect_key", "run, layer, memory",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  memory INTEGER NOT NULL,\n"
                 "  triggers INTEGER NOT NULL,\n"
                 "  shared_last_token REAL, shared_last_2_tokens REAL, shared_last_3_tokens REAL,\n"
                 "  shared_last_word REAL, topics TEXT,\n"),

    TABLE("inspect_trigger", "run, layer, memory, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  memory INTEGER NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  coefficient REAL, document INTEGER, position INTEGER, next TEXT, text TEXT,\n"),

    TABLE("inspect_value", "run, layer, memory",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  memory INTEGER NOT NULL,\n"
                 "  top_token TEXT, top_probability REAL, top TEXT,\n"
                 "  triggers INTEGER, match INTEGER, matches INTEGER, rank INTEGER,\n"),

    TABLE("inspect_removal", "run, layer, memory",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  memory INTEGER NOT NULL,\n"
                 "  triggers INTEGER, silent INTEGER,\n"
                 "  without_first REAL, without_last REAL, without_random REAL,\n"),

    TABLE("inspect_expert", "run, layer, expert",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  expert INTEGER NOT NULL,\n"
                 "  served INTEGER, tokens TEXT,\n"),

    TABLE("inspect_change", "run, layer, document, direction, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  document INTEGER NOT NULL,\n"
                 "  direction TEXT NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  token TEXT, rise REAL, next INTEGER, gain REAL,\n"),

    TABLE("inspect_moment", "run, layer, direction, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  direction TEXT NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  document INTEGER, position INTEGER, gain REAL, before REAL, after REAL,\n"
                 "  next TEXT, rises TEXT, text TEXT,\n"),

    TABLE("inspect_place", "run, layer, exchange, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  exchange TEXT NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  share REAL, tokens TEXT,\n"),

    TABLE("inspect_use", "run, layer, exchange, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  exchange TEXT NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  token TEXT, count INTEGER, mean REAL,\n"),

    TABLE("inspect_spot", "run, layer, exchange, place",
          OF_RUN "  layer TEXT NOT NULL,\n"
                 "  exchange TEXT NOT NULL,\n"
                 "  place INTEGER NOT NULL,\n"
                 "  document INTEGER, position INTEGER, value REAL, next TEXT, text TEXT,\n"),

    TABLE("inspect_prefix", "run, part, layer, document, position",
          OF_RUN
          "  part TEXT NOT NULL,\n"
          "  layer TEXT NOT NULL,\n"
          "  document INTEGER NOT NULL,\n"
          "  position INTEGER NOT NULL,\n"
          "  active INTEGER, match_all INTEGER, match_active INTEGER, match_stream INTEGER,\n"
          "  residual TEXT, output TEXT, stream TEXT, final TEXT, final_probability REAL,\n"
          "  \"case\" TEXT,\n"),

    /* What the collector has read: the stamp of a folder's files. Not part of the interface. */
    "CREATE TABLE collected (path TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT;",

    /* bits per byte = nats / ln 2 / bytes, perplexity = exp(nats / count). Of 0 tokens they are
     * NULL, and of what has no bytes (a lossy tokenizer), too. */
    "CREATE VIEW score AS SELECT *,\n"
    "  nats / ln(2) / nullif(bytes, 0) AS bits_per_byte,\n"
    "  exp(nats / nullif(tokens, 0)) AS perplexity,\n"
    "  exp(nats / nullif(words, 0)) AS word_perplexity\n"
    "  FROM evaluation;",

    "CREATE VIEW slice_score AS SELECT evaluation, kind, low, high, sum(tokens) AS tokens,\n"
    "  sum(nats) / ln(2) / sum(tokens) AS bits_per_token\n"
    "  FROM slice GROUP BY evaluation, kind, low;",

    /* Every planned run has a row, those without results too: a failure that is not in the table
     * is a failure that nobody sees. Of several evaluations that say final the one of the last
     * step counts; the id settles ties, so that the row is the same each time. */
    "CREATE VIEW result AS SELECT p.experiment, p.position, p.label, p.seed, p.baseline, p.run,\n"
    "  coalesce(r.status, 'planned') AS status, r.kind, r.reason, r.step, r.steps, r.tokens,\n"
    "  s.split, s.bits_per_byte, s.perplexity, s.word_perplexity, s.unknown_tokens, r.params, "
    "r.active_params,\n"
    "  r.forward_flops_per_token, r.state_bytes, r.train_seconds, r.peak_anon_bytes\n"
    "  FROM plan p LEFT JOIN run r USING (run)\n"
    "  LEFT JOIN score s ON s.evaluation = (SELECT f.evaluation FROM evaluation f\n"
    "    WHERE f.run = p.run AND f.final ORDER BY f.step DESC, f.evaluation LIMIT 1);",

    "CREATE VIEW run_axes AS SELECT p.experiment, p.run, p.label, p.seed, a.position, a.axis,\n"
    "  a.value FROM plan p JOIN axis a USING (experiment, label);",

    /* count(bits_per_byte), not count(*): n is how many figures the mean is of. */
    "CREATE VIEW seed_mean AS SELECT experiment, label, count(bits_per_byte) AS n,\n"
    "  avg(bits_per_byte) AS bits_per_byte, avg(perplexity) AS perplexity,\n"
    "  avg(word_perplexity) AS word_perplexity\n"
    "  FROM result WHERE status = 'done' GROUP BY experiment, label;",
    NULL};
