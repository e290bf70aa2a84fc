/* What came in between: after the last write of a round, and before its commit, the application's
 * changes at the receiving end since the round's snapshot. One of a key that the round has written,
 * and it is given up here; the next one finds that change in the log. What the round leaves out was
 * not written: it has lost to what was there in the snapshot, and what came later is on its way
 * back.
 *
 * A truncation concerns every row of the other end. Where the application writes there without a
 * pause each round would be given up, and nothing would ever arrive. So it removes only rows that
 * it has locked, and then seen not to have changed since the snapshot (rebeco.two_way_clear).
 * Those that have changed stay, and are logged again at the source as of the time of the
 * truncation, in a transaction that is over before the position goes past it: the next round finds
 * both changes, and decides. They are among those that are asked for here, since whatever was there
 * and not removed is either one of them, or locked until the commit; what comes after the question
 * has come after the truncation, and is on its way back. That a removal comes later does no harm
 * where no other constraint ties the rows, and what they refer to is not truncated with them. In
 * other tables, and where rows are merged, one that came late gives the round up.
 *
 * A foreign key with an action may have come in between, too. Then the captures are looked at
 * (rebeco.two_way_check_actions), and may give the round up as an error does.
 *
 * What came in between may also make the target refuse a statement of the round, at once or when
 * put-off constraints are settled: the row that ours refers to has just gone there, or another has
 * come that refers to ours; or it and we wait for each other. That gives the round up, too, and no
 * more: the job goes on, with its connections and with what it knows of hot rows.
 *
 * - It is safe, because nothing of the half round is known to anybody: position, rows and what was
 *   decided are one transaction, which the server has ended already, and our ROLLBACK closes. What
 *   the reading transaction has logged again at the source may stay, as after any other round that
 *   is given up (batch_again.c): the position has not gone past it. The other half is not
 *   concerned; it may be through, or not (two_way.c).
 * - Kept: what is prepared on both connections, but for what the server has passed over behind the
 *   failure (apply.c); the hot rows, and how many rounds were given up. Forgotten: the rest of the
 *   round, as ever. The next one begins after a rest that grows with their number, and knows what
 *   came in between.
 * - A refusal that has another reason must not be repeated for ever. So the late look is taken
 *   then, too, after the ROLLBACK: when nothing has been changed meanwhile in the table or in one
 *   that is tied to it, the statement has failed for good, and all that is done with a table that
 *   fails is done (batch_order.c). A deadlock needs no such proof. Nor does a look help where the
 *   tables are changed all the time beside the row that is refused: a refusal in the same words,
 *   again and again, counts as one for good; and every so many rounds the job fails, so that it
 *   is known. */
#include "batch_two_way.h"

#include <jansson.h>
#include <string.h>

#include "batch_again.h"
#include "batch_foreign_key.h"
#include "batch_hot.h"
#include "batch_merge.h"
#include "batch_order.h"
#include "batch_read.h"
#include "log.h"
#include "sqlstate.h"
#include "two_way.h"

enum { LOST_MAX = 3, ALIKE_MAX = 4, REFUSALS_MAX = 20 };

#define REST_S 0.01 /* for each round that was refused */
#define REST_MAX_S 0.2

/* It may be because of somebody else that the server says so. */
static bool may_be_of_others(const char *sqlstate)
{
    return sqlstate_is_foreign_key(sqlstate) || sqlstate_is_of_lock(sqlstate);
}

bool batch_give_up(struct batch_job *b, struct table *t, const struct error *e)
{
    bool is_alike =
        strcmp(e->what, b->refusal.what) == 0 && strcmp(e->detail, b->refusal.detail) == 0;

    if (b->writing != BATCH_WRITES || !may_be_of_others(e->sqlstate))
        return false;
    b->refusals_alike = is_alike ? b->refusals_alike + 1 : 0;
    b->refusal = *e;
    b->refused = t;
    if (b->refusals_alike > ALIKE_MAX || ++b->refusals % REFUSALS_MAX == 0)
        return false;
    b->writing = BATCH_REFUSED;
    apply_drop(&b->apply);
    conn_resume_reading(job_conn(&b->job, JOB_SOURCE));
    batch_sync_target(b);
    return true;
}

/* The server has passed over whatever came behind the failure, a COMMIT, too. */
static void take_back(struct batch_job *b)
{
    conn_query(job_conn(&b->job, JOB_TARGET), sql_rollback.text, NULL, CONN_TEXT, 0);
    apply_sent_other(&b->apply);
    b->writing = BATCH_ASKS_WHY;
}

/* Where the application's changes could be in this round's way. */
static bool is_asked_for(const struct batch_job *b, const struct batch_table *t)
{
    return t->changes > 0 || b->writing == BATCH_ASKS_WHY || batch_may_lose(b, t);
}

/* The server's answer is an error, or of no interest. */
static void check_actions(struct batch_job *b)
{
    struct buf oids = {0};

    for (int i = 0; i < b->group_count; i++)
        if (is_asked_for(b, &b->group[i]))
            buf_printf(&oids, "%s%u", oids.len ? "," : "{", b->group[i].table->target->oid);
    if (oids.len > 0) {
        buf_text(&oids, "}");
        params_clear(&b->job.params);
        params_text(&b->job.params, oids.data);
        conn_query(job_conn(&b->job, JOB_TARGET), sql_two_way_check_actions.text, &b->job.params,
                   CONN_TEXT, 0);
        apply_sent_other(&b->apply);
    }
    buf_fini(&oids);
}

enum job_next batch_enter_late(struct job *j)
{
    struct batch_job *b = batch_of(j);
    struct buf ids = {0};

    b->late = NULL;
    if (b->writing == BATCH_REFUSED)
        take_back(b);
    else if (b->sync->other)
        check_actions(b);
    for (int i = 0; two_way_is_coupled(b->sync) && i < b->group_count; i++)
        if (is_asked_for(b, &b->group[i]))
            buf_printf(&ids, "%s%d", ids.len ? "," : "{", b->group[i].other_id);
    if (ids.len == 0)
        return job_goto(j, "commit");
    buf_text(&ids, "}");
    params_clear(&j->params);
    params_text(&j->params, ids.data);
    params_text(&j->params, b->other_until);
    params_text(&j->params, batch_merge_all(b));
    batch_ask_there(b, NULL, &sql_two_way_late, &b->late);
    buf_fini(&ids);
    return batch_sync_target(b);
}

static bool may_spare(const struct batch_job *b, const struct batch_table *t, const json_t *late)
{
    return json_is_true(json_object_get(late, "spares")) && !batch_is_cut_with_parent(b, t);
}

static void ask_late_keys(struct batch_job *b, struct batch_table *t, const json_t *late)
{
    const char *keys = batch_text_of(b->arena, json_object_get(late, "keys"));

    if (json_is_true(json_object_get(late, "cut")) || (t->is_truncated && !may_spare(b, t, late))) {
        t->late_keys = "[all]";
        return;
    }
    batch_bind_round(&b->job.params, t->table->id, batch_since(b, t), b->until);
    params_text(&b->job.params, keys);
    params_text(&b->job.params, batch_merge_left_out(b, t));
    batch_ask_text(b, &sql_two_way_late_keys, t, &t->late_keys);
    if (!t->is_truncated)
        return;
    batch_bind_round(&b->job.params, t->table->id, batch_since(b, t), b->until);
    params_text(&b->job.params, keys);
    params_text(&b->job.params, t->left_out);
    batch_ask_text(b, &sql_two_way_hot, t, &t->spared);
}

enum job_next batch_enter_late_keys(struct job *j)
{
    struct batch_job *b = batch_of(j);
    json_t *all = b->late ? json_loads(b->late, 0, NULL) : NULL;
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        char id[16];
        const json_t *late;

        snprintf(id, sizeof id, "%d", b->group[i].other_id);
        late = json_object_get(all, id);
        if (late == NULL)
            continue;
        b->group[i].late_lost =
            json_is_true(json_object_get(late, "lost")) && batch_may_lose(b, &b->group[i]);
        any |= b->group[i].late_lost;
        if (b->group[i].changes == 0)
            continue;
        ask_late_keys(b, &b->group[i], late);
        any = true;
    }
    json_decref(all);
    if (any)
        return batch_sync_source(b);
    return b->writing == BATCH_ASKS_WHY ? JOB_NEXT : job_goto(j, "times");
}

/* A foreign key has removed a row that came after the round's snapshot: the next one knows it, and
 * writes down what becomes of it. */
static bool is_lost(struct batch_job *b, const struct batch_table *t)
{
    return t->late_lost && ++b->lost <= LOST_MAX;
}

static void note_hot(struct batch_job *b)
{
    for (int i = 0; i < b->group_count; i++)
        if (batch_has_any(b->group[i].late_keys))
            batch_hot_note(b, &b->group[i]);
    b->given_up++;
}

/* Was there a change that may be the reason? */
static bool came_in_between(const struct batch_job *b)
{
    json_t *late = b->late ? json_loads(b->late, 0, NULL) : NULL;
    bool any = strcmp(b->refusal.sqlstate, SQLSTATE_DEADLOCK) == 0;

    for (int i = 0; !any && i < b->group_count; i++) {
        const struct table *t = b->group[i].table;
        char id[16];

        snprintf(id, sizeof id, "%d", b->group[i].other_id);
        any = json_object_get(late, id) &&
              (b->refused == NULL || t == b->refused || batch_refers_to(b, t, b->refused) ||
               batch_refers_to(b, b->refused, t));
    }
    json_decref(late);
    return any;
}

static enum job_next judge_refusal(struct batch_job *b)
{
    double rest_s = REST_S * b->refusals;

    if (!came_in_between(b))
        return batch_failed(b, JOB_TARGET, b->refused, &b->refusal);
    b->redone++;
    note_hot(b);
    log_error(LOG_DEBUG, "a row was changed meanwhile: the round is made again", &b->refusal,
              "sync", b->sync->name, NULL);
    return job_sleep(&b->job, rest_s < REST_MAX_S ? rest_s : REST_MAX_S, job_goto(&b->job, "undo"));
}

static bool send_spared(struct batch_job *b)
{
    bool any = false;

    for (int i = 0; i < b->group_count; i++) {
        struct batch_table *t = &b->group[i];

        if (batch_has_any(t->spared)) {
            t->again = t->spared;
            batch_log_again(b, t);
            any = true;
        }
        t->spared = NULL;
    }
    return any;
}

enum job_next batch_enter_late_judged(struct job *j)
{
    struct batch_job *b = batch_of(j);

    if (b->writing == BATCH_ASKS_WHY)
        return judge_refusal(b);
    for (int i = 0; i < b->group_count; i++)
        if (batch_has_any(b->group[i].late_keys) || is_lost(b, &b->group[i])) {
            b->redone++;
            note_hot(b);
            log_event(LOG_DEBUG, "a row was changed meanwhile: the round is made again", "sync",
                      b->sync->name, "table", b->group[i].table->label, NULL);
            return job_goto(j, "undo");
        }
    b->lost = 0;
    return send_spared(b) ? batch_sync_source(b) : JOB_NEXT;
}
