/* CLOCK_MONOTONIC, moved to where the calendar was when it was asked first. */
#include "steady.h"

#include <time.h>

static double read_clock(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double steady_now(void)
{
    static double beginning;

    if (beginning <= 0)
        beginning = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    return beginning + read_clock(CLOCK_MONOTONIC);
}
