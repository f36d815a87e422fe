/* Compares the variants of an experiment: over seeds, and paired by seed with the baseline.
 *
 * A run counts with its final evaluation (of `split`, if one is asked for: one there, of the same
 * protocol for all runs). Every figure says what it is: mean and 95 % t-interval over seeds,
 * difference to the baseline paired by seed with its interval; beside it what it costs. Failed and
 * diverged runs are shown, never left out. Works on experiments that are not finished. */
#pragma once

#include "results/compare/stats.h"
#include "results/store/store.h"

typedef enum compare_metric {
    COMPARE_AUTO, /* the first of the following that every finished run has */
    COMPARE_BITS_PER_BYTE,
    COMPARE_WORD_PERPLEXITY,
    COMPARE_PERPLEXITY /* per token: only for equal tokenizers */
} compare_metric;
#define COMPARE_METRICS "auto|bits_per_byte|word_perplexity|perplexity"
enum { COMPARE_METRIC_COUNT = 4 };

/* What variants may be compared at equal amounts of, by their evaluations on the way. */
typedef enum compare_budget { AT_END, AT_TOKENS, AT_FLOPS, AT_SECONDS } compare_budget;
extern const char *const COMPARE_AT_BUDGETS[]; /* "", "tokens", "flops", "seconds" */

typedef struct compare_options {
    const char *baseline; /* a variant's label; NULL: the experiment's */
    /* Axes, separated by commas, by name or the end of it: of their values each variant gets the
     * one that is best on validation. NULL: none. */
    const char *tune;
    compare_budget at;
    double at_amount;      /* of training; NaN: the least that a finished run got */
    const char *split;     /* NULL: that of the runs' final evaluations */
    const char *protocol;  /* one of them, see evaluation_choice.h; NULL: none is asked for */
    const char *where;     /* AXIS=VALUE: only these variants and the baseline; NULL: all */
    compare_metric metric; /* what differences are taken of */
} compare_options;

/* What the evaluation that counts cost, and what a dynamic one chose. */
typedef struct eval_cost {
    double flops, seconds; /* per token; NaN: unknown */
    double anon_bytes;     /* memory of the process that evaluated; NaN: unknown */
    double rate, decay;    /* NaN: the model did not learn while it was evaluated */
} eval_cost;

/* What routed layers did with the tokens, mean over layers; NaN: there are none, or none tells. */
typedef enum routing_figure {
    ROUTING_ENTROPY, /* of the experts' load, 1: equal shares; over the last tenth of training */
    ROUTING_DROPPED, /* share of the tokens that full experts dropped; over the same */
    ROUTING_CHANGED, /* share that is sent elsewhere than an evaluation before; the last one */
    ROUTING_FIGURES
} routing_figure;

/* A tokenizer that lacks more than this share of a text's tokens drops what they say: the less it
 * knows, the better its figures look. Such a variant is ranked only against one of the same tokens.
 */
#define COMPARE_UNKNOWN_SHARE 1e-3

typedef struct compared_run {
    const char *run, *status, *reason; /* reason NULL: none */
    int64_t seed;
    bool scored;                        /* has the evaluation that counts */
    double value[COMPARE_METRIC_COUNT]; /* by metric, NaN: not defined */
    int64_t tokens, bytes, words;       /* scored; -1: unknown */
    int64_t unknown; /* scored tokens that stand for what the tokenizer lacks; -1: not known */
    double tokens_per_second;     /* of training, beside whatever else ran */
    double alone;                 /* the same, measured alone; NaN: it was not */
    int64_t peak_bytes;           /* anonymous memory */
    int documents;                /* scored */
    const char *protocol, *split; /* of the evaluation that counts; JSON */
    const char *corpus;           /* hash of its text, splits and tokenizer; NULL: not known */
    const char *tokenizer;        /* what its tokens are cut by; NULL: not known */
    int64_t params, active_params, state_bytes; /* -1: unknown */
    double flops;                               /* forward, per token */
    int64_t trained_tokens;
    int64_t budget_steps;   /* as its budget says, whatever they read; -1: it says another thing */
    const char *evaluation; /* id; NULL: none, or between two of them */
    eval_cost eval;
    int tried; /* rates and decays that it chose from by the text that it scored; 0: by none of it
                */
    double routing[ROUTING_FIGURES];
    int64_t step;       /* of that evaluation */
    double train_flops; /* per token */
    double train_seconds;
    int64_t from_step, to_step;       /* `at`: the evaluations used; the same if it is one */
    int64_t last_step;                /* of the run */
    const char *blas_core;            /* kernels that OpenBLAS multiplied with; NULL: it did not */
    const struct compared_made *made; /* who computed it (compare_made.h) */
    bool falling;                     /* its learning rate falls until its end */
} compared_run;

/* What documents' differences are divided by: bytes where both have them; tokens only where both
 * variants have the same ones; else words. */
typedef enum document_unit {
    DOCUMENT_BYTES,  /* bits per byte */
    DOCUMENT_TOKENS, /* nats per token */
    DOCUMENT_WORDS,  /* nats per word */
    DOCUMENT_NONE    /* nothing that both have: no difference */
} document_unit;

/* The same difference document by document: the mean over paired seeds for each, then over
 * documents. */
typedef struct document_difference {
    int n;      /* documents; 0: not known */
    int better; /* in how many the variant is */
    document_unit unit;
    double mean;         /* over all their text */
    interval confidence; /* bootstrap over documents */
} document_difference;

typedef struct compared_variant {
    const char *label;      /* on one line */
    const char *plan_label; /* as the database and the spec have it; of the chosen one if tuned */
    const char *variant;    /* id */
    const char *tuned;      /* the values chosen, "lr=1e-3"; NULL: nothing was tuned */
    int tried;              /* out of how many */
    bool edge;              /* a number at the edge of those tried: better ones may lie beyond */
    bool is_baseline;
    int lost;       /* planned runs that have no result, see compare_is_lost */
    int pairs;      /* seeds that are planned of it and the baseline; */
    int lost_pairs; /* of them those of which one of the two runs is lost */
    int repeats;    /* runs, and pairs with the baseline, that are models of earlier seeds */
    int repeated_pairs;
    int look; /* in pictures: colour, and behind the last one dashes or marks; one for each variant
               */
    int planned, done, failed, diverged, running, interrupted;
    int run_count;
    compared_run *runs; /* by seed */
    estimate value[COMPARE_METRIC_COUNT];
    estimate difference; /* of the chosen metric, to the baseline */
    double p, p_holm;    /* of that difference; corrected for all comparisons; NaN: none */
    document_difference documents;
    double unknown; /* share of the scored tokens that the tokenizer lacks; NaN: not known */
    bool unranked;  /* no difference is taken: see COMPARE_UNKNOWN_SHARE, compare_unlike_tokens */
    double
        tokens_per_second; /* tokens of all by seconds; measured alone if the comparison says so */
    int64_t peak_bytes;    /* the most */
    int64_t params, active_params, state_bytes;
    double flops;
    eval_cost eval;                  /* means over seeds; the most memory */
    double routing[ROUTING_FIGURES]; /* means over seeds */
    const char *rates, *decays; /* those that its seeds chose: "0.01", "0.01, 0.03"; "": none */
} compared_variant;

/* A protocol that runs were evaluated by, told by what is otherwise than in their own final
 * evaluations; "own": nothing. */
typedef struct compared_protocol {
    const char *words;
    int runs;
} compared_protocol;

typedef struct comparison {
    const char *experiment, *description;
    const char *split;                  /* "validation"; "" if nothing was scored yet */
    bool split_asked;                   /* else it is that of the runs' final evaluations */
    const char *protocol_asked;         /* NULL: none */
    int protocol_count;                 /* of evaluations on the split at the end of training: */
    const compared_protocol *protocols; /* the one that counts, then the others */
    int evaluated;                      /* runs that are done */
    compare_metric metric;              /* chosen; never AUTO */
    int baseline; /* index; -1: the experiment's baseline has no variant here */
    int count;
    int best_of; /* these are the best of so many, and the baseline (compare_best.h); 0: all */
    compared_variant *variants; /* in planned order */
    bool lossy;                 /* a scored run has no bits per byte */
    int comparisons;            /* differences with an interval */
    double noise_floor; /* two runs of the baseline that differ in seed alone differ by less, 95 %;
                           NaN: unknown */
    bool alone;         /* every scored variant's speed was measured alone: that is shown */
    const char *tune;   /* the tuned axes' names; NULL: none */
    const char *tuned_baseline; /* what options.baseline is called among the tuned variants */
    bool tuned_on_reported;     /* the split that is reported is the one that was chosen by */
    int chosen, lacking; /* runs of chosen values with a result on validation; of them without one
                            on test, which is why that is not reported: */
    const char **lacking_runs;
    int unchosen_lost; /* runs without a result of the values that were not chosen */
    compare_budget at;
    double at_amount;
    bool learning;  /* a scored run learned while it was evaluated: costs of evaluation count */
    bool same_text; /* all scored runs scored the same number of bytes or words */
} comparison;

compare_metric compare_choose_metric(const comparison *c, compare_metric wanted);
/* The loss of a text in the units that tables show; NaN where there is nothing to divide by (a text
 * of unknown bytes or words has less than one). */
double compare_bits_per_byte(double nats, int64_t bytes);
double compare_perplexity(double nats, int64_t units);
void compare_set_values(compared_run *r, double nats);
/* The first run that counts, of a variant and of all; NULL: none. */
const compared_run *compare_scored(const compared_variant *v);
const compared_run *compare_first_scored(const comparison *c);
/* The variant that is called so, its run of a seed, and that run's figure; NULL and NaN: none. */
const compared_variant *compare_find(const comparison *c, const char *label);
const compared_run *compare_run(const compared_variant *v, int64_t seed);
double compare_seed_value(const compared_variant *v, int64_t seed, compare_metric m);
/* Whether a token of the one is one of the other. Equal counts do not say so: of a text that is cut
 * at a number of tokens any two tokenizers have as many. */
bool compare_same_tokenizer(const compared_run *x, const compared_run *y);
/* Figures per token, of variants whose tokens are of different tokenizers. */
bool compare_unlike_tokens(const compared_variant *x, const compared_variant *y, compare_metric m);
/* Runs of two seeds of one variant that are one model: what was trained, or taken from elsewhere,
 * did not depend on the seed. Their losses are the same to the last digit; of untrained ones, which
 * may have been evaluated on other kernels, to rounding. */
bool compare_same_model(const compared_run *x, const compared_run *y);
/* Is the i-th run of v the model of an earlier seed (base: and its partner there, too)? A mean over
 * seeds has it once. base NULL: v alone. */
bool compare_repeats(const compared_variant *v, const compared_variant *base, int i);
/* Were the two trained on different numbers of tokens though nobody asked for it, by as many steps
 * that read differently much? */
bool compare_unlike_training(const compared_variant *x, const compared_variant *y);
/* Takes a run's result away, and says why. */
void compare_unscore(compared_run *r, const char *reason);
/* Failed, diverged, interrupted, or done without the evaluation that counts. */
bool compare_is_lost(const compared_run *r);
/* Why a lost run has no result. */
const char *compare_reason(const compared_run *r);

/* "(oracle)" for a model that looks at what it predicts, else "": its label ends so, whatever its
 * axes say; a name made of these has to say it, too. */
const char *compare_oracle(const char *label);

/* Is the axis called so, or does its name end so behind a dot? */
bool compare_axis_named(const char *axis, const char *word, size_t length);
/* Does the label say "NAME=value", NAME being the end of the axis's? Values that have names of
 * their own stand alone in labels. */
bool compare_label_names(const char *label, const char *axis, const char *value);

/* True if every scored token was a byte, so that nats per token are bits per byte (but for ln 2).
 */
bool compare_by_bytes(const comparison *c);

const char *compare_metric_name(compare_metric m);  /* "bits_per_byte" */
const char *compare_metric_title(compare_metric m); /* "bits per byte" */

/* Whether a variant's difference is not noise: its interval is beyond 0, and its p stays below 0.05
 * after Holm's correction. */
bool compare_clear(const compared_variant *v);
/* Whether it is called better or worse: that, and no seed was lost. Those that come through where
 * others break are no random choice. */
bool compare_sure(const compared_variant *v);
