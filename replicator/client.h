/* A command's job: one connection to one database, run to its end while a
 * person waits. It fails at the first failure, unless its type says otherwise: the person decides
 * whether to try again. */
#ifndef CLIENT_H
#define CLIENT_H

#include <ev.h>
#include <stdbool.h>

#include "command.h"
#include "job.h"

struct client {
    struct ev_loop *loop;
    struct job job;
    struct ev_timer limit; /* ends the waiting */
    bool is_over;          /* nothing more is waited for */
    bool is_finished;      /* the job came to its end */
    bool is_out_of_time;
};

/* Prepares a job on the database `d`, which is borrowed. In errors it is called `label`. The
 * type's only side is JOB_TARGET, whichever end that is; its `ended` is client_ended, or calls it.
 */
void client_init(struct client *c, const struct command_context *x, const struct job_type *type,
                 const char *label, const struct config_database *d);
void client_fini(struct client *c);
/* Runs it to its end, for at most `limit_s` seconds (0: no limit). False and the error when it
 * failed; when time ran out also false, with c->is_out_of_time and no error. */
bool client_run(struct client *c, double limit_s, struct error *e);
/* For struct job_type. */
bool client_failed(struct job *j, const struct error *e);
void client_ended(struct job *j, bool finished);
/* Ends the job with this for a person: what is wrong, and what to do. */
enum job_next client_refuse(struct job *j, const char *what, const char *hint);
/* Refuses unless Rebeco's objects are at the target, as sql/request_look.sql says. */
enum job_next client_need_installed(struct job *j, const PGresult *r);

#endif
