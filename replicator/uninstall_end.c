/* Looking at one end, and cleaning it.
 *
 * Statements come from the server, as text, one for each table: each is a transaction of its own
 * with a short lock_timeout. When a table is locked the job fails, and starts again with what is
 * left, until all is done: nobody queues behind us for longer than the timeout.
 *
 * When others use our objects here too, and the sync was named with --sync, only what is its own
 * goes: its rows, and the captures that nobody else reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "field.h"
#include "monitor.h"
#include "sqlstate.h"
#include "uninstall.h"

#define UNINSTALL_BACKOFF_S 1.
#define DROP_S 60.
#define UNSENT_MOST "10000" /* of one change log: to count all of a large one takes its time */

struct end {
    struct client client;
    const struct uninstall_wish *wish;
    enum uninstall_step what;
    const char *side;
    PGresult *list; /* label, statement: what is being dropped */
    int at;         /* the next of them */
    char *stuck;    /* the table that was locked; NULL: none */
    char *holders;  /* who was last said to hold it */
    bool has_schema;
    bool is_ours;
    bool is_partial;
    bool has_told;      /* what was left out */
    bool has_apart;     /* sequences may be set apart here */
    const char *kept;   /* the statement that counts what is kept (the job's arena) */
    const char *others; /* syncs that stay, as an array's text (the job's arena) */
    int released;       /* tables that have no triggers of ours any more */
};

static struct end *end_of(struct job *j)
{
    struct client *c = container_of(j, struct client, job);
    return container_of(c, struct end, client);
}

static const char *sync_name(const struct end *d)
{
    return d->wish->x->sync->name;
}

static void forget_list(struct end *d)
{
    PQclear(d->list);
    d->list = NULL;
    d->at = 0;
}

static void begin(struct job *j)
{
    forget_list(end_of(j));
}

static bool is_source(const struct end *d)
{
    return strcmp(d->side, "source") == 0;
}

/* ---------------------------------------------------------------- before */

static void bind_limit(struct job *j, struct params *p)
{
    params_int(p, (int64_t)(end_of(j)->wish->x->sync->lock_timeout_s * 1000));
}

static enum job_next enter_stuck(struct job *j)
{
    return end_of(j)->stuck != NULL ? JOB_NEXT : job_goto(j, "survey");
}

static void bind_holders(struct job *j, struct params *p)
{
    params_text(p, end_of(j)->stuck);
}

/* Says who is waited for, once for each of them. */
static enum job_next result_holders(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    const char *holders = field_or_null(r, 0, "holders");
    if (holders == NULL || (d->holders != NULL && strcmp(d->holders, holders) == 0))
        return JOB_NEXT;
    fprintf(stderr, "rebeco: %s: %s is in use by %s; trying again and again\n", d->side, d->stuck,
            holders);
    free(d->holders);
    d->holders = mem_strdup(holders);
    return JOB_NEXT;
}

static enum job_next result_survey(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    const char *dependents = field_or_null(r, 0, "dependents");
    d->has_schema = field_bool(r, 0, "has_schema");
    d->is_ours = field_bool(r, 0, "is_ours");
    d->has_apart = field_bool(r, 0, "has_apart");
    if (d->what == UNINSTALL_COUNTS)
        return field_bool(r, 0, "has_state") ? job_goto(j, "way back") : JOB_DONE;
    if (d->has_schema && d->is_ours && dependents != NULL && !d->wish->x->force) {
        struct error e;
        error_clear(&e);
        error_set(&e, "%s: objects of yours depend on what is to be removed", d->side);
        error_detail(&e, "%s", dependents);
        error_hint(&e, "Drop or change them; --force drops them too.");
        return job_fail(j, &e);
    }
    if (!field_bool(r, 0, "has_state"))
        return d->what == UNINSTALL_LOOKS ? JOB_DONE : job_goto(j, "apart");
    if (d->what == UNINSTALL_CLEANS)
        return job_goto(j, "others");
    return field_bool(r, 0, "has_skips") && !d->has_told ? JOB_NEXT : job_goto(j, "way back");
}

/* ---------------------------------------------------------------- what is only kept in our tables
 */

/* A two-way sync's way back has the source for its target. */
static void bind_left_out(struct job *j, struct params *p)
{
    const struct end *d = end_of(j);

    params_text(p, is_source(d) ? arena_printf(j->arena, "%s back", sync_name(d)) : sync_name(d));
}

static enum job_next result_left_out(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    struct buf b = {0};

    for (int i = 0; i < PQntuples(r); i++) {
        buf_printf(&b, "%s: rows were left out and are missing there, of ", d->side);
        monitor_add_clean(&b, field_or_null(r, i, "label"));
        buf_printf(&b, ": %s, with keys ", field_or_null(r, i, "rows"));
        monitor_add_clean(&b, field_or_null(r, i, "keys"));
        buf_text(&b, "\n");
    }
    fputs(b.len > 0 ? b.data : "", stdout);
    fflush(stdout);
    buf_fini(&b);
    d->has_told = true;
    return JOB_NEXT;
}

/* What the source has of the target's changes, for when the target is looked at. */
static enum job_next enter_way_back(struct job *j)
{
    const struct end *d = end_of(j);

    if (!is_source(d))
        return JOB_NEXT;
    params_clear(&j->params);
    params_text(&j->params, arena_printf(j->arena, "%s back", sync_name(d)));
    conn_execute(job_conn(j, JOB_TARGET), &sql_uninstall_consumer, &j->params, CONN_TEXT, 60.);
    return JOB_WAIT;
}

static enum job_next result_way_back(struct job *j, PGresult *r)
{
    if (PQntuples(r) > 0)
        uninstall_take_position(end_of(j)->wish->at_source, r);
    return JOB_NEXT;
}

static bool is_closed(const struct end *d)
{
    return is_source(d) ? d->wish->keeps_source : d->wish->keeps_target;
}

/* A two-way sync reads the target's logs under the name of its way back. */
static void bind_kept(struct job *j, struct params *p)
{
    const struct end *d = end_of(j);

    params_text(p, is_source(d) ? sync_name(d) : arena_printf(j->arena, "%s back", sync_name(d)));
    params_text(p, is_source(d) ? d->wish->consumer : NULL);
    params_text(p, d->wish->consumer);
    params_text(p, is_source(d) ? d->wish->at_target->all : d->wish->at_source->all);
    params_text(p, is_source(d) ? d->wish->at_target->own : d->wish->at_source->own);
    params_text(p, is_closed(d) ? NULL : UNSENT_MOST);
}

static enum job_next result_kept(struct job *j, PGresult *r)
{
    const char *statement = field_or_null(r, 0, "statement");

    end_of(j)->kept = arena_strdup(j->arena, statement ? statement : "");
    return statement ? JOB_NEXT : job_goto(j, "counted");
}

static enum job_next enter_count_kept(struct job *j)
{
    conn_query(job_conn(j, JOB_TARGET), end_of(j)->kept, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

/* No daemon has come to send them: of an application that goes on writing there are always some.
 * After a cutover there should be none. */
static void tell_unsent(const struct end *d, const char *changes)
{
    bool is_many = atoll(changes) >= atoll(UNSENT_MOST);

    printf("%s: %s%s changes were made after the last that the other end has, and are not sent any "
           "more\n",
           d->side, is_many ? "more than " : "", is_many ? UNSENT_MOST : changes);
    fflush(stdout);
}

/* Of a two-way sync one direction is closed: such changes were not sent, and never could be. */
static enum job_next result_count_kept(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    const char *changes = PQgetvalue(r, 0, 0);
    struct error e;

    if (strcmp(changes, "0") == 0)
        return JOB_NEXT;
    if (!is_closed(d)) {
        tell_unsent(d, changes);
        return JOB_NEXT;
    }
    if (d->wish->x->force) {
        printf("%s: %s changes that were kept for the other end are given up, because of --force\n",
               d->side, changes);
        fflush(stdout);
        return JOB_NEXT;
    }
    error_clear(&e);
    error_set(&e, "%s: one direction is closed, and %s changes are kept for the other end", d->side,
              changes);
    error_hint(&e, "A running daemon sends them after `rebeco direction both`. --force gives them "
                   "up.");
    return job_fail(j, &e);
}

static enum job_next enter_counted(struct job *j)
{
    return end_of(j)->what == UNINSTALL_COUNTS ? JOB_DONE : JOB_NEXT;
}

static void bind_others(struct job *j, struct params *p)
{
    struct end *d = end_of(j);
    params_text(p, d->side);
    params_text(p, sync_name(d));
    params_text(p, d->wish->consumer);
}

static enum job_next result_others(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    const char *names = field_or_null(r, 0, "names");
    bool is_named = d->wish->x->arguments.sync != NULL;
    struct error e;
    error_clear(&e);
    if (!(d->wish->x->force && !is_named) && field_bool(r, 0, "is_in_doubt")) {
        error_set(&e,
                  "%s: several syncs are called \"%s\" here, and without the target it cannot "
                  "be told which is meant",
                  d->side, sync_name(d));
        error_hint(&e, "%s",
                   "At the source: DELETE FROM rebeco.consumer WHERE consumer = '...', "
                   "the one whose confirmed_at stands still; --force without --sync "
                   "removes everything.");
        return job_fail(j, &e);
    }
    d->is_partial = names != NULL && (is_named || !d->wish->x->force);
    d->others = d->is_partial ? arena_strdup(j->arena, field_or_null(r, 0, "list")) : NULL;
    if (d->what == UNINSTALL_LOOKS && (is_named || !d->is_partial))
        return JOB_DONE;
    if (!d->is_partial)
        return job_goto(j, "apart");
    if (is_named)
        return job_goto(j, is_source(d) ? "forget source" : "forget target");
    error_set(&e, "%s: other syncs use Rebeco's objects here: %s", d->side, names);
    error_hint(&e, "--sync %s removes only what belongs to this one; --force removes everything.",
               sync_name(d));
    return job_fail(j, &e);
}

/* ---------------------------------------------------------------- dropping */

static void bind_forget_target(struct job *j, struct params *p)
{
    params_text(p, sync_name(end_of(j)));
}

static void bind_forget_source(struct job *j, struct params *p)
{
    struct end *d = end_of(j);
    params_text(p, sync_name(d));
    params_text(p, d->wish->consumer);
}

/* In a two-way sync the target captures, too. */
static enum job_next result_forgotten(struct job *j, PGresult *r)
{
    (void)r;
    return job_goto(j, "apart");
}

/* The result is kept: its rows are what is dropped next. Results are borrowed, so it is copied. */
static enum job_next result_list(struct job *j, PGresult *r)
{
    struct end *d = end_of(j);
    forget_list(d);
    d->list = PQcopyResult(r, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (d->list == NULL)
        abort(); /* out of memory */
    return JOB_NEXT;
}

/* Sends the next statement; answers `after` when there is none. */
static enum job_next drop_next(struct job *j, double timeout_s, enum job_next after)
{
    struct end *d = end_of(j);
    if (d->at == PQntuples(d->list))
        return after;
    conn_query(job_conn(j, JOB_TARGET), field_or_null(d->list, d->at, "statement"), NULL, CONN_TEXT,
               timeout_s);
    return JOB_WAIT;
}

static enum job_next enter_drop(struct job *j)
{
    return drop_next(j, DROP_S, JOB_NEXT);
}

static enum job_next enter_drop_unread(struct job *j)
{
    return drop_next(j, DROP_S, JOB_DONE);
}

static enum job_next event_drop(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct end *d = end_of(j);
    if (m->event == CONN_RESULT && job_result_failed(m->result))
        return job_fail_result(j, side, m->result);
    if (m->event != CONN_DONE)
        return JOB_WAIT;
    d->released += job_is_at(j, "drop triggers") || job_is_at(j, "drop unread");
    d->at++;
    return JOB_REPEAT;
}

/* ---------------------------------------------------------------- sequences */

static enum job_next enter_apart(struct job *j)
{
    return end_of(j)->has_apart ? JOB_NEXT : job_goto(j, "joined");
}

static void bind_sequences(struct job *j, struct params *p)
{
    const struct end *d = end_of(j);

    params_text(p, d->is_partial ? d->others : NULL);
}

static enum job_next enter_join(struct job *j)
{
    return drop_next(j, 0, JOB_NEXT); /* it reads a column, which may have no index */
}

static enum job_next enter_joined(struct job *j)
{
    return end_of(j)->is_partial ? JOB_NEXT : job_goto(j, "triggers");
}

/* The logs, and all that is left, only when the schema is there and is ours. */
static enum job_next enter_rest(struct job *j)
{
    struct end *d = end_of(j);
    return d->has_schema && d->is_ours ? JOB_NEXT : JOB_DONE;
}

static const struct job_step steps[] = {
    {.name = "limit", .sql = &sql_session_lock_timeout, .side = JOB_TARGET, .bind = bind_limit},
    {.name = "stuck", .enter = enter_stuck},
    {.name = "holders",
     .sql = &sql_uninstall_holders,
     .side = JOB_TARGET,
     .bind = bind_holders,
     .result = result_holders},
    {.name = "survey", .sql = &sql_uninstall_survey, .side = JOB_TARGET, .result = result_survey},
    {.name = "left out",
     .sql = &sql_uninstall_left_out,
     .side = JOB_TARGET,
     .bind = bind_left_out,
     .result = result_left_out},
    {.name = "way back", .enter = enter_way_back, .result = result_way_back},
    {.name = "kept",
     .sql = &sql_uninstall_kept,
     .side = JOB_TARGET,
     .bind = bind_kept,
     .result = result_kept},
    {.name = "count kept", .enter = enter_count_kept, .result = result_count_kept},
    {.name = "counted", .enter = enter_counted},
    {.name = "others",
     .sql = &sql_uninstall_others,
     .side = JOB_TARGET,
     .bind = bind_others,
     .result = result_others},
    {.name = "forget target",
     .sql = &sql_uninstall_forget_target,
     .side = JOB_TARGET,
     .bind = bind_forget_target,
     .result = result_forgotten},
    {.name = "forget source",
     .sql = &sql_uninstall_forget_source,
     .side = JOB_TARGET,
     .bind = bind_forget_source},
    {.name = "apart", .enter = enter_apart},
    {.name = "sequences",
     .sql = &sql_uninstall_sequences,
     .side = JOB_TARGET,
     .bind = bind_sequences,
     .result = result_list},
    {.name = "join sequences", .enter = enter_join, .event = event_drop},
    {.name = "joined", .enter = enter_joined},
    {.name = "unread", .sql = &sql_uninstall_unread, .side = JOB_TARGET, .result = result_list},
    {.name = "drop unread", .enter = enter_drop_unread, .event = event_drop},
    {.name = "triggers", .sql = &sql_uninstall_triggers, .side = JOB_TARGET, .result = result_list},
    {.name = "drop triggers", .enter = enter_drop, .event = event_drop},
    {.name = "rest", .enter = enter_rest},
    {.name = "logs", .sql = &sql_uninstall_logs, .side = JOB_TARGET, .result = result_list},
    {.name = "drop logs", .enter = enter_drop, .event = event_drop},
    {.name = "schema", .sql = &sql_uninstall_schema, .side = JOB_TARGET, .timeout_s = 600},
    {.name = NULL},
};

/* A lock is waited for as long as it takes; anything else is for the person to see. */
static bool failed(struct job *j, const struct error *e)
{
    struct end *d = end_of(j);
    bool is_locked = e->sqlstate[0] != '\0' && sqlstate_action(e->sqlstate) == SQLSTATE_RETRY;
    if (!is_locked)
        return false;
    free(d->stuck);
    d->stuck = NULL;
    if (d->list != NULL && d->at < PQntuples(d->list))
        d->stuck = mem_strdup(field_or_null(d->list, d->at, "label"));
    return true;
}

static const struct job_type end_type = {
    .name = "uninstall",
    .uses = {[JOB_TARGET] = true},
    .steps = steps,
    .begin = begin,
    .failed = failed,
    .ended = client_ended,
};

/* ---------------------------------------------------------------- one end */

static void say_done(const struct end *d)
{
    printf("%s: ", d->side);
    if (d->is_partial && strcmp(d->side, "target") == 0)
        printf("the sync \"%s\" is forgotten\n", sync_name(d));
    else if (d->is_partial)
        printf("the sync \"%s\" is forgotten, %d tables that only it read are released\n",
               sync_name(d), d->released);
    else if (d->has_schema && d->is_ours)
        printf("all objects of Rebeco are removed, %d tables had triggers\n", d->released);
    else if (d->released > 0)
        printf("%d tables had triggers of Rebeco, which are removed\n", d->released);
    else
        printf("there was nothing of Rebeco\n");
    if (d->has_schema && !d->is_ours)
        printf("%s: the schema \"rebeco\" holds nothing of ours and was left alone\n", d->side);
}

bool uninstall_end(const struct uninstall_wish *w, enum uninstall_step step, const char *side,
                   const struct config_database *database, struct error *e)
{
    struct end d = {.wish = w, .what = step, .side = side};
    client_init(&d.client, w->x, &end_type, side, database);
    d.client.job.backoff_max_s = UNINSTALL_BACKOFF_S;
    bool ok = client_run(&d.client, 0, e);
    client_fini(&d.client);
    if (ok && step == UNINSTALL_CLEANS)
        say_done(&d);
    forget_list(&d);
    free(d.stuck);
    free(d.holders);
    return ok;
}
