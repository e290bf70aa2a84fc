/* What the metrics' tables and their printing share. Used by metrics*.c only. */
#ifndef METRICS_INSIDE_H
#define METRICS_INSIDE_H

#include "metrics.h"

/* A row has one of the functions. A value of NAN is not known. */
struct metric {
    const char *name;
    const char *type;
    const char *help;
    double (*of_daemon)(const struct daemon *d);
    double (*of_sync)(const struct sync *s, double now);
    double (*of_table)(const struct table *t, double now);
    /* Writes the series of a sync, or of a table, itself: those with a label more. */
    void (*print_sync)(struct buf *b, const char *name, const struct sync *s);
    void (*print_table)(struct buf *b, const char *name, const struct table *t);
};

/* The metrics of tables; the last row is empty. */
extern const struct metric metrics_of_tables[];

/* NAME{sync="...", and one label more; the caller closes the brace and adds the value. */
void metrics_add_sync(struct buf *b, const char *name, const struct sync *s);
/* The same of a table: with its sync, schema and name. */
void metrics_add_table(struct buf *b, const char *name, const struct table *t);
void metrics_add_label(struct buf *b, const char *label, const char *value);
/* The word for an error: what is done about it, by its SQLSTATE. */
const char *metrics_class_name(const struct error *e);
/* The sync's lag in seconds, NAN when it is not known. */
double metrics_lag(const struct sync *s, double now);

#endif
