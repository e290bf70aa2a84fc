/* A clock for durations. Whoever sets the machine's clock - a person, NTP after a long outage, a
 * hypervisor that wakes a machine up - must not hold anything up or hurry it: a wait of a
 * millisecond became one of an hour, and a conflict was decided by an hour that nobody had waited.
 */
#ifndef STEADY_H
#define STEADY_H

/* Seconds, which pass as they do on a stopwatch. They begin as the seconds since 1970, so that a
 * moment may be shown to people; it is as right as the clock was at the first call. */
double steady_now(void);

#endif
