/* The search. The table cannot be planned anew or copied meanwhile: it counts as a stream of it.
 *
 * A slice that fails is halved until one row is left; what went well stays in the transaction, so
 * that a row that collides with another of the same batch is found too. */
#include "poison.h"

#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "lead.h"
#include "lead_steps.h"
#include "log.h"
#include "plan.h"
#include "skip.h"
#include "snapshot.h"
#include "steady.h"
#include "sync.h"
#include "two_way.h"

enum { SLICE_ROWS = 2000, SLICE_BYTES = 4 * 1024 * 1024, SEARCHES_MAX = 3 };

#define SEARCH_LONG_S 60. /* what was in the way may be gone after that */

static struct poison_job *poison_of(struct job *j)
{
    return container_of(j, struct poison_job, job);
}

static struct conn *target_of(struct poison_job *p)
{
    return job_conn(&p->job, JOB_TARGET);
}

/* ------------------------------------------------------------------ what is in hand */

static void drop_rows(struct poison_job *p, int n)
{
    if (n == 0)
        return;
    for (int i = 0; i < n; i++) {
        p->bytes -= PQresultMemorySize(p->rows[i]);
        PQclear(p->rows[i]);
    }
    memmove(p->rows, p->rows + n, sizeof(PGresult *) * (size_t)(p->count - n));
    p->count -= n;
}

static void put_down(struct poison_job *p)
{
    if (p->rows)
        drop_rows(p, p->count);
    PQclear(p->found);
    p->found = NULL;
    if (p->table) {
        skip_begin_table(p->table);
        p->table->streams--;
    }
    p->table = NULL;
}

static struct table *waiting_table(const struct sync *s)
{
    for (const struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->wants_search && s->other == NULL && t->records != TABLE_NOTHING &&
            t->pause == TABLE_ERROR && t->is_recorded && t->streams == 0 &&
            t->state == TABLE_FOLLOW && t->snapshot && t->read_sql && t->upsert_sql)
            return t;
    }
    return NULL;
}

static void begin(struct job *j)
{
    struct poison_job *p = poison_of(j);

    apply_reset(&p->apply);
    put_down(p);
    p->bytes = 0;
    p->is_trying = p->is_back_due = p->is_read = p->has_failed = p->is_unreadable = false;
    error_clear(&p->said);
    p->cause = "";
}

/* Only syncs in one direction are searched. */
static void bind_session_apply(struct job *j, struct params *p)
{
    params_bool(p, false);
    two_way_bind_pair(j, p);
}

static enum job_next take_session_apply(struct job *j, PGresult *r)
{
    poison_of(j)->apply.may_switch = field_bool(r, 0, "has_replica_role");
    return JOB_NEXT;
}

static enum job_next enter_pick(struct job *j)
{
    struct poison_job *p = poison_of(j);

    p->table = waiting_table(p->sync);
    if (p->table == NULL)
        return JOB_DONE;
    p->table->streams++;
    if (++p->table->searches > SEARCHES_MAX) {
        p->table->wants_search = false;
        return JOB_DONE;
    }
    p->pass = p->table->delete_first ? APPLY_REMOVE : APPLY_ALL;
    skip_begin_table(p->table);
    return JOB_NEXT;
}

/* ------------------------------------------------------------------ trying */

static enum job_next enter_target(struct job *j)
{
    struct poison_job *p = poison_of(j);

    conn_pipeline_begin(target_of(p));
    apply_prepare(&p->apply, p->table);
    conn_query(target_of(p), sql_begin.text, NULL, CONN_TEXT, 60.);
    apply_sent_other(&p->apply);
    apply_began(&p->apply);
    apply_take_role(&p->apply, p->table); /* before the first savepoint */
    if (p->table->was_truncated) {
        apply_clear(&p->apply, p->table);
        skip_cleared(p->table);
    }
    conn_sync(target_of(p));
    return JOB_WAIT;
}

/* Whatever fails before the first row is not a row's fault. */
static enum job_next on_target_ready(struct job *j, enum job_side side,
                                     const struct conn_message *m)
{
    struct poison_job *p = poison_of(j);

    if (side != JOB_TARGET)
        return JOB_WAIT;
    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(j, side, m->result);
    if (m->event == CONN_RESULT && PQresultStatus(m->result) != PGRES_PIPELINE_SYNC)
        apply_result(&p->apply, m->result);
    return m->event == CONN_DONE ? JOB_NEXT : JOB_WAIT;
}

static void say_target(struct poison_job *p, const struct sql *sql)
{
    conn_query(target_of(p), sql->text, NULL, CONN_TEXT, 60.);
    apply_sent_other(&p->apply);
}

static void try_part(struct poison_job *p)
{
    if (p->is_back_due)
        say_target(p, &sql_savepoint_back);
    say_target(p, &sql_savepoint);
    apply_open(&p->apply, p->table, p->pass);
    for (int i = p->lower; i < p->upper; i++) {
        apply_row(&p->apply, p->rows[i]);
        apply_send_full(&p->apply);
    }
    apply_close(&p->apply);
    conn_sync(target_of(p));
    p->is_back_due = p->has_failed = false;
    p->is_trying = true;
}

static void try_slice(struct poison_job *p)
{
    conn_pause_reading(job_conn(&p->job, JOB_SOURCE));
    p->slice = p->upper = p->end = p->count;
    p->lower = 0;
    try_part(p);
}

static void end_slice(struct poison_job *p)
{
    drop_rows(p, p->slice);
    conn_resume_reading(job_conn(&p->job, JOB_SOURCE));
}

/* The part was good, or is to be halved, or is the one row. */
static void judge_part(struct poison_job *p)
{
    bool is_whole = p->lower == 0 && p->upper == p->slice;

    p->is_trying = false;
    p->is_back_due = p->has_failed;
    if (!p->has_failed && (is_whole || p->upper == p->end)) {
        end_slice(p);
        return;
    }
    if (p->has_failed && p->upper - p->lower == 1) {
        p->found = p->rows[p->lower];
        p->rows[p->lower] = PQmakeEmptyPGresult(NULL, PGRES_EMPTY_QUERY);
        end_slice(p);
        return;
    }
    if (p->has_failed)
        p->end = p->upper;
    else
        p->lower = p->upper;
    p->upper = p->lower + (p->end - p->lower > 1 ? (p->end - p->lower) / 2 : 1);
    try_part(p);
}

/* What the source has and the target does not, told by codes alone, since the server's words are in
 * the server's language. */
static const char *likely_cause(const PGresult *r, const char *sqlstate)
{
    if (strcmp(sqlstate, "23514") == 0 && !PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME))
        return "The target may have no partition for it: make the one that the source has, as it "
               "is there (CREATE TABLE .. PARTITION OF). Else: ";
    if (strcmp(sqlstate, "22P02") == 0 || strcmp(sqlstate, "22P03") == 0)
        return "The target's type may not know the value: an enum gets it with ALTER TYPE .. ADD "
               "VALUE. Else: ";
    return "";
}

static void take_answer(struct poison_job *p, const PGresult *r)
{
    if (PQresultStatus(r) != PGRES_PIPELINE_SYNC)
        apply_result(&p->apply, r);
    if (job_result_failed(r) && !p->has_failed) {
        p->has_failed = true;
        conn_result_error(target_of(p), r, &p->said);
        p->cause = likely_cause(r, p->said.sqlstate);
    }
}

/* ------------------------------------------------------------------ reading */

static enum job_next enter_read(struct job *j)
{
    struct poison_job *p = poison_of(j);
    struct snapshot since;

    if (!snapshot_parse(j->arena, p->table->snapshot, &since))
        return JOB_DONE;
    params_clear(&j->params);
    params_int(&j->params, since.xmax);
    params_text(&j->params, since.running);
    /* Keys: not only those without a row; images: with what was removed, netted. */
    params_bool(&j->params, p->table->records == TABLE_IMAGE);
    conn_query(job_conn(j, JOB_SOURCE), p->table->read_sql, &j->params, CONN_ROWS_BINARY, 0);
    p->is_read = false;
    return JOB_WAIT;
}

static void keep_row(struct poison_job *p, const PGresult *r)
{
    PGresult *copy;

    if (p->found || PQresultStatus(r) != PGRES_SINGLE_TUPLE ||
        (p->table->skip_count > 0 && skip_row(p->table, r, false)))
        return;
    copy = PQcopyResult(r, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (copy == NULL)
        abort(); /* out of memory */
    if (p->count == p->size) {
        p->size = p->size ? 2 * p->size : 64;
        p->rows = mem_realloc(p->rows, sizeof *p->rows * (size_t)p->size);
    }
    p->rows[p->count++] = copy;
    p->bytes += PQresultMemorySize(copy);
}

/* The source cannot read a row: what it says is all that is asked for. */
static void note_unreadable(struct poison_job *p, const PGresult *r)
{
    conn_result_error(job_conn(&p->job, JOB_SOURCE), r, &p->said);
    p->is_unreadable = true;
    drop_rows(p, p->count);
}

static enum job_next source_event(struct poison_job *p, const struct conn_message *m)
{
    if (m->event == CONN_RESULT && job_result_failed(m->result) && !p->is_trying)
        note_unreadable(p, m->result);
    else if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(&p->job, JOB_SOURCE, m->result);
    else if (m->event == CONN_RESULT)
        keep_row(p, m->result);
    if (m->event == CONN_DONE)
        p->is_read = true;
    if (!p->found && !p->is_trying && p->count > 0 &&
        (p->is_read || p->count >= SLICE_ROWS || p->bytes >= SLICE_BYTES) &&
        (m->event == CONN_BETWEEN || m->event == CONN_DONE))
        try_slice(p);
    return JOB_WAIT;
}

static enum job_next on_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct poison_job *p = poison_of(j);

    if (side == JOB_SOURCE) {
        if (source_event(p, m) == JOB_FAILED)
            return JOB_FAILED;
    } else if (m->event == CONN_RESULT) {
        take_answer(p, m->result);
    } else if (m->event == CONN_DONE) {
        judge_part(p);
        if (!p->is_trying && !p->found && p->is_read && p->count > 0)
            try_slice(p);
    }
    if (p->is_trying || !p->is_read)
        return JOB_WAIT;
    if (p->is_unreadable)
        return job_goto(j, "source back");
    if (p->pass == APPLY_REMOVE && p->found == NULL) {
        p->pass = APPLY_ALL;
        return JOB_REPEAT;
    }
    return JOB_NEXT;
}

static enum job_next enter_judge(struct job *j)
{
    struct poison_job *p = poison_of(j);
    bool is_late = steady_now() - j->started_at > SEARCH_LONG_S;

    if (p->found)
        return job_goto(j, "statement");
    log_event(LOG_NOTICE, "no single row is refused", "sync", p->sync->name, "table",
              p->table->label, "hint",
              is_late ? "It took long: what is in the way may be gone by now. It is tried again."
                      : "The table is tried again by itself.",
              NULL);
    p->table->wants_search = false;
    return JOB_DONE;
}

/* ------------------------------------------------------------------ saying which row */

static void bind_row(struct job *j, struct params *p)
{
    struct buf json = {0};

    plan_row_json(poison_of(j)->table, &json);
    params_text(p, arena_strdup(j->arena, json.data));
    buf_fini(&json);
}

static enum job_next take_statement(struct job *j, PGresult *r)
{
    poison_of(j)->text = arena_strdup(j->arena, field_text(r, 0, "statement"));
    return JOB_NEXT;
}

static enum job_next enter_text(struct job *j)
{
    struct poison_job *p = poison_of(j);

    conn_query(job_conn(j, JOB_SOURCE), p->text, apply_one_row(&p->apply, p->table, p->found),
               CONN_TEXT, 60.);
    return JOB_WAIT;
}

/* The key's values as a person types them. */
static char *shell_words(struct arena *a, const char *key)
{
    json_t *list = json_loads(key, JSON_ALLOW_NUL, NULL);
    struct buf b = {0};
    char *words;
    size_t i;
    json_t *v;

    json_array_foreach(list, i, v)
    {
        const char *s = json_string_value(v) ? json_string_value(v) : "";
        bool is_plain = s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_./:@+") == strlen(s);

        buf_text(&b, is_plain ? " " : " '");
        for (; *s; s++)
            buf_printf(&b, *s == '\'' ? "'\\''" : "%c", *s);
        buf_text(&b, is_plain ? "" : "'");
    }
    words = arena_strdup(a, b.len ? b.data : "");
    buf_fini(&b);
    json_decref(list);
    return words;
}

/* The table's pause names the row from here on. */
static void say_row(struct poison_job *p, const struct poison *row)
{
    bool has_key = p->table->records == TABLE_KEY;
    struct error e = {0};

    error_set(&e, "a row of %s cannot be %s at the target, %s %s: %s", p->table->label,
              row->is_delete ? "deleted" : "written", has_key ? "key" : "named", row->key,
              row->error);
    if (has_key)
        error_detail(&e, "%s", p->said.detail);
    else
        error_detail(&e, "the row: %s", row->row);
    if (has_key || !row->is_delete)
        error_hint(
            &e,
            "%sMend the row at the source, or what refuses it at the target: it is tried again by "
            "itself (at once: rebeco retry %s). To leave this row out: rebeco skip -- %s%s",
            p->cause, p->table->label, p->table->label, shell_words(p->job.arena, row->key));
    else
        error_hint(&e,
                   "Mend what refuses that at the target: it is tried again by itself (at once: "
                   "rebeco retry %s). Where there is no key, a removal cannot be left out.",
                   p->table->label);
    snprintf(e.sqlstate, sizeof e.sqlstate, "%s", row->sqlstate);
    table_pause(p->table, TABLE_ERROR, &e);
}

/* A row without a key is named by the first digits of its hash. */
static void name_image(struct poison *row, const PGresult *r)
{
    struct buf key = {0};

    buf_printf(&key, "[\"%.*s\"]", SKIP_SHORT_HASH, row->key_hash);
    row->key = mem_strdup(key.data);
    row->image = mem_strdup(field_or_null(r, 0, "image"));
    buf_fini(&key);
}

/* A key that the target's encoding cannot write is of no row there. */
static bool removes_nothing(const struct poison_job *p, const struct poison *row)
{
    return p->table->records == TABLE_KEY && row->is_delete && strcmp(row->sqlstate, "22P05") == 0;
}

static enum job_next take_text(struct job *j, PGresult *r)
{
    struct poison_job *p = poison_of(j);
    struct poison *row = mem_alloc(sizeof *row);
    const char *encoding = PQparameterStatus(target_of(p)->pg, "server_encoding");
    bool takes_utf8 = encoding && strcmp(encoding, "UTF8") == 0;

    skip_hash(p->table, p->found, row->key_hash, row->row_hash);
    if (p->table->records == TABLE_IMAGE)
        name_image(row, r);
    else
        row->key = skip_clean_text(field_text(r, 0, "key"), takes_utf8);
    row->row = skip_clean_text(field_text(r, 0, "row"), takes_utf8);
    row->error = skip_clean_text(p->said.what, takes_utf8);
    row->is_delete = PQgetisnull(p->found, 0, 0);
    snprintf(row->sqlstate, sizeof row->sqlstate, "%s", p->said.sqlstate);
    p->table->wants_search = false;
    if (removes_nothing(p, row)) {
        skip_add_nothing(p->table, row);
        skip_poison_free(row);
        lead_retry(p->table);
        lead_wake(p->sync->lead);
        return JOB_DONE;
    }
    skip_set_poison(p->table, row);
    say_row(p, row);
    return JOB_DONE;
}

/* ------------------------------------------------------------------ a row that the source cannot
 * read */

static void bind_unreadable(struct job *j, struct params *p)
{
    const struct table *t = poison_of(j)->table;
    struct snapshot since = {0};

    snapshot_parse(j->arena, t->snapshot, &since);
    params_text(p, t->read_sql);
    params_int(p, since.xmax);
    params_text(p, since.running);
}

static enum job_next take_unreadable(struct job *j, PGresult *r)
{
    struct poison_job *p = poison_of(j);
    struct error e = {0};

    p->table->wants_search = false;
    if (field_is_null(r, 0, "row"))
        return JOB_DONE;
    error_set(&e, "a row of %s cannot be read at the source: %s", p->table->label, p->said.what);
    error_detail(&e, "the row: %s", field_text(r, 0, "row"));
    error_hint(
        &e,
        "Mend the row at the source: the table goes on by itself then (at once: rebeco retry "
        "%s). It cannot be left out, since it is not known what it is.",
        p->table->label);
    snprintf(e.sqlstate, sizeof e.sqlstate, "%s", p->said.sqlstate);
    table_pause(p->table, TABLE_ERROR, &e);
    return JOB_DONE;
}

/* ------------------------------------------------------------------ the job */

static const struct job_step steps[] = {
    {.name = "session read",
     .sql = &sql_session_read,
     .side = JOB_SOURCE,
     .bind = two_way_bind_pair},
    {.name = "session apply",
     .sql = &sql_session_apply,
     .side = JOB_TARGET,
     .bind = bind_session_apply,
     .result = take_session_apply},
    {.name = "pick", .enter = enter_pick},
    {.name = "begin", .sql = &sql_batch_begin, .side = JOB_SOURCE},
    {.name = "target", .enter = enter_target, .event = on_target_ready},
    {.name = "read", .enter = enter_read, .event = on_event},
    {.name = "judge", .enter = enter_judge},
    {.name = "statement",
     .sql = &sql_row_statement,
     .side = JOB_SOURCE,
     .bind = bind_row,
     .result = take_statement},
    {.name = "text", .enter = enter_text, .result = take_text},
    {.name = "source back", .sql = &sql_rollback, .side = JOB_SOURCE},
    {.name = "unreadable",
     .sql = &sql_unreadable_row,
     .side = JOB_SOURCE,
     .bind = bind_unreadable,
     .result = take_unreadable},
    {0},
};

static bool failed(struct job *j, const struct error *e)
{
    (void)e;
    put_down(poison_of(j));
    return waiting_table(poison_of(j)->sync) != NULL;
}

static void ended(struct job *j, bool finished)
{
    struct poison_job *p = poison_of(j);

    (void)finished;
    put_down(p);
    sync_think(p->sync);
}

static const struct job_type poison_type = {
    .name = "search",
    .uses = {true, true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .ended = ended,
};

void poison_init(struct poison_job *p, struct sync *s)
{
    p->sync = s;
    job_init(&p->job, s->loop, &poison_type, s, s->config->source, s->config->target);
    apply_init(&p->apply, target_of(p));
}

void poison_fini(struct poison_job *p)
{
    poison_stop(p);
    job_fini(&p->job);
    apply_fini(&p->apply);
    free(p->rows);
}

void poison_start(struct poison_job *p)
{
    if (!job_is_running(&p->job) && waiting_table(p->sync))
        job_start(&p->job);
}

void poison_stop(struct poison_job *p)
{
    job_stop(&p->job);
    put_down(p);
}
