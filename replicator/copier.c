/* How other processes take part in the copy.
 *
 * The ledger at the target is all that a copier and the leader share. A chunk is claimed by a row
 * lock that the loading transaction holds, and noted as done in it, so a copier that dies gives
 * back the one chunk it had in hand and nothing else. What it commits is fenced like everything:
 * the note fails when the owner's number is not the one that was read before the chunk was claimed,
 * because another daemon has taken the sync since and may have planned the table anew.
 *
 * Chunks of one table must be read in one snapshot, or tolerantly (see copy.c). The leader exports
 * the snapshot and writes its name down (rebeco.copy_snapshot); it can be used while the leader's
 * session lives. So the leader begins every table of several chunks, and a copier waits for the
 * name; when the leader is gone, what needs its snapshot waits for the next one. Keys, and
 * everything else that is not a chunk, are made by the leader.
 *
 * Once a second the state of the sync is read; when a table or the owner is new, or a chunk could
 * not be copied, everything is read anew as soon as no chunk is in hand. */
#include "copier.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "daemon.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "steady.h"
#include "sync.h"

#define LOOK_S 1.
#define REREAD_S 5. /* at most so often for the key of a table that needs it */

static struct copier *copier_of(struct job *j)
{
    return container_of(j, struct copier, job);
}

/* ------------------------------------------------------------------ the sync */

static enum job_next wait_for(struct job *j, const char *what)
{
    struct copier *c = copier_of(j);

    j->failures = 0;
    if (c->waiting != what)
        log_event(LOG_NOTICE, "waiting", "sync", j->sync->name, "for", what, NULL);
    c->waiting = what;
    return job_sleep(j, LOOK_S, job_goto(j, "look"));
}

static enum job_next take_look(struct job *j, PGresult *r)
{
    if (field_bool(r, 0, "is_installed"))
        return JOB_NEXT;
    return wait_for(j, "a daemon that leads the sync");
}

static void bind_name(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
}

/* In hand are only chunks that can still be committed, so they are waited for. */
static bool is_at_rest(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next)
        if (container_of(l, struct table, in_sync)->streams > 0)
            return false;
    return true;
}

static void forget_all(struct copier *c)
{
    sync_lost_lead(c->sync);
    c->has_read = false;
    c->is_stale = false;
}

static enum job_next take_sync(struct job *j, PGresult *r)
{
    static const char *const before[] = {"new", "schema", "capture"};
    struct copier *c = copier_of(j);
    struct sync *s = j->sync;
    const char *phase;
    int64_t owner;

    if (PQntuples(r) == 0)
        return wait_for(j, "a daemon that leads the sync");
    if (field_int(r, 0, "version") != sql_schema_newest)
        return wait_for(j, "a leading daemon of the same version as this one");
    phase = field_text(r, 0, "phase");
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (strcmp(phase, before[i]) == 0)
            return wait_for(j, "the copy to begin");
    if (strcmp(phase, "copy") != 0)
        return JOB_DONE;
    c->known_source = arena_printf(j->arena, "%s/%s", field_text(r, 0, "source_system"),
                                   field_text(r, 0, "source_database"));
    owner = field_int64(r, 0, "owner");
    if (c->has_read && (owner != s->owner || (c->is_stale && is_at_rest(s))))
        forget_all(c);
    s->owner = owner;
    free(s->consumer);
    s->consumer = mem_strdup(field_text(r, 0, "consumer"));
    s->is_paused = field_bool(r, 0, "paused") || c->is_stale;
    c->waiting = NULL;
    return c->has_read ? job_goto(j, "tables now") : JOB_NEXT;
}

/* ------------------------------------------------------------------ tables and catalogs */

/* Chunks of another database under the same names would be a disaster. */
static enum job_next take_identity(struct job *j, PGresult *r)
{
    const char *known = copier_of(j)->known_source;
    const char *now =
        arena_printf(j->arena, "%s/%s", field_text(r, 0, "system"), field_text(r, 0, "database"));
    struct error e = {0};

    if (strcmp(known, now) == 0)
        return JOB_NEXT;
    error_set(&e, "the source is not the database that the leading daemon copies");
    error_hint(&e, "Give copiers the same configuration as the leader.");
    daemon_misconfigured(j->sync->daemon, &e);
    return job_fail(j, &e);
}

static enum job_next take_source_catalog(struct job *j, PGresult *r)
{
    struct copier *c = copier_of(j);
    struct error e = {0};

    if (!lead_read_catalog(j->sync, JOB_SOURCE, r, c->catalogs, &e))
        return job_fail(j, &e);
    return JOB_NEXT;
}

static enum job_next take_target_catalog(struct job *j, PGresult *r)
{
    struct copier *c = copier_of(j);
    struct error e = {0};

    if (!lead_read_catalog(j->sync, JOB_TARGET, r, c->catalogs, &e))
        return job_fail(j, &e);
    lead_pair_catalogs(j->sync, c->catalogs);
    lead_attach_relations(j->sync);
    c->has_read = true;
    c->read_at = steady_now();
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ what can be copied now */

static void note_table(struct copier *c, struct table *t, const PGresult *r, int row)
{
    bool copies = field_bool(r, row, "copies");
    bool has_snapshot = !field_is_null(r, row, "snapshot");

    t->pause = copies ? TABLE_RUNS : TABLE_USER;
    t->chunks = field_int(r, row, "chunks");
    t->chunks_done = field_int(r, row, "chunks_done");
    t->bytes_done = field_int64(r, row, "bytes_done");
    t->rows_done = field_int64(r, row, "rows_done");
    if (t->streams == 0) {
        t->tolerant = field_bool(r, row, "tolerant") || (!has_snapshot && t->chunks_done > 0);
        if (!has_snapshot) {
            free(t->exported);
            t->exported = NULL;
        }
    }
    if (t->tolerant && !t->target_has_key && t->chunks_done < t->chunks &&
        steady_now() - c->read_at > REREAD_S)
        c->is_stale = true;
}

static enum job_next take_tables_now(struct job *j, PGresult *r)
{
    struct copier *c = copier_of(j);
    struct buf ids = {0}, names = {0};
    int n = 0;

    for (struct list *l = j->sync->tables.next; l != &j->sync->tables; l = l->next)
        container_of(l, struct table, in_sync)->pause = TABLE_USER; /* unless it is still there */
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t == NULL || t->catalogs == NULL) {
            c->is_stale = true;
            continue;
        }
        note_table(c, t, r, i);
        if (field_is_null(r, i, "snapshot") || t->tolerant)
            continue;
        buf_printf(&ids, "%s%d", n ? "," : "{", t->id);
        buf_printf(&names, "%s%s", n ? "," : "{", field_text(r, i, "snapshot"));
        n++;
    }
    buf_text(&ids, n ? "}" : "{}");
    buf_text(&names, n ? "}" : "{}");
    c->snapshot_ids = arena_strdup(j->arena, ids.data);
    c->snapshot_names = arena_strdup(j->arena, names.data);
    buf_fini(&ids);
    buf_fini(&names);
    return n ? JOB_NEXT : job_goto(j, "work");
}

static void bind_snapshots(struct job *j, struct params *p)
{
    params_text(p, copier_of(j)->snapshot_ids);
    params_text(p, copier_of(j)->snapshot_names);
}

static enum job_next take_snapshots(struct job *j, PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct table *t = sync_table_find(j->sync, field_int(r, i, "id"));

        if (t == NULL)
            continue;
        free(t->exported);
        t->exported = mem_strdup(field_text(r, i, "statement"));
    }
    return JOB_NEXT;
}

static enum job_next enter_work(struct job *j)
{
    j->failures = 0;
    copier_think(copier_of(j));
    return job_sleep(j, LOOK_S, job_goto(j, "round"));
}

/* Each round begins as a new run would, with an arena of its own. */
static enum job_next enter_round(struct job *j)
{
    arena_free(j->arena);
    j->arena = arena_new();
    return job_goto(j, "sync");
}

/* ------------------------------------------------------------------ the job */

static const struct job_step steps[] = {
    {.name = "look", .sql = &sql_copier_look, .side = JOB_TARGET, .result = take_look},
    {.name = "sync",
     .sql = &sql_copier_sync,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = take_sync},
    {.name = "source identity",
     .sql = &sql_node_identity,
     .side = JOB_SOURCE,
     .result = take_identity},
    {.name = "lsn", .sql = &sql_source_lsn, .side = JOB_SOURCE, .result = lead_take_lsn},
    {.name = "tables",
     .sql = &sql_tables_list,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = lead_take_tables},
    {.name = "source catalog",
     .sql = &sql_catalog_relations,
     .side = JOB_SOURCE,
     .bind = lead_bind_source_catalog,
     .result = take_source_catalog},
    {.name = "target catalog",
     .sql = &sql_catalog_relations,
     .side = JOB_TARGET,
     .bind = lead_bind_target_catalog,
     .result = take_target_catalog},
    {.name = "tables now",
     .sql = &sql_copier_tables,
     .side = JOB_TARGET,
     .bind = bind_name,
     .result = take_tables_now},
    {.name = "snapshots",
     .sql = &sql_copier_snapshots,
     .side = JOB_SOURCE,
     .bind = bind_snapshots,
     .result = take_snapshots},
    {.name = "work", .enter = enter_work},
    {.name = "round", .enter = enter_round},
    {0},
};

/* The streams have connections of their own, and their chunks may still be committed. */
static bool failed(struct job *j, const struct error *e)
{
    (void)j;
    (void)e;
    return true;
}

static void ended(struct job *j, bool finished)
{
    struct copier *c = copier_of(j);

    (void)finished;
    c->is_over = true;
    forget_all(c);
    log_event(LOG_NOTICE, "the copy is over: nothing is left to help with", "sync", c->sync->name,
              NULL);
    daemon_copier_over(c->sync->daemon);
}

static const struct job_type copier_type = {
    .name = "copier",
    .uses = {true, true},
    .steps = steps,
    .failed = failed,
    .ended = ended,
};

/* ------------------------------------------------------------------ life */

void copier_think(struct copier *c)
{
    if (c->has_read && !c->is_stale)
        sync_start_streams(c->sync);
}

void copier_stream_failed(struct copier *c, const struct error *e)
{
    (void)e;
    c->is_stale = true;
    c->sync->is_paused = true;
}

struct copier *copier_new(struct sync *s)
{
    struct copier *c = mem_alloc(sizeof *c);

    c->sync = s;
    job_init(&c->job, s->loop, &copier_type, s, s->config->source, s->config->target);
    return c;
}

void copier_start(struct copier *c)
{
    job_start(&c->job);
}

void copier_free(struct copier *c)
{
    if (c == NULL)
        return;
    for (int side = 0; side < JOB_SIDES; side++)
        catalog_free(c->catalogs[side]);
    job_fini(&c->job);
    free(c);
}
