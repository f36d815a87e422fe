/* A mount that hands no locks on: every lock can be had by everybody. Loaded into a program under
 * test. */
#include <sys/file.h>

int flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    return 0;
}
