/* A command's job on the loop. */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "log.h"

static struct client *client_of(struct job *j)
{
    return container_of(j, struct client, job);
}

static void on_limit(struct ev_loop *loop, struct ev_timer *w, int events)
{
    struct client *c = container_of(w, struct client, limit);
    (void)events;
    c->is_out_of_time = c->is_over = true;
    ev_break(loop, EVBREAK_ALL);
}

void client_init(struct client *c, const struct command_context *x, const struct job_type *type,
                 const char *label, const struct config_database *d)
{
    memset(c, 0, sizeof *c);
    /* The person gets failures as the command's own words, not as log lines, unless they ask. */
    if (x->arguments.log_level == NULL)
        log_setup(x->config->log_format, LOG_ERROR);
    c->loop = job_loop();
    job_init(&c->job, c->loop, type, NULL, NULL, d);
    job_conn(&c->job, JOB_TARGET)->label = label;
    ev_timer_init(&c->limit, on_limit, 0., 0.);
}

void client_fini(struct client *c)
{
    job_fini(&c->job);
    ev_timer_stop(c->loop, &c->limit);
}

bool client_run(struct client *c, double limit_s, struct error *e)
{
    if (limit_s > 0) {
        ev_timer_set(&c->limit, limit_s, 0.);
        ev_timer_start(c->loop, &c->limit);
    }
    c->is_over = false;
    job_start(&c->job);
    while (!c->is_over && ev_run(c->loop, 0))
        ;
    ev_timer_stop(c->loop, &c->limit);
    if (!c->is_finished && !c->is_out_of_time)
        *e = c->job.error;
    return c->is_finished;
}

bool client_failed(struct job *j, const struct error *e)
{
    (void)j;
    (void)e;
    return false;
}

void client_ended(struct job *j, bool finished)
{
    struct client *c = client_of(j);
    c->is_finished = finished;
    c->is_over = true;
    ev_break(c->loop, EVBREAK_ALL);
}

enum job_next client_refuse(struct job *j, const char *what, const char *hint)
{
    struct error e;
    error_clear(&e);
    error_set(&e, "%s", what);
    error_hint(&e, "%s", hint);
    return job_fail(j, &e);
}

enum job_next client_need_installed(struct job *j, const PGresult *r)
{
    if (field_bool(r, 0, "is_installed"))
        return JOB_NEXT;
    return client_refuse(j, "there is nothing of Rebeco at the target",
                         "`rebeco run` installs it. Is this the right database?");
}
