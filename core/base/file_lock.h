/* Locks between processes, by flock: a lock's file lies in a folder of results, where others may
 * remove or replace it. The kernel gives a lock back when its holder ends, however it ends. */
#pragma once

#include <sys/file.h>

#include "core/base/base.h"

enum { FILE_LOCK_BUSY = -2 };

/* The lock of the file at `path`, made where it is missing, never through a link. how: LOCK_SH or
 * LOCK_EX, with LOCK_NB to leave rather than wait. The descriptor, whose close gives it back; or
 * FILE_LOCK_BUSY, without a word in e; or -1. What is had is the lock of the file that stands there
 * when it is had: one that was removed or replaced while it was waited for locks nobody out. */
int file_lock(const char *path, int how, err *e);

/* A shared one of a file that may only be read, not waited for; FILE_LOCK_BUSY; -1: there is none
 * to take, or locks cannot be had there. */
int file_lock_shared(const char *path);

/* Whether somebody has it alone. Where locks cannot be had at all nobody has this one. */
bool file_lock_is_held(const char *path);
