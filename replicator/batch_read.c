/* What a batch asks of the source, and what it makes of the answers: which tables have changes,
 * how they look in the snapshot, and their rows, which go straight on to the applier.
 *
 * Statements go out in a pipeline; a queue remembers what each was for. No plan depends on the
 * change logs' statistics, which are always stale: the statements and the session's settings leave
 * one plan only. */
#include "batch_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apply.h"
#include "batch_chain.h"
#include "batch_foreign_key.h"
#include "batch_merge.h"
#include "batch_order.h"
#include "batch_probe.h"
#include "batch_quiet.h"
#include "batch_two_way.h"
#include "field.h"
#include "layout.h"
#include "shaping.h"
#include "skip.h"
#include "sqlstate.h"
#include "steady.h"
#include "two_way.h"

enum { MOVES_MAX = 2, HELD_MAX = 3 };

#define HELD_AGAIN_S 2.

#define CLOCK_AGES 1.01
#define READ_TIMEOUT_S 0. /* a large batch may take long; a dead network is noticed by TCP */

/* ------------------------------------------------------------------ what was asked of the source
 */

static void sent_push(struct batch_job *b, enum batch_answer what, struct batch_table *t,
                      enum apply_mode mode)
{
    struct batch_sent *s = ring_push(&b->sent);

    *s = (struct batch_sent){.what = what, .table = t, .mode = mode};
}

/* Sends plain text to the source that answers with nothing of interest. */
void batch_say(struct batch_job *b, const struct sql *sql)
{
    conn_query(job_conn(&b->job, JOB_SOURCE), sql->text, NULL, CONN_TEXT, READ_TIMEOUT_S);
    sent_push(b, BATCH_NOTHING, NULL, APPLY_ALL);
}

void batch_prepare(struct batch_job *b, const char *name, const char *text)
{
    conn_prepare(job_conn(&b->job, JOB_SOURCE), name, text, NULL);
    sent_push(b, BATCH_NOTHING, NULL, APPLY_ALL);
}

/* Asks by a statement prepared under its file's name; parameters are in job.params. */
void batch_ask(struct batch_job *b, const struct sql *sql, enum batch_answer what)
{
    batch_ask_name(b, sql->name, what);
}

void batch_ask_name(struct batch_job *b, const char *name, enum batch_answer what)
{
    conn_execute_name(job_conn(&b->job, JOB_SOURCE), name, &b->job.params, CONN_TEXT,
                      READ_TIMEOUT_S);
    sent_push(b, what, NULL, APPLY_ALL);
}

void batch_ask_text(struct batch_job *b, const struct sql *sql, struct batch_table *t,
                    const char **answer)
{
    struct batch_sent *s;

    conn_query(job_conn(&b->job, JOB_SOURCE), sql->text, &b->job.params, CONN_TEXT, READ_TIMEOUT_S);
    s = ring_push(&b->sent);
    *s = (struct batch_sent){.what = BATCH_TEXT, .table = t, .answer = answer};
}

/* ------------------------------------------------------------------ the group */

bool batch_group_is_current(const struct batch_job *b)
{
    int i = 0;

    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!table_is_followed(t))
            continue;
        if (i >= b->group_count || b->group[i].table != t)
            return false;
        i++;
    }
    return i == b->group_count;
}

/* What is prepared on this connection stays prepared. */
static struct batch_table as_before(const struct batch_table *group, int count, struct table *t)
{
    struct batch_table now = {.table = t};

    for (int i = 0; i < count; i++)
        if (group[i].table == t) {
            now.is_prepared = group[i].is_prepared;
            now.has_probe = group[i].has_probe;
            now.is_filled = group[i].is_filled;
            now.hot = group[i].hot;
        }
    return now;
}

void batch_group_rebuild(struct batch_job *b)
{
    struct batch_table *old = b->group;
    int old_count = b->group_count;

    batch_forget_seen(b);
    b->group = mem_alloc(sizeof *b->group * (size_t)(b->sync->table_count + 1));
    b->group_count = 0;
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (!table_is_followed(t))
            continue;
        b->group[b->group_count++] = as_before(old, old_count, t);
    }
    free(old);
}

bool batch_has_unrecorded(const struct batch_job *b)
{
    for (struct list *l = b->sync->tables.next; l != &b->sync->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (t->pause != TABLE_RUNS && !t->is_recorded && t->id != 0)
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ looking for changes */

/* Where every table of the group is read from, as the probes take it. */
bool batch_find_positions(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];
        const char *text = t->table->snapshot ? t->table->snapshot : b->sync->snapshot;

        t->changes = 0;
        t->is_probed = false;
        t->is_truncated = false;
        t->is_cleared = false;
        t->is_broken = false;
        t->is_other_log = false;
        t->has_removals = false;
        t->stamp = NULL;
        t->other_id = 0;
        t->left_out = "[]";
        t->again = t->again_there = NULL;
        t->merged = NULL;
        if (text == NULL || !snapshot_parse(b->arena, text, &t->since)) {
            struct error e = {0};

            error_set(&e, "table %s has no readable position", t->table->label);
            error_hint(&e, "Copy it again: rebeco resync %s", t->table->label);
            job_fail(&b->job, &e);
            return false;
        }
    }
    return true;
}

/* The server's clock stood at `server_s` between the question and now. The best of many
 * measurements counts, and ages, since clocks drift. Where two of them cannot both be right, the
 * clock was set, or this is another server: what was known before is of no use. */
static void measure_clock(struct batch_job *b, double server_s)
{
    double now = steady_now();
    double error_s = (now - b->taken_s) / 2;
    double ahead_s = server_s - (b->taken_s + error_s);
    bool agrees = fabs(ahead_s - b->clock_ahead_s) <= error_s + b->clock_error_s;

    if (b->clock_error_s > 0 && error_s > b->clock_error_s && agrees) {
        b->clock_error_s *= CLOCK_AGES;
        return;
    }
    b->clock_error_s = error_s;
    b->clock_ahead_s = ahead_s;
}

static void take_snapshot(struct batch_job *b, const PGresult *r)
{
    b->until = arena_strdup(b->arena, field_text(r, 0, "until"));
    b->taken_at = arena_strdup(b->arena, field_text(r, 0, "taken_at"));
    b->insert_lsn = arena_strdup(b->arena, field_text(r, 0, "insert_lsn"));
    b->has_running = field_bool(r, 0, "has_running");
    b->clock_s = field_double(r, 0, "epoch");
    measure_clock(b, b->clock_s);
}

struct batch_table *batch_group_find(struct batch_job *b, int id)
{
    for (int i = 0; i < b->group_count; i++)
        if (b->group[i].table->id == id)
            return &b->group[i];
    return NULL;
}

/* ------------------------------------------------------------------ reading */

/* A text array's literal grows by one element; stamps hold no quotes or backslashes. */
static void add_element(struct buf *array, const char *text)
{
    if (text)
        buf_printf(array, "%s\"%s\"", array->len ? "," : "{", text);
    else
        buf_text(array, array->len ? ",NULL" : "{NULL");
}

static void close_array(struct buf *array)
{
    buf_text(array, array->len ? "}" : "{}");
}

void batch_send_stamps(struct batch_job *b, const struct sql *sql, enum batch_answer what)
{
    struct buf oids = {0}, ids = {0}, known = {0}, captures = {0};

    for (int i = 0; i < b->group_count; i++) {
        const struct batch_table *t = &b->group[i];

        if (t->changes == 0)
            continue;
        buf_printf(&oids, "%s%u", oids.len ? "," : "{", t->table->source_oid);
        buf_printf(&ids, "%s%d", ids.len ? "," : "{", t->table->id);
        add_element(&known, t->table->stamp);
        add_element(&captures, t->table->capture_stamp);
    }
    close_array(&oids);
    close_array(&ids);
    close_array(&known);
    close_array(&captures);
    params_clear(&b->job.params);
    params_text(&b->job.params, oids.data);
    params_text(&b->job.params, ids.data);
    params_text(&b->job.params, what == BATCH_STAMPS ? known.data : b->insert_lsn);
    if (what == BATCH_STAMPS)
        params_text(&b->job.params, captures.data);
    batch_ask(b, sql, what);
    buf_fini(&oids);
    buf_fini(&ids);
    buf_fini(&known);
    buf_fini(&captures);
}

void batch_send_read(struct batch_job *b, struct batch_table *t, enum apply_mode mode)
{
    char name[32];

    snprintf(name, sizeof name, "rebeco_read_%d", t->table->plan);
    if (!t->is_prepared) {
        conn_prepare(job_conn(&b->job, JOB_SOURCE), name, t->table->read_sql, NULL);
        sent_push(b, BATCH_NOTHING, t, mode);
        t->is_prepared = true;
    }
    params_clear(&b->job.params);
    params_int(&b->job.params, t->since.xmax);
    params_text(&b->job.params, t->since.running);
    params_bool(&b->job.params, t->table->records == TABLE_KEY
                                    ? mode == APPLY_GONE
                                    : t->has_removals || t->is_truncated);
    if (b->sync->other)
        params_text(&b->job.params, t->left_out);
    conn_execute_name(job_conn(&b->job, JOB_SOURCE), name, &b->job.params, CONN_ROWS_BINARY,
                      READ_TIMEOUT_S);
    sent_push(b, BATCH_ROWS, t, mode);
}

void batch_pause_broken(struct table *t, const char *broken, bool is_lossy)
{
    struct error e = {0};

    if (is_lossy)
        error_set(&e, "capture of %s was interrupted: changes may be missing", t->label);
    else
        error_set(&e, "capture of %s has to be fitted to its table", t->label);
    error_detail(&e, "%s", broken);
    t->is_lossy = is_lossy;
    if (is_lossy && t->sync->other)
        error_hint(&e,
                   "Compare both ends. `rebeco resync %s` copies it again from the source; what "
                   "only the target has of it is lost then.",
                   t->label);
    else
        error_hint(&e, "This is mended by itself, by copying the table again where needed; nothing "
                       "to do unless it repeats.");
    table_pause(t, TABLE_CAPTURE, &e);
}

bool batch_pause_unreadable(struct batch_job *b)
{
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        const struct batch_table *t = &b->group[i];

        if (!t->is_broken && !t->is_other_log)
            continue;
        batch_pause_broken(t->table,
                           t->is_other_log
                               ? "its change log was made anew, by another sync or by a person"
                               : "its changes could not be read: it was altered, or a partition of "
                                 "it was emptied in a transaction with an old snapshot "
                                 "(REPEATABLE READ)",
                           true);
        any = true;
    }
    return any;
}

/* A known row is named again, until another is found. */
void batch_pause_failed(struct batch_job *b, struct table *t, const struct error *e)
{
    const struct batch_table *g = batch_group_find(b, t->id);
    bool is_known = t->poison && strcmp(t->poison->sqlstate, e->sqlstate) == 0;

    t->retries++;
    t->searches = 0;
    t->wants_search = strcmp(e->sqlstate, SQLSTATE_ROWS_MISSING) != 0;
    t->was_truncated = g && g->is_truncated;
    table_pause(t, TABLE_ERROR, is_known ? &t->why : e);
}

/* Short ones are waited for by making the batch again; a longer one must not hold up the others. */
void batch_note_held(struct table *t, enum job_side side)
{
    struct error e = {0};
    double again_s = HELD_AGAIN_S * (double)(1 << (t->retries < 1 ? t->retries : 1));

    if (++t->failures <= HELD_MAX && t->retries == 0)
        return;
    t->retries++;
    error_set(&e, "%s is locked at %s", t->label,
              side == JOB_SOURCE ? "the source: its changes cannot be read"
                                 : "the target, or rows of it: changes cannot be written");
    two_way_say_ends(t->sync, e.what);
    error_hint(&e, "%s", "It goes on by itself when whoever holds it lets it go.");
    table_pause(t, TABLE_ERROR, &e);
    t->retry_at = steady_now() + again_s;
}

static struct error drift_error(const struct table *t, const char *shape)
{
    struct error e = {0};

    error_set(&e, "table %s has changed at the source", t->label);
    error_detail(&e, "it is now: %s", shape ? shape : "gone");
    error_hint(&e, "Make the same change at the target; the table goes on by itself then.");
    two_way_say_ends(t->sync, e.what);
    two_way_say_ends(t->sync, e.hint);
    return e;
}

static bool replace(char **text, const char *with)
{
    free(*text);
    *text = mem_strdup(with);
    return true;
}

/* In the batch's snapshot: does a table still look as its statements expect, and is its capture
 * whole? Otherwise it is taken out, before a row of it is read, and the batch is made without it.
 */
static bool take_stamp(struct batch_job *b, struct batch_table *t, const PGresult *r, int row)
{
    const char *shape = field_or_null(r, row, "shape");

    t->stamp = arena_strdup(b->arena, field_text(r, row, "stamp"));
    if (field_is_null(r, row, "stamp") || (shape && strcmp(shape, t->table->source->shape) != 0)) {
        struct error e = drift_error(t->table, shape);

        table_pause(t->table, TABLE_DRIFT, &e);
        return false;
    }
    if (!field_is_null(r, row, "layout") &&
        !layout_keeps_values(
            t->table->layout,
            shaping_layout(b->arena, t->table->source, field_text(r, row, "layout")), NULL, NULL)) {
        struct error e = drift_error(t->table, shape);

        table_pause(t->table, TABLE_DRIFT, &e);
        return false;
    }
    if (!field_is_null(r, row, "broken")) {
        batch_pause_broken(t->table, field_text(r, row, "broken"), field_bool(r, row, "is_lossy"));
        return false;
    }
    replace(&t->table->stamp, t->stamp);
    return replace(&t->table->capture_stamp, field_text(r, row, "capture_stamp"));
}

static bool take_stamps(struct batch_job *b, const PGresult *r)
{
    bool fits = true;

    for (int i = 0; i < PQntuples(r); i++) {
        struct batch_table *t = batch_group_find(b, field_int(r, i, "id"));

        if (t && !take_stamp(b, t, r, i))
            fits = false;
    }
    return fits;
}

/* A table that is truncated or altered again and again would hold up the others: it stands aside,
 * and is taken in again by the leading job a moment later. */
static void note_move(struct table *t)
{
    struct error e = {0};

    if (++t->moves < MOVES_MAX)
        return;
    t->moves = 0;
    error_set(&e, "%s is truncated, rewritten or altered again and again", t->label);
    error_hint(&e, "%s", "It goes on by itself as soon as it can be read undisturbed.");
    table_pause(t, TABLE_DRIFT, &e);
}

static void take_check(struct batch_job *b, const PGresult *r)
{
    for (int i = 0; i < PQntuples(r); i++) {
        struct batch_table *t = batch_group_find(b, field_int(r, i, "id"));

        if (t && (t->stamp == NULL || field_is_null(r, i, "stamp") ||
                  strcmp(t->stamp, field_text(r, i, "stamp")) != 0)) {
            b->has_moved = true;
            note_move(t->table);
        }
        if (!field_bool(r, i, "is_flushed"))
            b->is_flushed = false;
    }
}

void batch_clear(struct batch_job *b, struct batch_table *t)
{
    if (t->other_id)
        apply_clear_but(&b->apply, t->table, t->other_id, t->keep, t->survivors,
                        batch_is_cut_with_parent(b, t) ? NULL : b->other_until);
    else
        apply_clear(&b->apply, t->table);
    skip_cleared(t->table);
    t->is_cleared = true;
}

static void open_rows(struct batch_job *b, const struct batch_sent *s)
{
    if (b->apply.table == s->table->table && b->apply.mode == s->mode)
        return;
    if (b->clears_late && s->mode == APPLY_GONE)
        batch_send_clears(b);
    if (s->table->is_truncated && !s->table->is_cleared && !(b->clears_late && s->table->is_parent))
        batch_clear(b, s->table);
    apply_open(&b->apply, s->table->table, s->mode);
    b->apply.is_whole = s->table->is_whole;
}

static void take_row(struct batch_job *b, const struct batch_sent *s, const PGresult *r)
{
    open_rows(b, s);
    if (PQresultStatus(r) != PGRES_SINGLE_TUPLE) {
        apply_close(&b->apply);
        batch_merge_send(b, s->table, s->mode);
    } else if (s->table->table->skip_count == 0 || !skip_row(s->table->table, r, true)) {
        apply_row(&b->apply, r);
    }
}

bool batch_take(struct batch_job *b, const PGresult *r)
{
    struct batch_sent s = *(struct batch_sent *)ring_first(&b->sent);
    bool fits = true;

    switch (s.what) {
    case BATCH_NOTHING:
        break;
    case BATCH_PROBE_TEXT:
        batch_take_probe_texts(b, r);
        break;
    case BATCH_SNAPSHOT:
        take_snapshot(b, r);
        break;
    case BATCH_LOGS:
        batch_take_logs(b, r);
        break;
    case BATCH_LOOKED:
        b->look_s = field_double(r, 0, "epoch") - b->clock_s;
        break;
    case BATCH_PROBE:
        batch_take_probe(b, r);
        break;
    case BATCH_STAMPS:
        fits = take_stamps(b, r);
        break;
    case BATCH_ROWS:
        if (b->writing != BATCH_REFUSED)
            take_row(b, &s, r);
        break;
    case BATCH_CHECK:
        take_check(b, r);
        break;
    case BATCH_CONFIRM:
        if (PQntuples(r) == 1)
            batch_note_own(b, field_int64(r, 0, "xid"));
        break;
    case BATCH_NAP:
        b->writers_notify = field_bool(r, 0, "notifies");
        batch_note_own(b, field_int64(r, 0, "xid"));
        break;
    case BATCH_GLANCE:
        batch_take_glance(b, field_text(r, 0, "until"), field_bool(r, 0, "has_running"));
        break;
    case BATCH_DISTURBED:
        b->is_disturbed = field_bool(r, 0, "is_disturbed");
        break;
    case BATCH_TIMES:
        batch_take_times(b, s.table, r);
        break;
    case BATCH_TEXT:
        for (int i = 0; i < PQnfields(r); i++)
            s.answer[i] = arena_strdup(batch_answers(b), PQgetvalue(r, 0, i));
        break;
    }
    if (PQresultStatus(r) != PGRES_SINGLE_TUPLE)
        ring_pop(&b->sent);
    return fits;
}

struct table *batch_first_table(const struct batch_job *b)
{
    const struct batch_sent *s = ring_first(&b->sent);

    return s && s->table ? s->table->table : NULL;
}
