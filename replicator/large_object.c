/* The steps of a copy of large objects: page by page of their numbers, piece by piece of what is in
 * them. The arrays of pieces go from one server to the other as they are; nothing here looks into
 * them.
 *
 * Why a broken copy may go on in the middle of an object: what is before next_place was committed
 * together with it. An object that was written meanwhile may then be half of each; it is not
 * followed anyway, and the next copy that compares all puts it right. */
#include "large_object.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "copy.h"
#include "field.h"
#include "lead.h"
#include "log.h"
#include "mem.h"
#include "sqlstate.h"
#include "sync.h"

#define PIECE_BYTES (4 * 1024 * 1024)
#define PAUSED_S 0.5
#define BACKOFF_MAX_S 30.

/* Types of the arrays, the same in every PostgreSQL. */
enum {
    OID_ARRAY = 1028,
    BIGINT_ARRAY = 1016,
    BYTEA_ARRAY = 1001,
    BOOL_ARRAY = 1000,
    TEXT_ARRAY = 1009
};

static const Oid part_types[LARGE_OBJECT_PARTS] = {OID_ARRAY,  BIGINT_ARRAY, BYTEA_ARRAY,
                                                   BOOL_ARRAY, TEXT_ARRAY,   TEXT_ARRAY};
enum { PART_PIECES = 2 };

static struct large_object_job *of(struct job *j)
{
    return container_of(j, struct large_object_job, job);
}

static bool is_wanted(const struct large_object_job *o)
{
    const struct config_sync *c = o->job.sync->config;

    switch (c->large_objects) {
    case CONFIG_LARGE_AUTO:
        return config_takes_everything(c);
    case CONFIG_LARGE_COPY:
        return true;
    case CONFIG_LARGE_IGNORE:
        return false;
    }
    return false;
}

static void keep(struct buf *b, const PGresult *r, int field)
{
    buf_clear(b, PIECE_BYTES / 4);
    buf_append(b, PQgetvalue(r, 0, field), (size_t)PQgetlength(r, 0, field));
}

static void bind_sync(struct job *j, struct params *p)
{
    params_text(p, j->sync->name);
    params_int(p, j->sync->owner);
}

/* ------------------------------------------------------------------ where it stands */

static enum job_next take_count(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    o->seen = field_int64(r, 0, "objects");
    o->seen_bytes = field_int64(r, 0, "bytes");
    if (is_wanted(o) || o->request != 0)
        return JOB_NEXT;
    if (o->seen > 0 && !o->has_ended)
        log_event(LOG_WARNING, "large objects are not copied", "sync", j->sync->name, "objects",
                  log_int(o->seen), "hint",
                  "large_objects: copy, or on request: rebeco resync --large-objects new", NULL);
    o->is_over = o->is_settled = true;
    return JOB_DONE;
}

static void bind_begin(struct job *j, struct params *p)
{
    const struct large_object_job *o = of(j);

    bind_sync(j, p);
    params_text(p, o->request != 0 ? o->scope : NULL);
    if (o->request != 0)
        params_int(p, o->request);
    else
        params_text(p, NULL);
    params_bool(p, j->sync->phase == SYNC_FOLLOW);
}

static enum job_next take_begin(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    o->copied = field_int64(r, 0, "copied");
    o->bytes = field_int64(r, 0, "bytes");
    o->has_ended = field_bool(r, 0, "ended");
    o->is_copying = !o->has_ended;
    if (o->has_ended) {
        o->is_over = true;
        o->is_settled = field_bool(r, 0, "is_final");
        o->here = field_int64(r, 0, "here");
        o->refused = field_int64(r, 0, "refused");
        return o->request != 0 ? job_goto(j, "answer") : JOB_DONE;
    }
    o->first = o->next_oid = field_int64(r, 0, "next_oid");
    o->next_place = field_int64(r, 0, "next_place");
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ a page of numbers */

static enum job_next enter_list(struct job *j)
{
    params_clear(&j->params);
    params_int(&j->params, of(j)->first);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_large_objects_list, &j->params, CONN_BINARY, 60.);
    return JOB_WAIT;
}

static enum job_next take_list(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    keep(&o->oids, r, field_number(r, "oids"));
    o->last = field_int64(r, 0, "last");
    o->has_more = field_bool(r, 0, "has_more");
    return JOB_NEXT;
}

static enum job_next enter_page(struct job *j)
{
    struct large_object_job *o = of(j);

    params_clear(&j->params);
    bind_sync(j, &j->params);
    params_int(&j->params, o->first);
    params_int(&j->params, o->last);
    params_binary(&j->params, o->oids.data, (int)o->oids.len, OID_ARRAY);
    conn_execute(job_conn(j, JOB_TARGET), &sql_large_objects_page, &j->params, CONN_BINARY, 0);
    return JOB_WAIT;
}

static enum job_next take_page(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    keep(&o->oids, r, field_number(r, "oids"));
    if (field_int64(r, 0, "count") == 0)
        o->next_oid = o->last + 1;
    return job_goto(j, "turn");
}

/* ------------------------------------------------------------------ pieces */

/* What comes next: a piece of this page, the next page, or the end. */
static enum job_next enter_turn(struct job *j)
{
    struct large_object_job *o = of(j);

    if (j->sync->is_paused)
        return job_sleep(j, PAUSED_S, JOB_REPEAT);
    if (o->next_oid <= o->last)
        return job_goto(j, "source begin");
    if (!o->has_more)
        return job_goto(j, "end");
    o->first = o->next_oid = o->last + 1;
    o->next_place = 0;
    return job_goto(j, "list");
}

static enum job_next enter_read(struct job *j)
{
    struct large_object_job *o = of(j);

    params_clear(&j->params);
    params_binary(&j->params, o->oids.data, (int)o->oids.len, OID_ARRAY);
    params_int(&j->params, o->next_oid);
    params_int(&j->params, o->next_place);
    params_int(&j->params, PIECE_BYTES);
    conn_execute(job_conn(j, JOB_SOURCE), &sql_large_objects_read, &j->params, CONN_BINARY, 0);
    return JOB_WAIT;
}

static enum job_next take_pieces(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);
    bool is_more = !field_is_null(r, 0, "next_oid");

    for (int i = 0; i < LARGE_OBJECT_PARTS; i++) /* the first columns, in their order */
        keep(&o->parts[i], r, i);
    o->piece_bytes = PQgetlength(r, 0, PART_PIECES);
    o->next_oid = is_more ? field_int64(r, 0, "next_oid") : o->last + 1;
    o->next_place = is_more ? field_int64(r, 0, "next_place") : 0;
    return JOB_NEXT;
}

static enum job_next enter_write(struct job *j)
{
    struct large_object_job *o = of(j);

    params_clear(&j->params);
    bind_sync(j, &j->params);
    for (int i = 0; i < LARGE_OBJECT_PARTS; i++)
        params_binary(&j->params, o->parts[i].data, (int)o->parts[i].len, part_types[i]);
    params_int(&j->params, o->next_oid);
    params_int(&j->params, o->next_place);
    conn_execute(job_conn(j, JOB_TARGET), &sql_large_objects_write, &j->params, CONN_TEXT, 0);
    return JOB_WAIT;
}

static enum job_next take_written(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    j->failures = 0;
    o->copied = field_int64(r, 0, "copied");
    o->bytes = field_int64(r, 0, "bytes");
    return JOB_NEXT;
}

static enum job_next enter_throttle(struct job *j)
{
    double wait_s = copy_rate_wait_s(j->sync, of(j)->piece_bytes);

    return wait_s > 0 ? job_sleep(j, wait_s, JOB_NEXT) : JOB_NEXT;
}

/* The rest of an object is read in the snapshot of its beginning. */
static enum job_next enter_source_end(struct job *j)
{
    if (of(j)->next_place > 0 && !j->sync->is_paused)
        return job_goto(j, "read");
    conn_query(job_conn(j, JOB_SOURCE), sql_commit.text, NULL, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next enter_again(struct job *j)
{
    return job_goto(j, "turn");
}

/* ------------------------------------------------------------------ the end */

static enum job_next take_end(struct job *j, PGresult *r)
{
    struct large_object_job *o = of(j);

    o->copied = field_int64(r, 0, "copied");
    o->bytes = field_int64(r, 0, "bytes");
    o->refused = field_int64(r, 0, "refused");
    o->has_ended = true;
    o->is_copying = false;
    if (o->copied > 0 || o->refused > 0)
        log_event(o->refused > 0 ? LOG_WARNING : LOG_NOTICE, "large objects copied", "sync",
                  j->sync->name, "objects", log_int(o->copied), "bytes", log_int(o->bytes),
                  "refused", log_int(o->refused), "hint",
                  "Changes to them are not followed: rebeco resync --large-objects new|all", NULL);
    lead_show(j->sync->lead);
    return job_goto(j, "count"); /* more may have come, or be asked for */
}

static void bind_answer(struct job *j, struct params *p)
{
    const struct large_object_job *o = of(j);

    params_int(p, o->request);
    params_bool(p, o->refused == 0);
    params_text(p, o->refused > 0 ? "some large objects are not at the target: see `rebeco status`"
                                  : arena_printf(j->arena, "large objects copied: %lld, %lld bytes",
                                                 (long long)o->copied, (long long)o->bytes));
}

static enum job_next take_answer(struct job *j, PGresult *r)
{
    (void)r;
    of(j)->request = 0;
    return job_goto(j, "count"); /* on with what the configuration wants */
}

static const struct job_step steps[] = {
    {.name = "count", .sql = &sql_large_objects_count, .side = JOB_SOURCE, .result = take_count},
    {.name = "begin",
     .sql = &sql_large_objects_begin,
     .side = JOB_TARGET,
     .bind = bind_begin,
     .result = take_begin},
    {.name = "list", .enter = enter_list, .result = take_list},
    {.name = "page", .enter = enter_page, .result = take_page},
    {.name = "turn", .enter = enter_turn},
    {.name = "source begin", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "read", .enter = enter_read, .result = take_pieces},
    {.name = "write", .enter = enter_write, .result = take_written},
    {.name = "throttle", .enter = enter_throttle},
    {.name = "source end", .enter = enter_source_end},
    {.name = "again", .enter = enter_again},
    {.name = "end",
     .sql = &sql_large_objects_end,
     .side = JOB_TARGET,
     .bind = bind_sync,
     .result = take_end},
    {.name = "answer",
     .sql = &sql_command_answer,
     .side = JOB_TARGET,
     .bind = bind_answer,
     .result = take_answer},
    {.name = NULL},
};

static bool failed(struct job *j, const struct error *e)
{
    if (strcmp(e->sqlstate, SQLSTATE_TAKEN_OVER) == 0)
        lead_again(j->sync->lead);
    return true;
}

static void ended(struct job *j, bool finished)
{
    (void)finished;
    sync_think(j->sync);
}

static const struct job_type type = {
    .name = "large objects",
    .uses = {[JOB_SOURCE] = true, [JOB_TARGET] = true},
    .steps = steps,
    .failed = failed,
    .ended = ended,
};

/* ------------------------------------------------------------------ life */

struct large_object_job *large_object_new(struct sync *sync)
{
    struct large_object_job *o = mem_alloc(sizeof *o);

    job_init(&o->job, sync->loop, &type, sync, sync->config->source, sync->config->target);
    o->job.backoff_max_s = BACKOFF_MAX_S;
    return o;
}

void large_object_think(struct large_object_job *o)
{
    enum sync_phase phase = o->job.sync->phase;

    if (job_is_running(&o->job) || phase < SYNC_COPY)
        return;
    if (o->request != 0 || !o->is_over || (phase == SYNC_FOLLOW && !o->is_settled))
        job_start(&o->job);
}

void large_object_stop(struct large_object_job *o)
{
    job_stop(&o->job);
    o->is_over = o->is_settled = o->is_copying = o->has_ended = false;
    o->request = 0;
}

void large_object_free(struct large_object_job *o)
{
    large_object_stop(o);
    job_fini(&o->job);
    buf_fini(&o->oids);
    for (int i = 0; i < LARGE_OBJECT_PARTS; i++)
        buf_fini(&o->parts[i]);
    free(o);
}

bool large_object_ask(struct large_object_job *o, int64_t request, const char *scope)
{
    if (o->request != 0 && o->request != request)
        return false;
    o->request = request;
    o->scope = scope;
    large_object_think(o);
    return true;
}

static const char *state_name(const struct large_object_job *o)
{
    if (o->is_copying)
        return "copying";
    if (o->has_ended)
        return "copied";
    return o->is_over ? "ignored" : "waiting";
}

json_t *large_object_tree(const struct large_object_job *o)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "state", state_name(o), "seen",
                     o->seen, "seen_bytes", o->seen_bytes, "here", o->here, "copied", o->copied,
                     "bytes", o->bytes, "refused", o->refused, "followed", 0);
}
