/* Partitions of a captured table that were dropped: why their rows go at the other end, all of
 * them, and no other row does.
 *
 * Let P be a partition that X has dropped, and K the keys of its rows that Y, the other end of one
 * direction, still has. No log of X has them. schema/109_partition.sql says what is true of every
 * row that P ever had (its bounds), and that capture_repair() writes down, in one transaction R at
 * X, that this direction owes them. Then pages of the keys of Y's rows that are within the bounds
 * are read at Y and written into X's log, and with the last page the note goes, in the same
 * transaction. What is logged is read and applied by ordinary batches.
 *
 * - No other row goes. A batch asks X for each key: what is there, because another partition took
 *   P's place and the row was put in, attached, or moved there, is written, and not removed. To log
 *   a key that nothing has happened to does no harm in one direction.
 *
 * - All of K is logged. The pages are read while the table stands still, which is recorded at Y:
 *   every batch that was in hand has ended, and none of the table begins. A batch that began before
 *   R may still have brought rows of P, and has ended by then; each later one takes its snapshot
 *   after R, in which P is gone, and brings no row that only P had. So K does not grow from the
 *   first page on. It may shrink, since what was read by its order is passed once: a row of K is
 *   met where its key is due, or is gone. And of a table that is being copied no page is read
 *   before its last chunk is done: chunks bring rows that were read earlier, by other processes,
 *   too.
 *
 * - The log rows are X's, of transactions after R, and beyond the position from which the table
 *   goes on: each is in a batch. Rotation keeps them as it keeps all that a reader does not have.
 *
 * - kill -9, anywhere: before R the partition is still missed, and R comes again. After it the note
 *   is in X's database, with the last key of the last page that was committed; a page that was read
 *   and not logged is read again. The pause is recorded at Y, and a daemon that begins asks for
 *   notes before it makes its first batch: a note may be there that another reader's daemon has
 *   made, while this one was away.
 *
 * - Y's own definition does not matter: whether it has P still, under that or another name, or
 *   never had it, or keeps the table in one piece. Where P was dropped there, too, no row is found.
 *   Where the bounds mean nothing there (a column has another name), the table is copied again.
 *
 * - Nobody waits for us. Reading takes a page at a time, by the key; writing takes a row lock of
 *   rebeco.capture at X for a moment. There is one page in memory. Between two pages the leading
 *   job does whatever else is due.
 *
 * Both directions (two_way.c). There a logged key is a change of X, which may win over one of Y:
 * only what X has lost may be logged. Both directions of the table stand still, each with its
 * position recorded: A, what Y has of X; a, what X has of Y. A row of Y is left out
 * - which Y's log says was inserted beyond a: P never had it. A row that was changed or removed and
 *   put in again beyond a was in P; it is logged, and so a conflict, with the time when the loss
 *   was noticed, and the policy decides. When Y wins, its row is sent to X, which needs a partition
 *   for it: until it has one the row is refused, and the table stands still, as for any such row;
 * - that X has: it came there after P was gone, by the application, or from Y;
 * - of which X's log has a change beyond A: that one counts, with its time.
 * Where a position is a snapshot from before P was dropped, all this is as it was then: only the
 * application writes, and its changes of one end are in that end's log, seen with the row or not.
 * What Y had changed before the loss was noticed, and was sent by then, is at X as any change that
 * arrives, and stays. Both ends may have dropped partitions: each direction owes its own keys. */
#include "partition.h"

#include <stdlib.h>

#include "batch_read.h"
#include "field.h"
#include "lead_steps.h"
#include "log.h"
#include "mem.h"
#include "sqlstate.h"
#include "steady.h"
#include "two_way.h"

#define RETRY_S 1.

enum { PAGE_KEYS = 20000 };

static struct partition_page *page_of(struct job *j)
{
    return &lead_of(j)->page;
}

static void keep(char **place, const char *text)
{
    free(*place);
    *place = mem_strdup(text);
}

void partition_page_fini(struct partition_page *p)
{
    char **texts[] = {&p->name, &p->bounds, &p->columns, &p->after, &p->keys, &p->last};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        keep(texts[i], NULL);
}

/* The table owes keys, and all that it had to do before is done: it stands still until they are
 * logged. */
static void pause_for_keys(struct table *t, const char *why)
{
    struct error e = {0};

    error_set(&e, "a partition of %s was dropped: its rows go at the %s, too", t->label,
              t->sync->is_back ? "source" : "target");
    error_detail(&e, "%s", why);
    error_hint(&e, "%s",
               "Their keys are read there, and removed by the next batches. It goes on by itself.");
    t->is_lossy = false;
    table_pause(t, TABLE_CAPTURE, &e);
}

void partition_take_note(struct table *t, bool owes)
{
    t->owes_keys = owes;
    if (owes && t->state == TABLE_FOLLOW && t->pause == TABLE_RUNS)
        pause_for_keys(t, "keys of its rows are still to be logged");
}

/* ------------------------------------------------------------------ before a table goes on */

void partition_bind_gone(struct job *j, struct params *p)
{
    params_text(p, j->sync->consumer);
    params_int(p, lead_of(j)->table->id);
}

/* While it is copied its rows are still coming. */
enum job_next partition_take_gone(struct job *j, PGresult *r)
{
    struct table *t = lead_of(j)->table;
    char why[256];

    t->owes_keys = PQntuples(r) > 0;
    if (!t->owes_keys || t->state != TABLE_FOLLOW)
        return JOB_NEXT;
    snprintf(why, sizeof why, "partition %s", field_text(r, 0, "name"));
    pause_for_keys(t, why);
    t->wants_plan = false;
    return job_goto(j, "resume");
}

/* ------------------------------------------------------------------ pages */

static bool is_at_rest(const struct table *t)
{
    return t->state == TABLE_FOLLOW && t->pause != TABLE_RUNS && t->is_recorded && t->snapshot;
}

static bool may_log(struct table *t)
{
    struct table *o = two_way_other(t);

    return t->owes_keys && t->pause == TABLE_CAPTURE && !t->is_lossy && !t->wants_copy &&
           t->source && t->target && is_at_rest(t) &&
           (t->sync->other == NULL || (o && is_at_rest(o)));
}

struct table *partition_next(struct sync *s)
{
    if (steady_now() < s->lead->page.next_try || s->is_paused)
        return NULL;
    for (struct list *l = s->tables.next; l != &s->tables; l = l->next) {
        struct table *t = container_of(l, struct table, in_sync);

        if (may_log(t))
            return t;
    }
    return NULL;
}

/* It goes on as soon as its capture is looked at once more. */
static enum job_next all_logged(struct job *j)
{
    lead_of(j)->table->owes_keys = false;
    lead_of(j)->reconcile_due = 0;
    j->sync->wants_catalog = true;
    return job_goto(j, "watch");
}

enum job_next partition_take_next(struct job *j, PGresult *r)
{
    struct partition_page *p = page_of(j);

    p->has_failed = false;
    if (PQntuples(r) == 0)
        return all_logged(j);
    p->id = field_int64(r, 0, "id");
    keep(&p->name, field_text(r, 0, "name"));
    keep(&p->bounds, field_text(r, 0, "bounds"));
    keep(&p->columns, field_text(r, 0, "key_columns"));
    keep(&p->after, field_or_null(r, 0, "after"));
    return JOB_NEXT;
}

void partition_bind_keys(struct job *j, struct params *p)
{
    const struct partition_page *page = page_of(j);
    struct table *t = lead_of(j)->table;
    const struct table *o = two_way_other(t);

    params_text(p, t->target->schema);
    params_text(p, t->target->name);
    params_text(p, page->bounds);
    params_text(p, page->columns);
    params_text(p, page->after);
    params_int(p, PAGE_KEYS);
    params_int(p, o ? o->id : 0);
    params_text(p, o ? o->snapshot : NULL);
}

enum job_next partition_take_keys(struct job *j, PGresult *r)
{
    keep(&page_of(j)->keys, field_text(r, 0, "keys"));
    keep(&page_of(j)->last, field_or_null(r, 0, "last"));
    return JOB_NEXT;
}

void partition_bind_log(struct job *j, struct params *p)
{
    const struct partition_page *page = page_of(j);

    params_text(p, j->sync->consumer);
    params_int(p, page->id);
    params_text(p, page->keys);
    params_text(p, page->last);
    params_text(p, j->sync->other ? lead_of(j)->table->snapshot : NULL);
}

enum job_next partition_take_logged(struct job *j, PGresult *r)
{
    struct partition_page *p = page_of(j);

    if (p->last == NULL && !field_is_null(r, 0, "logged"))
        log_event(LOG_NOTICE, "a partition was dropped: its rows go at the other end, too", "sync",
                  j->sync->name, "table", lead_of(j)->table->label, "partition", p->name, "rows",
                  field_text(r, 0, "logged"), NULL);
    keep(&p->keys, NULL);
    return job_goto(j, "watch");
}

/* What is refused is this table's trouble: it is copied again, or waits for a person. */
static enum job_next failed(struct job *j, enum job_side side, const PGresult *r)
{
    struct partition_page *p = page_of(j);
    struct table *t = lead_of(j)->table;
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    enum sqlstate_action action = sqlstate_action(state ? state : "");
    struct error e;

    if (action == SQLSTATE_RECONNECT || action == SQLSTATE_STOP)
        return job_fail_result(j, side, r);
    p->has_failed = true;
    p->next_try = steady_now() + RETRY_S;
    if (action == SQLSTATE_RETRY)
        return JOB_WAIT;
    conn_result_error(job_conn(j, side), r, &e);
    t->owes_keys = false;
    batch_pause_broken(t,
                       arena_printf(j->arena,
                                    "partition %s was dropped, and the keys of its rows cannot be "
                                    "read: %s",
                                    p->name, e.what),
                       true);
    return JOB_WAIT;
}

enum job_next partition_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return failed(j, side, m->result);
    if (m->event == CONN_RESULT)
        j->answer = j->step->result(j, m->result);
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    return page_of(j)->has_failed ? job_goto(j, "watch") : j->answer;
}
