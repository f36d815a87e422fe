/* Optimisers over the flat vectors of params.h.
 *
 * All kinds, with g the clipped gradient, t = 1, 2, ... and lr = rate of the step x lr_scale:
 *
 *   adamw      p -= lr wd p;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
 *              p -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 *              (Loshchilov & Hutter 2019, arXiv:1711.05101)
 *   adam       the same with g += wd p instead of the first step
 *              (Kingma & Ba 2015, arXiv:1412.6980)
 *   adafactor  q = g^2 + eps1;  b2 = 1 - t^-decay_power;
 *              matrices: R, C running averages of the row and column sums of q, V = R C^T / sum(R);
 *              vectors: V of q;
 *              u = g / sqrt(V);  u /= max(1, rms(u) / update_clip);  p -= rho wd p;  p -= alpha u,
 *              where alpha = rho (x max(eps2, rms(p)) if scale_parameter),
 *              rho = min(lr, 1/sqrt(t)) if relative_step, else lr
 *              (Shazeer & Stern 2018, arXiv:1804.04235, algorithm 4)
 *   sgd        g += wd p; b = momentum b + g; p -= lr b (lr (g + momentum b) with nesterov)
 *
 * wd is weight_decay x decay_scale: of ROLE_MATRIX only, unless a group says otherwise.
 *
 * Clipping: g *= min(1, clip / (norm + 1e-6)), norm over all parameters that are not frozen. Sums
 * are added over fixed ranges in a fixed order: bits do not depend on the number of threads.
 *
 * A piece without gradient in a step (grads.has) counts as gradient 0, exactly as if the zeros had
 * been written: its moments decay and it goes on moving. Only a piece that has never had any
 * gradient is passed over (its moments are 0 and stay so; weight decay still applies).
 * Rows of tables that go by rows (params.h), with adam or adamw and `lazy: true`, or sgd without
 * momentum and decay of it: a row without gradient is left alone, and the cost of a step follows
 * the rows that have one. With sgd that is what zeros would have done, exactly; lazy adam is
 * another rule, for moments decay and move a row only in steps that touch it. In all other cases a
 * table is one piece. `lazy: true` leaves pieces without gradient entirely alone in that step:
 * parameters, moments and decay. DIFFERS: adafactor treats each piece (expert) as a parameter of
 * its own, so rms(p), rms(u), R and C are a piece's; of three or more axes the last two are
 * factored. */
#pragma once

#include "core/options/option.h"
#include "core/train/lanes.h"
#include "core/train/params.h"
#include "core/train/safetensors.h"

enum { OPTIM_ADAMW, OPTIM_ADAM, OPTIM_ADAFACTOR, OPTIM_SGD };

typedef struct optim_options {
    int64_t kind;
    double lr;
    double beta1, beta2, eps;                    /* adamw, adam */
    double momentum;                             /* sgd */
    bool nesterov;                               /* sgd */
    double eps1, eps2, decay_power, update_clip; /* adafactor */
    bool relative_step, scale_parameter;         /* adafactor */
    double weight_decay;
    double clip; /* 0: none */
    bool lazy;
    const node *groups; /* list of {match, lr, decay, freeze}; NULL: none */
} optim_options;

extern const option OPTIM_OPTIONS[];

/* One entry of `groups`: parameters whose name matches the pattern (* any characters, ? one); where
 * several match, later entries win key by key. */
typedef struct optim_group {
    const char *match;
    double lr;   /* factor of the rate */
    bool decay;  /* whether weights decay, whatever they are */
    bool freeze; /* true: not trained */
} optim_group;

extern const option OPTIM_GROUP_OPTIONS[];

/* Reads the spec's `optimizer:` node (NULL: defaults), groups included; a key that the kind does
 * not use is an error. */
bool optim_read(optim_options *o, const node *n, arena *a, err *e);

/* Sets frozen, lr_scale and decay_scale of the parameters by the groups. A group that matches no
 * parameter is an error, and so is `decay` where all decays, or does not, as it would anyway. Also
 * sets row_grads of tables that go by rows. Call before lanes, optimiser and training see the
 * params. */
bool optim_apply_groups(params *p, const optim_options *o, arena *a, err *e);

/* For identities: the same training in one spelling. p: as groups left it. */
void optim_settle(optim_options *o, const params *p, arena *a);

typedef struct optim optim;

/* Moments start at zero. Borrows p (complete, groups applied); copies o. Memory is reserved here,
 * none is taken in a step. */
optim *optim_new(const optim_options *o, const params *p, err *e);
void optim_free(optim *m);
/* Bytes of moments, for the estimate before a run. */
int64_t optim_bytes(const optim_options *o, const params *p);

typedef struct optim_report {
    double norm;     /* of the gradient, before clipping */
    double scale;    /* that clipping multiplied it by */
    const char *bad; /* the last parameter whose gradient is not finite: nothing was changed; or
                        NULL */
} optim_report;

/* One step at rate lr on values [total]; runs on the pool's threads (NULL: on the caller's). */
optim_report optim_step(optim *m, real *values, const grads *g, double lr, lanes *pool);

int64_t optim_steps(const optim *m); /* done so far: t of the last step */

/* The whole state as named arrays to save, and to overwrite on load (after which optim_loaded must
 * be called). Returns how many there are; fills at most `capacity`. */
typedef struct optim_view {
    const char *name; /* "optimizer.m" */
    st_dtype dtype;
    int64_t count;
    void *data;
} optim_view;
int optim_views(optim *m, optim_view *views, int capacity);
bool optim_loaded(optim *m, err *e);
