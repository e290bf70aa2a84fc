/* The machine that runs jobs: connects, walks the table of steps, and takes every failure the same
 * way.
 *
 * What is always true: a job's functions are called from the loop only, one at a time; `ended` is
 * never called from inside a step, so it may free the job; after job_fail() both connections are
 * closed and nothing of the run is left but what the databases hold. */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "log.h"
#include "sqlstate.h"
#include "steady.h"
#include "sync.h"

#define STATEMENT_TIMEOUT_S 60.
#define NETWORK_TIMEOUT_S 15.
#define BACKOFF_FIRST_S 0.1
#define BACKOFF_MAX_S 1.
#define RETRY_S 0.05

enum { ENDING_NOT, ENDING_FINISHED, ENDING_STOPPED };

static void run_steps(struct job *j, enum job_next next);
static void on_timer(struct ev_loop *loop, struct ev_timer *w, int events);

/* ------------------------------------------------------------------ steps */

static void after(struct job *j, double seconds)
{
    ev_timer_stop(j->loop, &j->timer);
    ev_timer_set(&j->timer, seconds, 0.);
    ev_timer_start(j->loop, &j->timer);
}

static void close_conns(struct job *j)
{
    for (int side = 0; side < JOB_SIDES; side++)
        conn_close(&j->conns[side]);
}

static void end_run(struct job *j)
{
    close_conns(j);
    j->step = NULL;
    j->is_connecting = false;
    j->has_later = false;
    arena_free(j->arena);
    j->arena = NULL;
}

/* `ended` comes from the loop, so that it may free the job. */
static void end_later(struct job *j, int how)
{
    end_run(j);
    j->ending = how;
    after(j, 0.);
}

static double step_timeout(const struct job_step *s)
{
    if (s->timeout_s < 0)
        return 0;
    return s->timeout_s > 0 ? s->timeout_s : STATEMENT_TIMEOUT_S;
}

static enum job_next enter_step(struct job *j)
{
    const struct job_step *s = j->step;

    j->answer = JOB_NEXT;
    if (s->enter)
        return s->enter(j);
    params_clear(&j->params);
    if (s->bind)
        s->bind(j, &j->params);
    conn_execute(job_conn(j, s->side), s->sql, &j->params, CONN_TEXT, step_timeout(s));
    return JOB_WAIT;
}

static void run_steps(struct job *j, enum job_next next)
{
    while (next != JOB_WAIT && next != JOB_FAILED) {
        if (next == JOB_NEXT)
            j->step++;
        else if (next == JOB_GOTO)
            j->step = j->next;
        if (next == JOB_DONE || j->step->name == NULL) {
            end_later(j, ENDING_FINISHED);
            return;
        }
        next = enter_step(j);
    }
}

enum job_next job_goto(struct job *j, const char *step)
{
    for (const struct job_step *s = j->type->steps; s->name; s++)
        if (strcmp(s->name, step) == 0) {
            j->next = s;
            return JOB_GOTO;
        }
    fprintf(stderr, "rebeco: bug: job %s has no step %s\n", j->type->name, step);
    abort();
}

void job_continue(struct job *j, enum job_next next)
{
    if (j->step == NULL)
        return;
    j->later = next;
    j->has_later = true;
    after(j, 0.);
}

enum job_next job_sleep(struct job *j, double seconds, enum job_next next)
{
    j->later = next;
    j->has_later = true;
    after(j, seconds);
    return JOB_WAIT;
}

/* ------------------------------------------------------------------ failure */

static double backoff_s(const struct job *j, const struct error *e)
{
    double max = j->backoff_max_s > 0 ? j->backoff_max_s : BACKOFF_MAX_S;
    double s = BACKOFF_FIRST_S;

    if (e->sqlstate[0] && sqlstate_action(e->sqlstate) == SQLSTATE_RETRY && j->failures < 5)
        return RETRY_S;
    for (int i = 1; i < j->failures && s < max; i++)
        s *= 2;
    return s < max ? s : max;
}

enum job_next job_fail(struct job *j, const struct error *e)
{
    const char *step = j->step ? j->step->name : "connect";
    bool again;

    j->error = *e;
    j->failures++;
    /* The server has rolled back one of two that met, and the first repetition will do: no news. */
    log_error(sqlstate_is_of_chance(e->sqlstate) && j->failures == 1 ? LOG_INFO : LOG_WARNING,
              "job failed", e, "sync", j->sync ? j->sync->name : NULL, "job", j->name, "step", step,
              NULL);
    end_run(j);
    again = j->type->failed == NULL || j->type->failed(j, &j->error);
    if (again && !j->is_stopping)
        after(j, backoff_s(j, e));
    else
        end_later(j, ENDING_STOPPED);
    return JOB_FAILED;
}

enum job_next job_fail_result(struct job *j, enum job_side side, const PGresult *r)
{
    struct error e;

    conn_result_error(job_conn(j, side), r, &e);
    return job_fail(j, &e);
}

bool job_result_failed(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);

    return s == PGRES_FATAL_ERROR || s == PGRES_BAD_RESPONSE || s == PGRES_PIPELINE_ABORTED;
}

/* ------------------------------------------------------------------ connecting */

static void begin_run(struct job *j)
{
    j->is_connecting = false;
    j->arena = arena_new();
    j->started_at = steady_now();
    if (j->type->begin)
        j->type->begin(j);
    j->step = j->type->steps;
    run_steps(j, enter_step(j));
}

static bool all_connected(const struct job *j)
{
    for (int side = 0; side < JOB_SIDES; side++)
        if (j->type->uses[side] && !j->is_set_up[side])
            return false;
    return true;
}

/* Settings of a session that is not ours alone would change what the application does. */
static void refuse_pooler(struct job *j, enum job_side side)
{
    struct error e = {0};

    error_set(&e, "%s: a connection pooler is in between", j->conns[side].label);
    error_hint(&e, "%s",
               "Connect to the server itself: capture and copy need sessions of their own.");
    job_fail(j, &e);
}

static void set_up_session(struct job *j, enum job_side side)
{
    params_clear(&j->params);
    params_int(&j->params, conn_backend_pid(&j->conns[side]));
    params_int(&j->params, (int64_t)(j->conns[side].network_timeout_s * 1000));
    params_bool(&j->params, j->type->knows_pooler);
    params_text(&j->params,
                side == JOB_TARGET && j->sync && !j->sync->copier ? j->sync->name : NULL);
    conn_execute(&j->conns[side], &sql_session_setup, &j->params, CONN_TEXT, STATEMENT_TIMEOUT_S);
}

static void event_while_connecting(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_READY) {
        set_up_session(j, side);
    } else if (m->event == CONN_RESULT && job_result_failed(m->result)) {
        job_fail_result(j, side, m->result);
    } else if (m->event == CONN_RESULT && PQntuples(m->result) == 0) {
        refuse_pooler(j, side);
    } else if (m->event == CONN_DONE) {
        j->is_set_up[side] = true;
        if (all_connected(j))
            begin_run(j);
    }
}

static void connect_sides(struct job *j)
{
    double timeout_s = j->sync ? j->sync->config->network_timeout_s : NETWORK_TIMEOUT_S;
    bool any = false;

    j->is_connecting = true;
    for (int side = 0; side < JOB_SIDES; side++) {
        j->is_set_up[side] = false;
        if (!j->type->uses[side])
            continue;
        conn_open(&j->conns[side], j->databases[side], timeout_s);
        any = true;
    }
    if (!any)
        begin_run(j);
}

/* ------------------------------------------------------------------ events */

/* A step without an `event` function: its statement's results, then its end. */
static enum job_next plain_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    if (m->event == CONN_RESULT) {
        if (job_result_failed(m->result))
            return job_fail_result(j, side, m->result);
        if (j->step->result)
            j->answer = j->step->result(j, m->result);
        return j->answer == JOB_FAILED ? JOB_FAILED : JOB_WAIT;
    }
    return m->event == CONN_DONE ? j->answer : JOB_WAIT;
}

static void on_event(struct conn *c, const struct conn_message *m)
{
    struct job *j = c->owner;
    enum job_side side = c == &j->conns[JOB_SOURCE] ? JOB_SOURCE : JOB_TARGET;

    if (m->event == CONN_LOST) {
        job_fail(j, m->error);
        return;
    }
    if (j->is_connecting) {
        event_while_connecting(j, side, m);
        return;
    }
    if (j->step == NULL)
        return;
    if (m->event == CONN_NOTIFY && j->type->notified)
        j->type->notified(j, side, m->channel, m->payload);
    else if (j->step->event)
        run_steps(j, j->step->event(j, side, m));
    else
        run_steps(j, plain_event(j, side, m));
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct job *j = container_of(w, struct job, timer);

    (void)loop;
    (void)events;
    if (j->ending != ENDING_NOT) {
        bool finished = j->ending == ENDING_FINISHED;

        j->ending = ENDING_NOT;
        j->is_running = false;
        if (j->type->ended)
            j->type->ended(j, finished);
    } else if (j->has_later) {
        j->has_later = false;
        run_steps(j, j->later);
    } else if (j->step == NULL) {
        connect_sides(j);
    }
}

/* ------------------------------------------------------------------ life */

struct ev_loop *job_loop(void)
{
    struct ev_loop *loop = ev_default_loop(0);

    if (loop == NULL) {
        log_event(LOG_ERROR, "cannot wait for anything: out of memory or of file descriptors",
                  NULL);
        abort();
    }
    return loop;
}

void job_init(struct job *j, struct ev_loop *loop, const struct job_type *type, struct sync *sync,
              const struct config_database *source, const struct config_database *target)
{
    static const char *const labels[] = {"source", "target", "source"};
    bool is_back = sync && sync->is_back; /* the ends are called as a person knows them */

    memset(j, 0, sizeof *j);
    list_init(&j->in_sync);
    j->loop = loop;
    j->type = type;
    j->name = type->name;
    j->sync = sync;
    j->databases[JOB_SOURCE] = source;
    j->databases[JOB_TARGET] = target;
    ev_init(&j->timer, on_timer);
    for (int side = 0; side < JOB_SIDES; side++)
        conn_init(&j->conns[side], loop, labels[side + is_back], on_event, j);
}

void job_start(struct job *j)
{
    j->is_running = true;
    j->is_stopping = false;
    j->ending = ENDING_NOT;
    j->failures = 0;
    connect_sides(j);
}

void job_stop(struct job *j)
{
    ev_timer_stop(j->loop, &j->timer);
    end_run(j);
    j->ending = ENDING_NOT;
    j->is_running = false;
}

void job_fini(struct job *j)
{
    job_stop(j);
    for (int side = 0; side < JOB_SIDES; side++)
        conn_fini(&j->conns[side]);
    params_fini(&j->params);
}

bool job_is_running(const struct job *j)
{
    return j->is_running;
}

bool job_is_failing(const struct job *j)
{
    return j->is_running && j->failures > 0 && j->step == NULL;
}

bool job_is_at(const struct job *j, const char *step)
{
    return j->step && strcmp(j->step->name, step) == 0;
}
