/* How a sync is led.
 *
 * The lock comes first, then everything is read anew, then tables are captured one by one, and only
 * then do the other jobs work. When either connection of this job is lost they all stop, because
 * the lock may be lost with it, and it begins again from the top: there is one way to start.
 *
 * Every wait for a lock on the source is bounded by lock_timeout for the whole session, so that no
 * writer queues behind us for longer; a table that could not be locked is tried again after the
 * others, and the session in the way is named. */
#include "lead.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
#include "daemon.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "log_watch.h"
#include "plan.h"
#include "status.h"
#include "upkeep.h"

enum { TARGET_LOCK_MS = 2000 };

enum job_next lead_say(struct job *j, enum job_side side, const struct sql *sql)
{
    conn_query(job_conn(j, side), sql->text, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

const char *lead_keep(struct job *j, const PGresult *r, const char *column)
{
    return arena_strdup(j->arena, field_or_null(r, 0, column));
}

static void drop_catalogs(struct lead_job *l)
{
    for (int side = 0; side < JOB_SIDES; side++) {
        catalog_free(l->catalogs[side]);
        l->catalogs[side] = NULL;
    }
}

static void begin(struct job *j)
{
    struct lead_job *l = lead_of(j);

    sync_lost_lead(j->sync);
    drop_catalogs(l);
    l->schema_tried = l->schema_is_half = false;
    l->table = NULL;
    upkeep_begin(l);
}

/* ------------------------------------------------------------------ how long locks are waited for
 */

void lead_bind_lock_timeout(struct job *j, struct params *p)
{
    params_int(p, (int64_t)(j->sync->config->lock_timeout_s * 1000));
}

/* Readers of the target queue behind a lock that we wait for, too. */
static void bind_target_lock_timeout(struct job *j, struct params *p)
{
    (void)j;
    params_int(p, TARGET_LOCK_MS);
}

/* ------------------------------------------------------------------ why the last run stopped */

/* Only a person can help, and may ask from elsewhere than where the log is: what was said before
 * was that all is well. It is said here, where the lock is ours, and before what is likely to stop
 * this run, too. */
static enum job_next enter_stopped(struct job *j)
{
    if (!error_is_set(&j->sync->stopped) || j->sync->is_back)
        return job_goto(j, "source identity");
    return lead_say(j, JOB_TARGET, &sql_status_there);
}

static enum job_next take_stopped(struct job *j, PGresult *r)
{
    return field_bool(r, 0, "is_there") ? JOB_NEXT : job_goto(j, "source identity");
}

static void bind_stopped(struct job *j, struct params *p)
{
    char *text = status_text(j->sync);

    params_text(p, j->sync->name);
    params_text(p, arena_strdup(j->arena, text));
    free(text);
}

/* ------------------------------------------------------------------ our place at the source */

static void bind_consumer(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_text(p, j->sync->name);
}

/* A sync that begins, although one of its name reads there already. */
static enum job_next take_consumer(struct job *j, PGresult *r)
{
    if (PQntuples(r) > 0)
        log_event(LOG_WARNING, "another sync of this name reads the change logs at the source",
                  "sync", j->sync->name, "consumer", field_text(r, 0, "consumer"), "silent_s",
                  field_text(r, 0, "silent_s"), "hint", LOG_WATCH_NAMESAKE, NULL);
    return JOB_NEXT;
}

static void bind_consumer_only(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
}

/* ------------------------------------------------------------------ tables and catalogs */

/* Tables that are all there are not the schema: partitions are attached and defaults set after the
 * last of them. */
static enum job_next take_schema(struct job *j, PGresult *r)
{
    lead_of(j)->schema_is_half = PQntuples(r) > 0 && !field_bool(r, 0, "pre_done");
    return JOB_NEXT;
}

/* What does not fit any more is found right after. */
void lead_attach_relations(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);
        const struct relation *source, *target;

        if (t->catalogs)
            continue;
        source = catalog_find_oid(s->catalogs->source, t->source_oid);
        target = source || t->names[2] == NULL
                     ? catalog_find_mate(s->catalogs->target, source)
                     : catalog_find(s->catalogs->target, t->names[2], t->names[3]);
        table_set_relations(t, s->catalogs, source, target);
    }
}

static enum job_next enter_reconcile(struct job *j)
{
    struct lead_job *l = lead_of(j);
    struct sync *s = j->sync;

    lead_attach_relations(s);
    s->wants_catalog = false;
    s->expects_schema = !l->schema_tried && s->config->schema != CONFIG_SCHEMA_EXPECT &&
                        !schema_copy_is_running(s->schema);
    plan_reconcile(s);
    if (!s->expects_schema || !(l->schema_is_half || plan_lacks_target(s)))
        return job_goto(j, "known");
    l->schema_tried = true;
    s->phase = SYNC_SCHEMA;
    schema_copy_start(s->schema, SCHEMA_PRE);
    return JOB_NEXT;
}

/* Until the tables are there. What pg_dump may not read keeps the whole sync waiting for a person,
 * who is to hear of it wherever he asks; lead_schema_done() goes on. */
static enum job_next enter_schema_wait(struct job *j)
{
    if (!schema_copy_is_running(j->sync->schema))
        return job_goto(j, "catalogs");
    return upkeep_tell_schema(j);
}

void lead_schema_done(struct lead_job *l)
{
    if (job_is_at(&l->job, "schema wait") && l->job.has_later)
        job_continue(&l->job, JOB_REPEAT);
}

/* Before the first capture: which tables are no new ones, later. */
static enum job_next enter_known(struct job *j)
{
    struct sync *s = j->sync;
    struct buf b = {0};

    if (s->had_tables || s->is_back)
        return JOB_NEXT;
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        buf_printf(&b, "%s%u", b.len ? "," : "{",
                   container_of(l, struct table, in_sync)->source_oid);
    buf_text(&b, b.len ? "}" : "{}");
    params_clear(&j->params);
    params_text(&j->params, s->name);
    params_int(&j->params, s->owner);
    params_text(&j->params, arena_strdup(j->arena, b.data));
    buf_fini(&b);
    conn_execute(job_conn(j, JOB_TARGET), &sql_tables_known, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

/* ------------------------------------------------------------------ leading */

/* From here on the other jobs work. */
static enum job_next enter_led(struct job *j)
{
    struct lead_job *l = lead_of(j);

    j->failures = 0;
    l->is_first = false;
    if (!j->sync->is_led)
        log_event(LOG_NOTICE, "leading", "sync", j->sync->name, "tables",
                  log_int(j->sync->table_count), NULL);
    j->sync->is_led = true;
    j->sync->had_tables = true;
    sync_think(j->sync);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ the job */

static const struct job_step steps[] = {
    {.name = "lock",
     .sql = &sql_sync_lock,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = lead_take_lock},
    {.name = "holder",
     .sql = &sql_sync_holder,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = lead_take_holder},
    {.name = "evict",
     .sql = &sql_sync_evict,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = lead_take_evicted},
    {.name = "bound locks",
     .sql = &sql_session_lock_timeout,
     .side = JOB_SOURCE,
     .bind = lead_bind_lock_timeout},
    {.name = "bound target locks",
     .sql = &sql_session_lock_timeout,
     .side = JOB_TARGET,
     .bind = bind_target_lock_timeout},
    {.name = "stopped", .enter = enter_stopped, .result = take_stopped},
    {.name = "tell stopped", .sql = &sql_status_stopped, .side = JOB_TARGET, .bind = bind_stopped},
    {.name = "source identity",
     .sql = &sql_node_identity,
     .side = JOB_SOURCE,
     .result = lead_take_source_identity},
    {.name = "target identity",
     .sql = &sql_node_identity,
     .side = JOB_TARGET,
     .result = lead_take_target_identity},
    {.name = "check servers", .enter = lead_enter_check_servers},
    {.name = "names", .sql = &sql_table_names, .side = JOB_SOURCE, .result = lead_take_names},
    {.name = "install", .enter = lead_enter_install, .event = lead_install_event},
    {.name = "take",
     .sql = &sql_sync_take,
     .side = JOB_TARGET,
     .bind = lead_bind_take,
     .result = lead_take_sync},
    {.name = "confirmed",
     .sql = &sql_consumer_ahead,
     .side = JOB_SOURCE,
     .bind = lead_bind_confirmed,
     .result = lead_take_confirmed},
    {.name = "accept", .enter = lead_enter_accept, .result = lead_take_accepted},
    {.name = "former consumer",
     .sql = &sql_consumer_former,
     .side = JOB_SOURCE,
     .bind = lead_bind_former},
    {.name = "consumer",
     .sql = &sql_consumer_register,
     .side = JOB_SOURCE,
     .bind = bind_consumer,
     .result = take_consumer},
    {.name = "tables",
     .sql = &sql_tables_list,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = lead_take_tables},
    {.name = "skipped rows",
     .sql = &sql_skips_list,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = lead_take_skips},
    {.name = "captures",
     .sql = &sql_consumer_tables,
     .side = JOB_SOURCE,
     .bind = bind_consumer_only,
     .result = lead_take_captures},
    {.name = "orphan", .enter = lead_enter_orphan},
    {.name = "forget orphan",
     .sql = &sql_table_forget,
     .side = JOB_TARGET,
     .bind = lead_bind_table},
    {.name = "orphan forgotten", .enter = lead_enter_orphan_forgotten},
    {.name = "listen", .sql = &sql_listen_command, .side = JOB_TARGET},
    {.name = "schema",
     .sql = &sql_schema_copy_look,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = take_schema},
    {.name = "catalogs", .enter = lead_enter_catalogs, .event = lead_catalogs_event},
    {.name = "reconcile", .enter = enter_reconcile},
    {.name = "schema wait", .enter = enter_schema_wait},
    {.name = "known", .enter = enter_known},
    {.name = "forget", .enter = lead_enter_forget},
    {.name = "forget at source",
     .sql = &sql_consumer_table_remove,
     .side = JOB_SOURCE,
     .bind = lead_bind_consumer_table,
     .event = lead_table_event},
    {.name = "forget at target",
     .sql = &sql_table_forget,
     .side = JOB_TARGET,
     .bind = lead_bind_table},
    {.name = "forgotten", .enter = lead_enter_forgotten},
    {.name = "next copy", .enter = lead_enter_next_copy},
    {.name = "rows there",
     .sql = &sql_tables_with_rows,
     .side = JOB_TARGET,
     .bind = lead_bind_rows_there,
     .event = lead_table_event,
     .result = lead_take_rows_there},
    {.name = "capture",
     .enter = lead_enter_capture,
     .event = lead_table_event,
     .result = lead_take_capture},
    {.name = "lsn", .enter = lead_enter_lsn, .result = lead_take_lsn},
    {.name = "empty",
     .enter = lead_enter_empty,
     .event = lead_table_event,
     .result = lead_take_emptied},
    {.name = "chunks",
     .sql = &sql_chunks_plan,
     .side = JOB_SOURCE,
     .bind = lead_bind_chunks,
     .event = lead_table_event,
     .result = lead_take_chunks},
    {.name = "add",
     .sql = &sql_table_add,
     .side = JOB_TARGET,
     .bind = lead_bind_add,
     .result = lead_take_added},
    {.name = "added", .enter = lead_enter_added},
    {.name = "blockers",
     .sql = &sql_capture_blockers,
     .side = JOB_SOURCE,
     .bind = lead_bind_blockers,
     .result = lead_take_blockers},
    {.name = "resume", .enter = lead_enter_resume},
    {.name = "capture state",
     .sql = &sql_capture_states,
     .side = JOB_SOURCE,
     .bind = lead_bind_capture,
     .result = lead_take_capture_state},
    {.name = "log partitions", .enter = lead_enter_log_partitions, .event = lead_repair_event},
    {.name = "repair", .enter = lead_enter_repair, .event = lead_repair_event},
    {.name = "partitions gone",
     .sql = &sql_partition_gone,
     .side = JOB_SOURCE,
     .bind = partition_bind_gone,
     .result = partition_take_gone},
    {.name = "resumed", .enter = lead_enter_resumed, .result = lead_take_resumed},
    {.name = "layouts", .enter = lead_enter_layouts, .result = lead_take_layouts},
    {.name = "look at merging", .enter = lead_enter_merge_look, .result = lead_take_merge_look},
    {.name = "merge", .enter = lead_enter_merge, .event = lead_table_event},
    {.name = "merges", .enter = lead_enter_merges},
    {.name = "read statements",
     .enter = lead_enter_read_statements,
     .result = lead_take_read_statements},
    {.name = "apply statements",
     .enter = lead_enter_apply_statements,
     .result = lead_take_apply_statements},
    {.name = "lsn now", .enter = lead_enter_lsn, .result = lead_take_lsn},
    {.name = "led", .enter = enter_led},
    {.name = "watch", .enter = upkeep_watch},
    {.name = "commands",
     .sql = &sql_commands_take,
     .side = JOB_TARGET,
     .bind = upkeep_bind_commands,
     .result = upkeep_take_commands},
    {.name = "pause", .enter = upkeep_enter_pause_set, .result = upkeep_take_pause_set},
    {.name = "answer", .sql = &sql_command_answer, .side = JOB_TARGET, .bind = upkeep_bind_answer},
    {.name = "answered", .enter = upkeep_watch_again},
    {.name = "direction",
     .sql = &sql_direction_set,
     .side = JOB_TARGET,
     .bind = direction_bind_set,
     .result = direction_take_set},
    {.name = "skip",
     .sql = &sql_skip_add,
     .side = JOB_TARGET,
     .bind = lead_bind_skip,
     .result = lead_take_skip},
    {.name = "skip retry",
     .sql = &sql_skip_retry,
     .side = JOB_TARGET,
     .bind = lead_bind_skip_retry,
     .result = lead_take_skip_retry},
    {.name = "phase",
     .sql = &sql_phase_set,
     .side = JOB_TARGET,
     .bind = upkeep_bind_phase,
     .result = upkeep_take_phase},
    {.name = "problems",
     .sql = &sql_problems_list,
     .side = JOB_TARGET,
     .bind = lead_bind_name,
     .result = upkeep_take_problems},
    {.name = "status", .sql = &sql_status_write, .side = JOB_TARGET, .bind = upkeep_bind_status},
    {.name = "told", .enter = upkeep_watch_again},
    {.name = "accept back",
     .sql = &sql_accept_back,
     .side = JOB_SOURCE,
     .bind = lead_bind_accept_back,
     .result = lead_take_accept_back},
    {.name = "dropped partition",
     .sql = &sql_partition_gone,
     .side = JOB_SOURCE,
     .bind = partition_bind_gone,
     .result = partition_take_next},
    {.name = "its keys",
     .sql = &sql_partition_keys,
     .side = JOB_TARGET,
     .bind = partition_bind_keys,
     .event = partition_event,
     .result = partition_take_keys,
     .timeout_s = -1},
    {.name = "log its keys",
     .sql = &sql_partition_log,
     .side = JOB_SOURCE,
     .bind = partition_bind_log,
     .event = partition_event,
     .result = partition_take_logged,
     .timeout_s = -1},
    {.name = "rotate",
     .sql = &sql_log_rotate,
     .side = JOB_SOURCE,
     .bind = upkeep_bind_rotate,
     .event = upkeep_logs_event,
     .result = upkeep_take_rotate,
     .timeout_s = -1},
    {.name = "summarize",
     .sql = &sql_log_summarize,
     .side = JOB_SOURCE,
     .event = upkeep_logs_event,
     .result = upkeep_take_summarize,
     .timeout_s = -1},
    {.name = "source stamp",
     .sql = &sql_catalog_stamp,
     .side = JOB_SOURCE,
     .bind = upkeep_bind_source_stamp,
     .result = upkeep_take_source_stamp},
    {.name = "capture glance",
     .sql = &sql_capture_glance,
     .side = JOB_SOURCE,
     .result = upkeep_take_captures},
    {.name = "lost captures",
     .sql = &sql_capture_lost,
     .side = JOB_SOURCE,
     .bind = upkeep_bind_lost_captures,
     .result = upkeep_take_lost_captures},
    {.name = "target stamp",
     .sql = &sql_catalog_stamp,
     .side = JOB_TARGET,
     .bind = upkeep_bind_target_stamp,
     .result = upkeep_take_target_stamp},
    {0},
};

static bool failed(struct job *j, const struct error *e)
{
    sync_lost_lead(j->sync);
    if (lead_needs_person(lead_of(j), e)) {
        j->sync->stopped = *e;
        daemon_consider(j->sync->daemon);
    }
    return true;
}

static void notified(struct job *j, enum job_side side, const char *channel, const char *payload)
{
    (void)side;
    (void)channel;
    (void)payload;
    lead_of(j)->commands_due = 0;
    lead_wake(lead_of(j));
}

static const struct job_type lead_type = {
    .name = "lead",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .notified = notified,
};

void lead_wake(struct lead_job *l)
{
    if (job_is_at(&l->job, "watch") && l->job.has_later)
        job_continue(&l->job, JOB_REPEAT);
}

void lead_again(struct lead_job *l)
{
    log_event(LOG_NOTICE, "reading everything anew", "sync", l->sync->name, NULL);
    l->sync->is_led = false;
    job_stop(&l->job);
    job_start(&l->job);
}

struct lead_job *lead_new(struct sync *s)
{
    struct lead_job *l = mem_alloc(sizeof *l);

    job_init(&l->job, s->loop, &lead_type, s, s->config->source, s->config->target);
    l->sync = s;
    l->is_first = true;
    list_init(&l->waits);
    return l;
}

void lead_start(struct lead_job *l)
{
    job_start(&l->job);
}

void lead_stop(struct lead_job *l)
{
    job_stop(&l->job);
}

void lead_free(struct lead_job *l)
{
    upkeep_begin(l); /* lets go of waiting requests */
    drop_catalogs(l);
    partition_page_fini(&l->page);
    job_fini(&l->job);
    free(l->status);
    buf_fini(&l->waiting);
    buf_fini(&l->captured);
    free(l);
}
