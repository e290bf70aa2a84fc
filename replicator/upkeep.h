/* What the leading job does once it leads: answers requests, publishes the status, has the change
 * logs emptied, notices changes of the catalogs. */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "lead.h"

#define UPKEEP_ROTATE_BUSY_S 1. /* between two looks at the change logs */

/* Lets a duty be due at that time, if it is not due earlier. */
void upkeep_no_later(double *due, double at);
/* Every duty is due now. */
void upkeep_begin(struct lead_job *l);
/* Which duty is next; its step is gone to, or the job sleeps until one is due. */
enum job_next upkeep_watch(struct job *j);
/* A duty is done. */
enum job_next upkeep_watch_again(struct job *j);
/* Before a start's next capture: goes to the steps that write the status, once a second.
 * JOB_NEXT: nothing is due. */
enum job_next upkeep_tell_early(struct job *j);
/* The same while the schema is copied; sleeps until it is due. */
enum job_next upkeep_tell_schema(struct job *j);

/* Answers a request. */
enum job_next upkeep_answer(struct job *j, int64_t id, bool ok, const char *text);

/* Requests whose answer waits for batches (upkeep_wait.c). `t`: the table that is paused or copied
 * again; NULL: all. */
void upkeep_add_wait(struct lead_job *l, int64_t id, enum upkeep_waits what, const struct table *t);
bool upkeep_is_waiting(const struct lead_job *l, int64_t id);
void upkeep_drop_waits(struct lead_job *l);
/* Their ids, as an array's text. */
void upkeep_name_waits(const struct lead_job *l, struct buf *b);
/* Answers one that need not wait any longer; JOB_NEXT: there is none. */
enum job_next upkeep_answer_wait(struct job *j);
/* A table stands still, and not only for a moment. */
bool upkeep_is_anything_standing(const struct sync *s);

/* The steps' functions. */
void upkeep_bind_commands(struct job *j, struct params *p);
enum job_next upkeep_take_commands(struct job *j, PGresult *r);
void upkeep_bind_answer(struct job *j, struct params *p);
enum job_next upkeep_enter_pause_set(struct job *j);
enum job_next upkeep_take_pause_set(struct job *j, PGresult *r);
void upkeep_bind_phase(struct job *j, struct params *p);
enum job_next upkeep_take_phase(struct job *j, PGresult *r);
void upkeep_bind_status(struct job *j, struct params *p);
enum job_next upkeep_take_problems(struct job *j, PGresult *r);
/* Whether any of the logs may need to be looked after. */
bool upkeep_wants_rotate(const struct lead_job *l);
void upkeep_bind_rotate(struct job *j, struct params *p);
enum job_next upkeep_take_rotate(struct job *j, PGresult *r);
enum job_next upkeep_take_summarize(struct job *j, PGresult *r);
/* What the server refuses of these two is noted, and tried again (upkeep_logs.c). */
enum job_next upkeep_logs_event(struct job *j, enum job_side side, const struct conn_message *m);
void upkeep_bind_source_stamp(struct job *j, struct params *p);
void upkeep_bind_target_stamp(struct job *j, struct params *p);
enum job_next upkeep_take_source_stamp(struct job *j, PGresult *r);
enum job_next upkeep_take_captures(struct job *j, PGresult *r);
void upkeep_bind_lost_captures(struct job *j, struct params *p);
enum job_next upkeep_take_lost_captures(struct job *j, PGresult *r);
enum job_next upkeep_take_target_stamp(struct job *j, PGresult *r);

#endif
