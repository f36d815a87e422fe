#include "harness/train/train_progress.h"

#include <math.h>

/* A mean over some ten steps: a single batch tells little of whether training goes well. */
static const double LAST_SHARE = 0.1;

/* tokens counts targets of weight 1, which is what a budget in tokens means; positions of padding
 * do not count. */
void train_progress_step(train_progress *p, double nats, double weight, double seconds)
{
    p->step++;
    p->tokens += (int64_t)llround(weight);
    p->seconds += seconds;
    if (weight > 0) {
        double loss = nats / weight;
        bool first = p->tokens == (int64_t)llround(weight);
        if (first) p->first_loss = p->last_loss = loss;
        p->last_loss += LAST_SHARE * (loss - p->last_loss);
    }
    p->window_nats += nats;
    p->window_weight += weight;
    p->window_seconds += seconds;
}

/* The same recursion, of a number of equal losses at once. */
void train_progress_logged(train_progress *p, int64_t step, double loss)
{
    if (p->step == 0) p->first_loss = p->last_loss = loss;
    p->last_loss += (1 - pow(1 - LAST_SHARE, (double)(step - p->step))) * (loss - p->last_loss);
    p->step = step;
}

/* The running mean m_n = m_(n-1) + s (loss_n - m_(n-1)) begins with the first loss, which after n
 * steps still weighs (1 - s)^(n-1) in it, as much as all others where n is small. Without
 * (1 - s)^n of it the weights are those of the rest, s (1 - s)^(n-i), over their sum. Steps without
 * targets have not moved the mean and are counted here: a little less is taken off than could be.
 */
double train_progress_last_loss(const train_progress *p)
{
    if (p->step == 0) return 0;
    double share = pow(1 - LAST_SHARE, (double)p->step);
    return (p->last_loss - share * p->first_loss) / (1 - share);
}
