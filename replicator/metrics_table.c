/* What is told about single tables. */
#include "metrics_inside.h"

#include <math.h>

#include "status.h"
#include "sync.h"

void metrics_add_table(struct buf *b, const char *name, const struct table *t)
{
    metrics_add_sync(b, name, t->sync);
    metrics_add_label(b, "schema", t->source ? t->source->schema : "");
    metrics_add_label(b, "table", t->source ? t->source->name : t->label);
}

static double table_paused(const struct table *t, double now)
{
    (void)now;
    return t->pause != TABLE_RUNS;
}

static double table_bytes(const struct table *t, double now)
{
    (void)now;
    return (double)t->bytes;
}

static double table_copied_bytes(const struct table *t, double now)
{
    (void)now;
    return (double)status_bytes_done(t);
}

static double table_rows(const struct table *t, double now)
{
    (void)now;
    return (double)t->rows;
}

static double table_copied_rows(const struct table *t, double now)
{
    (void)now;
    return (double)(t->rows_done + t->rows_moving);
}

static double table_applied(const struct table *t, double now)
{
    (void)now;
    return (double)t->rows_applied;
}

static double table_conflicts(const struct table *t, double now)
{
    bool is_two_way = t->sync->other && !t->sync->is_back;

    (void)now;
    return is_two_way ? (double)t->conflicts : (double)NAN;
}

static double table_pending(const struct table *t, double now)
{
    (void)now;
    return (double)t->changes_pending;
}

/* A table out of step has a position of its own, whose time nobody has kept. */
static double table_lag(const struct table *t, double now)
{
    bool is_in_step = table_is_followed(t) && t->snapshot == NULL;

    return is_in_step ? metrics_lag(t->sync, now) : (double)NAN;
}

static void print_state(struct buf *b, const char *name, const struct table *t)
{
    for (int i = TABLE_NEW; i <= TABLE_FOLLOW; i++) {
        metrics_add_table(b, name, t);
        metrics_add_label(b, "state", table_state_name((enum table_state)i));
        buf_printf(b, "} %d\n", (int)t->state == i);
    }
}

static void print_pause(struct buf *b, const char *name, const struct table *t)
{
    if (t->pause == TABLE_RUNS)
        return;
    metrics_add_table(b, name, t);
    metrics_add_label(b, "reason", table_pause_name(t->pause));
    metrics_add_label(b, "class", t->why.sqlstate[0] ? metrics_class_name(&t->why) : "");
    metrics_add_label(b, "sqlstate", t->why.sqlstate);
    buf_text(b, "} 1\n");
}

const struct metric metrics_of_tables[] = {
    {"rebeco_table_state", "gauge", "1 for the state that the table is in.",
     .print_table = print_state},
    {"rebeco_table_paused", "gauge", "1 while the table stands still.", .of_table = table_paused},
    {"rebeco_table_pause_info", "gauge",
     "Why a table stands still: the reason, and the class and SQLSTATE of its last error.",
     .print_table = print_pause},
    {"rebeco_table_lag_seconds", "gauge", "The sync's lag, while the table is in step with it.",
     .of_table = table_lag},
    {"rebeco_table_lag_rows", "gauge", "Changed rows that the target does not have yet.",
     .of_table = table_pending},
    {"rebeco_table_copy_bytes", "gauge", "Size of the table, estimated at the source.",
     .of_table = table_bytes},
    {"rebeco_table_copied_bytes", "gauge", "Of these, copied.", .of_table = table_copied_bytes},
    {"rebeco_table_copy_rows", "gauge", "Rows of the table, estimated at the source.",
     .of_table = table_rows},
    {"rebeco_table_copied_rows", "gauge", "Of these, copied.", .of_table = table_copied_rows},
    {"rebeco_table_applied_rows_total", "counter", "Rows that batches wrote at the target.",
     .of_table = table_applied},
    {"rebeco_table_conflicts_total", "counter",
     "Rows changed at both ends of a two-way sync, decided.", .of_table = table_conflicts},
    {0},
};
