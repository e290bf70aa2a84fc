/* Builds the status tree from memory. Rates and times to go are of the copy as a whole and of each
 * table since its first chunk was taken. */
#include "status.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "batch.h"
#include "buf.h"
#include "field.h"
#include "lead.h"
#include "log_watch.h"
#include "skip.h"
#include "steady.h"

static json_t *real_or_null(bool known, double value)
{
    return known ? json_real((double)(int64_t)(value * 1000) / 1000) : json_null();
}

static json_t *text_or_null(const char *s)
{
    return s && s[0] ? json_string(s) : json_null();
}

/* ------------------------------------------------------------------ tables */

int64_t status_bytes_done(const struct table *t)
{
    int64_t done = t->state == TABLE_FOLLOW ? t->bytes : t->bytes_done + t->bytes_moving;

    return done < t->bytes ? done : t->bytes;
}

static double bytes_per_s(const struct table *t, double now)
{
    double end = t->copied_at > 0 ? t->copied_at : now;

    if (t->copy_started_at <= 0 || end - t->copy_started_at < 0.05)
        return 0;
    return (double)status_bytes_done(t) / (end - t->copy_started_at);
}

static json_t *table_tree(const struct table *t, double now)
{
    double rate = bytes_per_s(t, now);
    int64_t left = t->bytes - status_bytes_done(t);
    const char *schema = t->source ? t->source->schema : "";
    const char *name = t->source ? t->source->name : t->label;
    const char *pause = table_pause_name(t->pause);
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "schema", schema,
                          "name", name, "state", table_state_name(t->state), "bytes", t->bytes,
                          "bytes_done", status_bytes_done(t), "rows", t->rows, "rows_done",
                          t->rows_done + t->rows_moving, "bytes_per_s", (json_int_t)rate,
                          "rows_applied", t->rows_applied, "changes_pending", t->changes_pending);

    json_object_set_new(o, "eta_s",
                        real_or_null(rate > 0 && left > 0, rate > 0 ? (double)left / rate : 0));
    if (t->sync->other && !t->sync->is_back)
        json_object_set_new(o, "conflicts", json_integer(t->conflicts));
    json_object_set_new(o, "logged", json_string(table_records_name(t->records)));
    json_object_set_new(o, "paused", text_or_null(pause));
    if (pause) {
        json_object_set_new(o, "what", text_or_null(t->why.what));
        json_object_set_new(o, "detail", text_or_null(t->why.detail));
        json_object_set_new(o, "hint", text_or_null(t->why.hint));
    }
    json_object_set_new(o, "refused", skip_poison_tree(t));
    json_object_set_new(o, "skipped", skip_tree(t));
    return o;
}

static json_t *tables_tree(const struct sync *s, double now)
{
    json_t *list = json_array();

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        json_array_append_new(list, table_tree(container_of(l, struct table, in_sync), now));
    return list;
}

/* ------------------------------------------------------------------ the rest */

struct status_totals status_add_up(const struct sync *s)
{
    struct status_totals sum = {0};

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        sum.bytes += t->bytes;
        sum.bytes_done += status_bytes_done(t);
        sum.rows_done += t->rows_done + t->rows_moving;
        sum.pending += t->changes_pending;
        if (t->copied_at > sum.ended_at)
            sum.ended_at = t->copied_at;
    }
    return sum;
}

static json_t *copy_tree(const struct sync *s, const struct status_totals *sum, double now)
{
    double end = s->phase > SYNC_COPY && sum->ended_at > 0 ? sum->ended_at : now;
    double took = s->copy_started_at > 0 ? end - s->copy_started_at : 0;
    double others = copy_waits_for_others_s(s, now);
    double rate = took > 0.05 ? (double)sum->bytes_done / took : 0;
    int64_t left = sum->bytes - sum->bytes_done;
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I}", "bytes", sum->bytes, "bytes_done", sum->bytes_done,
                  "rows_done", sum->rows_done, "bytes_per_s", (json_int_t)rate);

    json_object_set_new(o, "eta_s",
                        real_or_null(rate > 0 && left > 0, rate > 0 ? (double)left / rate : 0));
    json_object_set_new(o, "took_s", real_or_null(took > 0, took));
    json_object_set_new(o, "others_s", real_or_null(others > 0, others));
    return o;
}

double status_lag_s(const struct sync *s, double now)
{
    double age = now - s->caught_up_at;

    if (!s->snapshot || s->caught_up_at <= 0 || direction_is_closed(s))
        return -1;
    return batch_is_asleep(s->batch, now) || age < 0 ? 0 : age;
}

static json_t *lag_tree(const struct sync *s, const struct status_totals *sum, double now)
{
    double lag_s = status_lag_s(s, now);
    json_t *o = json_object();

    json_object_set_new(o, "seconds", real_or_null(lag_s >= 0, lag_s));
    json_object_set_new(o, "rows", json_integer(sum->pending));
    json_object_set_new(o, "held_by", text_or_null(s->batch_held_by));
    return o;
}

static json_t *log_tree(const struct sync *s)
{
    json_t *o =
        json_pack("{s:I, s:I}", "bytes", s->log_bytes, "limit_bytes", s->config->log_limit_bytes);

    json_object_set_new(o, "held_by", text_or_null(s->log_held_by));
    json_object_set_new(o, "slowest_sync", text_or_null(s->log_slowest));
    json_object_set_new(o, "slowest_s",
                        s->log_slowest ? json_integer(s->log_slowest_s) : json_null());
    json_object_set_new(o, "oldest_s", s->log_held_by ? json_integer(s->log_held_s) : json_null());
    return o;
}

static json_t *daemon_tree(const struct sync *s)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return json_pack("{s:i, s:s, s:f, s:I, s:f}", "pid", (int)getpid(), "version", REBECO_VERSION,
                     "started_at", s->started_at, "peak_rss_bytes",
                     (json_int_t)use.ru_maxrss * 1024, "cpu_s",
                     (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                         (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
}

/* A note that goes with the phase: why the schema copy waits, or why a person is needed. */
static void add_trouble(json_t *o, const struct sync *s)
{
    const struct error *e = NULL;

    if (error_is_set(&s->stopped))
        e = &s->stopped;
    else if (s->other && !s->is_back && error_is_set(&s->other->stopped))
        e = &s->other->stopped;
    else if (schema_copy_is_running(s->schema))
        e = schema_copy_trouble(s->schema, NULL);
    if (e == NULL)
        return;
    json_object_set_new(
        o, "trouble",
        json_pack("{s:s, s:s, s:s}", "what", e->what, "detail", e->detail, "hint", e->hint));
}

/* What the schema copy does now; null when nothing. */
static json_t *schema_tree(const struct sync *s)
{
    int done, todo;

    if (s->is_back || !schema_copy_is_running(s->schema))
        return json_null();
    schema_copy_progress(s->schema, &done, &todo);
    return json_pack("{s:s, s:i, s:i, s:b}", "step", schema_copy_step(s->schema), "done", done,
                     "todo", todo, "holds_batches", schema_copy_holds_batches(s->schema));
}

static void add_failure(json_t *list, const char *job, int failures, const struct error *e)
{
    json_array_append_new(list, json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "job", job, "failures",
                                          failures, "what", e->what, "detail",
                                          text_or_null(e->detail), "hint", text_or_null(e->hint),
                                          "sqlstate", text_or_null(e->sqlstate)));
}

/* Batches that fail again and again do so too while the next one is under way, which may be most of
 * the time. */
static void add_failing(json_t *list, const struct job *j)
{
    bool is_at_it_again = j->sync && j == &j->sync->batch->job && j->failures > 1;

    if (job_is_failing(j) || (is_at_it_again && job_is_running(j)))
        add_failure(list, j->name, j->failures, &j->error);
}

/* What does not work now and is tried again by itself. */
static json_t *failing_tree(const struct sync *s)
{
    const struct job *const jobs[] = {&s->lead->job,         &s->batch->job,    &s->log_watch->job,
                                      &s->sequences->job,    &s->matviews->job, &s->apart->job,
                                      &s->large_objects->job};
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
        add_failing(list, jobs[i]);
    if (error_is_set(&s->log_trouble))
        add_failure(list, "change logs", s->log_failures, &s->log_trouble);
    for (const struct list *l = s->jobs.next; l != &s->jobs; l = l->next)
        add_failing(list, container_of(l, struct job, in_sync));
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->holder)
            add_failing(list, &t->holder->job);
    }
    return list;
}

/* The way back of a two-way sync, in short: the whole of it has a tree of its own. */
static json_t *back_tree(const struct sync *s, double now)
{
    const struct batch_job *f = s->batch, *b = s->other->batch;
    struct status_totals sum = status_add_up(s->other);

    return json_pack("{s:s, s:s, s:b, s:o, s:I, s:I, s:o}", "sync", s->other->name, "phase",
                     sync_phase_name(s->other->phase), "consistent", s->other->is_consistent, "lag",
                     lag_tree(s->other, &sum, now), "conflicts", (json_int_t)f->conflicts, "redone",
                     (json_int_t)f->redone + b->redone, "clock_ahead_s",
                     real_or_null(f->clock_error_s > 0 && b->clock_error_s > 0,
                                  b->clock_ahead_s - f->clock_ahead_s));
}

/* Which directions are open, since when, and what a closed one keeps. */
static json_t *direction_tree(const struct sync *s)
{
    const struct sync *closed = direction_is_closed(s)          ? s
                                : direction_is_closed(s->other) ? s->other
                                                                : NULL;
    json_t *o = json_pack("{s:s}", "open", direction_name(s->direction));

    json_object_set_new(o, "since", text_or_null(s->direction_since));
    json_object_set_new(o, "kept_changes",
                        json_integer(closed ? status_add_up(closed).pending : 0));
    return o;
}

json_t *status_tree(const struct sync *s)
{
    double now = steady_now();
    struct status_totals sum = status_add_up(s);
    json_t *o = json_object();

    json_object_set_new(o, "sync", json_string(s->name));
    json_object_set_new(o, "phase", json_string(sync_phase_name(s->phase)));
    json_object_set_new(o, "consistent", json_boolean(skip_is_exact(s)));
    json_object_set_new(o, "in_sync", json_boolean(sync_is_in_sync(s)));
    json_object_set_new(o, "paused", json_boolean(s->is_paused));
    add_trouble(o, s);
    json_object_set_new(o, "failing", failing_tree(s));
    json_object_set_new(o, "lag", lag_tree(s, &sum, now));
    if (s->other && !s->is_back) {
        json_object_set_new(o, "direction", direction_tree(s));
        json_object_set_new(o, "back", back_tree(s, now));
    }
    json_object_set_new(o, "schema", schema_tree(s));
    json_object_set_new(o, "copy", copy_tree(s, &sum, now));
    json_object_set_new(o, "batches",
                        json_pack("{s:I, s:I, s:f}", "count", s->batches, "rows", s->batch_rows,
                                  "last_ms", s->last_batch_s * 1000));
    json_object_set_new(o, "log", log_tree(s));
    json_object_set_new(
        o, "sequences",
        json_pack("{s:i, s:i}", "seen", s->sequences->seen, "troubled", s->sequences->troubled));
    json_object_set_new(
        o, "matviews",
        json_pack("{s:i, s:i}", "seen", s->matviews->count, "failing", s->matviews->failing));
    json_object_set_new(o, "large_objects", large_object_tree(s->large_objects));
    json_object_set_new(o, "tables", tables_tree(s, now));
    json_object_set(o, "problems", s->problems);
    json_object_set_new(o, "daemon", daemon_tree(s));
    return o;
}

char *status_text(const struct sync *s)
{
    json_t *o = status_tree(s);
    char *text = json_dumps(o, JSON_COMPACT);

    json_decref(o);
    return text ? text : mem_strdup("{}");
}

void status_set_problems(struct sync *s, const PGresult *r)
{
    json_t *list = json_array();

    for (int i = 0; i < PQntuples(r); i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s?}", "kind", field_text(r, i, "kind"), "object",
                            field_text(r, i, "object"), "message", field_text(r, i, "message"),
                            "hint", field_or_null(r, i, "hint")));
    json_decref(s->problems);
    s->problems = list;
}
