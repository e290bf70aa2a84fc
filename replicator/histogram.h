/* How often something took how long, in buckets of fixed bounds, as Prometheus wants it. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 14 };

/* The upper bounds of the buckets, in seconds, rising. */
extern const double histogram_bounds[HISTOGRAM_BUCKETS];

struct histogram {
    int64_t counts[HISTOGRAM_BUCKETS + 1]; /* each bucket's own; the last: above every bound */
    double sum_s;
};

/* Counts one that took that long. */
void histogram_add(struct histogram *h, double seconds);

#endif
