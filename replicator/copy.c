/* Why a copy can be broken off anywhere and go on.
 *
 * A chunk is a range of blocks of one table. Its rows and the note that it is done are one
 * transaction at the target: after any crash a chunk is there as a whole or not at all, and no
 * chunk that is noted is read again. The claim is a row lock held by that transaction, so that
 * streams, and other processes, never load the same chunk.
 *
 * While one exported snapshot serves all chunks of a table, every row arrives once. When it is lost
 * before the last chunk, a row that has moved since may arrive twice or not at all. Not at all: it
 * was updated after capture was installed, so its key is in the change log. Twice: the remaining
 * chunks are loaded tolerantly, over the key's index, and the first to come stays.
 *
 * A chunk may have read what is not on the source's disk yet (synchronous_commit = off). It is
 * noted as done when that is there: a crash of the source would else leave rows at the target that
 * never were, and that no change log names.
 *
 * A chunk with a row that the target refuses is loaded again without it, and the row's key is
 * written into the change log: copy_refused.c. */
#include "copy.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buf.h"
#include "copier.h"
#include "copy_steps.h"
#include "lead.h"
#include "log.h"
#include "sqlstate.h"
#include "steady.h"
#include "sync.h"
#include "two_way.h"

const struct config_database *copy_source(const struct sync *s)
{
    return s->config->follower.url ? &s->config->follower : s->config->source;
}

/* ------------------------------------------------------------------ choosing */

void copy_put_down(struct copy_job *c)
{
    if (c->table) {
        if (c->makes_key)
            c->table->is_indexing = false;
        if (--c->table->streams == 0 && c->table->pause != TABLE_RUNS)
            c->sync->wants_catalog = true; /* it stands still now */
        c->table->bytes_moving -= c->bytes < c->planned_bytes ? c->bytes : c->planned_bytes;
        c->table->rows_moving -= c->rows;
    }
    c->table = NULL;
    c->bytes = 0;
    c->rows = 0;
    c->is_source_open = false;
    c->is_output_done = false;
    c->is_key_only = false;
    c->is_loading = false;
    c->makes_key = false;
    c->is_foreign = false;
    c->follower_said_at = 0;
    c->seen_lsn = NULL;
    c->key_sql = NULL;
    c->before = NULL;
    c->after = NULL;
    c->refused = NULL;
}

static void begin(struct job *j)
{
    struct copy_job *c = copy_of(j);

    ev_timer_stop(j->loop, &c->throttle);
    copy_put_down(c);
}

bool copy_takes(const struct table *t, bool is_for_pieces)
{
    return t->sync->config->follower.url == NULL || (t->records != TABLE_KEY) == is_for_pieces;
}

static bool may_copy(const struct table *t)
{
    if (t->sync->copier && !copy_may_help(t))
        return false;
    return t->state == TABLE_COPY && t->pause == TABLE_RUNS && t->source && t->target &&
           t->chunks_done < t->chunks;
}

static struct table *table_to_index(struct sync *s)
{
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->state == TABLE_COPY && t->pause == TABLE_RUNS && t->chunks_done == t->chunks &&
            !t->is_indexing && t->source && t->target)
            return t;
    }
    return NULL;
}

static void pick_up(struct copy_job *c, struct table *t)
{
    c->table = t;
    t->streams++;
}

/* A table whose chunks are all there gets its key before anything else is copied: it is read again
 * from memory now, and the catch-up can begin. */
static enum job_next enter_pick(struct job *j)
{
    struct copy_job *c = copy_of(j);
    struct table *t = c->sync->copier ? NULL : table_to_index(c->sync);

    copy_put_down(c);
    if (c->sync->is_paused)
        return job_sleep(j, 0.2, JOB_REPEAT);
    if (t == NULL)
        return JOB_NEXT;
    pick_up(c, t);
    t->is_indexing = true;
    c->makes_key = true;
    return job_goto(j, t->records == TABLE_KEY ? "key definition" : "follow");
}

static void bind_claim(struct job *j, struct params *p)
{
    struct copy_job *c = copy_of(j);
    char *ids;
    struct buf b = {0};

    for (struct list *l = c->sync->tables.next; l != &c->sync->tables; l = l->next) {
        const struct table *t = container_of(l, struct table, in_sync);

        if (may_copy(t) && copy_takes(t, c->is_for_pieces))
            buf_printf(&b, "%s%d", b.len ? "," : "{", t->id);
    }
    buf_text(&b, b.len ? "}" : "{}");
    ids = arena_strdup(j->arena, b.data);
    buf_fini(&b);
    params_text(p, c->sync->name);
    params_text(p, ids);
}

const char *copy_value(struct job *j, const PGresult *r, int field)
{
    return PQgetisnull(r, 0, field) ? NULL : arena_strdup(j->arena, PQgetvalue(r, 0, field));
}

static enum job_next take_claim(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);
    struct table *t;

    if (PQntuples(r) == 0)
        return job_goto(j, "recount");
    t = sync_table_find(c->sync, atoi(PQgetvalue(r, 0, 0)));
    if (t == NULL)
        return JOB_DONE;
    c->sync->others.since = 0;
    pick_up(c, t);
    c->number = atoi(PQgetvalue(r, 0, 1));
    c->oid = copy_value(j, r, 2);
    c->lower = copy_value(j, r, 3);
    c->upper = copy_value(j, r, 4);
    c->planned_bytes = strtoll(PQgetvalue(r, 0, 5), NULL, 10);
    c->filenode = copy_value(j, r, 6);
    if (t->copy_started_at <= 0)
        t->copy_started_at = steady_now();
    return JOB_NEXT;
}

static void bind_recount(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_text(p, NULL);
}

/* The ledger's count is taken and never one of our own: others load chunks too, and a table must
 * not be believed to be whole before its last chunk is committed. */
static struct table *take_count(struct job *j, const PGresult *r, int row)
{
    struct table *t = sync_table_find(j->sync, atoi(PQgetvalue(r, row, 0)));

    if (t == NULL || t->state != TABLE_COPY)
        return NULL;
    t->chunks_done = atoi(PQgetvalue(r, row, 1));
    t->bytes_done = strtoll(PQgetvalue(r, row, 2), NULL, 10);
    t->rows_done = strtoll(PQgetvalue(r, row, 3), NULL, 10);
    if (t->records != TABLE_KEY && !PQgetisnull(r, row, 4))
        table_set_snapshot(t, PQgetvalue(r, row, 4));
    if (t->chunks_done == t->chunks)
        copy_release_snapshot(t);
    return t;
}

/* Nothing to claim: others have the rest in hand, or a commit whose answer was lost did it. The
 * ledger knows. */
static enum job_next take_recount(struct job *j, PGresult *r)
{
    bool any_left = false;

    for (int i = 0; i < PQntuples(r); i++) {
        const struct table *t = take_count(j, r, i);

        if (t == NULL)
            continue;
        any_left |= may_copy(t) && copy_takes(t, copy_of(j)->is_for_pieces);
    }
    if (any_left)
        copy_note_others(j->sync);
    if (any_left || (j->sync->copier == NULL && table_to_index(j->sync)))
        return job_goto(j, "back off");
    return JOB_DONE;
}

/* ------------------------------------------------------------------ preparing a chunk */

/* A chunk that is staged needs the table's key at the target: made first, then the chunk is claimed
 * anew.
 */
static enum job_next enter_ready(struct job *j)
{
    struct copy_job *c = copy_of(j);
    struct table *t = c->table;

    c->is_staged = copy_wants_staging(t);
    c->is_parsed = t->records == TABLE_KEY && t->care == COPY_PARSED;
    if (c->sync->copier)
        return copy_ready_to_help(c);
    if (t->records != TABLE_KEY)
        return job_goto(j, "piece");
    if (c->is_staged && !t->target_has_key) {
        if (t->is_indexing) {
            copy_put_down(c);
            return job_goto(j, "back off");
        }
        t->is_indexing = true;
        c->makes_key = true;
        c->is_key_only = true;
        return job_goto(j, "key first");
    }
    if (t->chunks <= 1 || t->tolerant)
        return job_goto(j, "relation");
    if (t->holder == NULL)
        copy_hold_snapshot(t);
    if (t->exported == NULL)
        return job_sleep(j, 0.01, JOB_REPEAT);
    return JOB_NEXT;
}

static enum job_next enter_share(struct job *j)
{
    struct copy_job *c = copy_of(j);

    c->is_source_open = true;
    if (c->table->exported == NULL)
        return job_goto(j, "back off"); /* lost at this moment */
    conn_query(job_conn(j, JOB_SOURCE), c->table->exported, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static void bind_relation(struct job *j, struct params *p)
{
    params_text(p, copy_of(j)->oid);
    params_text(p, copy_of(j)->is_source_open ? copy_of(j)->seen_lsn : NULL);
}

/* Rows came twice before there was a key to tell, or blocks no longer mean what was planned: only a
 * new copy puts that right. */
static void copy_anew(struct table *t, const struct error *e)
{
    t->is_lossy = true;
    t->wants_copy = true;
    table_pause(t, TABLE_CAPTURE, e);
}

/* A table that was rewritten has its rows in other blocks, and is empty in a snapshot from before.
 * What has another name after the loading may have been read from the table that has its name now.
 */
static enum job_next take_relation(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);
    struct error e = {0};

    if (c->seen_lsn == NULL)
        c->seen_lsn = copy_value(j, r, 2);
    c->is_flushed = PQgetvalue(r, 0, 3)[0] == 't';
    if (!PQgetisnull(r, 0, 0) && strcmp(PQgetvalue(r, 0, 1), c->filenode) == 0 &&
        (job_is_at(j, "relation") || strcmp(PQgetvalue(r, 0, 0), c->relation) == 0)) {
        c->relation = copy_value(j, r, 0);
        return JOB_NEXT;
    }
    error_set(&e, "source: %s was rewritten, truncated, renamed or dropped while it was copied",
              c->table->label);
    error_hint(&e, "%s", "It is copied again by itself.");
    snprintf(e.sqlstate, sizeof e.sqlstate, "40001");
    if (c->sync->copier == NULL)
        copy_anew(c->table, &e);
    return job_fail(j, &e);
}

static bool is_binary(const struct relation *s, const struct relation *t)
{
    for (int i = 0; i < s->column_count; i++) {
        const struct column *other = relation_column(t, s->columns[i].name);

        if (!s->columns[i].copy_binary || other == NULL || !other->copy_binary)
            return false;
    }
    return true;
}

static void bind_statements(struct job *j, struct params *p)
{
    struct copy_job *c = copy_of(j);
    const struct table *t = c->table;

    params_text(p, c->relation);
    params_text(p, c->lower);
    params_text(p, c->upper);
    params_text(p, copy_column_names(j, t->source));
    params_bool(p, is_binary(t->source, t->target));
    params_text(p, t->target->schema);
    params_text(p, t->target->name);
    params_bool(p, c->is_staged);
    params_text(p, copy_column_casts(j, t->source));
    params_text(p, t->source->where);
    params_text(p, t->source->name);
    params_text(p, c->is_parsed ? copy_key_names(j, t->source) : NULL);
}

static enum job_next take_statements(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);

    c->output = copy_value(j, r, 0);
    c->input = copy_value(j, r, 1);
    return c->is_staged ? JOB_NEXT : job_goto(j, "load");
}

/* ------------------------------------------------------------------ ending a chunk */

static enum job_next enter_done(struct job *j)
{
    const struct copy_job *c = copy_of(j);
    struct params *p = &j->params;

    params_clear(p);
    params_text(p, c->sync->name);
    params_int(p, c->sync->owner);
    params_int(p, c->table->id);
    params_int(p, c->number);
    params_int(p, c->rows);
    params_int(p, c->bytes);
    conn_execute(job_conn(j, JOB_TARGET), c->sync->copier ? &sql_chunk_help_done : &sql_chunk_done,
                 p, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next enter_more(struct job *j)
{
    return job_goto(j, "pick");
}

static void bind_count(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_int(p, copy_of(j)->table->id);
}

static enum job_next take_account(struct job *j, PGresult *r)
{
    struct copy_job *c = copy_of(j);
    struct table *t = c->table;

    j->failures = 0;
    if (PQntuples(r) > 0)
        take_count(j, r, 0);
    copy_piece_done(t);
    t->failures = 0;
    t->care = COPY_PLAIN;
    log_event(LOG_INFO, "chunk copied", "sync", c->sync->name, "table", t->label, "chunk",
              log_int(c->number), "of", log_int(t->chunks), "rows", log_int(c->rows), "bytes",
              log_int(c->bytes), NULL);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ the job */

static enum job_next enter_back_off(struct job *j)
{
    return job_sleep(j, 0.2, job_goto(j, "pick"));
}

static enum job_next enter_again(struct job *j)
{
    return job_goto(j, "back off");
}

static const struct job_step steps[] = {
    {.name = "session", .sql = &sql_session_copy, .side = JOB_TARGET, .bind = two_way_bind_session},
    {.name = "pick", .enter = enter_pick},
    {.name = "begin", .sql = &sql_begin, .side = JOB_TARGET},
    {.name = "claim",
     .sql = &sql_chunk_claim,
     .side = JOB_TARGET,
     .bind = bind_claim,
     .result = take_claim},
    {.name = "follower", .enter = copy_enter_follower, .result = copy_take_follower},
    {.name = "ready", .enter = enter_ready},
    {.name = "source begin", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "share snapshot", .enter = enter_share},
    {.name = "in snapshot", .enter = copy_enter_in_snapshot},
    {.name = "piece", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "piece snapshot",
     .sql = &sql_batch_snapshot,
     .side = JOB_SOURCE,
     .result = copy_take_piece_snapshot},
    {.name = "relation",
     .sql = &sql_chunk_relation,
     .side = JOB_SOURCE,
     .bind = bind_relation,
     .result = take_relation},
    {.name = "statements",
     .sql = &sql_copy_statements,
     .side = JOB_SOURCE,
     .bind = bind_statements,
     .result = take_statements},
    {.name = "staging",
     .sql = &sql_copy_tolerant,
     .side = JOB_TARGET,
     .bind = copy_bind_staging,
     .result = copy_take_staging},
    {.name = "before", .enter = copy_enter_before},
    {.name = "load", .enter = copy_enter_load, .event = copy_load_event},
    {.name = "same relation",
     .sql = &sql_chunk_relation,
     .side = JOB_SOURCE,
     .bind = bind_relation,
     .result = take_relation},
    {.name = "after", .enter = copy_enter_after, .result = copy_take_after},
    {.name = "let source go", .enter = copy_enter_let_go},
    {.name = "refused", .enter = copy_enter_refused, .result = copy_take_refused},
    {.name = "flushed", .enter = copy_enter_flushed},
    {.name = "source end first", .enter = copy_enter_source_end},
    {.name = "flush", .sql = &sql_copy_flush, .side = JOB_SOURCE, .bind = copy_bind_flush},
    {.name = "done", .enter = enter_done},
    {.name = "piece done", .enter = copy_enter_piece_done},
    {.name = "commit", .sql = &sql_commit, .side = JOB_TARGET, .timeout_s = -1},
    {.name = "account",
     .sql = &sql_chunks_count,
     .side = JOB_TARGET,
     .bind = bind_count,
     .result = take_account},
    {.name = "source end", .enter = copy_enter_source_end},
    {.name = "more", .enter = enter_more},
    {.name = "recount",
     .sql = &sql_chunks_count,
     .side = JOB_TARGET,
     .bind = bind_recount,
     .result = take_recount},
    {.name = "key first", .sql = &sql_rollback, .side = JOB_TARGET},
    {.name = "key definition",
     .sql = &sql_key_definition,
     .side = JOB_SOURCE,
     .bind = copy_bind_key,
     .result = copy_take_key},
    {.name = "key", .enter = copy_enter_key_make},
    {.name = "key made", .enter = copy_enter_key_made},
    {.name = "follow", .sql = &sql_table_follow, .side = JOB_TARGET, .bind = copy_bind_follow},
    {.name = "followed", .enter = copy_enter_followed},
    {.name = "back off", .sql = &sql_rollback, .side = JOB_TARGET},
    {.name = "source back off", .enter = copy_enter_source_end},
    {.name = "wait", .enter = enter_back_off},
    {.name = "again", .enter = enter_again},
    {0},
};

/* What went wrong with a table is the table's: the stream goes on with others. */
static bool failed(struct job *j, const struct error *e)
{
    struct copy_job *c = copy_of(j);
    struct table *t = c->table;
    enum sqlstate_action action = sqlstate_action(e->sqlstate);

    ev_timer_stop(j->loop, &c->throttle);
    if (c->sync->copier)
        copier_stream_failed(c->sync->copier, e);
    else if (t) {
        if (strcmp(e->sqlstate, SQLSTATE_TAKEN_OVER) == 0)
            lead_again(c->sync->lead);
        else if (action == SQLSTATE_CONFLICT && !t->tolerant && !c->makes_key &&
                 t->records == TABLE_KEY)
            t->tolerant = true;
        else if (action == SQLSTATE_CONFLICT && c->makes_key)
            copy_anew(t, e);
        else if (copy_may_refuse(c, e))
            t->care = copy_more_care(c, e);
        else if (sqlstate_is_of_table(action) ||
                 (sqlstate_is_internal(e->sqlstate) && ++t->failures > 3)) {
            t->care = COPY_PLAIN;
            table_pause(t, TABLE_ERROR, e);
        }
    }
    copy_put_down(c);
    return true;
}

static void ended(struct job *j, bool finished)
{
    struct copy_job *c = copy_of(j);
    struct sync *s = c->sync;

    (void)finished;
    copy_free(c);
    sync_think(s);
}

static const struct job_type copy_type = {
    .name = "copy",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .ended = ended,
};

struct copy_job *copy_new(struct sync *s, bool is_for_pieces)
{
    struct copy_job *c = mem_alloc(sizeof *c);

    c->sync = s;
    c->is_for_pieces = is_for_pieces;
    job_init(&c->job, s->loop, &copy_type, s, is_for_pieces ? s->config->source : copy_source(s),
             s->config->target);
    ev_init(&c->throttle, copy_on_throttle);
    list_append(&s->jobs, &c->job.in_sync);
    return c;
}

void copy_free(struct copy_job *c)
{
    copy_put_down(c);
    ev_timer_stop(c->job.loop, &c->throttle);
    list_remove(&c->job.in_sync);
    job_fini(&c->job);
    free(c);
}
