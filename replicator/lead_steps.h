/* The steps of the leading job that are not in lead.c: the lock (lead_lock.c), who the servers are
 * (lead_identity.c), installing our objects (lead_install.c), what is known (lead_read.c), and the
 * work on single tables (lead_table.c, lead_capture.c). Not for other jobs. */
#ifndef LEAD_STEPS_H
#define LEAD_STEPS_H

#include "lead.h"

static inline struct lead_job *lead_of(struct job *j)
{
    return container_of(j, struct lead_job, job);
}

/* Sends a statement without parameters. */
enum job_next lead_say(struct job *j, enum job_side side, const struct sql *sql);
/* A value of the first row, kept for this run; NULL for NULL. */
const char *lead_keep(struct job *j, const PGresult *r, const char *column);

/* Who the two servers are. */
enum job_next lead_take_source_identity(struct job *j, PGresult *r);
enum job_next lead_take_target_identity(struct job *j, PGresult *r);
enum job_next lead_enter_check_servers(struct job *j);
void lead_bind_take(struct job *j, struct params *p);
enum job_next lead_take_sync(struct job *j, PGresult *r);
void lead_bind_confirmed(struct job *j, struct params *p);
enum job_next lead_take_confirmed(struct job *j, PGresult *r);
enum job_next lead_enter_accept(struct job *j);
enum job_next lead_take_accepted(struct job *j, PGresult *r);
void lead_bind_accept_back(struct job *j, struct params *p);
enum job_next lead_take_accept_back(struct job *j, PGresult *r);
void lead_bind_former(struct job *j, struct params *p);

/* Makes the tables of the sync as they are recorded at the target, from what tables_list says; for
 * copier.c too. */
enum job_next lead_take_tables(struct job *j, PGresult *r);
/* At a start, the tables that are recorded get their relations; likewise. */
void lead_attach_relations(struct sync *s);

/* The lock. */
void lead_bind_name(struct job *j, struct params *p);
enum job_next lead_take_lock(struct job *j, PGresult *r);
enum job_next lead_take_holder(struct job *j, PGresult *r);
enum job_next lead_take_evicted(struct job *j, PGresult *r);
/* After a failure: nothing will get better until somebody does something. */
bool lead_needs_person(struct lead_job *l, const struct error *e);

/* Installing. */
enum job_next lead_enter_install(struct job *j);
enum job_next lead_install_event(struct job *j, enum job_side side, const struct conn_message *m);

enum job_next lead_take_skips(struct job *j, PGresult *r);

/* Rows that are refused: why the one with that key (JSON) cannot be left out, NULL when it can;
 * then the step that does it, with lead->table. And a table in error is tried again now. */
const char *lead_refuse_skip(const struct table *t, const char *key);
void lead_bind_skip(struct job *j, struct params *p);
enum job_next lead_take_skip(struct job *j, PGresult *r);
/* Goes on to the next table, from lead->table (NULL: from the first), of which rows without a key
 * are left out and can be tried again; false, and NULL, for none. Then tries them. */
bool lead_next_left_out(struct lead_job *l);
void lead_bind_skip_retry(struct job *j, struct params *p);
enum job_next lead_take_skip_retry(struct job *j, PGresult *r);
void lead_retry(struct table *t);

/* Tables. */
enum job_next lead_enter_forget(struct job *j);
void lead_bind_table(struct job *j, struct params *p);
void lead_bind_consumer_table(struct job *j, struct params *p);
enum job_next lead_enter_forgotten(struct job *j);
/* How its ends look, and what they are called, was just recorded at the target. */
void lead_note_definition(struct table *t);
enum job_next lead_enter_resume(struct job *j);
void lead_bind_capture(struct job *j, struct params *p);
enum job_next lead_take_capture_state(struct job *j, PGresult *r);
enum job_next lead_repair_event(struct job *j, enum job_side side, const struct conn_message *m);
enum job_next lead_enter_log_partitions(struct job *j);
enum job_next lead_enter_repair(struct job *j);
enum job_next lead_enter_resumed(struct job *j);
enum job_next lead_take_resumed(struct job *j, PGresult *r);
enum job_next lead_enter_read_statements(struct job *j);
enum job_next lead_take_read_statements(struct job *j, PGresult *r);
enum job_next lead_enter_apply_statements(struct job *j);
enum job_next lead_take_apply_statements(struct job *j, PGresult *r);

/* Their capture and the plan of their copy. */
enum job_next lead_enter_next_copy(struct job *j);
void lead_bind_rows_there(struct job *j, struct params *p);
enum job_next lead_take_rows_there(struct job *j, PGresult *r);
enum job_next lead_enter_capture(struct job *j);
void lead_bind_blockers(struct job *j, struct params *p);
enum job_next lead_take_blockers(struct job *j, PGresult *r);
void lead_bind_chunks(struct job *j, struct params *p);
enum job_next lead_take_chunks(struct job *j, PGresult *r);
void lead_bind_add(struct job *j, struct params *p);
enum job_next lead_take_added(struct job *j, PGresult *r);
enum job_next lead_enter_added(struct job *j);
/* The event function of steps about one table, and what the capture's and the emptying's steps do.
 */
enum job_next lead_table_event(struct job *j, enum job_side side, const struct conn_message *m);
enum job_next lead_take_capture(struct job *j, PGresult *r);
enum job_next lead_enter_empty(struct job *j);
enum job_next lead_take_emptied(struct job *j, PGresult *r);

/* Captures merge rows as the configuration says: lead_merge.c. */
enum job_next lead_enter_merge_look(struct job *j);
enum job_next lead_take_merge_look(struct job *j, PGresult *r);
enum job_next lead_enter_merge(struct job *j);
enum job_next lead_enter_merges(struct job *j);
/* Every pattern of the configuration means a table. */
enum job_next lead_take_names(struct job *j, PGresult *r);
/* Tables whose capture is gone at the source. */
enum job_next lead_take_captures(struct job *j, PGresult *r);
enum job_next lead_enter_orphan(struct job *j);
enum job_next lead_enter_orphan_forgotten(struct job *j);
/* One end's catalog of a reading, the source's shaped as the configuration says, in the place of
 * what read[side] was. */
bool lead_read_catalog(struct sync *s, enum job_side side, const PGresult *r,
                       struct catalog *read[JOB_SIDES], struct error *e);
/* Both have been read: they become the sync's. */
void lead_pair_catalogs(struct sync *s, struct catalog *read[JOB_SIDES]);
void lead_bind_source_catalog(struct job *j, struct params *p);
void lead_bind_target_catalog(struct job *j, struct params *p);
enum job_next lead_enter_layouts(struct job *j);
enum job_next lead_take_layouts(struct job *j, PGresult *r);
enum job_next lead_enter_catalogs(struct job *j);
enum job_next lead_catalogs_event(struct job *j, enum job_side side, const struct conn_message *m);
/* What is there now has all captures behind it: a follower must be as far. */
enum job_next lead_enter_lsn(struct job *j);
enum job_next lead_take_lsn(struct job *j, PGresult *r);

#endif
