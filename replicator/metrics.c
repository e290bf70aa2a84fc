/* Writes metrics row by row: for each its head, then its series of every sync and table.
 *
 * Always true: a series stands there once, and a value that is not known is left out, never 0. */
#include "metrics.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "batch.h"
#include "http.h"
#include "lead.h"
#include "metrics_inside.h"
#include "sqlstate.h"
#include "skip.h"
#include "status.h"
#include "steady.h"

/* ------------------------------------------------------------------ pieces of text */

static void add_value(struct buf *b, double value)
{
    buf_printf(b, " %.17g\n", value);
}

/* In a text that is no UTF-8 everything but ASCII is replaced: a scrape is refused as a whole. */
static void add_escaped(struct buf *b, const char *s)
{
    json_t *probe = json_string(s);
    bool is_utf8 = probe != NULL;

    json_decref(probe);
    for (; *s != '\0'; s++) {
        if (*s == '\\' || *s == '"')
            buf_printf(b, "\\%c", *s);
        else if (*s == '\n')
            buf_text(b, "\\n");
        else
            buf_append(b, is_utf8 || (unsigned char)*s < 0x80 ? s : "?", 1);
    }
}

void metrics_add_label(struct buf *b, const char *label, const char *value)
{
    buf_printf(b, "%s%s=\"", b->data[b->len - 1] == '{' ? "" : ",", label);
    add_escaped(b, value);
    buf_text(b, "\"");
}

void metrics_add_sync(struct buf *b, const char *name, const struct sync *s)
{
    buf_printf(b, "%s{", name);
    metrics_add_label(b, "sync", s->name);
}

/* ------------------------------------------------------------------ the daemon */

static double daemon_started(const struct daemon *d)
{
    return d->started_at;
}

static double daemon_cpu(const struct daemon *d)
{
    struct rusage use;

    (void)d;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double daemon_memory(const struct daemon *d)
{
    long pages = -1;
    FILE *f = fopen("/proc/self/statm", "re");

    (void)d;
    if (f == NULL)
        return NAN;
    if (fscanf(f, "%*s %ld", &pages) != 1)
        pages = -1;
    fclose(f);
    return pages < 0 ? (double)NAN : (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double http_clients(const struct daemon *d)
{
    return d->http ? d->http->client_count : 0;
}

static double http_dropped(const struct daemon *d)
{
    return d->http ? (double)d->http->dropped : 0;
}

/* ------------------------------------------------------------------ syncs */

static double sync_in_sync(const struct sync *s, double now)
{
    (void)now;
    return sync_is_in_sync(s);
}

static double sync_consistent(const struct sync *s, double now)
{
    (void)now;
    return skip_is_exact(s);
}

static double sync_led(const struct sync *s, double now)
{
    (void)now;
    return s->is_led;
}

static double sync_paused(const struct sync *s, double now)
{
    (void)now;
    return s->is_paused;
}

static double sync_needs_person(const struct sync *s, double now)
{
    (void)now;
    return error_is_set(&s->stopped) || (s->is_led && sync_waits_for_person(s));
}

double metrics_lag(const struct sync *s, double now)
{
    double lag_s = status_lag_s(s, now);

    return lag_s < 0 ? (double)NAN : lag_s;
}

static double sync_pending(const struct sync *s, double now)
{
    (void)now;
    return (double)status_add_up(s).pending;
}

static double sync_copy_bytes(const struct sync *s, double now)
{
    (void)now;
    return (double)status_add_up(s).bytes;
}

static double sync_copied_bytes(const struct sync *s, double now)
{
    (void)now;
    return (double)status_add_up(s).bytes_done;
}

static double sync_conflicts(const struct sync *s, double now)
{
    (void)now;
    return (double)s->batch->conflicts;
}

static double sync_redone(const struct sync *s, double now)
{
    (void)now;
    return (double)s->batch->redone;
}

static double sync_clock_ahead(const struct sync *s, double now)
{
    (void)now;
    return s->batch->clock_ahead_s;
}

static double sync_copied_rows(const struct sync *s, double now)
{
    (void)now;
    return (double)status_add_up(s).rows_done;
}

static double sync_batch_rows(const struct sync *s, double now)
{
    (void)now;
    return (double)s->batch_rows;
}

static double sync_log_bytes(const struct sync *s, double now)
{
    (void)now;
    return (double)s->log_bytes;
}

static double sync_log_limit(const struct sync *s, double now)
{
    (void)now;
    return (double)s->config->log_limit_bytes;
}

static double sync_log_age(const struct sync *s, double now)
{
    (void)now;
    return s->log_held_by ? (double)s->log_held_s : 0;
}

/* Of all that the change logs keep, for whichever sync needs it longest. */
static double sync_log_retained(const struct sync *s, double now)
{
    return s->log_slowest ? (double)s->log_slowest_s : metrics_lag(s, now);
}

static double sync_sequences(const struct sync *s, double now)
{
    (void)now;
    return s->sequences->seen;
}

static double sync_sequences_troubled(const struct sync *s, double now)
{
    (void)now;
    return s->sequences->troubled;
}

static double sync_matviews(const struct sync *s, double now)
{
    (void)now;
    return s->matviews->count;
}

static double sync_matviews_failing(const struct sync *s, double now)
{
    (void)now;
    return s->matviews->failing;
}

static double sync_tables(const struct sync *s, double now)
{
    (void)now;
    return s->table_count;
}

static double sync_tables_paused(const struct sync *s, double now)
{
    int n = 0;

    (void)now;
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        n += container_of(l, struct table, in_sync)->pause != TABLE_RUNS;
    return n;
}

static double sync_problems(const struct sync *s, double now)
{
    (void)now;
    return (double)json_array_size(s->problems);
}

static void print_phase(struct buf *b, const char *name, const struct sync *s)
{
    for (int p = SYNC_STARTING; p <= SYNC_FOLLOW; p++) {
        metrics_add_sync(b, name, s);
        metrics_add_label(b, "phase", sync_phase_name((enum sync_phase)p));
        buf_printf(b, "} %d\n", (int)s->phase == p);
    }
}

static void print_batch_times(struct buf *b, const char *name, const struct sync *s)
{
    int64_t so_far = 0;

    for (int i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        so_far += s->batch_times.counts[i];
        buf_printf(b, "%s_bucket{", name);
        metrics_add_label(b, "sync", s->name);
        if (i < HISTOGRAM_BUCKETS)
            buf_printf(b, ",le=\"%g\"} %lld\n", histogram_bounds[i], (long long)so_far);
        else
            buf_printf(b, ",le=\"+Inf\"} %lld\n", (long long)so_far);
    }
    buf_printf(b, "%s_sum{", name);
    metrics_add_label(b, "sync", s->name);
    buf_text(b, "}");
    add_value(b, s->batch_times.sum_s);
    buf_printf(b, "%s_count{", name);
    metrics_add_label(b, "sync", s->name);
    buf_printf(b, "} %lld\n", (long long)so_far);
}

const char *metrics_class_name(const struct error *e)
{
    switch (sqlstate_action(e->sqlstate)) {
    case SQLSTATE_RETRY:
        return "retry";
    case SQLSTATE_RECONNECT:
        return "reconnect";
    case SQLSTATE_CONFLICT:
        return "conflict";
    case SQLSTATE_DATA:
        return "data";
    case SQLSTATE_STOP:
        return "stop";
    }
    return "";
}

enum { JOBS = 4 };

static const struct job *job_at(const struct sync *s, int i)
{
    const struct job *const jobs[JOBS] = {&s->lead->job, &s->batch->job, &s->sequences->job,
                                          &s->matviews->job};

    return jobs[i];
}

static void print_job_failures(struct buf *b, const char *name, const struct sync *s)
{
    for (int i = 0; i < JOBS; i++) {
        const struct job *j = job_at(s, i);

        if (j->type == NULL)
            continue;
        metrics_add_sync(b, name, s);
        metrics_add_label(b, "job_name", j->type->name);
        buf_printf(b, "} %d\n", j->failures);
    }
}

static void print_job_errors(struct buf *b, const char *name, const struct sync *s)
{
    for (int i = 0; i < JOBS; i++) {
        const struct job *j = job_at(s, i);

        if (j->type == NULL || !error_is_set(&j->error))
            continue;
        metrics_add_sync(b, name, s);
        metrics_add_label(b, "job_name", j->type->name);
        metrics_add_label(b, "class", metrics_class_name(&j->error));
        metrics_add_label(b, "sqlstate", j->error.sqlstate);
        buf_text(b, "} 1\n");
    }
}

/* ------------------------------------------------------------------ the table */

static const struct metric metrics[] = {
    {"process_start_time_seconds", "gauge", "When the daemon was started, since 1970.",
     .of_daemon = daemon_started},
    {"process_cpu_seconds_total", "counter", "CPU time of the daemon.", .of_daemon = daemon_cpu},
    {"process_resident_memory_bytes", "gauge", "Memory of the daemon.", .of_daemon = daemon_memory},
    {"rebeco_http_clients", "gauge", "Connections to this server.", .of_daemon = http_clients},
    {"rebeco_http_dropped_total", "counter",
     "Connections that were closed because they took too long or were too many.",
     .of_daemon = http_dropped},
    {"rebeco_sync_phase", "gauge", "1 for the phase that the sync is in.",
     .print_sync = print_phase},
    {"rebeco_sync_leader", "gauge", "1 while this daemon holds the sync's lock.",
     .of_sync = sync_led},
    {"rebeco_sync_in_sync", "gauge",
     "1 while the target follows in a consistent state, with its whole schema, sequences and "
     "materialized views.",
     .of_sync = sync_in_sync},
    {"rebeco_sync_consistent", "gauge",
     "1 while the target shows exactly one committed state of the source.",
     .of_sync = sync_consistent},
    {"rebeco_sync_paused", "gauge", "1 while a person has paused the whole sync.",
     .of_sync = sync_paused},
    {"rebeco_sync_needs_person", "gauge", "1 when it cannot go on without a person.",
     .of_sync = sync_needs_person},
    {"rebeco_sync_lag_seconds", "gauge",
     "How long ago the target had everything that was committed at the source.",
     .of_sync = metrics_lag},
    {"rebeco_sync_lag_rows", "gauge", "Changed rows that the target does not have yet.",
     .of_sync = sync_pending},
    {"rebeco_sync_tables", "gauge", "Tables of the sync.", .of_sync = sync_tables},
    {"rebeco_sync_paused_tables", "gauge", "Tables that stand still.",
     .of_sync = sync_tables_paused},
    {"rebeco_sync_copy_bytes", "gauge", "Size of the initial copy, estimated at the source.",
     .of_sync = sync_copy_bytes},
    {"rebeco_sync_copied_bytes", "gauge", "Of these, copied.", .of_sync = sync_copied_bytes},
    {"rebeco_sync_copied_rows", "gauge", "Rows copied.", .of_sync = sync_copied_rows},
    {"rebeco_sync_applied_rows_total", "counter", "Rows that batches wrote at the target.",
     .of_sync = sync_batch_rows},
    {"rebeco_sync_conflicts_total", "counter",
     "Rows changed at both ends of a two-way sync, decided.", .of_sync = sync_conflicts},
    {"rebeco_sync_redone_batches_total", "counter",
     "Batches made again because a row was changed at the receiving end meanwhile.",
     .of_sync = sync_redone},
    {"rebeco_sync_clock_ahead_seconds", "gauge",
     "How far the clock of the source is ahead of the daemon's, as measured.",
     .of_sync = sync_clock_ahead},
    {"rebeco_sync_batch_duration_seconds", "histogram",
     "From taking a batch's snapshot at the source to its commit at the target.",
     .print_sync = print_batch_times},
    {"rebeco_sync_log_bytes", "gauge", "Size of the change logs at the source.",
     .of_sync = sync_log_bytes},
    {"rebeco_sync_log_limit_bytes", "gauge", "The option log_limit.", .of_sync = sync_log_limit},
    {"rebeco_sync_log_held_seconds", "gauge",
     "Age of the session that keeps the change logs from being emptied; 0: none does.",
     .of_sync = sync_log_age},
    {"rebeco_sync_log_retained_seconds", "gauge",
     "Age of what the change logs keep: since when the slowest sync that reads them lacks changes.",
     .of_sync = sync_log_retained},
    {"rebeco_sync_sequences", "gauge", "Sequences of the sync.", .of_sync = sync_sequences},
    {"rebeco_sync_troubled_sequences", "gauge", "Sequences that cannot be kept in step.",
     .of_sync = sync_sequences_troubled},
    {"rebeco_sync_matviews", "gauge", "Materialized views of the sync.", .of_sync = sync_matviews},
    {"rebeco_sync_failing_matviews", "gauge", "Materialized views that cannot be refreshed.",
     .of_sync = sync_matviews_failing},
    {"rebeco_sync_problems", "gauge", "Objects that wait for a person, as in `rebeco status`.",
     .of_sync = sync_problems},
    {"rebeco_sync_job_failures", "gauge", "Failures in a row of each job; 0: it runs.",
     .print_sync = print_job_failures},
    {"rebeco_sync_last_error_info", "gauge",
     "The last error of each job: its class says what is done about it.",
     .print_sync = print_job_errors},
    {0},
};

/* ------------------------------------------------------------------ printing */

static void print_of_daemon(struct buf *b, const struct metric *m, const struct daemon *d)
{
    double value = m->of_daemon(d);

    if (isnan(value))
        return;
    buf_text(b, m->name);
    add_value(b, value);
}

static void print_of_sync(struct buf *b, const struct metric *m, const struct sync *s, double now)
{
    double value;

    if (m->print_sync) {
        m->print_sync(b, m->name, s);
        return;
    }
    value = m->of_sync(s, now);
    if (isnan(value))
        return;
    metrics_add_sync(b, m->name, s);
    buf_text(b, "}");
    add_value(b, value);
}

static void print_of_table(struct buf *b, const struct metric *m, const struct table *t, double now)
{
    double value;

    if (m->print_table) {
        m->print_table(b, m->name, t);
        return;
    }
    value = m->of_table(t, now);
    if (isnan(value))
        return;
    metrics_add_table(b, m->name, t);
    buf_text(b, "}");
    add_value(b, value);
}

static void print_of_tables(struct buf *b, const struct metric *m, const struct sync *s, double now)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->source || t->label[0])
            print_of_table(b, m, t, now);
    }
}

static void print_metric(struct buf *b, const struct metric *m, const struct daemon *d)
{
    double now = steady_now();

    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
    if (m->of_daemon)
        print_of_daemon(b, m, d);
    for (const struct list *l = d->syncs.next; l != &d->syncs; l = l->next) {
        const struct sync *s = container_of(l, struct sync, in_daemon);

        if (m->of_sync || m->print_sync)
            print_of_sync(b, m, s, now);
        else if (m->of_table || m->print_table)
            print_of_tables(b, m, s, now);
    }
}

void metrics_print(const struct daemon *d, struct buf *b)
{
    buf_printf(b,
               "# HELP rebeco_build_info The version that runs.\n# TYPE rebeco_build_info gauge\n"
               "rebeco_build_info{version=\"%s\"} 1\n",
               REBECO_VERSION);
    for (const struct metric *m = metrics; m->name; m++)
        print_metric(b, m, d);
    for (const struct metric *m = metrics_of_tables; m->name; m++)
        print_metric(b, m, d);
}
