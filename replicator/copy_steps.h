/* The steps of the copy job that are not in copy.c: moving rows (copy_relay.c), tables in one piece
 * (copy_piece.c), rows that are refused (copy_refused.c), the key (copy_key.c), and what a process
 * that only helps waits for (copy_help.c). Not for other jobs. */
#ifndef COPY_STEPS_H
#define COPY_STEPS_H

#include "copy.h"

struct relation;

static inline struct copy_job *copy_of(struct job *j)
{
    return container_of(j, struct copy_job, job);
}

/* Starts the two COPY statements of the chunk in hand; then relays from one server to the other, no
 * faster than the target takes it and the limit allows. */
enum job_next copy_enter_load(struct job *j);
enum job_next copy_load_event(struct job *j, enum job_side side, const struct conn_message *m);
/* The limit's timer: the source may speak again. */
void copy_on_throttle(struct ev_loop *loop, struct ev_timer *w, int events);
/* A value of the first row, kept for this run; NULL for NULL. */
const char *copy_value(struct job *j, const PGresult *r, int field);

/* A table in one piece. */
enum job_next copy_enter_in_snapshot(struct job *j);
enum job_next copy_take_piece_snapshot(struct job *j, PGresult *r);
enum job_next copy_enter_piece_done(struct job *j);
void copy_piece_done(struct table *t);

/* A chunk that goes through a temporary table. Should the table's chunks do so? May one that failed
 * be loaded again without the rows that are refused? */
bool copy_wants_staging(const struct table *t);
bool copy_may_refuse(const struct copy_job *c, const struct error *e);
/* How it is loaded then. */
enum copy_care copy_more_care(const struct copy_job *c, const struct error *e);
void copy_bind_staging(struct job *j, struct params *p);
enum job_next copy_take_staging(struct job *j, PGresult *r);
enum job_next copy_enter_before(struct job *j);
enum job_next copy_enter_after(struct job *j);
enum job_next copy_take_after(struct job *j, PGresult *r);
enum job_next copy_enter_let_go(struct job *j);
enum job_next copy_enter_refused(struct job *j);
enum job_next copy_take_refused(struct job *j, PGresult *r);
/* Ends the transaction at the source, if there is one. */
enum job_next copy_enter_source_end(struct job *j);
/* A relation's columns, and what each is cast to where text is copied, as arrays' texts (arena). */
const char *copy_column_names(struct job *j, const struct relation *rel);
const char *copy_key_names(struct job *j, const struct relation *rel);
const char *copy_column_casts(struct job *j, const struct relation *rel);

/* What it waits for. */
enum job_next copy_enter_follower(struct job *j);
enum job_next copy_take_follower(struct job *j, PGresult *r);
/* What a chunk has read is to be on the source's disk; a commit of ours brings it there. */
enum job_next copy_enter_flushed(struct job *j);
void copy_bind_flush(struct job *j, struct params *p);
enum job_next copy_ready_to_help(struct copy_job *c);
/* There is something left of the copy, and nothing of it to claim. */
void copy_note_others(struct sync *s);
/* The chunk in hand, if there is one, is not in hand any more. */
void copy_put_down(struct copy_job *c);

/* The key. */
void copy_bind_key(struct job *j, struct params *p);
enum job_next copy_take_key(struct job *j, PGresult *r);
enum job_next copy_enter_key_make(struct job *j);
enum job_next copy_enter_key_made(struct job *j);
void copy_bind_follow(struct job *j, struct params *p);
enum job_next copy_enter_followed(struct job *j);

#endif
