/* Relays COPY data row by row. PQputCopyData gives no back-pressure of its own: while the target
 * has not taken what is buffered, the source is not read, and TCP holds it back. */
#include "copy_steps.h"

#include <stdio.h>
#include <stdlib.h>

#include "steady.h"
#include "sync.h"

void copy_on_throttle(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct copy_job *c = container_of(w, struct copy_job, throttle);

    (void)loop;
    (void)events;
    if (!job_conn(&c->job, JOB_TARGET)->owes_room)
        conn_resume_reading(job_conn(&c->job, JOB_SOURCE));
}

/* A token bucket for all streams together; in debt, a stream waits until it is paid. Asked for each
 * row, it looks at the clock only where there is a rate. */
double copy_rate_wait_s(struct sync *s, int64_t bytes)
{
    struct copy_rate *r = &s->rate;
    double rate = (double)s->config->copy_max_rate, now;

    if (rate <= 0)
        return 0;
    now = steady_now();
    r->allowance += (now - r->filled_at) * rate;
    if (r->filled_at <= 0 || r->allowance > rate / 10)
        r->allowance = rate / 10;
    r->filled_at = now;
    r->allowance -= (double)bytes;
    return r->allowance < 0 ? -r->allowance / rate : 0;
}

static void spend(struct copy_job *c, int bytes)
{
    double wait_s = copy_rate_wait_s(c->sync, bytes);

    if (wait_s <= 0 || ev_is_active(&c->throttle))
        return;
    conn_pause_reading(job_conn(&c->job, JOB_SOURCE));
    ev_timer_set(&c->throttle, wait_s, 0.);
    ev_timer_start(c->job.loop, &c->throttle);
}

static void count(struct copy_job *c, int bytes)
{
    int64_t room = c->planned_bytes - c->bytes;

    c->bytes += bytes;
    if (room > 0)
        c->table->bytes_moving += bytes < room ? bytes : room;
    c->rows++;
    c->table->rows_moving++;
}

static void relay(struct copy_job *c, const struct conn_message *m)
{
    struct conn *target = job_conn(&c->job, JOB_TARGET);

    count(c, m->len);
    conn_copy_put(target, m->data, m->len);
    if (conn_is_full(target))
        conn_pause_reading(job_conn(&c->job, JOB_SOURCE));
    spend(c, m->len);
}

enum job_next copy_enter_load(struct job *j)
{
    copy_of(j)->is_loading = true;
    conn_query(job_conn(j, JOB_TARGET), copy_of(j)->input, NULL, CONN_TEXT, 0);
    return JOB_WAIT;
}

static enum job_next source_event(struct copy_job *c, const struct conn_message *m)
{
    if (m->event == CONN_COPY_DATA) {
        relay(c, m);
    } else if (m->event == CONN_RESULT) {
        if (job_result_failed(m->result))
            return job_fail_result(&c->job, JOB_SOURCE, m->result);
        c->is_output_done = true;
        c->rows_sent = strtoll(PQcmdTuples(m->result), NULL, 10);
        conn_copy_end(job_conn(&c->job, JOB_TARGET), NULL);
    }
    return JOB_WAIT;
}

/* A trigger of the application that returns NULL drops a row, and nothing fails. Where our role may
 * not keep triggers from firing that would be a row less for good. */
static enum job_next fail_dropped(struct copy_job *c)
{
    struct error e = {0};

    error_set(&e, "target: %lld of %lld rows of %s were dropped by a trigger there",
              (long long)(c->rows_sent - c->rows), (long long)c->rows_sent, c->table->label);
    error_hint(&e,
               "A trigger BEFORE INSERT returns NULL for them. Until the cutover: ALTER TABLE %s "
               "DISABLE TRIGGER ...; or let our role set session_replication_role. If it shall "
               "drop rows: tables.fire_triggers.",
               c->table->label);
    snprintf(e.sqlstate, sizeof e.sqlstate, "RB040");
    return job_fail(&c->job, &e);
}

static enum job_next target_event(struct copy_job *c, const struct conn_message *m)
{
    struct conn *source = job_conn(&c->job, JOB_SOURCE);

    switch (m->event) {
    case CONN_COPY_IN:
        conn_query(source, c->output, NULL, CONN_TEXT, 0);
        break;
    case CONN_ROOM:
        if (!ev_is_active(&c->throttle))
            conn_resume_reading(source);
        break;
    case CONN_RESULT:
        if (job_result_failed(m->result))
            return job_fail_result(&c->job, JOB_TARGET, m->result);
        /* Not every message of COPY was a row: the binary form has a head and an end. */
        c->table->rows_moving -= c->rows;
        c->rows = strtoll(PQcmdTuples(m->result), NULL, 10);
        c->table->rows_moving += c->rows;
        if (c->rows < c->rows_sent && !c->table->fires)
            return fail_dropped(c);
        break;
    case CONN_DONE:
        c->is_loading = false;
        return JOB_NEXT;
    case CONN_READY:
    case CONN_BETWEEN:
    case CONN_COPY_OUT:
    case CONN_COPY_DATA:
    case CONN_NOTIFY:
    case CONN_LOST:
        break;
    }
    return JOB_WAIT;
}

enum job_next copy_load_event(struct job *j, enum job_side side, const struct conn_message *m)
{
    struct copy_job *c = copy_of(j);

    return side == JOB_SOURCE ? source_event(c, m) : target_event(c, m);
}
