/* The signals that ask long work to save itself and end: SIGINT, SIGTERM, and SIGHUP (a terminal
 * that was closed) unless it is ignored (nohup). */
#pragma once

#include <signal.h>
#include <stdbool.h>

/* timeout, make and schedulers signal a process and then its group: a repeat within so many seconds
 * is the same request. */
#define STOP_SIGNALS_REPEAT_S 2.0

/* Calls `handler` for each of them; system calls go on. */
void stop_signals_catch(void (*handler)(int number));
/* Adds them to the set. */
void stop_signals_add(sigset_t *set);
bool stop_signals_has(int number);
