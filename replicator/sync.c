/* A sync's state in memory, and what is started when.
 *
 * What is always true: jobs other than the leading one run only while is_led, that is while a
 * session of ours holds the sync's lock and the tables in memory were read after it was taken. When
 * the lead is lost, everything stops and is read anew: there is one way to start.
 *
 * The one exception are the streams of a sync that had no tables when this lead began: they may
 * copy a table that is captured while others still are not. The lock is held then, too, and all
 * that a stream looks at was made by this lead: the table's row and chunks at the target, recorded
 * before sync_start_early() is called. What a table's copy needs is its own alone: capture,
 * position, chunks, key. So whatever dies meanwhile leaves what any copy leaves that is broken off,
 * and tables that have no capture yet; the next start finds the former among its tables, captures
 * the latter, and copies nothing before that. No batch runs, so that nothing is applied and the
 * sync is not taken for consistent before all tables are there. */
#include "sync.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "copier.h"
#include "daemon.h"
#include "give_way.h"
#include "lead.h"
#include "log.h"
#include "log_watch.h"
#include "plan.h"
#include "poison.h"
#include "skip.h"
#include "pulse.h"
#include "statistics.h"
#include "status.h"
#include "steady.h"
#include "two_way.h"

#define NEARLY_S 5.   /* before the last row the rest of the schema is read */
#define STANDING_S 5. /* a pause that lasts longer will not end in a moment */

/* ------------------------------------------------------------------ tables */

struct table *sync_table_new(struct sync *s)
{
    struct table *t = mem_alloc(sizeof *t);

    t->sync = s;
    t->arena = arena_new();
    t->label = "";
    list_append(&s->tables, &t->in_sync);
    s->table_count++;
    return t;
}

void sync_table_forget(struct table *t)
{
    two_way_unlink(t);
    copy_release_snapshot(t);
    skip_clear(t);
    catalog_pair_release(t->catalogs);
    arena_free(t->arena);
    free(t->snapshot);
    free(t->stamp);
    free(t->capture_stamp);
    free(t->layout);
    free(t->target_layout);
    table_set_names(t, (const char *const[4]){NULL});
    free(t->back_since);
    free(t->copied_in);
    list_remove(&t->in_sync);
    t->sync->table_count--;
    free(t);
}

struct table *sync_table_find(struct sync *s, int id)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->id == id)
            return t;
    }
    return NULL;
}

struct table *sync_table_find_oid(struct sync *s, Oid source_oid)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->source_oid == source_oid)
            return t;
    }
    return NULL;
}

struct table *sync_table_find_name(struct sync *s, const char *schema, const char *name)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->source && !t->is_gone && strcmp(t->source->schema, schema) == 0 &&
            strcmp(t->source->name, name) == 0)
            return t;
    }
    return NULL;
}

bool table_is_standing(const struct table *t)
{
    return t->pause == TABLE_USER || (t->pause != TABLE_RUNS && !table_is_left_out(t) &&
                                      steady_now() - t->paused_at > STANDING_S);
}

bool table_is_left_out(const struct table *t)
{
    return t->state == TABLE_NEW &&
           (t->pause == TABLE_DRIFT || (t->pause == TABLE_RUNS && t->is_tried_again));
}

int sync_tables_taking_part(const struct sync *s)
{
    int n = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        n += !table_is_left_out(container_of(l, struct table, in_sync));
    return n;
}

/* That there was a change can be told from any log. */
bool table_is_captured(const struct table *t, enum table_records records)
{
    return t->id != 0 && (t->captured == records || records == TABLE_NOTHING);
}

bool table_is_followed(const struct table *t)
{
    return t->state == TABLE_FOLLOW && t->pause == TABLE_RUNS && t->read_sql && t->upsert_sql &&
           two_way_is_ready((struct table *)(uintptr_t)t);
}

/* What was made for the old relations goes with them. */
void table_set_relations(struct table *t, struct catalog_pair *pair, const struct relation *source,
                         const struct relation *target)
{
    struct arena *a = arena_new();

    two_way_unlink(t);
    t->plan = ++t->sync->plans;
    pair->references++;
    catalog_pair_release(t->catalogs);
    t->catalogs = pair;
    t->source = source;
    t->target = target;
    t->label = arena_strdup(a, source ? source->label : target ? target->label : t->label);
    arena_free(t->arena);
    t->arena = a;
    t->read_sql = NULL;
    t->upsert_sql = NULL;
    t->upsert_large_sql = NULL;
    t->remove_sql = NULL;
    t->clear_sql = NULL;
    t->target_has_key = target && target->key_count > 0;
    t->records = source ? plan_records(t->sync, source) : TABLE_KEY;
    t->fires = source && config_patterns_match(&t->sync->config->fire_triggers, source->schema,
                                               source->name, NULL);
    free(t->stamp);
    t->stamp = NULL;
    free(t->capture_stamp);
    t->capture_stamp = NULL;
}

void table_pause(struct table *t, enum table_pause why, const struct error *e)
{
    bool is_news = t->pause != why || strcmp(t->why.what, e->what) != 0;

    t->pause = why;
    t->why = *e;
    if (why == TABLE_ERROR)
        t->retry_at = steady_now() + (t->sync->other ? two_way_retry_s(t, e) : skip_retry_s(t));
    if (!is_news)
        return;
    t->sync->is_consistent &= table_is_left_out(t);
    t->sync->wants_catalog = true;
    t->paused_at = steady_now();
    t->is_recorded = false;
    t->is_recording = false;
    log_error(LOG_WARNING, "table paused", e, "sync", t->sync->name, "table", t->label, "reason",
              table_pause_name(why), NULL);
    hooks_table_paused(t);
    if (t->sync->batch)
        batch_wake(t->sync->batch);
    lead_wake(t->sync->lead);
    two_way_paused(t);
}

void sync_table_changed(struct table *t)
{
    struct table *f = t->sync->is_back ? two_way_other(t) : t; /* it is the target's that follow */

    if (f)
        matview_table_changed(f->sync->matviews, f->id);
}

/* ------------------------------------------------------------------ what is next */

static bool needs_stream(const struct table *t)
{
    return t->state == TABLE_COPY && t->pause == TABLE_RUNS && t->source && t->target &&
           !t->is_indexing;
}

/* Copy jobs that would find something to do: one per chunk that is not in hand, or per key. */
static int streams_wanted(const struct sync *s, bool for_pieces)
{
    int wanted = 0;

    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);
        int left = t->chunks - t->chunks_done;

        if (needs_stream(t) && copy_takes(t, for_pieces) &&
            (s->copier == NULL || (left > 0 && copy_may_help(t))))
            wanted += left > 0 ? left : 1;
        if (wanted >= s->config->copy_streams)
            return s->config->copy_streams;
    }
    return wanted;
}

static int streams_running(const struct sync *s, bool for_pieces)
{
    int n = 0;

    for (const struct list *l = s->jobs.next; l != &s->jobs; l = l->next)
        n += container_of(container_of(l, struct job, in_sync), struct copy_job, job)
                 ->is_for_pieces == for_pieces;
    return n;
}

static void start_streams_for(struct sync *s, bool for_pieces)
{
    int wanted = streams_wanted(s, for_pieces);

    if (wanted > 0 && s->copy_started_at <= 0)
        s->copy_started_at = steady_now();
    while (streams_running(s, for_pieces) < wanted)
        job_start(&copy_new(s, for_pieces)->job);
}

void sync_start_streams(struct sync *s)
{
    start_streams_for(s, false);
    if (s->config->follower.url)
        start_streams_for(s, true);
    give_way_think(s->give_way);
}

void sync_start_early(struct sync *s)
{
    if (s->is_new && !s->is_led && !s->is_paused && !s->replaces_rows && s->other == NULL &&
        s->config->follower.url == NULL) {
        start_streams_for(s, false);
        give_way_think(s->give_way);
        lead_show(s->lead);
    }
}

/* A snapshot that nobody reads in keeps the source from cleaning up: it is let go, and the rest of
 * the table is loaded tolerantly. */
static void release_idle_snapshots(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->holder == NULL || t->streams > 0 || (t->pause == TABLE_RUNS && !s->is_paused))
            continue;
        copy_release_snapshot(t);
        t->tolerant |= t->chunks_done > 0;
    }
}

static bool is_copying(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (t->state == TABLE_COPY && t->pause == TABLE_RUNS)
            return true;
    }
    return false;
}

/* All rows are there, or will be in some seconds, going by those that are. */
static bool is_nearly_copied(const struct sync *s)
{
    struct status_totals sum = status_add_up(s);
    double took = steady_now() - s->copy_started_at;
    double left = (double)(sum.bytes - sum.bytes_done);

    return s->copy_started_at > 0 && left * took <= NEARLY_S * (double)sum.bytes_done;
}

static void set_phase(struct sync *s, enum sync_phase p)
{
    if (s->phase == p)
        return;
    s->phase = p;
    log_event(LOG_NOTICE, "phase", "sync", s->name, "phase", sync_phase_name(p), NULL);
    lead_wake(s->lead);
    if (s->is_back)
        lead_show(s->other->lead);
}

static void schema_finished(struct schema_copy *c)
{
    struct sync *s = schema_copy_owner(c);

    if (s->phase == SYNC_FINISH)
        s->schema_finished = s->schema_retried = true;
    else
        lead_schema_done(s->lead);
    sync_think(s);
}

static void schema_in_trouble(struct schema_copy *c)
{
    struct sync *s = schema_copy_owner(c);

    daemon_consider(s->daemon);
}

/* While something is copied or not consistent, nothing later in the order is begun. Once the rest
 * of the schema is there, a table that is copied again does not bring the sync back. */
static void choose_phase(struct sync *s)
{
    if (is_copying(s)) {
        set_phase(s, SYNC_COPY);
        if (!s->schema_finished && schema_copy_may_start_early(s->schema) && is_nearly_copied(s))
            schema_copy_start_early(s->schema);
    } else if (!s->is_consistent && !s->schema_finished) {
        set_phase(s, SYNC_CATCH_UP);
    } else if (!s->schema_finished) {
        set_phase(s, SYNC_FINISH);
        if (!schema_copy_is_running(s->schema))
            schema_copy_start(s->schema, SCHEMA_POST);
    } else {
        set_phase(s, s->is_consistent ? SYNC_FOLLOW : SYNC_CATCH_UP);
    }
}

static void sequences_read(struct sequence_job *q, void *arg)
{
    struct sync *s = arg;

    (void)q;
    s->sequences_are_read = true;
    sync_think(s);
}

/* The sequences are read once more when everything else is there: what counts is their values then,
 * and not those of a round during the copy. */
static void start_helpers(struct sync *s)
{
    if (s->is_back)
        return;
    if (s->other && s->phase == SYNC_FOLLOW)
        apart_start(s->apart);
    large_object_think(s->large_objects);
    if (s->phase == SYNC_FOLLOW && !s->matviews->is_on)
        matview_start(s->matviews);
    if (s->phase == SYNC_FOLLOW)
        statistics_start(s->statistics);
    if (s->other)
        return; /* no end's sequences are the other's */
    if (s->phase >= SYNC_COPY && !job_is_running(&s->sequences->job))
        sequence_start(s->sequences);
    if (s->phase == SYNC_FOLLOW && !s->sequences_are_asked) {
        s->sequences_are_asked = true;
        sequence_sync_now(s->sequences, false, sequences_read, s);
    }
}

void sync_think(struct sync *s)
{
    if (s->copier)
        copier_think(s->copier);
    if (!s->is_led)
        return;
    batch_start(s->batch);
    if (sync_tables_taking_part(s) == 0)
        s->is_consistent = true; /* nothing can differ */
    if (!s->is_paused)
        sync_start_streams(s);
    release_idle_snapshots(s);
    poison_start(s->poison);
    choose_phase(s);
    start_helpers(s);
    two_way_think(s);
    sync_note_waiting(s);
    daemon_consider(s->daemon);
}

bool sync_is_in_round(const struct sync *s)
{
    return s->batch->is_in_round || (s->other && s->other->batch->is_in_round);
}

bool sync_may_begin_round(const struct sync *s)
{
    return !schema_copy_holds_batches(s->is_back ? s->other->schema : s->schema);
}

bool sync_has_all_tables(const struct sync *s)
{
    if (!s->is_led)
        return false;
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        if (container_of(l, struct table, in_sync)->state != TABLE_FOLLOW)
            return false;
    return true;
}

bool sync_is_copied(const struct sync *s)
{
    return sync_has_all_tables(s) && (s->is_back || s->large_objects->is_over);
}

static bool matviews_are_settled(const struct sync *s)
{
    const struct matview_job *m = s->matviews;

    if (!s->config->matview_initial)
        return true;
    if (!m->is_on || m->listed_at <= 0)
        return false;
    for (const struct list *l = m->views.next; l != &m->views; l = l->next) {
        const struct matview *v = container_of(l, struct matview, in_job);

        if (!v->is_refreshed && v->failures == 0)
            return false;
    }
    return true;
}

static bool is_in_sync(const struct sync *s)
{
    return s->is_led && s->phase == SYNC_FOLLOW && skip_is_exact(s) && s->sequences_are_read &&
           matviews_are_settled(s) && (s->is_back || s->large_objects->is_settled) &&
           sync_tables_taking_part(s) == s->table_count;
}

bool sync_is_in_sync(const struct sync *s)
{
    return is_in_sync(s) && (s->other == NULL || is_in_sync(s->other));
}

/* ------------------------------------------------------------------ life */

static void stop_streams(struct sync *s)
{
    while (!list_is_empty(&s->jobs))
        copy_free(
            container_of(container_of(s->jobs.next, struct job, in_sync), struct copy_job, job));
}

static void forget_tables(struct sync *s)
{
    while (!list_is_empty(&s->tables))
        sync_table_forget(container_of(s->tables.next, struct table, in_sync));
    catalog_pair_release(s->catalogs);
    s->catalogs = NULL;
}

void sync_lost_lead(struct sync *s)
{
    s->is_led = false;
    pulse_stop(s->pulse);
    if (s->other && !s->is_back)
        sync_stop(s->other);
    give_way_stop(s->give_way);
    stop_streams(s);
    batch_stop(s->batch);
    sequence_stop(s->sequences);
    apart_stop(s->apart);
    s->sequences_are_asked = false;
    s->sequences_are_read = false;
    s->schema_retried = false;
    matview_stop(s->matviews);
    statistics_stop(s->statistics);
    large_object_stop(s->large_objects);
    schema_copy_stop(s->schema);
    poison_stop(s->poison);
    forget_tables(s);
    s->phase = SYNC_STARTING;
    s->is_consistent = false;
}

struct sync *sync_new(struct daemon *d, struct ev_loop *loop, const struct config_sync *config)
{
    struct sync *s = mem_alloc(sizeof *s);

    s->daemon = d;
    s->loop = loop;
    s->config = config;
    s->name = config->name;
    s->is_back = config->is_back;
    list_init(&s->in_daemon);
    list_init(&s->tables);
    list_init(&s->jobs);
    s->lead = lead_new(s);
    s->log_watch = mem_alloc(sizeof *s->log_watch);
    log_watch_init(s->log_watch, s);
    s->poison = mem_alloc(sizeof *s->poison);
    poison_init(s->poison, s);
    s->pulse = mem_alloc(sizeof *s->pulse);
    pulse_init(s->pulse, s);
    s->batch = batch_new(s);
    s->give_way = mem_alloc(sizeof *s->give_way);
    give_way_init(s->give_way, s);
    s->sequences = mem_alloc(sizeof *s->sequences);
    sequence_init(s->sequences, s);
    s->apart = mem_alloc(sizeof *s->apart);
    apart_init(s->apart, s);
    s->matviews = mem_alloc(sizeof *s->matviews);
    matview_init(s->matviews, s);
    s->statistics = mem_alloc(sizeof *s->statistics);
    statistics_init(s->statistics, s);
    s->large_objects = large_object_new(s);
    s->schema = schema_copy_new(loop, s, schema_finished, s);
    s->copier = d->is_copier ? copier_new(s) : NULL;
    schema_copy_on_trouble(s->schema, schema_in_trouble);
    return s;
}

void sync_start(struct sync *s)
{
    s->started_at = steady_now();
    if (s->copier) {
        copier_start(s->copier);
        return;
    }
    lead_start(s->lead);
    log_watch_start(s->log_watch);
}

void sync_stop(struct sync *s)
{
    sync_lost_lead(s);
    lead_stop(s->lead);
}

void sync_free(struct sync *s)
{
    sync_stop(s);
    if (s->other)
        s->other->other = NULL;
    list_remove(&s->in_daemon);
    copier_free(s->copier);
    lead_free(s->lead);
    log_watch_fini(s->log_watch);
    free(s->log_watch);
    give_way_fini(s->give_way);
    free(s->give_way);
    pulse_fini(s->pulse);
    free(s->pulse);
    batch_free(s->batch);
    poison_fini(s->poison);
    free(s->poison);
    sequence_fini(s->sequences);
    free(s->sequences);
    apart_fini(s->apart);
    free(s->apart);
    matview_fini(s->matviews);
    free(s->matviews);
    statistics_fini(s->statistics);
    free(s->statistics);
    large_object_free(s->large_objects);
    schema_copy_free(s->schema);
    free(s->consumer);
    free(s->snapshot);
    free(s->told);
    free(s->capture_lsn);
    free(s->known_tables);
    free(s->log_held_by);
    free(s->log_slowest);
    json_decref(s->problems);
    free(s);
}
