/* In what order the tables of a batch are written, and what is tried when that does not do. */
#ifndef BATCH_ORDER_H
#define BATCH_ORDER_H

#include "batch.h"

/* Begins the batch's transaction at the target, and asks the source for the rows. */
enum job_next batch_enter_read(struct job *j);
/* Carries out the truncations that are not yet, in tables that refer to others first. */
void batch_send_clears(struct batch_job *b);
/* Stops the tables that must not go on while another stands still: what foreign keys do to their
 * rows when that one goes on would be undone by nobody. */
void batch_hold_children(struct batch_job *b);
/* Such a table, and the other still stands still. */
bool batch_is_held(const struct table *t);
/* What the table is in error for is a foreign key of the target, and one ties it to the other. */
bool batch_waits_for(const struct table *t, const struct table *other);
/* A statement failed, of a table or of none (NULL). The run is over: the batch is made again, with
 * the table treated otherwise or without it. */
enum job_next batch_failed(struct batch_job *b, enum job_side side, struct table *t,
                           struct error *e);
/* The table that a failed result of the target names, NULL when it is none of this batch. */
struct table *batch_table_named(const struct batch_job *b, const PGresult *r);

#endif
