#include "core/base/stop_signals.h"

#include <stddef.h>

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};
enum { COUNT = sizeof SIGNALS / sizeof *SIGNALS };

/* Whoever started the program wants it to outlive its terminal. A blocked signal is queued though
 * it is ignored, so it may not be waited for either. */
static bool is_left_alone(int number)
{
    struct sigaction now;
    if (number != SIGHUP || sigaction(number, NULL, &now) != 0) return false;
    return now.sa_handler == SIG_IGN;
}

/* SA_RESTART: the work that is to be saved goes on until its next safe point, with no call of the
 * system failing half-way. Nothing is masked besides: a second signal, which may mean something
 * else, is seen while the first one's handler runs. */
void stop_signals_catch(void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < COUNT; i++) {
        if (!is_left_alone(SIGNALS[i])) sigaction(SIGNALS[i], &action, NULL);
    }
}

void stop_signals_add(sigset_t *set)
{
    for (int i = 0; i < COUNT; i++) {
        if (!is_left_alone(SIGNALS[i])) sigaddset(set, SIGNALS[i]);
    }
}

bool stop_signals_has(int number)
{
    for (int i = 0; i < COUNT; i++) {
        if (SIGNALS[i] == number) return true;
    }
    return false;
}
