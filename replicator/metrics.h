/* The metrics, as a table: each row has its name, its kind, its help and where its value is.
 *
 * Names and units follow the conventions of Prometheus: seconds and bytes, counters end in _total.
 * Every series of a sync has the label sync, every one of a table sync, schema and table. */
#ifndef METRICS_H
#define METRICS_H

#include "buf.h"
#include "daemon.h"

/* Appends all metrics in Prometheus' text format. What the databases call their tables may be
 * anything: the text stays valid. */
void metrics_print(const struct daemon *d, struct buf *b);

#endif
